//! `doorward serve`: serves, and says where to go.

use super::run::{Listeners, until_stopped};
use super::terminal::say;
use super::{CommandError, open};
use crate::app::App;
use crate::settings::Settings;
use std::io::{self, IsTerminal, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

/// Where the setup link goes when there is no terminal: logs are kept and read by others.
const SETUP_LINK_FILE: &str = "setup-link";

pub(super) async fn serve(settings: Settings) -> Result<(), CommandError> {
    let listeners = Listeners::bind(&settings).await?;
    let app = Arc::new(open(settings.clone()).await?);
    greet(&app, &settings).await?;
    until_stopped(&app, listeners).await
}

async fn greet(app: &App, settings: &Settings) -> Result<(), CommandError> {
    say(&format!("Doorward {} serves at {}", env!("CARGO_PKG_VERSION"), settings.public_url))?;
    if !app.broker().setup_needed().await? {
        return Ok(());
    }
    let link = app.broker().create_setup_link().await?;
    if io::stdout().is_terminal() {
        say(
            "Nobody administers it yet. Open this link within an hour to become its administrator; it works once:",
        )?;
        say(&format!("\n    {link}\n"))?;
    } else {
        let path = settings.data_dir.join(SETUP_LINK_FILE);
        write_private(&path, link.as_str())?;
        say(&format!("Nobody administers it yet. The one-time setup link is in {}", path.display()))?;
    }
    Ok(())
}

fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let mut file =
        std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    writeln!(file, "{text}")
}
