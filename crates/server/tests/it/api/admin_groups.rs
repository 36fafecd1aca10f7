//! `/admin/groups`, and the access lists of gateways that name them.

use doorward_domain::{Audience, Gateway};
use doorward_testkit::app::{Person, TestApp};
use doorward_testkit::client::Client;
use serde_json::{Value, json};

const NOBODY: &str = "0190f5d2-7c1e-7000-8000-000000000001";

#[tokio::test]
async fn a_group_is_created_renamed_listed_and_deleted() {
    let app = TestApp::start().await;
    let admin = app.admin_client().await;
    let made = admin.post("/admin/groups", &json!({"name": " Ops "})).await;
    assert_eq!((made.status, made.header("etag"), &made.json["name"]), (201, "\"1\"", &json!("Ops")));
    assert_eq!(made.json["members"], 0);
    let path = format!("/admin/groups/{}", made.json["id"].as_str().unwrap());
    let taken = admin.post("/admin/groups", &json!({"name": "OPS"})).await;
    assert_eq!((taken.status, taken.problem().0), (409, Some("name")));
    for bad in [json!({"name": ""}), json!({"name": "x".repeat(101)}), json!({})] {
        let refused = admin.post("/admin/groups", &bad).await;
        assert_eq!((refused.status, refused.problem().0), (400, Some("name")), "{bad}");
    }
    let stale = admin.request(reqwest::Method::PUT, &path).header("if-match", "\"7\"");
    assert_eq!(admin.send(stale.json(&json!({"name": "x"}))).await.status, 412);
    let renamed = admin.put(&path, &json!({"name": "Operations"})).await;
    assert_eq!((renamed.status, renamed.header("etag")), (200, "\"2\""));
    assert_eq!(admin.get(&path).await.json, renamed.json);
    admin.post("/admin/groups", &json!({"name": "Dev"})).await;
    let clash = admin.put(&path, &json!({"name": "dev"})).await;
    assert_eq!((clash.status, clash.problem().0), (409, Some("name")));
    let first = admin.get("/admin/groups?limit=1").await.json;
    let cursor = first["next_cursor"].as_str().unwrap();
    assert_eq!(admin.get(&format!("/admin/groups?cursor={cursor}")).await.json["items"][1], json!(null));
    assert_eq!((admin.delete(&path).await.status, admin.delete(&path).await.status), (204, 404));
}

#[tokio::test]
async fn people_are_put_into_a_group_and_taken_out() {
    let app = TestApp::start().await;
    let admin = app.admin_client().await;
    let alice = app.user("alice").await;
    let group = admin.post("/admin/groups", &json!({"name": "Ops"})).await.json;
    let members = format!("/admin/groups/{}/members", group["id"].as_str().unwrap());
    let member = format!("{members}/{}", alice.id);
    for _ in 0..2 {
        assert_eq!(admin.put(&member, &json!({})).await.status, 204, "joining twice is joining");
    }
    let listed = admin.get(&members).await.json;
    assert_eq!(listed["items"][0]["email"], alice.email);
    assert!(!listed.to_string().contains("argon2"));
    assert_eq!(admin.put(&format!("{members}/{NOBODY}"), &json!({})).await.status, 404);
    assert_eq!(admin.put(&format!("{members}/alice"), &json!({})).await.problem().0, Some("user_id"));
    assert_eq!((admin.delete(&member).await.status, admin.delete(&member).await.status), (204, 404));

    let own = app.client(&alice, Audience::Own).await;
    for path in ["/admin/groups", &members] {
        assert_eq!(own.get(path).await.status, 403, "{path}");
    }
    assert_eq!(own.put(&member, &json!({})).await.status, 403);
}

async fn restrict(admin: &Client, gateway: &Gateway, access: Value) {
    let path = format!("/gateways/{}", gateway.id);
    let edited = admin.put(&path, &json!({ "access": access })).await;
    assert_eq!((edited.status, &edited.json["access"]), (200, &access), "{edited:?}");
}

