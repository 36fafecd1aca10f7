//! `/gateways`: create, list, read, discover, delete.

use doorward_domain::Audience;
use doorward_testkit::app::{TestApp, TestAppOptions};
use serde_json::json;
use std::time::Duration;

#[tokio::test]
async fn a_new_gateway_is_a_draft_for_administrators_until_it_is_published() {
    let app = TestApp::start().await;
    let admin = app.admin_client().await;
    let alice = app.client(&app.user("alice").await, Audience::Own).await;
    let body =
        json!({"url": "http://127.0.0.1:9/mcp", "name": "Nine Lives", "authorization": {"type": "none"}});
    let made = admin.post("/gateways", &body).await;
    assert_eq!(
        (made.status, &made.json["state"], &made.json["slug"]),
        (201, &json!("draft"), &json!("nine-lives"))
    );
    assert_eq!(made.header("etag"), "\"1\"");
    let path = format!("/gateways/{}", made.json["id"].as_str().unwrap());
    assert_eq!(admin.get(&path).await.json, made.json);
    assert_eq!(alice.get(&path).await.status, 404);
    assert_eq!(alice.get("/gateways").await.json["items"], json!([]));

    let published = admin.put(&path, &json!({"state": "published"})).await;
    assert_eq!((published.status, &published.json["must_reauthorize"]), (200, &json!(0)));
    let seen = alice.get(&path).await;
    assert_eq!(seen.json["authorization"], json!({"type": "none"}));
    assert_eq!(alice.put(&path, &json!({"name": "Mine"})).await.status, 403);
}

#[tokio::test]
async fn the_list_is_paged_by_slug() {
    let app = TestApp::start().await;
    let admin = app.admin_client().await;
    for slug in ["c", "a", "b"] {
        let body = json!({"url": "http://127.0.0.1:9/mcp", "slug": slug, "authorization": {"type": "none"}});
        assert_eq!(admin.post("/gateways", &body).await.status, 201);
    }
    let slugs = |answer: &doorward_testkit::client::Answer| -> Vec<String> {
        let items = answer.json["items"].as_array().unwrap();
        items.iter().map(|item| item["slug"].as_str().unwrap().to_owned()).collect()
    };
    let first = admin.get("/gateways?limit=2").await;
    assert_eq!(
        (slugs(&first), &first.json["next_cursor"]),
        (vec!["a".to_owned(), "b".to_owned()], &json!("b"))
    );
    let rest = admin.get("/gateways?limit=2&cursor=b").await;
    assert_eq!((slugs(&rest), &rest.json["next_cursor"]), (vec!["c".to_owned()], &json!(null)));
    let again = admin
        .post(
            "/gateways",
            &json!({"url": "http://127.0.0.1:9/mcp", "slug": "a", "authorization": {"type": "none"}}),
        )
        .await;
    assert_eq!((again.status, again.problem().0), (409, Some("slug")));
}

#[tokio::test]
async fn discovery_tells_what_a_server_says_and_registers_by_itself_when_asked() {
    let app = TestApp::start().await;
    let admin = app.admin_client().await;
    let demo = app.demo().await;
    let found = admin.post("/gateways/discover", &json!({"url": demo.mcp_server.url()})).await;
    assert_eq!(found.status, 200, "{found:?}");
    assert_eq!(found.json["authorization"], "oauth");
    assert_eq!(found.json["issuer"], demo.authorization_server.issuer());
    assert_eq!(found.json["can_register"], true);

    let made = admin.post("/gateways", &json!({"url": demo.mcp_server.url(), "slug": "demo"})).await;
    assert_eq!(made.status, 201, "{made:?}");
    assert_eq!(made.json["authorization"]["type"], "oauth");
    assert_eq!(made.json["authorization"]["token_url"], demo.authorization_server.token_url().as_str());
    let nobody = admin.post("/gateways/discover", &json!({"url": "http://127.0.0.1:9/mcp"})).await;
    assert_eq!((nobody.status, nobody.problem().0), (400, Some("url")));
}

