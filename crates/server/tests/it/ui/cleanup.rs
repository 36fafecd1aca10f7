//! The page of cleanup: settings, counting, running, and the word for what is held (S7).

use doorward_domain::{Audience, CleanupState, GatewayId, HoldReason, Page, PageRequest};
use doorward_testkit::app::{Person, TestApp};
use std::time::Duration;

const YEAR: Duration = Duration::from_secs(365 * 86_400);

/// Somebody whose grant nobody has used for a year. The catalog has been read: nothing calls with it any more.
async fn stale(app: &TestApp) -> (Person, GatewayId) {
    let demo = app.demo().await;
    let gateway = app.register(&demo, "demo").await;
    let alice = app.user("alice").await;
    app.connect(&alice, "demo", &demo, "alice").await;
    let read = app.client(&alice, Audience::Own).await.get("/tools").await;
    assert_eq!(read.status, 200);
    app.clock.advance(YEAR);
    (alice, gateway.id)
}

#[tokio::test]
async fn the_settings_in_force_stand_beside_the_runs() {
    let app = TestApp::start().await;
    let browser = app.browser(app.administrator()).await;
    let page = browser.get("/ui/cleanup").await;
    for said in ["No run yet", "OAUTH_TOKEN_RETENTION_DAYS", "90 days", "24 hours", "Cleanup has not run yet"]
    {
        assert!(page.text.contains(said), "{said}: {}", page.text);
    }
    let asked = browser.get("/ui/cleanup/run").await;
    assert!(asked.text.contains("Run cleanup now?"));
    let runs = app.app.broker().cleanup_runs(&app.administrator().caller, &PageRequest::default()).await;
    assert_eq!(runs.unwrap(), Page { items: vec![], next_cursor: None }, "asking starts nothing");
}

#[tokio::test]
async fn a_dry_run_counts_and_a_run_by_hand_ends_what_is_stale() {
    let app = TestApp::start().await;
    let (alice, gateway) = stale(&app).await;
    let browser = app.browser(app.administrator()).await;
    let has_grant =
        async || app.app.broker().connection(&alice.caller, gateway).await.unwrap().grant.is_some();

    let counted = browser.form("/ui/cleanup/dry-run", &[]).await;
    let page = browser.get(counted.header("location")).await;
    assert!(page.text.contains("Nothing was changed") && page.text.contains("alice@test.example at demo"));
    assert!(has_grant().await);

    let run = browser.form("/ui/cleanup/run", &[]).await;
    assert_eq!(run.status, 303);
    let page = browser.get(run.header("location")).await;
    assert!(page.text.contains("Grants that were stale") && page.text.contains(">1<"), "{}", page.text);
    assert!(!has_grant().await);
    let list = browser.get("/ui/cleanup").await;
    assert!(list.text.contains("Dry run") && list.text.contains("Done"));
    assert!(list.text.contains("root@test.example"), "who started it is named");
    assert_eq!(browser.get("/ui/cleanup/runs/nonsense").await.status, 404);
}

#[tokio::test]
async fn what_is_held_ends_only_by_the_number_that_was_shown() {
    let app = TestApp::start().await;
    stale(&app).await;
    let browser = app.browser(app.administrator()).await;
    assert_eq!(
        browser.form("/ui/cleanup/held", &[("expected_count", "1")]).await.status,
        409,
        "nothing is held"
    );
    app.app.storage().hold_cleanup(HoldReason::Restored).await.unwrap();
    let run = browser.form("/ui/cleanup/run", &[]).await;
    assert!(browser.get(run.header("location")).await.text.contains("held for an administrator"));

    let page = browser.get("/ui/cleanup").await;
    assert!(page.text.contains("1 grant waits for your word") && page.text.contains("came out of a backup"));
    for typed in ["", "some", "7"] {
        let refused = browser.form("/ui/cleanup/held", &[("expected_count", typed)]).await;
        assert!(matches!(refused.status, 400 | 409) && refused.text.contains("aria-invalid"), "{typed}");
    }
    // The last run is told by its start: two of one moment would be told by chance.
    app.clock.advance(Duration::from_secs(1));
    let done = browser.form("/ui/cleanup/held", &[("expected_count", "1")]).await;
    let page = browser.get(done.header("location")).await;
    assert!(page.text.contains("what an earlier run held"), "{}", page.text);
    let runs = app.app.broker().cleanup_runs(&app.administrator().caller, &PageRequest::default()).await;
    assert!(runs.unwrap().items.iter().all(|run| run.state == CleanupState::Done));
    assert!(!browser.get("/ui/cleanup").await.text.contains("for your word"));
}
