//! `doorward backup` and `doorward restore`: the database without the key ring, and back.

use super::CommandError;
use super::admin::operator;
use super::terminal::{Out, say};
use crate::app::{App, StartError, open_storage};
use crate::data_dir::{DataDir, DataDirError};
use crate::key_ring;
use crate::settings::{DatabaseSetting, Settings};
use clap::Args;
use doorward_domain::{Clock, Entropy, NewAuditEvent};
use doorward_storage::{NewEpoch, Storage};
use doorward_vault::Vault;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The database while it is made ready, in the data directory.
const BEING_RESTORED: &str = "doorward.db.being-restored";

#[derive(Debug, Args, Serialize, Deserialize)]
pub(crate) struct BackupCommand {
    /// The new file; one that is there is not written over
    #[arg(value_name = "FILE", value_parser = absolute)]
    file: PathBuf,
}

#[derive(Debug, Args)]
pub(super) struct RestoreCommand {
    /// What `doorward backup` wrote (SQLite)
    #[arg(value_name = "FILE", value_parser = absolute, required_unless_present = "in_place")]
    file: Option<PathBuf>,
    /// The database itself was restored by its own tools (PostgreSQL, pg_restore)
    #[arg(long, conflicts_with = "file")]
    in_place: bool,
}

/// The server that does it may stand in another directory.
fn absolute(text: &str) -> Result<PathBuf, String> {
    std::path::absolute(text).map_err(|error| error.to_string())
}

/// Copies the database while calls go on.
pub(super) async fn back_up(command: BackupCommand, app: &App, out: &Out) -> Result<(), CommandError> {
    let BackupCommand { file } = command;
    if !app.storage().back_up_sqlite(&file).await.map_err(StartError::from)? {
        return Err(CommandError::Refused(
            "this database is backed up by its own tools: pg_dump --format=custom --file=doorward.dump \"$DATABASE_URL\" \
             (the key ring is not in it: keep a copy of DOORWARD_KEY_RING elsewhere)"
                .to_owned(),
        ));
    }
    let event = NewAuditEvent::new(operator().actor(), "backup.made").detail("file", file.display());
    app.broker().record(event).await?;
    out.say(&format!("{} holds the database; its secrets are sealed", file.display()))?;
    Ok(out.say(
        "it is of no use without the key ring, which is not in it: keep a copy of that, in another place",
    )?)
}

/// Puts a backup in the place of the database, or begins a new epoch in one that was restored already. No server
/// may run meanwhile.
pub(super) async fn restore(command: RestoreCommand, settings: Settings) -> Result<(), CommandError> {
    let directory = DataDir::open(&settings.data_dir, settings.demo).map_err(|error| match error {
        DataDirError::Locked { .. } => {
            CommandError::Refused("a server uses this data directory: stop it first".to_owned())
        }
        error => StartError::from(error).into(),
    })?;
    let restored = match (&settings.database, command.file) {
        (DatabaseSetting::Sqlite, Some(file)) => from_file(&settings, &directory, &file).await?,
        (DatabaseSetting::Postgres(_), None) => {
            let storage = open_storage(&settings, &directory, Clock::System).await;
            new_epoch(&settings, &directory, storage.map_err(StartError::from)?).await?
        }
        (DatabaseSetting::Sqlite, None) => {
            return Err(CommandError::Refused(
                "name the file that doorward backup wrote: --in-place is for PostgreSQL".to_owned(),
            ));
        }
        (DatabaseSetting::Postgres(_), Some(_)) => {
            return Err(CommandError::Refused(
                "restore this database by its own tools (pg_restore --clean --if-exists --dbname=\"$DATABASE_URL\" \
                 doorward.dump), then run doorward restore --in-place"
                    .to_owned(),
            ));
        }
    };
    Ok(say(&told(restored))?)
}

fn told(restored: NewEpoch) -> String {
    let NewEpoch { epoch, uncertain, api_tokens } = restored;
    format!(
        "restored; this is epoch {epoch}\n\
         - {uncertain} grants are uncertain: their refresh tokens may have been used since the backup\n\
         - {api_tokens} API tokens have ended, and everybody has to sign in again\n\
         - cleanup holds grants until you have looked (doorward cleanup --dry-run)\n\
         - what was revoked since the backup was made is there again: revoke it again"
    )
}

/// Makes a copy ready beside the database, and exchanges the two at the end: a crash leaves the old one.
async fn from_file(settings: &Settings, directory: &DataDir, file: &Path) -> Result<NewEpoch, CommandError> {
    let ready = directory.file(BEING_RESTORED);
    copy(file, &ready)?;
    let storage = Storage::open_sqlite(&ready, Clock::System).await.map_err(StartError::from)?;
    let restored = new_epoch(settings, directory, storage).await;
    if restored.is_err() {
        // The sentence that is told is why it failed.
        drop(remove_database(&ready));
    }
    let restored = restored?;
    if let Some(aside) = directory.exchange_database(&ready, Clock::System.now()).map_err(StartError::from)? {
        say(&format!("the database that was here is now {}", aside.display()))?;
    }
    Ok(restored)
}

/// A SQLite file and what belongs to it.
fn remove_database(path: &Path) -> std::io::Result<()> {
    for suffix in ["", "-wal", "-shm", "-journal"] {
        let mut part = path.as_os_str().to_owned();
        part.push(suffix);
        match std::fs::remove_file(part) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}

fn copy(file: &Path, to: &Path) -> Result<(), CommandError> {
    let problem =
        |error: std::io::Error| CommandError::Refused(format!("cannot restore {}: {error}", file.display()));
    remove_database(to).map_err(problem)?;
    let mut from = std::fs::File::open(file).map_err(problem)?;
    let mut head = [0_u8; 16];
    let is_sqlite = std::io::Read::read_exact(&mut from, &mut head).is_ok() && head == *b"SQLite format 3\0";
    if !is_sqlite {
        return Err(CommandError::Refused(format!("{} is no database of Doorward", file.display())));
    }
    let mut from = std::fs::File::open(file).map_err(problem)?;
    let mut into = DataDir::new_private_file(to).map_err(problem)?;
    std::io::copy(&mut from, &mut into).map_err(problem)?;
    into.sync_all().map_err(problem)
}

/// The ring must have every key that the restored values need, before anything is changed.
async fn new_epoch(
    settings: &Settings,
    directory: &DataDir,
    storage: Storage,
) -> Result<NewEpoch, CommandError> {
    let begun = begin_epoch(settings, directory, &storage).await;
    storage.close().await;
    begun
}

async fn begin_epoch(
    settings: &Settings,
    directory: &DataDir,
    storage: &Storage,
) -> Result<NewEpoch, CommandError> {
    let ring = key_ring::load(settings, directory, Entropy, false)?;
    key_ring::check(&Vault::new(ring), storage).await?;
    Ok(storage.begin_epoch().await.map_err(StartError::from)?)
}
