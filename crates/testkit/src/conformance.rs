//! The published conformance suite of the protocol, run against a server's URL. It decides by its own frozen
//! list of a revision's scenarios; what it does not score, it runs and names.

use crate::rig::folder;
use std::collections::BTreeMap;
use std::process::Stdio;
use tokio::process::Command;

/// What the suite said.
#[derive(Debug)]
pub struct Conformance {
    /// The scenarios that count, and whether they passed.
    pub scored: BTreeMap<String, bool>,
    /// Those that do not, and whether they passed.
    pub unscored: BTreeMap<String, bool>,
    /// All that it printed.
    pub output: String,
}

impl Conformance {
    /// Runs the scenarios of a revision against a server.
    pub async fn of_server(url: &str, revision: &str) -> Self {
        let modules = folder().join("node_modules");
        let node = modules.join("node/bin/node");
        assert!(node.exists(), "{} is missing: run scripts/install-tools", node.display());
        let mut suite = Command::new(node);
        suite.arg(modules.join("@modelcontextprotocol/conformance/dist/index.js"));
        suite.args(["server", "--url", url, "--requirements", revision]);
        let ran = suite.stdin(Stdio::null()).kill_on_drop(true).output().await.expect("the suite starts");
        let output = String::from_utf8_lossy(&ran.stdout).into_owned();
        let read = Self::read(output);
        assert!(!read.scored.is_empty(), "{}{}", read.output, String::from_utf8_lossy(&ran.stderr));
        assert_eq!(ran.status.success(), read.failed().is_empty(), "{}", read.output);
        read
    }

    /// The names of scored scenarios that failed.
    pub fn failed(&self) -> Vec<&str> {
        names(&self.scored, false)
    }

    /// The names of unscored scenarios that passed.
    pub fn passed_unscored(&self) -> Vec<&str> {
        names(&self.unscored, true)
    }

    fn read(output: String) -> Self {
        let summary = output.split("=== SUMMARY ===").nth(1).unwrap_or_default().to_owned();
        let (all, apart) = summary.split_once("Not scored for").unwrap_or((&summary, ""));
        let unscored: BTreeMap<String, bool> = apart.lines().filter_map(|line| verdict(line, " (")).collect();
        let scored = all
            .lines()
            .filter_map(|line| verdict(line, ":"))
            .filter(|(name, _)| !unscored.contains_key(name));
        Self { scored: scored.collect(), unscored, output }
    }
}

fn names(scenarios: &BTreeMap<String, bool>, passed: bool) -> Vec<&str> {
    scenarios.iter().filter(|(_, did)| **did == passed).map(|(name, _)| name.as_str()).collect()
}

/// The verdict of one line: `✓ name: 3 passed, 0 failed` or `  ✗ name (pending)`.
fn verdict(line: &str, end: &str) -> Option<(String, bool)> {
    let line = line.trim_start();
    let (passed, rest) = line
        .strip_prefix('✓')
        .map(|rest| (true, rest))
        .or(line.strip_prefix('✗').map(|rest| (false, rest)))?;
    let (name, _) = rest.split_once(end)?;
    Some((name.trim().to_owned(), passed))
}
