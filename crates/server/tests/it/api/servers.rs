//! `/servers`: virtual servers, for administrators to make and for people to see.

use doorward_domain::Audience;
use doorward_testkit::app::TestApp;
use serde_json::json;

#[tokio::test]
async fn a_virtual_server_is_made_changed_and_deleted() {
    let app = TestApp::start().await;
    let admin = app.admin_client().await;
    let made = admin.post("/servers", &json!({"name": "Help Desk"})).await;
    assert_eq!((made.status, made.header("etag"), &made.json["slug"]), (201, "\"1\"", &json!("help-desk")));
    assert_eq!(made.json["mcp_url"], format!("{}/servers/help-desk/mcp", app.origin));
    assert_eq!((&made.json["access"], &made.json["items"]), (&json!({"for": "everyone"}), &json!([])));
    let path = format!("/servers/{}", made.json["id"].as_str().unwrap());
    let taken = admin.post("/servers", &json!({"name": "x", "slug": "help-desk"})).await;
    assert_eq!((taken.status, taken.problem().0), (409, Some("slug")));
    let stale = admin.request(reqwest::Method::PUT, &path).header("if-match", "\"7\"");
    assert_eq!(admin.send(stale.json(&json!({"name": "x"}))).await.status, 412);
    let edited = admin.put(&path, &json!({"name": "Desk"})).await;
    assert_eq!((edited.status, edited.header("etag")), (200, "\"2\""));
    assert_eq!(admin.get(&path).await.json, edited.json);
    assert_eq!(admin.put(&path, &json!({"slug": "desk"})).await.problem().0, Some("slug"));
    assert_eq!(admin.get("/servers").await.json["items"][0], edited.json);

    let own = app.client(&app.user("alice").await, Audience::Own).await;
    assert_eq!((own.get(&path).await.status, own.put(&path, &json!({})).await.status), (200, 403));
    assert_eq!(
        (own.post("/servers", &json!({"name": "x"})).await.status, own.delete(&path).await.status),
        (403, 403)
    );
    assert_eq!((admin.delete(&path).await.status, admin.delete(&path).await.status), (204, 404));
}

#[tokio::test]
async fn a_wrong_choice_is_named() {
    let app = TestApp::start().await;
    let demo = app.demo().await;
    let gateway = app.register(&demo, "demo").await.id;
    let admin = app.admin_client().await;
    let item = |kind: &str, name: &str| json!({"kind": kind, "gateway_id": gateway, "name": name});
    let named = |kind: &str, name: &str, exposed: &str| json!({"kind": kind, "gateway_id": gateway, "name": name, "exposed_name": exposed});
    let elsewhere = "0190f5d2-7c1e-7000-8000-000000000001";
    for (items, field) in [
        (json!([item("tool", "")]), "items.name"),
        (json!([item("tool", "a"), item("tool", "a")]), "items"),
        (json!([named("tool", "a", "a b")]), "items.exposed_name"),
        (json!([named("resource", "file:///x", "x")]), "items.exposed_name"),
        (json!([named("tool", "a", "x"), named("tool", "b", "x")]), "items.exposed_name"),
        (json!([{"kind": "tool", "gateway_id": elsewhere, "name": "a"}]), "items.gateway_id"),
    ] {
        let refused = admin.post("/servers", &json!({"name": "x", "items": items})).await;
        assert_eq!((refused.status, refused.problem().0), (400, Some(field)), "{items}");
    }
    for body in [json!({}), json!({"name": "x", "slug": "A"}), json!({"name": "x", "colour": 1})] {
        assert_eq!(admin.post("/servers", &body).await.status, 400, "{body}");
    }
    let same = json!([named("tool", "a", "x"), named("prompt", "a", "x")]);
    let made = admin.post("/servers", &json!({"name": "x", "items": same})).await;
    assert_eq!((made.status, &made.json["items"]), (201, &same), "a tool and a prompt may share a name");
}
