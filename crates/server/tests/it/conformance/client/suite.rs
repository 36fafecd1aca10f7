//! Runs the suite as a program and reads what it wrote about each scenario.

use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::process::Command;

/// How long one scenario may take on a loaded machine, in milliseconds.
const PATIENCE: &str = "120000";

/// Which scenarios a revision asks of a client.
pub(super) struct Requirements {
    pub(super) scored: Vec<String>,
    pub(super) not_scored: Vec<String>,
}

/// What the suite found in one scenario.
#[derive(Debug)]
pub(super) struct Verdict {
    checks: Vec<Value>,
}

impl Requirements {
    /// Reads the suite's own list: flat YAML, one scenario a line.
    pub(super) fn read(revision: &str) -> Self {
        let text = std::fs::read_to_string(package().join(format!("requirements/{revision}.yaml"))).unwrap();
        let (mut section, mut scored, mut not_scored, mut named) = ("", Vec::new(), Vec::new(), None);
        for line in text.lines() {
            if let Some(name) = line.strip_suffix(':').filter(|name| !name.starts_with([' ', '#'])) {
                section = name;
            } else if let Some(name) = line.strip_prefix("  - scenario: ") {
                named = Some(name.to_owned());
            } else if let Some(name) = line.strip_prefix("  - ") {
                scored.extend((section == "client").then(|| name.to_owned()));
            } else if line.trim() == "leg: client" {
                not_scored.extend(named.take());
            }
        }
        Self { scored, not_scored }
    }
}

impl Verdict {
    /// A warning counts as a failure, as the suite counts it.
    pub(super) fn passed(&self) -> bool {
        let good = |check: &Value| !matches!(check["status"].as_str(), Some("FAILURE" | "WARNING"));
        self.checks.iter().any(|check| check["status"] == "SUCCESS") && self.checks.iter().all(good)
    }

    /// The checks that did not hold, for a failing test's message.
    pub(super) fn problems(&self) -> String {
        let bad = |check: &&Value| matches!(check["status"].as_str(), Some("FAILURE" | "WARNING"));
        let told = |check: &Value| {
            let why = check["errorMessage"].as_str().or(check["description"].as_str()).unwrap_or_default();
            format!("{} ({why})", check["id"].as_str().unwrap_or_default())
        };
        self.checks.iter().filter(bad).map(told).collect::<Vec<_>>().join("; ")
    }
}

/// Runs the whole set of a revision; every scenario asks `control` to be played.
pub(super) async fn run(revision: &str, control: &str) -> BTreeMap<String, Verdict> {
    let results = tempfile::tempdir().unwrap();
    let client =
        format!("{} {} {control}", node().display(), rigs().join("conformance_client.mjs").display());
    let mut command = Command::new(node());
    command.arg(package().join("dist/index.js")).args(["client", "--requirements", revision]);
    command.args(["--command", &client, "--timeout", PATIENCE, "--output-dir"]).arg(results.path());
    command.stdin(Stdio::null()).kill_on_drop(true);
    let output = command.output().await.unwrap_or_else(|error| {
        panic!("the conformance suite does not start ({error}): run scripts/install-tools")
    });
    let verdicts = verdicts(results.path());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!verdicts.is_empty(), "the conformance suite ran nothing: {said}");
    verdicts
}

/// Each scenario has a folder, named after it and the time, with what was checked.
fn verdicts(results: &Path) -> BTreeMap<String, Verdict> {
    let folders = [results.to_owned(), results.join("auth")];
    let entries = folders.iter().filter_map(|folder| std::fs::read_dir(folder).ok()).flatten().flatten();
    let mut verdicts = BTreeMap::new();
    for folder in entries.map(|entry| entry.path()) {
        let Ok(text) = std::fs::read_to_string(folder.join("checks.json")) else { continue };
        let name = folder.strip_prefix(results).unwrap().to_str().unwrap();
        // `-2026-11-26T16-30-00-000Z`
        let name = name.len().checked_sub(25).map_or(name, |end| &name[..end]).to_owned();
        verdicts.insert(name, Verdict { checks: serde_json::from_str(&text).unwrap() });
    }
    verdicts
}

fn rigs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rigs")
}

fn package() -> PathBuf {
    rigs().join("node_modules/@modelcontextprotocol/conformance")
}

/// The suite needs a newer Node than some machines have: it comes as a package too.
fn node() -> PathBuf {
    rigs().join("node_modules/node/bin/node")
}

#[test]
fn the_suites_own_lists_are_read() {
    let old = Requirements::read("2025-11-25");
    assert_eq!((old.scored.len(), old.not_scored.len()), (18, 7));
    let new = Requirements::read("2026-07-28");
    assert_eq!((new.scored.len(), new.not_scored.len()), (32, 7));
}
