//! The control socket: commands beside a running server are done by that server. The asker sends one line of
//! JSON, the command; the server answers with lines of JSON, what the command says and how it ended.
//!
//! Who may open the socket is who may read the data directory, its owner: no other check is needed.

use super::CommandError;
use super::operator::{OperatorCommand, perform};
use super::terminal::Out;
use crate::app::App;
use crate::data_dir::{DataDir, DataDirError};
use doorward_domain::Password;
use serde::{Deserialize, Serialize};
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc::unbounded_channel;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

/// The longest ask.
const ASK_BYTES: u64 = 64 * 1024;
/// How long an asker may take to say what it wants.
const ASK_WITHIN: Duration = Duration::from_secs(10);
/// How long commands may take to end after the order to stop.
const STOP_WITHIN: Duration = Duration::from_secs(10);
/// After an accept failed for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What is asked of the server. It has no debug form: the input is a password.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ask {
    /// Of the program that asks: commands are not translated between versions.
    version: String,
    command: OperatorCommand,
    /// What was read from standard input, where the command wants it.
    input: Option<String>,
}

/// What comes back, one a line.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    Line(String),
    Done,
    Failed(String),
}

impl Ask {
    pub(super) fn new(command: OperatorCommand, input: Option<String>) -> Self {
        Self { version: env!("CARGO_PKG_VERSION").to_owned(), command, input }
    }

    pub(super) fn into_parts(self) -> (OperatorCommand, Option<Password>) {
        (self.command, self.input.map(Password::new))
    }
}

/// A connection to the process that holds the data directory; none while it has no control socket.
pub(super) async fn connect(data_dir: &Path) -> Result<Option<UnixStream>, CommandError> {
    match UnixStream::connect(DataDir::control_socket_of(data_dir)).await {
        Ok(stream) => Ok(Some(stream)),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => Ok(None),
        Err(error) => Err(CommandError::Refused(format!("cannot reach the running server: {error}"))),
    }
}

/// Has the server do it; prints what it says.
pub(super) async fn ask(mut stream: UnixStream, ask: &Ask) -> Result<(), CommandError> {
    stream.write_all(line_of(ask)?.as_bytes()).await?;
    let mut answers = BufReader::new(stream).lines();
    while let Some(line) = answers.next_line().await? {
        match serde_json::from_str(&line).map_err(io::Error::other)? {
            Answer::Line(line) => Out::Stdout.say(&line)?,
            Answer::Done => return Ok(()),
            Answer::Failed(why) => return Err(CommandError::Refused(why)),
        }
    }
    Err(CommandError::Refused(
        "the running server went away before the command had ended: look whether it was done".to_owned(),
    ))
}

/// Listens in a data directory whose lock this process holds: a socket that is there belongs to the dead.
pub(super) fn bind(directory: &DataDir) -> Result<UnixListener, DataDirError> {
    let listener = directory.bind_control_socket()?;
    UnixListener::from_std(listener)
        .map_err(|source| DataDirError::Io { path: directory.control_socket(), source })
}

/// Does what is asked until `stop`, then lets commands end for a while.
pub(super) fn serve(listener: UnixListener, app: Arc<App>, stop: CancellationToken) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut commands = JoinSet::new();
        while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
            match accepted {
                Ok((stream, _)) => {
                    commands.spawn(answer(stream, Arc::clone(&app)));
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection to the control socket");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
            while commands.try_join_next().is_some() {}
        }
        drop(listener);
        if tokio::time::timeout(STOP_WITHIN, commands.join_all()).await.is_err() {
            tracing::info!("some commands were cut off by the stop");
        }
    })
}

async fn answer(stream: UnixStream, app: Arc<App>) {
    let (read, mut write) = stream.into_split();
    let mut asked = String::new();
    let mut reader = BufReader::new(read.take(ASK_BYTES));
    match tokio::time::timeout(ASK_WITHIN, reader.read_line(&mut asked)).await {
        Ok(Ok(_)) => {}
        // Whoever says nothing gets no answer.
        Ok(Err(_)) | Err(_) => return,
    }
    let (lines, mut said) = unbounded_channel();
    // In a task of its own: an asker that goes away does not cut a command off in its middle.
    let work = tokio::spawn(async move { obey(&asked, &app, &Out::Asker(lines)).await });
    while let Some(line) = said.recv().await {
        if tell(&mut write, &Answer::Line(line)).await.is_err() {
            return;
        }
    }
    let end = match work.await {
        Ok(Ok(())) => Answer::Done,
        Ok(Err(error)) => Answer::Failed(error.to_string()),
        Err(_) => Answer::Failed("the command broke off in the server; its log says why".to_owned()),
    };
    // An asker that has gone away has no use for the end.
    drop(tell(&mut write, &end).await);
}

async fn obey(asked: &str, app: &App, out: &Out) -> Result<(), CommandError> {
    let ask: Ask = serde_json::from_str(asked).map_err(|_| {
        CommandError::Refused(format!(
            "the running server is doorward {} and does not know this command: use the same version, or stop it first",
            env!("CARGO_PKG_VERSION")
        ))
    })?;
    if ask.version != env!("CARGO_PKG_VERSION") {
        return Err(CommandError::Refused(format!(
            "the running server is doorward {} and this command is {}: use the same version, or stop it first",
            env!("CARGO_PKG_VERSION"),
            ask.version
        )));
    }
    let (command, input) = ask.into_parts();
    Box::pin(perform(command, input, app, out)).await
}

async fn tell(write: &mut (impl AsyncWriteExt + Unpin), answer: &Answer) -> io::Result<()> {
    write.write_all(line_of(answer)?.as_bytes()).await
}

fn line_of(message: &impl Serialize) -> io::Result<String> {
    let mut line = serde_json::to_string(message).map_err(io::Error::other)?;
    line.push('\n');
    Ok(line)
}
