//! A counterpart in another language, as a child process: options go in as JSON, facts come out as one
//! JSON line each (`crates/server/tests/rigs`).
//!
//! A rig ends when its stdin closes: with this value, and also when the test is killed. A counterpart that
//! is not installed fails the test with a sentence that says so; nothing is skipped silently.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// How long any one fact may take on a loaded machine. Nothing sleeps for so long when all is well.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// A running rig.
#[derive(Debug)]
pub struct Rig {
    name: String,
    stdin: ChildStdin,
    facts: UnboundedReceiver<Value>,
    complaints: Arc<Mutex<String>>,
    _process: Child,
}

impl Rig {
    /// Starts a script of the rigs' folder with Node.
    pub fn node(script: &str, options: &Value) -> Self {
        Self::start(Path::new("node"), script, options)
    }

    /// Starts a script of the rigs' folder with the machine's Python.
    pub fn python(script: &str, options: &Value) -> Self {
        Self::start(Path::new("python3"), script, options)
    }

    /// Starts a script of the rigs' folder with the Python that has the packages of `requirements.txt`.
    pub fn python_with_packages(script: &str, options: &Value) -> Self {
        Self::start(&python_program("python"), script, options)
    }

    fn start(program: &Path, script: &str, options: &Value) -> Self {
        let mut command = Command::new(program);
        command.arg(folder().join(script)).arg(options.to_string());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn().unwrap_or_else(|error| {
            panic!(
                "{program:?} does not start ({error}): run scripts/install-tools, which says what is missing"
            )
        });
        let stdin = process.stdin.take().expect("stdin is piped");
        let complaints = Arc::default();
        collect(process.stderr.take().expect("stderr is piped"), &complaints);
        let facts = facts_of(process.stdout.take().expect("stdout is piped"), &complaints);
        Self { name: script.to_owned(), stdin, facts, complaints, _process: process }
    }

    /// Sends one JSON line.
    pub async fn send(&mut self, command: &Value) {
        let line = format!("{command}\n");
        let sent = async {
            self.stdin.write_all(line.as_bytes()).await?;
            self.stdin.flush().await
        };
        if let Err(error) = sent.await {
            panic!("{} takes no more commands ({error}): {}", self.name, self.complaints());
        }
    }

    /// The next line of its stdout.
    pub async fn next(&mut self) -> Value {
        match tokio::time::timeout(PATIENCE, self.facts.recv()).await {
            Ok(Some(fact)) => fact,
            Ok(None) => panic!("{} has ended: {}", self.name, self.complaints()),
            Err(_) => panic!("{} says nothing for {PATIENCE:?}: {}", self.name, self.complaints()),
        }
    }

    /// Sends one line and waits for the next one back.
    pub async fn ask(&mut self, command: &Value) -> Value {
        self.send(command).await;
        self.next().await
    }

    fn complaints(&self) -> String {
        self.complaints.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A program of the Python environment that `scripts/install-tools` makes.
///
/// # Panics
/// When it is not there.
pub fn python_program(name: &str) -> PathBuf {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/test-venv/bin").join(name);
    assert!(program.exists(), "{} is missing: run scripts/install-tools", program.display());
    program
}

/// Where the scripts are.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../server/tests/rigs")
}

fn facts_of(
    stdout: impl AsyncRead + Send + Unpin + 'static,
    complaints: &Arc<Mutex<String>>,
) -> UnboundedReceiver<Value> {
    let (sender, facts) = unbounded_channel();
    let complaints = Arc::clone(complaints);
    tokio::spawn(async move {
        let mut lines = BufReader::new(stdout).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            match serde_json::from_str(&line) {
                // Nobody listens any more: the test is over.
                Ok(fact) => drop(sender.send(fact)),
                Err(_) => note(&complaints, &line),
            }
        }
    });
    facts
}

fn collect(stderr: impl AsyncRead + Send + Unpin + 'static, complaints: &Arc<Mutex<String>>) {
    let complaints = Arc::clone(complaints);
    tokio::spawn(async move {
        let mut lines = BufReader::new(stderr).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            note(&complaints, &line);
        }
    });
}

fn note(complaints: &Mutex<String>, line: &str) {
    let mut complaints = complaints.lock().unwrap_or_else(PoisonError::into_inner);
    complaints.push_str(line);
    complaints.push('\n');
}
