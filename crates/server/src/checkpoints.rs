//! Signed checkpoints of the audit trail, written where whoever only has the database cannot reach: the log,
//! and a file that may lie on another machine. Each replica writes its own.

use doorward_broker::{Broker, BrokerError};
use doorward_domain::AuditCheckpoint;
use std::fs::OpenOptions;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// The longest line of a file of checkpoints that is read.
const LINE_MAX: usize = 1_024;

/// Where checkpoints go. Clones share what was written last.
#[derive(Debug, Clone)]
pub(crate) struct Checkpoints {
    file: Option<PathBuf>,
    newest: Arc<AtomicI64>,
}

impl Checkpoints {
    pub(crate) fn new(file: Option<PathBuf>) -> Self {
        Self { file, newest: Arc::default() }
    }

    /// The file, if there is one.
    pub(crate) fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// Writes a checkpoint if there are events that the last one does not vouch for.
    pub(crate) async fn write_if_new(&self, broker: &Broker) -> Result<(), BrokerError> {
        match broker.audit_checkpoint().await? {
            Some(checkpoint) if checkpoint.seq > self.newest.load(Ordering::Relaxed) => {
                self.write(&checkpoint);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Writes a checkpoint, and gives its line.
    pub(crate) fn write(&self, checkpoint: &AuditCheckpoint) -> String {
        let line = serde_json::to_string(checkpoint).expect("a checkpoint has a JSON form");
        tracing::info!(target: "doorward::audit", checkpoint = line, "checkpoint of the audit trail");
        if let Some(Err(error)) = self.file().map(|path| add(path, &line)) {
            // The log has it all the same.
            tracing::warn!(%error, "DOORWARD_AUDIT_CHECKPOINT_FILE cannot be written");
        }
        self.newest.fetch_max(checkpoint.seq, Ordering::Relaxed);
        line
    }
}

fn add(path: &Path, line: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
    file.write_all(format!("{line}\n").as_bytes())?;
    file.sync_data()
}

/// The checkpoints in a file: lines of JSON, as the log's own lines or alone.
pub(crate) fn read(path: &Path) -> io::Result<Vec<AuditCheckpoint>> {
    let told = |number: usize, why: &dyn std::fmt::Display| {
        io::Error::other(format!("{}: line {number} is no checkpoint: {why}", path.display()))
    };
    let file = std::fs::File::open(path)
        .map_err(|error| io::Error::other(format!("cannot read {}: {error}", path.display())))?;
    let mut checkpoints = Vec::new();
    for (line, number) in BufReader::new(file).lines().zip(1..) {
        let line = line?;
        if line.len() > LINE_MAX {
            return Err(told(number, &"it is too long"));
        }
        if !line.trim().is_empty() {
            checkpoints.push(serde_json::from_str(&line).map_err(|error| told(number, &error))?);
        }
    }
    Ok(checkpoints)
}
