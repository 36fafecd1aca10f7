//! `doorward audit`: is the trail what was written, and a signed statement of what it is now.

use super::CommandError;
use super::admin::operator;
use super::terminal::Out;
use crate::app::App;
use crate::checkpoints;
use clap::Subcommand;
use doorward_broker::{AuditEvidence, AuditVerdict};
use doorward_domain::Hex;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

#[derive(Debug, Subcommand, Serialize, Deserialize)]
pub(crate) enum AuditCommand {
    /// Look for altered, missing, reordered and cut-off events
    Verify {
        /// Checkpoints to compare with, one a line [default: those of DOORWARD_AUDIT_CHECKPOINT_FILE]
        #[arg(long, value_name = "FILE", value_parser = absolute)]
        checkpoint: Option<PathBuf>,
        /// A public key (hex) of checkpoints that is trusted although the key ring does not have it
        #[arg(long, value_name = "HEX", value_parser = key)]
        key: Option<String>,
    },
    /// Sign and print what the trail is now
    Checkpoint,
}

/// The server that does it may stand in another directory.
fn absolute(text: &str) -> Result<PathBuf, String> {
    std::path::absolute(text).map_err(|error| error.to_string())
}

fn key(text: &str) -> Result<String, String> {
    text.parse::<Hex<32>>().map(|key| key.to_string()).map_err(|error| error.to_string())
}

pub(super) async fn perform(command: AuditCommand, app: &App, out: &Out) -> Result<(), CommandError> {
    match command {
        AuditCommand::Verify { checkpoint, key } => verify(app, checkpoint, key, out).await,
        AuditCommand::Checkpoint => match app.broker().audit_checkpoint().await? {
            Some(checkpoint) => Ok(out.say(&app.checkpoints().write(&checkpoint))?),
            None => Err(CommandError::Refused("nothing has happened yet".to_owned())),
        },
    }
}

async fn verify(
    app: &App,
    checkpoint: Option<PathBuf>,
    key: Option<String>,
    out: &Out,
) -> Result<(), CommandError> {
    let standing = app.checkpoints().file().filter(|path| path.exists());
    let file = checkpoint.as_deref().or(standing);
    let evidence = AuditEvidence {
        checkpoints: file.map(checkpoints::read).transpose()?.unwrap_or_default(),
        pinned: key.and_then(|key| key.parse().ok()),
    };
    let verdict = app.broker().verify_audit(&operator(), &evidence).await?;
    for problem in &verdict.problems {
        out.say(&problem.what)?;
    }
    let summary = summary(&verdict, evidence.checkpoints.len());
    match verdict.problems.first() {
        None => Ok(out.say(&format!("the audit trail holds: {summary}"))?),
        Some(first) => Err(CommandError::Refused(format!(
            "the audit trail does not hold: the first bad event is {}; {summary}",
            first.seq
        ))),
    }
}

fn summary(verdict: &AuditVerdict, checkpoints: usize) -> String {
    let AuditVerdict { events, from, last, .. } = verdict;
    let compared = match checkpoints {
        0 => "without a checkpoint, so that a cut-off end could not be seen".to_owned(),
        given => format!("{} of {given} checkpoints agree", verdict.checkpoints),
    };
    let before = match from.seq {
        0 => String::new(),
        cut => format!(", {cut} before them were removed by retention"),
    };
    format!("{events} events up to {}{before}, {compared}", last.seq)
}
