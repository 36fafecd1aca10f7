//! Speaking to the person at the terminal, here or behind the control socket.

use std::io::{self, BufRead, IsTerminal, Write};
use tokio::sync::mpsc::UnboundedSender;

/// Where a command's results go.
#[derive(Debug, Clone)]
pub(crate) enum Out {
    /// Standard output of this process.
    Stdout,
    /// The process that asked through the control socket.
    Asker(UnboundedSender<String>),
}

impl Out {
    /// Gives a line of results.
    pub(crate) fn say(&self, line: &str) -> io::Result<()> {
        match self {
            Self::Stdout => say(line),
            // Whoever has gone away misses the line; what was begun is brought to its end all the same.
            Self::Asker(lines) => {
                drop(lines.send(line.to_owned()));
                Ok(())
            }
        }
    }
}

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
