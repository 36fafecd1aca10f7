//! Bad input of every kind ends in a 4xx with a sentence that names the field, and never in a 5xx.

use doorward_testkit::app::TestApp;
use reqwest::Method;
use serde_json::{Value, json};

#[tokio::test]
async fn malformed_json_wrong_types_and_unknown_fields_are_told_apart() {
    let app = TestApp::start().await;
    let admin = app.admin_client().await;
    let raw = async |kind: &str, body: &'static str| {
        let request = admin.request(Method::POST, "/gateways").header("content-type", kind).body(body);
        admin.send(request).await
    };
    let malformed = raw("application/json", "{").await;
    assert_eq!((malformed.status, malformed.problem().0), (400, None));
    assert!(malformed.problem().1.contains("not JSON"));
    assert_eq!(raw("text/plain", "{}").await.status, 415);
    for (body, status, field) in [
        (json!({"url": 5}), 400, "url"),
        (json!({"url": "https://a.example", "urls": "x"}), 400, "urls"),
        (json!({"url": "https://a.example", "authorization": {"type": "magic"}}), 400, "authorization.type"),
        (
            json!({"url": "https://a.example", "authorization": {"type": "oauth", "scopes": "all"}}),
            400,
            "authorization.scopes",
        ),
        (
            json!({"url": "https://a.example", "authorization": {"type": "oauth", "scope": []}}),
            400,
            "authorization.scope",
        ),
        (
            json!({"url": "https://a.example", "authorization": {"type": "none", "client_id": "x"}}),
            400,
            "authorization.client_id",
        ),
        (json!({"url": "javascript:alert(1)", "authorization": {"type": "none"}}), 400, "url"),
        (json!({"url": "https://u:p@a.example", "authorization": {"type": "none"}}), 400, "url"),
        (json!({"url": "https://a.example", "slug": "a/b", "authorization": {"type": "none"}}), 400, "slug"),
        (json!({"name": "no url"}), 400, "url"),
        (json!({"url": "https://a.example", "access": {"for": "friends"}}), 400, "access.for"),
        (
            json!({"url": "https://a.example", "access": {"for": "listed", "groups": ["ops"]}}),
            400,
            "access.groups[0]",
        ),
    ] {
        let refused = admin.post("/gateways", &body).await;
        assert_eq!((refused.status, refused.problem().0), (status, Some(field)), "{body}");
    }
    assert_eq!(admin.get("/gateways").await.json["items"], json!([]));
}

#[tokio::test]
async fn oauth_settings_cannot_carry_scripts_or_protocol_parameters() {
    let app = TestApp::start().await;
    let admin = app.admin_client().await;
    let oauth = |own: Value| {
        let mut settings = json!({
            "type": "oauth", "client_id": "c", "token_endpoint_auth": "none",
            "authorization_url": "https://a.example/authorize", "token_url": "https://a.example/token",
        });
        for (name, value) in own.as_object().unwrap() {
            settings[name] = value.clone();
        }
        json!({"url": "https://a.example/mcp", "slug": "a", "authorization": settings})
    };
    for (own, field) in [
        (json!({"authorization_url": "javascript:alert(1)"}), "authorization.authorization_url"),
        (json!({"token_url": "https://10.0.0.1/token"}), "authorization.token_url"),
        (json!({"authorize_params": {"state": "mine"}}), "authorization.authorize_params"),
        (json!({"token_endpoint_auth": "post"}), "authorization.client_secret"),
        (json!({"client_id": ""}), "authorization.client_id"),
    ] {
        let refused = admin.post("/gateways", &oauth(own.clone())).await;
        let named = refused.problem().0.unwrap_or_default().to_owned();
        assert!(refused.status == 400 && named.starts_with(field), "{own}: {refused:?}");
    }
    for name in ["host", "Mcp-Session-Id", "connection", "a b", ""] {
        let header = json!({"type": "static_header", "name": name, "value": "v"});
        let refused =
            admin.post("/gateways", &json!({"url": "https://a.example/mcp", "authorization": header})).await;
        assert_eq!((refused.status, refused.problem().0), (400, Some("authorization.name")), "{name}");
    }
    let split = json!({"type": "static_header", "name": "x-key", "value": "a\r\nhost: b"});
    let refused =
        admin.post("/gateways", &json!({"url": "https://a.example/mcp", "authorization": split})).await;
    assert_eq!((refused.status, refused.problem().0), (400, Some("authorization.value")));
}

