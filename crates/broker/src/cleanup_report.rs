//! What is said of a run of cleanup: in the audit trail, in one log line, and in metrics.

use crate::cleanup_work::Work;
use doorward_domain::{CleanupRun, CleanupState, NewAuditEvent, SweptKind};

impl Work {
    /// What the audit trail says of it; a dry run did nothing.
    pub(crate) fn audit(&self) -> Option<NewAuditEvent> {
        if self.run.dry_run {
            return None;
        }
        let action = match (self.run.state, self.run.hold_reason) {
            (CleanupState::Failed, _) => "cleanup.failed",
            (_, Some(_)) => "cleanup.held",
            (_, None) => "cleanup.done",
        };
        let mut event = NewAuditEvent { action, ..self.event.clone() }.subject(self.run.id);
        for (kind, count) in self.run.counts.iter().filter(|(_, count)| **count > 0) {
            event = event.detail(kind.as_str(), count);
        }
        if let Some(reason) = self.run.hold_reason {
            event = event.detail("held", self.run.held_count).detail("hold_reason", reason.as_str());
        }
        if let Some(told) = self.told {
            event = event.detail("confirms", told.run).detail("confirmed_reason", told.reason.as_str());
        }
        Some(event)
    }

    /// The log line and the metrics of a run, also when it found nothing (R28).
    pub(crate) fn tell(&self) {
        let run = &self.run;
        let result = match (run.state, run.dry_run, run.hold_reason) {
            (CleanupState::Failed, ..) => "failed",
            (_, true, _) => "dry_run",
            (_, false, Some(_)) => "held",
            (_, false, None) => "done",
        };
        metrics::counter!(
            "doorward_cleanup_runs_total", "trigger" => run.trigger.as_str(), "result" => result
        )
        .increment(1);
        for kind in SweptKind::ALL {
            metrics::counter!("doorward_cleanup_deleted_total", "kind" => kind.as_str()).increment(0);
        }
        show(run);
        let swept: Vec<String> =
            run.counts.iter().map(|(kind, count)| format!("{}={count}", kind.as_str())).collect();
        let counts = swept.join(" ");
        let millis = self.began.elapsed().as_millis();
        match &run.error {
            None => tracing::info!(
                run = %run.id, trigger = run.trigger.as_str(), result, counts, held = run.held_count, millis,
                slowest_batch_ms = run.slowest_batch_ms, "cleanup"
            ),
            Some(error) => tracing::error!(
                run = %run.id, trigger = run.trigger.as_str(), result, counts, error, millis, "cleanup"
            ),
        }
    }
}

/// What is measured of the last run that swept to its end.
pub(crate) fn show(run: &CleanupRun) {
    if run.state != CleanupState::Done || run.dry_run {
        return;
    }
    metrics::gauge!("doorward_cleanup_held").set(run.held_count as f64);
    metrics::gauge!("doorward_cleanup_last_success_timestamp_seconds")
        .set(run.started_at.millis() as f64 / 1_000.0);
}
