//! One run of cleanup: grants first, then what other subjects left behind, each in small batches between
//! which calls have their turn. The brake holds grants when a run would end too much of what still works.

use crate::cleanup_pace::Pace;
use crate::lease::HeldLease;
use crate::{Broker, BrokerError};
use doorward_domain::authorization_attempt::ATTEMPTS_KEPT;
use doorward_domain::session::MCP_SESSION_IDLE;
use doorward_domain::{
    CleanupRun, CleanupRunId, CleanupState, GrantNames, HoldReason, NewAuditEvent, Policy, SweptKind,
    Timestamp,
};
use doorward_storage::{Census, GrantSweep, SweepCutoffs, SweepPosition};
use std::time::Duration;
use tokio::time::Instant;

/// A run that would end more refreshable grants than this, and more than a quarter of all, holds them.
const BRAKE_COUNT: u64 = 100;
const BRAKE_SHARE: u64 = 4;

/// How many names a run shows.
const SAMPLE: u32 = 20;

/// What a browser may still come back for is remembered for this long after its end.
const REMEMBERED: Duration = Duration::from_secs(86_400);

/// After so many rows the log's pages are moved to their places: sooner, pages that batches share would move again
/// and again, later, a commit would have to move them.
const SETTLE_EVERY: u64 = 3_000;

/// How often a long run writes how far it is.
const PROGRESS: Duration = Duration::from_secs(2);

/// An administrator's word for what a run held.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Told {
    pub(crate) run: CleanupRunId,
    /// What was due then; nothing that became due since.
    pub(crate) at: Timestamp,
    pub(crate) reason: HoldReason,
}

/// A run at work.
pub(crate) struct Work {
    broker: Broker,
    pub(crate) run: CleanupRun,
    pub(crate) told: Option<Told>,
    /// Says who started it.
    pub(crate) event: NewAuditEvent,
    pub(crate) began: Instant,
    written: Instant,
    unsettled: u64,
    pace: Pace,
}

/// The moments that the settings give, as of `at`.
pub(crate) fn cutoffs(policy: &Policy, at: Timestamp) -> SweepCutoffs {
    let cleanup = &policy.cleanup;
    SweepCutoffs {
        stale: at.minus(cleanup.retention),
        stale_refreshable: !cleanup.keep_refreshable,
        idle: cleanup.idle_revoke.map(|time| at.minus(time)),
        orphaned: at.minus(cleanup.orphan_grace),
    }
}

impl Work {
    pub(crate) fn new(broker: Broker, run: CleanupRun, told: Option<Told>, event: NewAuditEvent) -> Self {
        let now = Instant::now();
        Self { broker, run, told, event, began: now, written: now, unsettled: 0, pace: Pace::default() }
    }

    /// Sweeps, writes what became of it, and gives the lease back.
    pub(crate) async fn carry_out(mut self, lease: HeldLease) -> CleanupRun {
        let outcome = self.sweep().await;
        self.run.finished_at = Some(self.broker.now());
        match outcome {
            Ok(()) => self.run.state = CleanupState::Done,
            Err(error) => {
                self.run.state = CleanupState::Failed;
                self.run.error = Some(error.to_string());
            }
        }
        let ends_hold = self.told.is_some() && self.run.state == CleanupState::Done;
        let written = self.broker.storage().update_cleanup_run(&self.run, ends_hold, self.audit()).await;
        if let Err(error) = written {
            tracing::error!(%error, run = %self.run.id, "the end of a run of cleanup could not be written");
        }
        self.tell();
        lease.release().await;
        self.run
    }

    async fn sweep(&mut self) -> Result<(), BrokerError> {
        // What this process knows of uses and has not written counts too.
        self.broker.flush_last_used().await?;
        let storage = self.broker.storage().clone();
        let at = self.told.map_or(self.run.started_at, |told| told.at);
        let cutoffs = cutoffs(self.broker.policy(), at);
        let census = storage.sweep_census(&cutoffs).await?;
        let hold = self.held(storage.cleanup_hold().await?, &census);
        self.run.hold_reason = hold;
        self.run.held_count = match hold {
            None => 0,
            Some(HoldReason::ClockJumped) => census.ended(),
            Some(HoldReason::TooMany | HoldReason::Restored) => census.ended_refreshable(),
        };
        if self.run.dry_run {
            return self.count(&cutoffs, &census).await;
        }
        for sweep in GrantSweep::ALL {
            self.sweep_grants(sweep, &cutoffs).await?;
        }
        for kind in SweptKind::ALL {
            if let Some(before) = self.leftovers_before(kind) {
                self.sweep_leftovers(kind, before).await?;
            }
        }
        if self.run.held_count > 0 {
            self.run.sample = self.names(&cutoffs).await?;
        }
        if hold.is_none() {
            storage.forget_clock_jump().await?;
        }
        Ok(())
    }

    /// Why grants are held in this run. An administrator's word ends a hold; a jump of the clock that makes
    /// no difference is none.
    fn held(&self, flag: Option<HoldReason>, census: &Census) -> Option<HoldReason> {
        if self.told.is_some() {
            return None;
        }
        let ended = census.ended_refreshable();
        let too_many = ended > BRAKE_COUNT && ended * BRAKE_SHARE > census.refreshable.unsigned_abs();
        flag.filter(|reason| *reason != HoldReason::ClockJumped || census.ended() > 0)
            .or(too_many.then_some(HoldReason::TooMany))
    }

