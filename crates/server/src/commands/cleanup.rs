//! `doorward cleanup`: a run by hand, on the machine itself.

use super::CommandError;
use super::admin::operator;
use super::terminal::Out;
use crate::app::App;
use clap::Args;
use doorward_broker::CleanupOrder;
use doorward_domain::{CleanupRun, CleanupState};
use serde::{Deserialize, Serialize};

#[derive(Debug, Args, Serialize, Deserialize)]
pub(crate) struct CleanupCommand {
    /// Count and name what would go, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// End the grants that the last run held: as many as you were shown
    #[arg(long, value_name = "COUNT", conflicts_with = "dry_run")]
    confirm_held: Option<u64>,
}

pub(super) async fn perform(command: CleanupCommand, app: &App, out: &Out) -> Result<(), CommandError> {
    let CleanupCommand { dry_run, confirm_held } = command;
    let order = CleanupOrder { dry_run, confirm_held: confirm_held.is_some(), expected_count: confirm_held };
    let run = app.broker().start_cleanup(&operator(), order).await?.finished().await?;
    for line in lines(&run) {
        out.say(&line)?;
    }
    match (run.state, run.error) {
        (CleanupState::Failed, error) => Err(CommandError::Refused(error.unwrap_or_default())),
        _ => Ok(()),
    }
}

/// One line for each kind, for what is held, and for each name.
fn lines(run: &CleanupRun) -> Vec<String> {
    let verb = if run.dry_run { "would go" } else { "gone" };
    let mut lines: Vec<String> =
        run.counts.iter().map(|(kind, count)| format!("{}\t{count}\t{verb}", kind.as_str())).collect();
    if let Some(reason) = run.hold_reason {
        let count = run.held_count;
        lines.push(format!(
            "held\t{count}\t{}: 'doorward cleanup --confirm-held {count}' ends them",
            reason.as_str()
        ));
    }
    for names in &run.sample {
        let who = names.user_email.as_deref().unwrap_or("the gateway itself");
        lines.push(format!("e.g.\t{who}\tat {}", names.gateway_slug));
    }
    lines
}
