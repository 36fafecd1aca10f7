//! `doorward openapi`: the document that `/openapi.json` serves, without a server.

use super::terminal::say;
use std::io;

pub(super) fn print() -> io::Result<()> {
    let text = crate::api::document().to_pretty_json().map_err(io::Error::other)?;
    say(&text)
}
