//! `doorward keys`: which keys there are.

use super::CommandError;
use super::terminal::say;
use crate::app::App;
use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(super) enum KeysCommand {
    /// List the names of the keys, the sealing one first
    List,
}

pub(super) fn perform(command: &KeysCommand, app: &App) -> Result<(), CommandError> {
    match command {
        KeysCommand::List => {
            for (place, id) in app.vault().key_ids().enumerate() {
                say(&format!("{id}\t{}", if place == 0 { "seals and opens" } else { "opens" }))?;
            }
            Ok(())
        }
    }
}
