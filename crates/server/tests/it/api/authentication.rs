//! Who is let in, and how far: nobody without an identity, no API token beyond its audience, no browser
//! session from a foreign page.

use doorward_domain::Audience;
use doorward_testkit::app::TestApp;
use reqwest::Method;
use serde_json::json;

const OWN: [&str; 7] =
    ["/me", "/tools", "/resources", "/prompts", "/connections", "/api-tokens", "/gateways"];
const ADMIN: [&str; 2] = ["/admin/users", "/admin/audit"];

#[tokio::test]
async fn without_an_identity_no_url_answers() {
    let app = TestApp::start().await;
    let nobody = app.anonymous();
    for path in OWN.into_iter().chain(ADMIN) {
        let refused = nobody.get(path).await;
        assert_eq!(
            (refused.status, refused.header("www-authenticate")),
            (401, "Bearer realm=\"doorward\""),
            "{path}"
        );
        refused.problem();
    }
    for path in ["/mcp", "/gateways/demo/mcp", "/gateways/nothing/mcp"] {
        for method in [Method::GET, Method::POST, Method::DELETE] {
            let request = nobody.request(method.clone(), path).header("content-type", "application/json");
            let refused = nobody.send(request.body(r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#)).await;
            assert_eq!(refused.status, 401, "{method} {path}");
            assert!(refused.header("www-authenticate").starts_with("Bearer"), "{method} {path}");
        }
    }
}

#[tokio::test]
async fn a_made_up_token_is_nobody_and_mcp_takes_no_cookie() {
    let app = TestApp::start().await;
    for token in ["dw_0000000000000000000000000000000000000000000", "", "x"] {
        let stranger = app.anonymous().with_bearer(token);
        assert_eq!(stranger.get("/me").await.status, 401, "{token}");
        assert_eq!(stranger.post("/mcp", &json!({})).await.status, 401, "{token}");
    }
    let basic = app.anonymous();
    assert_eq!(basic.send(basic.request(Method::GET, "/me").basic_auth("a", Some("b"))).await.status, 401);
    let browser = app.browser(app.administrator()).await;
    assert_eq!(browser.get("/me").await.status, 200);
    assert_eq!(browser.post("/mcp", &json!({"jsonrpc": "2.0", "id": 1, "method": "ping"})).await.status, 401);
}

#[tokio::test]
async fn an_api_token_opens_what_its_audience_says() {
    let app = TestApp::start().await;
    let administrator = app.administrator();
    let mcp = app.client(administrator, Audience::Mcp).await;
    let own = app.client(administrator, Audience::Own).await;
    let admin = app.client(administrator, Audience::Admin).await;
    for path in OWN {
        let refused = mcp.get(path).await;
        assert_eq!(refused.status, 403, "{path}");
        assert!(refused.problem().1.contains("audience 'mcp'"), "{path}");
        assert_eq!(own.get(path).await.status, 200, "{path}");
        assert_eq!(admin.get(path).await.status, 200, "{path}");
    }
    for path in ADMIN {
        assert_eq!(mcp.get(path).await.status, 403, "{path}");
        assert_eq!(own.get(path).await.status, 403, "{path}");
        assert_eq!(admin.get(path).await.status, 200, "{path}");
    }
    assert_eq!(own.post("/gateways", &json!({})).await.status, 403);
}

#[tokio::test]
async fn a_users_admin_token_opens_no_more_than_their_role() {
    let app = TestApp::start().await;
    let alice = app.client(&app.user("alice").await, Audience::Admin).await;
    for path in ADMIN {
        let refused = alice.get(path).await;
        assert_eq!(refused.status, 403, "{path}");
        assert!(refused.problem().1.contains("permission"), "{path}");
    }
    let body = json!({"url": "http://127.0.0.1:9/mcp", "authorization": {"type": "none"}});
    assert_eq!(alice.post("/gateways", &body).await.status, 403);
    assert_eq!(alice.post("/gateways/discover", &json!({"url": "http://127.0.0.1:9/mcp"})).await.status, 403);
}

#[tokio::test]
async fn a_browser_session_needs_the_token_and_our_own_pages() {
    let app = TestApp::start().await;
    let browser = app.browser(app.administrator()).await;
    let body = json!({"name": "laptop"});
    assert_eq!(browser.post("/api-tokens", &body).await.status, 201);
    let plain = app.anonymous();
    let attempt = async |headers: &[(&str, &str)]| {
        let mut request =
            plain.request(Method::POST, "/api-tokens").header("cookie", browser.cookie()).json(&body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        plain.send(request).await.status
    };
    let token = ("x-csrf-token", browser.csrf());
    assert_eq!(attempt(&[("sec-fetch-site", "same-origin")]).await, 403, "no token");
    assert_eq!(attempt(&[token]).await, 403, "from nowhere");
    assert_eq!(attempt(&[token, ("sec-fetch-site", "cross-site")]).await, 403);
    assert_eq!(attempt(&[token, ("origin", "https://evil.example")]).await, 403);
    assert_eq!(attempt(&[("x-csrf-token", "made-up"), ("sec-fetch-site", "same-origin")]).await, 403);
    assert_eq!(attempt(&[token, ("origin", &app.origin)]).await, 201);
}

#[tokio::test]
async fn every_answer_carries_the_protective_headers_and_its_name() {
    let app = TestApp::start().await;
    let nobody = app.anonymous();
    let mut names = Vec::new();
    for path in ["/health", "/me", "/nothing", "/ui/login", "/mcp"] {
        let request = nobody.request(Method::GET, path).header("x-request-id", "mine");
        let answer = nobody.send(request).await;
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("referrer-policy"), "same-origin", "{path}");
        assert_eq!(answer.header("cache-control"), "no-store", "{path}");
        assert_eq!(answer.header("x-frame-options"), "DENY", "{path}");
        assert!(answer.header("content-security-policy").contains("frame-ancestors 'none'"), "{path}");
        names.push(answer.header("x-request-id").to_owned());
    }
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 5, "each answer has a name of its own");
    assert!(!names.contains(&"mine".to_owned()));
}

#[tokio::test]
async fn pages_are_served_under_the_public_host_name_only() {
    let app = TestApp::start().await;
    let nobody = app.anonymous();
    let under = async |host: &str, path: &str| {
        nobody.send(nobody.request(Method::GET, path).header("host", host)).await
    };
    let led = under("evil.example", "/ui/login?next=%2Fui").await;
    assert_eq!(
        (led.status, led.header("location")),
        (307, format!("{}/ui/login?next=%2Fui", app.origin).as_str())
    );
    assert_eq!(under(app.origin.trim_start_matches("http://"), "/ui/login").await.status, 200);
    assert_eq!(under("evil.example", "/health").await.status, 200);
}
