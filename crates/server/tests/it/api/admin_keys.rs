//! `/admin/keys`: names and counts, a new key, an old one's end; never a value.

use doorward_domain::Audience;
use doorward_testkit::app::{KEY_RING, TestApp, TestAppOptions};
use serde_json::json;

#[tokio::test]
async fn keys_are_told_by_name_and_their_change_is_in_the_trail() {
    let app = TestApp::start().await;
    let admin = app.admin_client().await;
    let listed = admin.get("/admin/keys").await.json;
    let since = listed["items"][0]["sealing_since"].clone();
    assert!(since.is_string());
    let only = json!({ "id": "k1", "seals": true, "sealing_since": since, "rows": 0, "in_ring": true });
    assert_eq!(listed, json!({ "items": [only], "resealing": false }));
    let rotated = admin.post("/admin/keys/rotate", &json!(null)).await;
    assert_eq!((rotated.status, &rotated.json["sealing"]), (200, &json!("k2")));
    let events = admin.get("/admin/audit?action=keys.").await.json;
    assert_eq!(
        (&events["items"][0]["action"], &events["items"][0]["subject"]),
        (&json!("keys.rotate"), &json!("k2"))
    );
    let ring = std::fs::read_to_string(app.directory().join("data/key-ring")).unwrap();
    assert!(ring.starts_with("k2:") && ring.contains("\nk1:"));
    for line in ring.lines() {
        let value = line.split_once(':').unwrap().1;
        assert!(!events.to_string().contains(value) && !listed.to_string().contains(value));
    }
}

#[tokio::test]
async fn keys_are_for_administrators_and_names_are_checked() {
    let app = TestApp::start().await;
    let alice = app.user("alice").await;
    let client = app.client(&alice, Audience::Admin).await;
    for answer in [
        client.get("/admin/keys").await,
        client.post("/admin/keys/rotate", &json!(null)).await,
        client.post("/admin/keys/k1/retire", &json!(null)).await,
    ] {
        assert_eq!(answer.status, 403, "{answer:?}");
    }
    let admin = app.admin_client().await;
    assert_eq!(admin.post("/admin/keys/K%201/retire", &json!(null)).await.problem().0, Some("id"));
    assert_eq!(admin.post("/admin/keys/k7/retire", &json!(null)).await.status, 404);
}

#[tokio::test]
async fn a_ring_that_a_setting_gives_is_not_written() {
    let options = TestAppOptions { key_ring: Some(KEY_RING.to_owned()), ..Default::default() };
    let app = TestApp::with(options).await;
    let refused = app.admin_client().await.post("/admin/keys/rotate", &json!(null)).await;
    assert_eq!(refused.status, 409);
    assert!(refused.text.contains("DOORWARD_KEY_RING") && refused.text.contains("k2"), "{}", refused.text);
    assert!(!app.directory().join("data/key-ring").exists());
}
