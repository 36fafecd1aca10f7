//! `doorward keys`: which keys there are, a new one, and an old one's end.

use super::CommandError;
use super::admin::operator;
use super::terminal::Out;
use crate::app::App;
use clap::Subcommand;
use doorward_broker::{KeyStatus, Reseal, ResealProgress, Retirement, Rotation};
use doorward_domain::KeyId;
use serde::{Deserialize, Serialize};

#[derive(Debug, Subcommand, Serialize, Deserialize)]
pub(crate) enum KeysCommand {
    /// List the keys by name: which seals, and how many sealed values need each
    List,
    /// Put a new key in front, seal with it from now on, and seal anew what older keys hold
    Rotate,
    /// Take a key out of use that nothing needs any more
    Retire {
        /// Its name, e.g. k1
        key: String,
    },
}

pub(super) async fn perform(command: KeysCommand, app: &App, out: &Out) -> Result<(), CommandError> {
    match command {
        KeysCommand::List => list(app, out).await,
        KeysCommand::Rotate => rotate(app, out).await,
        KeysCommand::Retire { key } => retire(app, KeyId(key), out).await,
    }
}

async fn list(app: &App, out: &Out) -> Result<(), CommandError> {
    let report = app.broker().keys(&operator()).await?;
    for key in &report.keys {
        out.say(&format!("{}\t{}\t{} rows", key.id, role(key), key.rows))?;
    }
    if report.resealing {
        out.say("rows on older keys are being sealed anew")?;
    }
    Ok(())
}

fn role(key: &KeyStatus) -> &'static str {
    match (key.in_ring, key.seals) {
        (false, _) => "MISSING from the ring",
        (true, true) => "seals and opens",
        (true, false) => "opens",
    }
}

async fn rotate(app: &App, out: &Out) -> Result<(), CommandError> {
    match app.broker().rotate_keys(&operator()).await? {
        Rotation::ByHand { next, old } => Ok(out.say(&by_hand(&next, &old))?),
        Rotation::Rotated { new, old } => {
            out.say(&format!("{new} seals from now on; back up the key ring, which has a new key"))?;
            let said = out.clone();
            let mut tell = move |progress: &ResealProgress| {
                let ResealProgress { key, left, of } = progress;
                // Nobody may be listening any more; the work goes on.
                drop(said.say(&format!("{left} of {of} rows on {key}")));
            };
            match app.broker().reseal(&mut tell).await? {
                Reseal::Done { left: 0 } => Ok(out.say(&format!(
                    "nothing needs {old} any more; once no backup does either: doorward keys retire {old}"
                ))?),
                Reseal::Done { left } => Ok(out.say(&format!(
                    "{left} rows are left on older keys; a running server tries them again (doorward keys list)"
                ))?),
                Reseal::UnderWay => {
                    Ok(out.say("rows are being sealed anew in the background (doorward keys list)")?)
                }
            }
        }
    }
}

/// A ring that a setting gives is the operator's to write. Each replica has to know a key before one seals.
fn by_hand(next: &KeyId, old: &KeyId) -> String {
    format!(
        "The key ring comes from a setting, which Doorward does not write. To put a new key in the place of {old}:\n\
         1. Make the new line:  echo \"{next}:$(head -c 32 /dev/urandom | base64)\"\n\
         2. Put it as the FIRST line into DOORWARD_KEY_RING (or its file) of every replica, and keep all other lines.\n\
         3. Restart the replicas one after the other. Until the last one has {next}, all go on sealing with {old};\n   \
            then they switch by themselves and seal anew what {old} holds.\n\
         4. Watch doorward keys list until {old} has 0 rows, then: doorward keys retire {old}\n\
         5. Take the line of {old} out of every ring, and keep it with the backups that need it."
    )
}

async fn retire(app: &App, key: KeyId, out: &Out) -> Result<(), CommandError> {
    match app.broker().retire_key(&operator(), &key).await? {
        Retirement::Retired => Ok(out.say(&format!("{key} is out of the ring; older backups still need it"))?),
        Retirement::ByHand => Ok(out.say(&format!(
            "nothing needs {key}: take its line out of DOORWARD_KEY_RING of every replica and restart them; older backups still need it"
        ))?),
    }
}
