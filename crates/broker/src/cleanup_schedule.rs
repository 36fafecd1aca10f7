//! When cleanup runs by itself: once per cluster, so long after the last run as the setting says, however
//! often processes start. On the way it watches the clock, because a jump makes everything look old.

use crate::cleanup::CleanupOrder;
use crate::{Broker, BrokerError};
use doorward_domain::{
    Actor, CleanupRun, CleanupState, CleanupTrigger, HoldReason, NewAuditEvent, Timestamp,
};
use doorward_storage::LeaseWatch;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Whoever holds it runs cleanup.
pub(crate) const LEASE: &str = "cleanup";

/// A run that failed is tried again after this long, if the interval is not shorter.
const RETRY: Duration = Duration::from_secs(3_600);

/// A clock may run so far ahead of what was really waited and still count as right: a machine that slept.
const JUMP_MIN: Duration = Duration::from_secs(86_400);

/// What the job remembers between its beats.
#[derive(Debug, Default)]
pub(crate) struct CleanupWatch {
    pub(crate) lease: tokio::sync::Mutex<LeaseWatch>,
    /// The clock at the last beat, and the time that cannot jump.
    last_beat: Mutex<Option<(Timestamp, Instant)>>,
}

impl Broker {
    /// Runs cleanup if its time has come and no other replica does; the run, if there was one. Called on a
    /// beat of about a minute.
    pub async fn run_due_cleanup(&self) -> Result<Option<CleanupRun>, BrokerError> {
        self.watch_the_clock().await?;
        self.show_last_cleanup().await?;
        if !self.policy().cleanup.enabled || self.now() < self.cleanup_due_at().await? {
            return Ok(None);
        }
        let Some(lease) = self.try_cleanup_lease().await? else { return Ok(None) };
        // Another replica may have run it while this one waited for its turn (R28).
        let begun = match self.cleanup_due_at().await {
            Ok(due) if self.now() < due => Ok(None),
            Ok(_) => {
                let event = NewAuditEvent::new(Actor::System, "cleanup.done");
                self.begin_cleanup(CleanupTrigger::Scheduled, event, CleanupOrder::default()).await.map(Some)
            }
            Err(error) => Err(error),
        };
        match begun {
            Ok(Some(work)) => Ok(Some(work.carry_out(lease).await)),
            nothing => {
                lease.release().await;
                nothing.map(|_| None)
            }
        }
    }

    /// When the next run is due by itself. One that lies in the future by a clock that was wrong then does
    /// not put the next one off.
    pub(crate) async fn cleanup_due_at(&self) -> Result<Timestamp, BrokerError> {
        let interval = self.policy().cleanup.interval;
        let now = self.now();
        let last = self.storage().last_scheduled_cleanup().await?;
        Ok(match last.filter(|run| run.started_at <= now) {
            None => now,
            Some(run) if run.state == CleanupState::Failed => run.started_at.plus(interval.min(RETRY)),
            Some(run) => run.started_at.plus(interval),
        })
    }

    /// A sentence when cleanup should have run and has not: the last run that swept to its end is older than
    /// two intervals.
    pub async fn cleanup_overdue(&self) -> Result<Option<String>, BrokerError> {
        let policy = &self.policy().cleanup;
        if !policy.enabled {
            return Ok(None);
        }
        let hours = policy.interval.as_secs() / 3_600;
        Ok(match self.storage().last_finished_cleanup().await? {
            None => Some("cleanup has not run yet".to_owned()),
            Some(run) if run.started_at.until(self.now()) > 2 * policy.interval => Some(format!(
                "cleanup last ran to its end on {}, which is more than twice its {hours} hours ago: look at GET /admin/oauth/cleanup",
                run.started_at
            )),
            Some(_) => None,
        })
    }

    /// Has cleanup hold when the clock went further than time did: since the last beat of this process, or
    /// since the last beat of any while none ran.
    async fn watch_the_clock(&self) -> Result<(), BrokerError> {
        let here = (self.now(), Instant::now());
        let before = self.cleanup.last_beat.lock().unwrap_or_else(PoisonError::into_inner).replace(here);
        let unexplained = match before {
            Some((clock, time)) => clock.until(here.0).saturating_sub(here.1 - time),
            None => match self.storage().cleanup_beat().await? {
                Some(clock) => clock.until(here.0),
                None => Duration::ZERO,
            },
        };
        if unexplained > JUMP_MIN.max(2 * self.policy().cleanup.interval) {
            tracing::warn!(
                hours = unexplained.as_secs() / 3_600,
                "the clock jumped, or nobody ran for so long: cleanup holds grants until an administrator looks"
            );
            self.storage().hold_cleanup(HoldReason::ClockJumped).await?;
        }
        Ok(self.storage().note_cleanup_beat(here.0).await?)
    }

    /// Every replica shows the same, whichever of them ran.
    async fn show_last_cleanup(&self) -> Result<(), BrokerError> {
        if let Some(run) = self.storage().last_finished_cleanup().await? {
            crate::cleanup_report::show(&run);
        }
        Ok(())
    }
}