#[tokio::test]
async fn an_unknown_query_parameter_is_named_on_every_route() {
    let app = TestApp::start().await;
    let admin = app.admin_client().await;
    for path in [
        "/gateways",
        "/tools",
        "/connections",
        "/api-tokens",
        "/me",
        "/health",
        "/admin/users",
        "/admin/groups",
        "/servers",
        "/admin/audit",
        "/admin/oauth/attempts",
        "/admin/tallies",
    ] {
        let refused = admin.get(&format!("{path}?colour=red")).await;
        let (field, sentence) = refused.problem();
        assert_eq!((refused.status, field), (400, Some("colour")), "{path}");
        assert!(sentence.starts_with("colour: "), "{sentence}");
    }
    let posted = admin.post("/gateways?colour=red", &json!({})).await;
    assert_eq!((posted.status, posted.problem().0), (400, Some("colour")));
    for wrong in ["limit=0", "limit=x", "limit=201", "cursor=nonsense"] {
        let refused = admin.get(&format!("/admin/users?{wrong}")).await;
        assert_eq!((refused.status, refused.problem().0), (400, wrong.split('=').next()), "{wrong}");
    }
}

#[tokio::test]
async fn unknown_ids_routes_and_methods_are_a_problem_each() {
    let app = TestApp::start().await;
    let admin = app.admin_client().await;
    let id = "0190f5d2-7c1e-7000-8000-000000000001";
    for path in [
        format!("/gateways/{id}"),
        format!("/admin/users/{id}"),
        format!("/admin/oauth/attempts/{id}"),
        format!("/admin/groups/{id}"),
        format!("/admin/groups/{id}/members"),
        format!("/servers/{id}"),
        format!("/oauth/status/{id}"),
        "/nothing".into(),
        "/gateways/a/b".into(),
    ] {
        let missing = admin.get(&path).await;
        assert_eq!(missing.status, 404, "{path}");
        missing.problem();
    }
    for path in
        ["/gateways/github", "/gateways/a%2Fb", "/admin/users/1", "/admin/groups/1", "/oauth/status/%00"]
    {
        let wrong = admin.get(path).await;
        assert_eq!((wrong.status, wrong.problem().0), (400, Some("id")), "{path}");
    }
    for path in [format!("/connections/{id}"), format!("/api-tokens/{id}"), format!("/admin/users/{id}")] {
        assert_eq!(admin.delete(&path).await.status, 404, "{path}");
    }
    let wrong_method = admin.delete("/me").await;
    assert_eq!(wrong_method.status, 405);
    wrong_method.problem();
    let page = app.anonymous();
    let html = page.send(page.request(Method::GET, "/nothing").header("accept", "text/html")).await;
    assert_eq!((html.status, html.header("content-type").starts_with("text/html")), (404, true));
}

#[tokio::test]
async fn an_oversized_body_and_oversized_headers_are_refused() {
    let app = TestApp::start().await;
    let admin = app.admin_client().await;
    let big = admin.post("/gateways", &json!({"name": "x".repeat(1_100_000)})).await;
    assert_eq!(big.status, 413);
    big.problem();
    let header = admin.request(Method::GET, "/me").header("x-big", "x".repeat(1_000_000));
    // The server may close the connection before everything was sent; an answer that arrives is a 4xx.
    if let Ok(answer) = header.send().await {
        assert_eq!(answer.status().as_u16(), 431);
    }
    assert_eq!(admin.get("/me").await.status, 200);
}
