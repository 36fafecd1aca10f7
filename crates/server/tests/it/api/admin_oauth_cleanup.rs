//! `/admin/oauth/cleanup`: how cleanup fares, running it, and the word for what it holds.

use doorward_domain::{Audience, CleanupPolicy, GatewayId, GrantOwner, HoldReason, Policy};
use doorward_testkit::app::{Person, TestApp, TestAppOptions};
use doorward_testkit::client::Client;
use serde_json::{Value, json};
use std::time::Duration;

const PATH: &str = "/admin/oauth/cleanup";
const DAY: Duration = Duration::from_secs(86_400);

/// A retention of thirty days.
async fn thirty(postgres: bool) -> TestApp {
    let cleanup = CleanupPolicy { retention: 30 * DAY, ..CleanupPolicy::default() };
    let policy = Policy { cleanup, ..Policy::default() };
    TestApp::with(TestAppOptions { policy, postgres, ..TestAppOptions::default() }).await
}

/// Somebody who has connected the demo, and whose catalog has been read: nothing calls with their token any more.
async fn connected(app: &TestApp) -> (Person, Client, GatewayId) {
    let demo = app.demo().await;
    let gateway = app.register(&demo, "demo").await;
    let alice = app.user("alice").await;
    app.connect(&alice, "demo", &demo, "alice").await;
    let own = app.client(&alice, Audience::Own).await;
    assert_eq!(own.get("/tools").await.status, 200);
    (alice, own, gateway.id)
}

async fn ask(client: &Client, body: Value) -> Value {
    let answer = client.post(PATH, &body).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json
}

/// Stories S7 and S8, with a real provider's token: it ends after an hour, and the story begins there.
async fn old_tokens_go_and_the_owner_was_told(postgres: bool) {
    let app = thirty(postgres).await;
    let (alice, own, gateway) = connected(&app).await;
    let admin = app.admin_client().await;

    app.clock.advance(15 * DAY);
    assert_eq!(own.get("/connections").await.json["items"][0]["removal_at"], Value::Null);
    app.clock.advance(5 * DAY);
    let told = own.get("/connections").await.json["items"][0]["removal_at"].clone();
    assert!(told.is_string(), "fourteen days ahead");
    let page = app.browser(&alice).await.get("/ui/connections").await;
    assert!(page.text.contains("will be removed for inactivity on"), "{}", page.text);
    let kept = ask(&admin, json!({})).await;
    assert_eq!((&kept["counts"]["stale_grants"], &kept["state"]), (&json!(0), &json!("done")));

    app.clock.advance(25 * DAY);
    let dry = ask(&admin, json!({"dry_run": true})).await;
    assert_eq!((&dry["counts"]["stale_grants"], &dry["dry_run"]), (&json!(1), &json!(true)));
    assert_eq!(dry["sample"], json!([{"user": "alice@test.example", "gateway": "demo"}]));
    let owner = GrantOwner::User(alice.id);
    assert!(app.app.storage().grant_of(owner, gateway).await.unwrap().is_some());
    app.clock.advance(Duration::from_secs(1));
    let run = ask(&admin, json!({})).await;
    assert_eq!((&run["counts"]["stale_grants"], &run["trigger"]), (&json!(1), &json!("manual")));
    assert_eq!(run["started_by"], app.administrator().id.to_string());
    assert!(app.app.storage().grant_of(owner, gateway).await.unwrap().is_none());

    let shown = admin.get(PATH).await.json;
    assert_eq!(
        shown["settings"],
        json!({"enabled": true, "interval_hours": 24, "retention_days": 30, "keep_refreshable": false,
            "idle_revoke_days": null, "orphan_grace_days": 30, "audit_retention_days": 365})
    );
    assert_eq!((&shown["last_success_at"], &shown["held"]), (&run["started_at"], &json!(null)));
    assert_eq!(shown["items"][0], run);
    let next = format!(
        "{PATH}?limit=2&cursor={}",
        admin.get(&format!("{PATH}?limit=1")).await.json["next_cursor"].as_str().unwrap()
    );
    assert_eq!(admin.get(&next).await.json["items"], json!([dry, kept]));
    let audit = admin.get("/admin/audit?action=cleanup.done&limit=1").await.json;
    assert_eq!(audit["items"][0]["detail"]["stale_grants"], "1");
}

#[tokio::test]
async fn s7_s8_old_tokens_go_and_their_owner_was_told_before() {
    old_tokens_go_and_the_owner_was_told(false).await;
}

#[tokio::test]
async fn s7_s8_old_tokens_go_on_postgresql_too() {
    old_tokens_go_and_the_owner_was_told(true).await;
}

#[tokio::test]
async fn held_grants_go_only_with_their_number() {
    let app = thirty(false).await;
    connected(&app).await;
    app.app.storage().hold_cleanup(HoldReason::Restored).await.unwrap();
    app.clock.advance(45 * DAY);
    let admin = app.admin_client().await;
    let run = ask(&admin, json!({})).await;
    assert_eq!((&run["held_count"], &run["hold_reason"]), (&json!(1), &json!("restored")));
    assert_eq!(admin.get(PATH).await.json["held"]["sample"][0]["user"], "alice@test.example");
    for (body, status, field) in [
        (json!({"confirm_held": true}), 400, "expected_count"),
        (json!({"expected_count": 1}), 400, "expected_count"),
        (json!({"confirm_held": true, "dry_run": true}), 400, "confirm_held"),
        (json!({"confirm_held": true, "expected_count": 2}), 409, "expected_count"),
        (json!({"confirm_held": true, "expected_count": -1}), 400, "expected_count"),
        (json!({"confirm": true}), 400, "confirm"),
    ] {
        let refused = admin.post(PATH, &body).await;
        assert_eq!((refused.status, refused.problem().0), (status, Some(field)), "{body}: {refused:?}");
    }
    app.clock.advance(Duration::from_secs(1));
    let told = ask(&admin, json!({"confirm_held": true, "expected_count": 1})).await;
    assert_eq!((&told["confirms"], &told["counts"]["stale_grants"]), (&run["id"], &json!(1)));
    assert_eq!(admin.get(PATH).await.json["held"], Value::Null);
}

#[tokio::test]
async fn cleanup_is_for_those_who_may_run_it() {
    let app = thirty(false).await;
    let alice = app.client(&app.user("alice").await, Audience::Admin).await;
    assert_eq!(alice.get(PATH).await.status, 403);
    assert_eq!(alice.post(PATH, &json!({})).await.status, 403);
    let admin = app.admin_client().await;
    assert_eq!(admin.get("/ready").await.json["details"]["cleanup"], "cleanup has not run yet");
    ask(&admin, json!({})).await;
    assert_eq!(admin.get("/ready").await.json["details"]["cleanup"], Value::Null);
    app.clock.advance(3 * DAY);
    let ready = admin.get("/ready").await.json;
    assert_eq!(ready["status"], "ready", "nobody is kept from calling");
    assert!(ready["details"]["cleanup"].as_str().unwrap().contains("more than twice"), "{ready}");
}
