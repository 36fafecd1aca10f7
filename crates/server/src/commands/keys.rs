//! `doorward keys`: which keys there are.

use super::CommandError;
use super::terminal::Out;
use crate::app::App;
use clap::Subcommand;
use serde::{Deserialize, Serialize};

#[derive(Debug, Subcommand, Serialize, Deserialize)]
pub(crate) enum KeysCommand {
    /// List the names of the keys, the sealing one first
    List,
}

pub(super) fn perform(command: &KeysCommand, app: &App, out: &Out) -> Result<(), CommandError> {
    match command {
        KeysCommand::List => {
            for (place, id) in app.vault().key_ids().enumerate() {
                out.say(&format!("{id}\t{}", if place == 0 { "seals and opens" } else { "opens" }))?;
            }
            Ok(())
        }
    }
}