#[tokio::test]
async fn registering_a_gateway_causes_no_traffic_to_it_until_someone_asks() {
    let app = TestApp::start().await;
    let admin = app.admin_client().await;
    let demo = app.demo().await;
    app.register(&demo, "typed").await;
    let open = json!({
        "url": demo.mcp_server.url(), "slug": "open", "state": "published", "authorization": {"type": "none"},
    });
    let made = admin.post("/gateways", &open).await;
    assert_eq!(made.status, 201, "{made:?}");
    let path = format!("/gateways/{}", made.json["id"].as_str().unwrap());
    assert_eq!(admin.put(&path, &json!({"name": "Open data"})).await.status, 200);
    for path in [&path, "/gateways", "/admin/oauth/tokens", "/connections"] {
        assert_eq!(admin.get(path).await.status, 200, "{path}");
    }
    let root = app.browser(app.administrator()).await;
    for path in ["/ui", "/ui/gateways", &format!("/ui{path}"), "/ui/connections"] {
        assert_eq!(root.get(path).await.status, 200, "{path}");
    }
    // What runs by itself, days later.
    app.clock.advance(Duration::from_secs(3 * 86_400));
    let broker = app.app.broker();
    broker.refresh_due().await.unwrap();
    broker.run_due_cleanup().await.unwrap();
    broker.settle_grants().await.unwrap();
    broker.gauge_grants().await.unwrap();
    let server = demo.authorization_server.log();
    assert_eq!((demo.mcp_server.log().len(), server.registrations, server.token_requests.len()), (0, 0, 0));

    let admin = app.admin_client().await;
    admin.post(&format!("{path}/refresh"), &json!({})).await;
    assert!(!demo.mcp_server.log().is_empty(), "now somebody has asked");
}

#[tokio::test]
async fn an_address_that_no_setting_allows_is_refused_with_the_line_to_add() {
    let app = TestApp::start().await;
    let admin = app.admin_client().await;
    for (url, line) in [
        ("https://10.0.0.1/mcp", "DOORWARD_ALLOW_PRIVATE_NETWORKS"),
        ("https://169.254.169.254/mcp", "DOORWARD_ALLOW_PRIVATE_NETWORKS"),
        ("http://mcp.example/mcp", "DOORWARD_ALLOW_HTTP_HOSTS"),
    ] {
        let refused = admin.post("/gateways", &json!({"url": url, "authorization": {"type": "none"}})).await;
        let (field, sentence) = refused.problem();
        assert_eq!((refused.status, field), (400, Some("url")), "{url}");
        assert!(sentence.contains(line), "{url}: {sentence}");
    }
}

#[tokio::test]
async fn a_deleted_gateway_is_gone() {
    let app = TestApp::start().await;
    let admin = app.admin_client().await;
    let body = json!({"url": "http://127.0.0.1:9/mcp", "authorization": {"type": "none"}});
    let made = admin.post("/gateways", &body).await;
    let path = format!("/gateways/{}", made.json["id"].as_str().unwrap());
    let stale = admin.request(reqwest::Method::DELETE, &path).header("if-match", "\"7\"");
    assert_eq!(admin.send(stale).await.status, 412);
    assert_eq!(admin.delete(&path).await.status, 204);
    assert_eq!(admin.get(&path).await.status, 404);
    assert_eq!(admin.delete(&path).await.status, 404);
}

#[tokio::test]
async fn on_postgresql_a_gateway_is_connected_and_served_all_the_same() {
    let app = TestApp::with(TestAppOptions { postgres: true, ..TestAppOptions::default() }).await;
    let demo = app.demo().await;
    app.register(&demo, "demo").await;
    let alice = app.user("alice").await;
    app.connect(&alice, "demo", &demo, "alice").await;
    let client = app.client(&alice, Audience::Own).await;
    assert_eq!(client.get("/connections").await.json["items"][0]["health"], "valid");
    assert_eq!(client.get("/tools").await.json["missing"], json!([]));
}
