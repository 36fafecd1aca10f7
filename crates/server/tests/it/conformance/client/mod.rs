//! The client legs: the suite plays an MCP server with its authorization server, and Doorward is their client. Every
//! scored scenario must pass; those that are not scored run too and are listed.

mod plain;
mod suite;
mod user;
mod walk;

use std::collections::BTreeSet;
use suite::{Requirements, Verdict};
use walk::House;

/// Scenarios of extensions that do not pass, and why. One that begins to pass fails the test, so that it is taken off.
const NOT_PASSED: [(&str, &str); 1] =
    [("auth/wif-jwt-bearer", "a draft for workloads that hold a token of their platform: Doorward has none")];

/// Runs a revision's whole set and judges it.
async fn every_scored_scenario_passes(revision: &str, scored: usize) {
    let requirements = Requirements::read(revision);
    let house = House::start().await;
    let verdicts = suite::run(revision, &house.control).await;
    let set = |names: &[String]| -> BTreeSet<String> { names.iter().cloned().collect() };
    if revision == "2026-07-28" {
        house.shows_that_an_issuer_changed("authorization-server-migration").await;
    }
    let (must, may) = (set(&requirements.scored), set(&requirements.not_scored));
    assert_eq!(must.len(), scored, "{must:?}");
    let passed = |name: &String| verdicts.get(name).is_some_and(Verdict::passed);
    let told = |name: &String| match verdicts.get(name) {
        Some(verdict) => format!("{name}: {}\n  {}", verdict.problems(), house.played(name)),
        None => format!("{name}: did not run"),
    };
    let failed: Vec<String> = must.iter().filter(|name| !passed(name)).map(told).collect();
    assert!(failed.is_empty(), "{} of {scored} fail:\n{}", failed.len(), failed.join("\n"));
    let listed: BTreeSet<&str> = NOT_PASSED.iter().map(|(name, _)| *name).collect();
    let others: Vec<String> =
        may.iter().filter(|name| passed(name) == listed.contains(name.as_str())).map(told).collect();
    assert!(others.is_empty(), "not scored, and not as it is listed:\n{}", others.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_scored_client_scenario_of_2025_11_25_passes() {
    every_scored_scenario_passes("2025-11-25", 18).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_scored_client_scenario_of_2026_07_28_passes() {
    every_scored_scenario_passes("2026-07-28", 32).await;
}
