//! Speaking to the person at the terminal.

use std::io::{self, BufRead, IsTerminal, Write};

/// Prints a line of results.
pub(super) fn say(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}

/// Prints an error. Where that fails there is nobody left to tell.
pub(super) fn complain(line: &str) {
    drop(writeln!(io::stderr().lock(), "doorward: {line}"));
}

/// A password from standard input: its first line. A person at a terminal is asked for it.
pub(super) fn read_password() -> io::Result<String> {
    let input = io::stdin();
    if input.is_terminal() {
        let mut out = io::stderr().lock();
        write!(out, "Password (it is shown while you type; pipe it in to avoid that): ")?;
        out.flush()?;
    }
    let mut line = String::new();
    input.lock().read_line(&mut line)?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}
