//! What an operator does, with or beside a running server. There is one way to do each thing: whoever holds the
//! lock of the data directory does it, this process or the server behind the control socket, so that no
//! cache is left stale.

use super::terminal::{Out, read_password};
use super::{CommandError, admin, audit, backup, cleanup, control, doctor, keys, open, token};
use crate::app::{App, StartError};
use crate::data_dir::DataDirError;
use crate::settings::Settings;
use clap::Subcommand;
use doorward_domain::Password;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How often a held lock is looked at, and how often in all: a server that is starting soon has its socket,
/// and another command soon ends.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
const LOOKS: u32 = 100;

#[derive(Debug, Subcommand, Serialize, Deserialize)]
pub(crate) enum OperatorCommand {
    /// Administrators
    #[command(subcommand)]
    Admin(admin::AdminCommand),
    /// API tokens
    #[command(subcommand)]
    Token(token::TokenCommand),
    /// The key ring
    #[command(subcommand)]
    Keys(keys::KeysCommand),
    /// Sweep what is stale, once, now
    Cleanup(cleanup::CleanupCommand),
    /// Copy the database into a file, while calls go on; the key ring is not in it
    Backup(backup::BackupCommand),
    /// Say what is wrong with this installation, and what would be wise
    Doctor(doctor::DoctorCommand),
    /// The audit trail
    #[command(subcommand)]
    Audit(audit::AuditCommand),
}

impl OperatorCommand {
    fn wants_password(&self) -> bool {
        matches!(self, Self::Admin(admin::AdminCommand::Create { .. }))
    }
}

/// Does it: here, where nothing else uses the data directory, else through the control socket of what does.
pub(super) async fn run(command: OperatorCommand, settings: Settings) -> Result<(), CommandError> {
    let input = command.wants_password().then(read_password).transpose()?;
    let ask = control::Ask::new(command, input);
    for _ in 0..LOOKS {
        match open(settings.clone()).await {
            Err(CommandError::Start(StartError::DataDir(DataDirError::Locked { .. }))) => {}
            Err(error) => return Err(error),
            Ok(app) => {
                let (command, input) = ask.into_parts();
                perform(command, input, &app, &Out::Stdout).await?;
                return Ok(app.close().await?);
            }
        }
        if let Some(connection) = control::connect(&settings.data_dir).await? {
            return control::ask(connection, &ask).await;
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    Err(StartError::DataDir(DataDirError::Locked { path: settings.data_dir }).into())
}

/// The one implementation, wherever it runs.
pub(super) async fn perform(
    command: OperatorCommand,
    input: Option<Password>,
    app: &App,
    out: &Out,
) -> Result<(), CommandError> {
    match command {
        OperatorCommand::Admin(command) => admin::perform(command, input, app, out).await,
        OperatorCommand::Token(command) => token::perform(command, app, out).await,
        OperatorCommand::Audit(command) => audit::perform(command, app, out).await,
        OperatorCommand::Keys(command) => keys::perform(command, app, out).await,
        OperatorCommand::Cleanup(command) => cleanup::perform(command, app, out).await,
        OperatorCommand::Backup(command) => backup::back_up(command, app, out).await,
        OperatorCommand::Doctor(command) => doctor::perform(command, app, out).await,
    }
}