/// What one person's clients see of the gateway `demo`, in each place that shows any.
async fn places(app: &TestApp, person: &Person, gateway: &Gateway) -> [bool; 9] {
    let own = app.client(person, Audience::Own).await;
    let mcp = app.client(person, Audience::Mcp).await;
    let browser = app.browser(person).await;
    let listed = async |path: &str| {
        own.get(path).await.json["items"].as_array().is_some_and(|items| !items.is_empty())
    };
    let list = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    }}});
    let mcp_list = async |path: &str| {
        let request = mcp.request(reqwest::Method::POST, path).json(&list);
        let request = request
            .header("accept", "application/json, text/event-stream")
            .header("mcp-protocol-version", "2026-07-28")
            .header("mcp-method", "tools/list");
        mcp.send(request).await
    };
    [
        listed("/gateways").await,
        listed("/connections").await,
        listed("/tools").await,
        own.get(&format!("/gateways/{}", gateway.id)).await.status == 200,
        own.get(&format!("/oauth/status/{}", gateway.id)).await.status == 200,
        browser.get("/connect/demo").await.status == 200,
        browser.get("/ui/connections").await.text.contains("/connect/demo"),
        mcp_list("/gateways/demo/mcp").await.status == 200,
        mcp_list("/mcp").await.text.contains("\"demo-whoami\""),
    ]
}

#[tokio::test]
async fn one_rule_opens_and_closes_a_gateway_everywhere() {
    let app = TestApp::start().await;
    let demo = app.demo().await;
    let gateway = app.register(&demo, "demo").await;
    let admin = app.admin_client().await;
    let alice = app.user("alice").await;
    app.connect(&alice, "demo", &demo, "alice").await;
    let health = async || admin.get("/admin/oauth/tokens").await.json["items"][0]["health"].clone();
    let (open, closed) = ([true; 9], [false; 9]);
    assert_eq!(places(&app, &alice, &gateway).await, open);

    let group = admin.post("/admin/groups", &json!({"name": "Ops"})).await.json["id"].clone();
    restrict(&admin, &gateway, json!({"for": "listed", "groups": [group]})).await;
    assert_eq!(places(&app, &alice, &gateway).await, closed);
    assert_eq!(health().await, "orphaned");
    let member = format!("/admin/groups/{}/members/{}", group.as_str().unwrap(), alice.id);
    admin.put(&member, &json!({})).await;
    assert_eq!((places(&app, &alice, &gateway).await, health().await), (open, json!("valid")));
    admin.delete(&member).await;
    assert_eq!((places(&app, &alice, &gateway).await, health().await), (closed, json!("orphaned")));
    restrict(&admin, &gateway, json!({"for": "listed", "users": [alice.id]})).await;
    assert_eq!((places(&app, &alice, &gateway).await, health().await), (open, json!("valid")));
    restrict(&admin, &gateway, json!({"for": "everyone"})).await;
    assert_eq!(places(&app, &alice, &gateway).await, open);

    let own = app.client(&alice, Audience::Own).await;
    let seen = own.get(&format!("/gateways/{}", gateway.id)).await.json;
    assert!(seen.get("access").is_none(), "who else may use it is for those who manage gateways: {seen}");
}

#[tokio::test]
async fn an_access_list_names_only_whom_there_is() {
    let app = TestApp::start().await;
    let demo = app.demo().await;
    let gateway = app.register(&demo, "demo").await;
    let admin = app.admin_client().await;
    let path = format!("/gateways/{}", gateway.id);
    for (access, field) in [
        (json!({"for": "listed", "groups": [NOBODY]}), "access.groups"),
        (json!({"for": "listed", "users": [NOBODY]}), "access.users"),
        (json!({"for": "everyone", "users": [app.administrator().id]}), "access"),
        (json!({"for": "listed", "people": []}), "access.people"),
    ] {
        let refused = admin.put(&path, &json!({ "access": access })).await;
        assert_eq!((refused.status, refused.problem().0), (400, Some(field)), "{access}");
    }
    let event = admin.get("/admin/audit?action=gateway.update").await.json;
    assert_eq!(event["items"], json!([]));
    restrict(&admin, &gateway, json!({"for": "listed", "users": [app.administrator().id]})).await;
    let event = admin.get("/admin/audit?action=gateway.update").await.json["items"][0]["detail"].clone();
    assert_eq!(event["access_before"], "everyone");
    assert_eq!(event["access"], format!("person {}", app.administrator().id));
}
