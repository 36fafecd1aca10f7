//! The binary as a process of its own: what it says, and a server that runs until it is told to stop.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_doorward");

/// What a finished command said.
pub(crate) struct Said {
    pub(crate) success: bool,
    pub(crate) out: String,
    pub(crate) err: String,
}

pub(crate) fn command(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command
        .args(arguments)
        .env("DOORWARD_DATA_DIR", directory.join("data"))
        .env("RUST_LOG", "warn")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

pub(crate) fn finish(mut command: Command, input: &str) -> Said {
    let mut child = command.spawn().unwrap();
    // A command that needs no input may have ended before it is written.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Said { success: output.status.success(), out: text(output.stdout), err: text(output.stderr) }
}

pub(crate) fn run(directory: &TempDir, arguments: &[&str], input: &str) -> Said {
    finish(command(directory.path(), arguments), input)
}

/// A running server; it is killed with this value, and told to stop by `stop`.
pub(crate) struct Running {
    pub(crate) child: Child,
    out: BufReader<std::process::ChildStdout>,
    pub(crate) public: String,
    /// Where `/metrics` is.
    pub(crate) metrics: String,
}

impl Running {
    pub(crate) fn start(directory: &TempDir, name: &str) -> Self {
        Self::start_with(directory, name, &[])
    }

    pub(crate) fn start_with(directory: &TempDir, name: &str, settings: &[(&str, &str)]) -> Self {
        let (public, metrics) = (free_port(), free_port());
        let mut command = command(directory.path(), &[name]);
        command
            .env("DOORWARD_LISTEN", format!("127.0.0.1:{public}"))
            .env("DOORWARD_METRICS_LISTEN", format!("127.0.0.1:{metrics}"))
            .env("DOORWARD_PUBLIC_URL", format!("http://127.0.0.1:{public}"))
            .envs(settings.iter().copied());
        let mut child = command.spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let [public, metrics] = [public, metrics].map(|port| format!("http://127.0.0.1:{port}"));
        Self { child, out, public, metrics }
    }

    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.out.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// Sends SIGTERM and waits; whether it ended with success, and what else it printed.
    pub(crate) fn stop(mut self) -> (bool, String) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        let mut rest = String::new();
        self.out.read_to_string(&mut rest).unwrap();
        (self.child.wait().unwrap().success(), rest)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
