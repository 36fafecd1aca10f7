//! `/admin/audit`: who did what.

use doorward_testkit::app::TestApp;
use serde_json::json;

#[tokio::test]
async fn what_is_done_can_be_found_by_action_and_by_person() {
    let app = TestApp::start().await;
    let admin = app.admin_client().await;
    let alice = app.user("alice").await;
    let body = json!({"url": "http://127.0.0.1:9/mcp", "slug": "nine", "authorization": {"type": "none"}});
    admin.post("/gateways", &body).await;
    let gateways = admin.get("/admin/audit?action=gateway.").await;
    let event = &gateways.json["items"][0];
    assert_eq!((&event["action"], &event["actor"]), (&json!("gateway.create"), &json!("user")));
    assert_eq!(event["actor_id"], app.administrator().id.to_string());
    assert_eq!((&event["detail"]["slug"], &event["address"]), (&json!("nine"), &json!("127.0.0.1")));
    let about = admin.get(&format!("/admin/audit?user={}", alice.id)).await;
    assert_eq!(about.json["items"][0]["action"], "user.create");
    let first = admin.get("/admin/audit?limit=1").await;
    let cursor = first.json["next_cursor"].as_str().unwrap();
    let next = admin.get(&format!("/admin/audit?limit=1&cursor={cursor}")).await;
    assert_ne!(next.json["items"][0]["id"], first.json["items"][0]["id"]);
    let wrong = admin.get("/admin/audit?user=alice").await;
    assert_eq!((wrong.status, wrong.problem().0), (400, Some("user")));
}
