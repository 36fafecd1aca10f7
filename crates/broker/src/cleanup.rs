//! Cleanup as people use it: what it would do, running it by hand, and giving the word for what it holds.
//!
//! What is swept stands in `cleanup_work`; when it runs by itself in `cleanup_schedule`.

use crate::cleanup_schedule::LEASE;
use crate::cleanup_work::{Told, Work, cutoffs};
use crate::lease::HeldLease;
use crate::{Broker, BrokerError, Caller, Credential};
use doorward_domain::{
    CleanupCounts, CleanupRun, CleanupRunId, CleanupState, CleanupTrigger, HoldReason, NewAuditEvent, Page,
    PageRequest, Permission, Policy, Timestamp,
};
use tokio::task::JoinHandle;

/// What an administrator asks for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CleanupOrder {
    /// Count, and change nothing.
    pub dry_run: bool,
    /// End what the last run held.
    pub confirm_held: bool,
    /// With `confirm_held`: how many the administrator means.
    pub expected_count: Option<u64>,
}

/// How cleanup fares.
#[derive(Debug, Clone)]
pub struct CleanupOverview {
    pub policy: Policy,
    /// None: it does not run by itself.
    pub next_run_at: Option<Timestamp>,
    /// The last run that swept to its end.
    pub last_finished: Option<CleanupRun>,
    /// What is wrong, in a sentence: the last run is too long ago.
    pub overdue: Option<String>,
}

/// A run under way.
#[derive(Debug)]
pub struct StartedCleanup {
    pub id: CleanupRunId,
    work: JoinHandle<CleanupRun>,
}

impl StartedCleanup {
    /// The run when it has ended. Dropping this future does not stop the run.
    pub async fn finished(&mut self) -> Result<CleanupRun, BrokerError> {
        (&mut self.work).await.map_err(|_| BrokerError::Unavailable {
            problem: "the run broke off; the log says why".to_owned(),
            retry_after: None,
        })
    }
}

impl Broker {
    /// Settings in force, when it runs next, and what it holds.
    pub async fn cleanup_overview(&self, caller: &Caller) -> Result<CleanupOverview, BrokerError> {
        caller.require(Permission::ReadCleanup)?;
        let due = self.cleanup_due_at().await?;
        Ok(CleanupOverview {
            policy: self.policy().clone(),
            next_run_at: self.policy().cleanup.enabled.then(|| due.max(self.now())),
            last_finished: self.storage().last_finished_cleanup().await?,
            overdue: self.cleanup_overdue().await?,
        })
    }

    /// Every run, newest first.
    pub async fn cleanup_runs(
        &self,
        caller: &Caller,
        page: &PageRequest,
    ) -> Result<Page<CleanupRun>, BrokerError> {
        caller.require(Permission::ReadCleanup)?;
        Ok(self.storage().cleanup_runs(page).await?)
    }

    /// One run.
    pub async fn cleanup_run(&self, caller: &Caller, id: CleanupRunId) -> Result<CleanupRun, BrokerError> {
        caller.require(Permission::ReadCleanup)?;
        self.storage().cleanup_run(id).await?.ok_or(BrokerError::NotFound { what: "run of cleanup" })
    }

    /// Starts a run by hand. It goes on whether or not somebody waits for it.
    pub async fn start_cleanup(
        &self,
        caller: &Caller,
        order: CleanupOrder,
    ) -> Result<StartedCleanup, BrokerError> {
        caller.require(Permission::RunCleanup)?;
        order.check()?;
        let Some(lease) = self.try_cleanup_lease().await? else {
            return Err(BrokerError::conflict("cleanup", "a run is under way: wait for it to end"));
        };
        let trigger = match caller.credential {
            Credential::CommandLine => CleanupTrigger::CommandLine,
            Credential::ApiToken(_) | Credential::BrowserSession { .. } => CleanupTrigger::Manual,
        };
        let begun = self.begin_cleanup(trigger, caller.event("cleanup.done"), order).await;
        match begun {
            Ok(work) => {
                let id = work.run.id;
                Ok(StartedCleanup { id, work: tokio::spawn(work.carry_out(lease)) })
            }
            Err(error) => {
                lease.release().await;
                Err(error)
            }
        }
    }

    pub(crate) async fn try_cleanup_lease(&self) -> Result<Option<HeldLease>, BrokerError> {
        self.try_lease(LEASE, &mut *self.cleanup.lease.lock().await).await
    }

    /// A run on paper, under the lease. `event` says who started it.
    pub(crate) async fn begin_cleanup(
        &self,
        trigger: CleanupTrigger,
        event: NewAuditEvent,
        order: CleanupOrder,
    ) -> Result<Work, BrokerError> {
        let now = self.now();
        self.storage().fail_interrupted_cleanup_runs(now).await?;
        let told = if order.confirm_held { Some(self.told(order, now).await?) } else { None };
        let run = CleanupRun {
            id: self.parts.entropy.id(now),
            trigger,
            actor: event.actor.clone(),
            dry_run: order.dry_run,
            state: CleanupState::Running,
            started_at: now,
            finished_at: None,
            counts: CleanupCounts::new(),
            held_count: 0,
            hold_reason: None,
            confirms: told.map(|told| told.run),
            sample: Vec::new(),
            slowest_batch_ms: 0,
            error: None,
        };
        self.storage().insert_cleanup_run(&run).await?;
        Ok(Work::new(self.clone(), run, told, event))
    }

    /// What an administrator's word covers: the grants that the last run held, by the clock of that run, and
    /// not more of them than the administrator was shown.
    async fn told(&self, order: CleanupOrder, now: Timestamp) -> Result<Told, BrokerError> {
        let expected = order
            .expected_count
            .ok_or_else(|| BrokerError::invalid("expected_count", "say how many grants you mean to end"))?;
        let last = self.storage().last_finished_cleanup().await?;
        let Some((held, reason)) = last.and_then(|run| run.hold_reason.map(|reason| (run, reason))) else {
            return Err(BrokerError::conflict("confirm_held", "nothing is held"));
        };
        let told = Told { run: held.id, at: held.started_at.min(now), reason };
        let census = self.storage().sweep_census(&cutoffs(self.policy(), told.at)).await?;
        let meant = match reason {
            HoldReason::ClockJumped => census.ended(),
            HoldReason::TooMany | HoldReason::Restored => census.ended_refreshable(),
        };
        if expected != held.held_count || meant > expected {
            let count = meant.max(held.held_count);
            return Err(BrokerError::conflict(
                "expected_count",
                format!("{count} grants are held, not {expected}: look at them again and repeat that number"),
            ));
        }
        Ok(told)
    }
}

impl CleanupOrder {
    fn check(self) -> Result<(), BrokerError> {
        if self.dry_run && self.confirm_held {
            return Err(BrokerError::invalid(
                "confirm_held",
                "a dry run ends nothing: leave one of them out",
            ));
        }
        if self.expected_count.is_some() && !self.confirm_held {
            return Err(BrokerError::invalid("expected_count", "belongs to confirm_held"));
        }
        Ok(())
    }
}