    /// Whether a sweep may end what could be refreshed; none: it may end nothing at all.
    fn scope(&self, refreshable: bool) -> Option<bool> {
        match self.run.hold_reason {
            None => Some(refreshable),
            Some(HoldReason::TooMany | HoldReason::Restored) => Some(false),
            Some(HoldReason::ClockJumped) => None,
        }
    }

    async fn sweep_grants(&mut self, sweep: GrantSweep, cutoffs: &SweepCutoffs) -> Result<(), BrokerError> {
        self.run.counts.insert(sweep.kind(), 0);
        let Some((before, refreshable)) = cutoffs.of(sweep) else { return Ok(()) };
        let Some(refreshable) = self.scope(refreshable) else { return Ok(()) };
        let storage = self.broker.storage().clone();
        let actor = self.run.actor.clone();
        let mut position = SweepPosition::default();
        loop {
            let limit = self.pace.size;
            let begun = Instant::now();
            let swept =
                storage.sweep_grants(sweep, before, refreshable, &mut position, limit, &actor).await?;
            if swept == 0 {
                return Ok(());
            }
            self.note(sweep.kind(), swept, begun.elapsed()).await?;
        }
    }

    async fn sweep_leftovers(&mut self, kind: SweptKind, before: Timestamp) -> Result<(), BrokerError> {
        self.run.counts.insert(kind, 0);
        if kind == SweptKind::AuditEvents {
            let swept = self.broker.sweep_audit(self.run.started_at).await?;
            return self.note(kind, swept, Duration::ZERO).await;
        }
        loop {
            let limit = self.pace.size;
            let begun = Instant::now();
            let swept = self.broker.storage().sweep_leftovers(kind, before, limit).await?;
            self.note(kind, swept, begun.elapsed()).await?;
            if swept < u64::from(limit) {
                return Ok(());
            }
        }
    }

    /// Counts a batch, and now and then moves the log and writes how far the run is. Others have their turn between
    /// two batches: they wait for the writer in a queue.
    async fn note(&mut self, kind: SweptKind, swept: u64, took: Duration) -> Result<(), BrokerError> {
        *self.run.counts.entry(kind).or_default() += swept;
        let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        self.run.slowest_batch_ms = self.run.slowest_batch_ms.max(millis);
        metrics::counter!("doorward_cleanup_deleted_total", "kind" => kind.as_str()).increment(swept);
        if swept == 0 {
            return Ok(());
        }
        self.unsettled += swept;
        if self.unsettled >= SETTLE_EVERY {
            self.unsettled = 0;
            self.broker.storage().settle().await?;
        }
        self.pace.after(took);
        if self.written.elapsed() >= PROGRESS {
            self.written = Instant::now();
            self.broker.storage().update_cleanup_run(&self.run, false, None).await?;
        }
        Ok(())
    }

    /// A dry run: how many of each kind would go, and the names of some.
    async fn count(&mut self, cutoffs: &SweepCutoffs, census: &Census) -> Result<(), BrokerError> {
        for sweep in GrantSweep::ALL {
            self.run.counts.insert(sweep.kind(), census.of(sweep));
        }
        for kind in SweptKind::ALL {
            if let Some(before) = self.leftovers_before(kind) {
                let count = self.broker.storage().count_leftovers(kind, before).await?;
                self.run.counts.insert(kind, count);
            }
        }
        self.run.sample = self.names(cutoffs).await?;
        Ok(())
    }

    async fn names(&self, cutoffs: &SweepCutoffs) -> Result<Vec<GrantNames>, BrokerError> {
        let storage = self.broker.storage();
        let mut names = Vec::new();
        for sweep in GrantSweep::ALL {
            let Some((before, refreshable)) = cutoffs.of(sweep) else { continue };
            let left = SAMPLE.saturating_sub(u32::try_from(names.len()).unwrap_or(SAMPLE));
            for id in storage.grants_to_sweep(sweep, before, refreshable, left).await? {
                names.extend(storage.grant_names(id).await?);
            }
        }
        Ok(names)
    }

    /// The moment before which leftovers of a kind go; none: they stay, as all history does while the
    /// clock is in doubt.
    fn leftovers_before(&self, kind: SweptKind) -> Option<Timestamp> {
        let now = self.run.started_at;
        let history = || {
            let in_doubt = self.run.hold_reason == Some(HoldReason::ClockJumped);
            (!in_doubt).then(|| now.minus(self.broker.policy().audit_retention))
        };
        match kind {
            SweptKind::StaleGrants | SweptKind::IdleGrants | SweptKind::OrphanedGrants => None,
            SweptKind::AuthorizationRequests | SweptKind::ConnectRequests => Some(now.minus(REMEMBERED)),
            SweptKind::AuthorizationAttempts => Some(now.minus(ATTEMPTS_KEPT)),
            SweptKind::BrowserSessions => Some(now.minus(self.broker.policy().sessions.idle)),
            SweptKind::McpSessions => Some(now.minus(MCP_SESSION_IDLE)),
            SweptKind::SetupLinks | SweptKind::ClientRegistrations => Some(now),
            SweptKind::ApiTokens
            | SweptKind::EndedGrants
            | SweptKind::AuditEvents
            | SweptKind::BulkJobRows
            | SweptKind::BulkJobs
            | SweptKind::CleanupRuns => history(),
        }
    }
}
