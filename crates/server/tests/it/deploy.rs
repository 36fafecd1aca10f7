//! What operators watch Doorward by: the dashboard and the alert rules speak of nothing that is not measured.

use crate::house::{sources, text};
use crate::program::Running;
use std::collections::BTreeSet;
use std::time::Duration;

const DASHBOARD: &str = "deploy/grafana/doorward.json";
const ALERTS: &str = "deploy/prometheus/alerts.yml";

/// Every expression of the dashboard, after checking that it is one.
fn dashboard() -> Vec<String> {
    let board: serde_json::Value = serde_json::from_str(&text(DASHBOARD)).unwrap();
    let mut ids = BTreeSet::new();
    let mut expressions = Vec::new();
    for panel in board["panels"].as_array().unwrap() {
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{panel}");
        assert!(!panel["title"].as_str().unwrap().is_empty() && panel["gridPos"]["w"].is_u64(), "{panel}");
        let targets = panel["targets"].as_array().unwrap();
        assert!(!targets.is_empty(), "{panel}");
        expressions.extend(targets.iter().map(|target| target["expr"].as_str().unwrap().to_owned()));
    }
    expressions
}

/// Every expression of the alert rules, after checking that the file has the shape of Prometheus's: a list
/// of rules at one depth, each with its parts in their order, in plain scalars.
fn alerts() -> Vec<String> {
    let text = text(ALERTS);
    assert!(text.contains("\ngroups:\n  - name: doorward\n    rules:\n") && !text.contains('\t'));
    let mut rules = text.split("\n      - alert: ");
    let mut expressions = Vec::new();
    let mut names = BTreeSet::new();
    assert!(rules.next().is_some());
    for rule in rules {
        let lines: Vec<&str> = rule.lines().filter(|line| !line.trim_start().starts_with('#')).collect();
        assert!(names.insert(lines[0]) && lines[0].starts_with("Doorward"), "{rule}");
        let keys: Vec<&str> =
            lines[1..].iter().filter_map(|line| line.split_once(':').map(|(key, _)| key)).collect();
        let keys: Vec<&str> = keys.into_iter().filter(|key| *key != "        for").collect();
        let expected = [
            "        expr",
            "        labels",
            "          severity",
            "        annotations",
            "          summary",
            "          action",
        ];
        assert_eq!(keys, expected, "{rule}");
        for value in lines[1..].iter().filter_map(|line| line.split_once(": ")).map(|(_, value)| value) {
            // What a plain scalar may not hold (YAML 1.2.2 §7.3.3).
            assert!(!value.contains(": ") && !value.contains(" #"), "{value}");
            assert!(!value.starts_with(['{', '[', '"', '\'', '*', '&', '!', '|', '>', '%', '@']), "{value}");
        }
        expressions.push(lines[1].trim_start().trim_start_matches("expr: ").to_owned());
    }
    expressions
}

/// The words of an expression that begin with our name.
fn names_in(expression: &str) -> impl Iterator<Item = &str> {
    let word = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    expression.split(move |letter| !word(letter)).filter(|name| name.starts_with("doorward_"))
}

/// The labels that an expression groups or filters by.
fn labels_in(expression: &str) -> Vec<String> {
    let grouped = expression.split("by (").skip(1).filter_map(|rest| rest.split_once(')'));
    let filtered = expression.split('{').skip(1).filter_map(|rest| rest.split_once('}'));
    let filtered = filtered
        .flat_map(|(inside, _)| inside.split(','))
        .filter_map(|part| part.split_once(['=', '!']).map(|(label, _)| label.to_owned()));
    grouped.flat_map(|(inside, _)| inside.split(", ")).map(str::to_owned).chain(filtered).collect()
}

#[test]
fn the_dashboard_and_the_alert_rules_name_metrics_and_labels_that_exist() {
    let code: String = sources()
        .into_iter()
        .filter(|(name, _)| name.contains("/src/"))
        .map(|(_, text)| text.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    let expressions: Vec<String> = dashboard().into_iter().chain(alerts()).collect();
    assert!(expressions.len() > 20);
    for expression in &expressions {
        assert!(names_in(expression).next().is_some(), "{expression} is about nothing of ours");
        for name in names_in(expression) {
            let measured = ["counter", "gauge", "histogram"].iter().any(|kind| {
                ["(", "( "].iter().any(|open| code.contains(&format!("{kind}!{open}\"{name}\"")))
            });
            assert!(measured, "{expression}: {name} is not measured");
        }
        for label in labels_in(expression).iter().filter(|label| *label != "quantile") {
            assert!(code.contains(&format!("\"{label}\" =>")), "{expression}: no metric has a label {label}");
        }
    }
}

#[tokio::test]
async fn r28_a_server_that_just_started_has_run_cleanup_and_shows_it_also_at_zero_rows() {
    let directory = tempfile::tempdir().unwrap();
    let mut running = Running::start(&directory, "serve");
    running.line();
    let metrics = doorward_testkit::client::Client::new(&running.metrics);
    let scraped = tokio::time::timeout(Duration::from_secs(30), async {
        loop {
            let answer = metrics.get("/metrics").await;
            if answer.text.contains("doorward_cleanup_last_success_timestamp_seconds") {
                return answer.text;
            }
        }
    });
    let scraped = scraped.await.unwrap();
    for line in [
        r#"doorward_cleanup_runs_total{trigger="scheduled",result="done"} 1"#,
        r#"doorward_cleanup_deleted_total{kind="stale_grants"} 0"#,
        r#"doorward_cleanup_deleted_total{kind="audit_events"} 0"#,
        "doorward_cleanup_held 0",
    ] {
        assert!(scraped.contains(line), "{line} in {scraped}");
    }
    assert!(running.stop().0);
}

#[test]
fn the_systemd_unit_sets_only_what_is_a_setting_and_holds_no_secret() {
    let (unit, documented) = (text("deploy/systemd/doorward.service"), text("docs/settings.md"));
    let set: Vec<&str> = unit.lines().filter_map(|line| line.strip_prefix("Environment=")).collect();
    assert!(set.len() >= 3, "{set:?}");
    for setting in set {
        let (name, value) = setting.split_once('=').unwrap();
        assert!(documented.contains(&format!("`{name}`")), "{name} is no setting");
        let secret =
            ["KEY_RING", "PASSWORD", "SECRET", "DATABASE_URL"].iter().any(|word| name.contains(word));
        assert!(!secret || (name.ends_with("_FILE") && value.starts_with("%d/")), "{setting}");
    }
}
