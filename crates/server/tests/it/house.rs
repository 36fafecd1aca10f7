//! The house's own rules, checked in its text: documents that name what exists, and doors that stay shut.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

pub(crate) fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

/// Every Rust file of the workspace below `crates/`, by its path from there, with its text.
pub(crate) fn sources() -> Vec<(String, String)> {
    let crates = root().join("crates");
    let mut found = Vec::new();
    let mut open = vec![crates.clone()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.ends_with("node_modules") && !path.ends_with("target") {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(&crates).unwrap().to_str().unwrap().to_owned();
                found.push((name, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found
}

#[test]
fn the_map_of_lessons_is_whole_and_every_test_it_names_exists() {
    let map = text("docs/lessons.md");
    let rows: Vec<Vec<&str>> = map
        .lines()
        .filter(|line| {
            ["| R", "| S", "| M", "| T", "| C", "| A", "| B"].iter().any(|row| line.starts_with(row))
        })
        .map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect())
        .collect();
    let named = rows.iter().map(|row| row[0].to_owned()).filter(|name| !name.starts_with('M'));
    let named: Vec<String> = named.collect();
    let expected: Vec<String> = (1..=40)
        .map(|n| format!("R{n}"))
        .chain((1..=14).map(|n| format!("S{n}")))
        .chain((1..=25).map(|n| format!("T{n}")))
        .chain((1..=11).map(|n| format!("C{n}")))
        .chain((1..=17).map(|n| format!("A{n}")))
        .chain((1..=17).map(|n| format!("B{n}")))
        .collect();
    assert_eq!(named, expected);
    let code: String = sources().into_iter().map(|(_, text)| text).collect();
    for row in rows {
        let tests = row[2];
        assert!(
            tests.contains('`') || tests.starts_with("later: ") || tests.starts_with("not bridged: "),
            "{} names no test",
            row[0]
        );
        // A trap, and what is cheap and often forgotten, has a test that is called after it.
        let after = match row[0].split_at(1) {
            ("T", number) => Some(format!("`trap_{number}_")),
            ("C", number) => Some(format!("`c{number}_")),
            _ => None,
        };
        assert!(after.is_none_or(|name| tests.contains(&name)), "no test of {} is called after it", row[0]);
        for test in tests.split('`').skip(1).step_by(2).filter(|name| *name != "make verify") {
            assert!(
                code.contains(&format!("fn {test}(")) || code.contains(&format!("fn {test}<")),
                "{}: {test}",
                row[0]
            );
        }
    }
}

#[test]
fn the_page_of_settings_names_each_setting_that_exists() {
    let environment = text("crates/server/src/settings/environment.rs");
    let page = text("docs/settings.md");
    // The settings alone: the tests below speak of misspelt ones.
    let settings = environment.split("#[cfg(test)]").next().unwrap_or_default();
    let names: BTreeSet<&str> =
        settings.split('"').filter(|word| word.starts_with("DOORWARD_") && word.len() > 9).collect();
    assert!(names.len() > 10);
    for name in names {
        let documented = page.contains(name) || page.contains(name.trim_end_matches("_FILE"));
        assert!(documented, "docs/settings.md does not name {name}");
    }
}

/// Who may look at a secret in the open, and what for.
const SECRET_DOORS: [&str; 16] = [
    // Sealing, hashing, and what is sent to an authorization server.
    "vault/src/",
    "oauth/src/",
    "domain/src/secret.rs",
    // The header of an upstream call.
    "broker/src/access.rs",
    // The state's cookie name, and the one-time link.
    "broker/src/authorize.rs",
    "broker/src/setup.rs",
    // The length and form of what was typed.
    "broker/src/deposit.rs",
    "broker/src/gateway_input.rs",
    "broker/src/user.rs",
    "broker/src/client_certificate.rs",
    // A code as it was typed; the ticket between the steps of a sign-in.
    "broker/src/second_factor.rs",
    "broker/src/login.rs",
    // The database URL and the key ring at the start; the session cookie; what is shown once.
    "server/src/app.rs",
    "server/src/key_ring.rs",
    "server/src/cookies.rs",
    "server/src/reveal.rs",
];

#[test]
fn a_secret_is_exposed_only_behind_the_doors_made_for_it() {
    for (name, code) in sources() {
        let production =
            name.contains("/src/") && !name.starts_with("testkit/") && !name.starts_with("demo/");
        if production && code.contains("expose_secret()") {
            assert!(SECRET_DOORS.iter().any(|door| name.starts_with(door)), "{name} exposes a secret");
        }
    }
}

#[test]
fn pages_and_rest_do_not_know_each_other() {
    for (name, code) in sources() {
        if name.starts_with("server/src/ui/") {
            assert!(!code.contains("crate::api"), "{name}");
        }
        if name.starts_with("server/src/api/") {
            assert!(!code.contains("crate::ui"), "{name}");
        }
    }
}

#[test]
fn no_file_of_ours_exceeds_five_hundred_lines() {
    for (name, code) in sources() {
        let lines = code.lines().count();
        assert!(lines <= 500, "{name} has {lines} lines");
    }
}
