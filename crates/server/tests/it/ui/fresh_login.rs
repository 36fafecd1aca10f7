//! What a browser that was left alone must not do: it asks who is there, and leads back. And how long a login holds.

use doorward_domain::{Audience, Policy, SessionPolicy};
use doorward_testkit::app::{PASSWORD, TestApp, TestAppOptions};
use http::Method;
use serde_json::json;
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_login_from_a_while_ago_is_asked_again_and_led_back() {
    let app = TestApp::start().await;
    let alice = app.user("alice").await;
    let root = app.browser(app.administrator()).await;
    let role = format!("/ui/people/{}/role", alice.id);
    assert_eq!(root.get(&role).await.status, 200, "a login is fresh");
    app.clock.advance(6 * MINUTE);
    let asked = root.get(&role).await;
    let again = format!("/ui/sign-in-again?next={}", role.replace('/', "%2F"));
    assert_eq!(
        (asked.status, asked.header("location")),
        (303, &*again),
        "too little time would be left to answer"
    );
    let change = [("version", "1"), ("role", "auditor")];
    assert_eq!(root.form(&role, &change).await.header("location"), "/ui/people?note=person-role");
    app.clock.advance(5 * MINUTE);
    let lost = root.form(&role, &[("version", "2"), ("role", "operator")]).await;
    assert!(lost.text.contains("Show that it is you") && lost.status == 403, "{}", lost.text);

    assert!(root.get(&again).await.text.contains(&format!("value=\"{role}\"")));
    let wrong = root.form("/ui/sign-in-again", &[("password", "wrong"), ("next", &role)]).await;
    assert!(wrong.status == 400 && wrong.text.contains("The password is wrong."), "{}", wrong.text);
    let elsewhere = [("password", PASSWORD), ("next", "https://evil.example")];
    assert_eq!(root.form("/ui/sign-in-again", &elsewhere).await.header("location"), "/ui");
    let back = root.form("/ui/sign-in-again", &[("password", PASSWORD), ("next", &role)]).await;
    assert_eq!(back.header("location"), role);
    assert_eq!(root.get(&role).await.status, 200);
    let audit = app.admin_client().await.get("/admin/audit?action=login.again").await;
    assert_eq!(audit.json["items"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn guessing_at_the_password_of_an_open_browser_is_slowed_down() {
    let app = TestApp::start().await;
    let root = app.browser(app.administrator()).await;
    let mut answers = Vec::new();
    for _ in 0..7 {
        answers.push(root.form("/ui/sign-in-again", &[("password", "wrong"), ("next", "/ui")]).await.status);
    }
    assert_eq!((answers[0], answers[6]), (400, 429), "{answers:?}");
}

#[tokio::test]
async fn each_thing_that_wants_a_fresh_login_is_refused_without_and_an_admin_token_is_one_of_its_own() {
    let app = TestApp::start().await;
    let demo = app.demo().await;
    let gateway = app.register(&demo, "notes").await;
    let alice = app.user("alice").await;
    app.connect(&alice, "notes", &demo, "alice").await;
    let root = app.browser(app.administrator()).await;
    let admin = app.admin_client().await;
    app.clock.advance(11 * MINUTE);
    let user = format!("/admin/users/{}", alice.id);
    let revoke = json!({"filter": {"gateway": gateway.id.to_string()}, "expected_count": 1, "reason": "x"});
    let deposit = json!({"user_id": alice.id, "gateway_id": gateway.id, "access_token": "x"});
    let orders = [
        (Method::POST, "/admin/oauth/tokens".into(), deposit),
        (Method::PUT, user.clone(), json!({"role": "operator"})),
        (Method::POST, format!("{user}/reset-link"), json!({})),
        (Method::POST, "/admin/users".into(), json!({"email": "o@test.example", "role": "operator"})),
        (Method::POST, "/admin/oauth/tokens/revoke".into(), revoke),
        (Method::POST, "/admin/keys/k1/retire".into(), json!({})),
        (Method::PUT, format!("/gateways/{}", gateway.id), json!({"authorization": {"type": "none"}})),
        (Method::POST, "/api-tokens".into(), json!({"name": "x", "audience": "admin"})),
    ];
    for (method, path, body) in &orders {
        let send = async |client: &doorward_testkit::client::Client| {
            let request = client.request(method.clone(), path).header("if-match", "*");
            client.send(request.json(body)).await
        };
        let refused = send(&root).await;
        assert_eq!(refused.status, 403, "{path}: {refused:?}");
        assert_eq!(refused.json["type"], "urn:doorward:problem:fresh-login", "{path}: {refused:?}");
        let by_token = send(&admin).await;
        assert_ne!(by_token.json["type"], "urn:doorward:problem:fresh-login", "{path}: {by_token:?}");
    }
    assert_eq!(root.post("/api-tokens", &json!({"name": "x", "audience": "self"})).await.status, 201);
    assert_eq!(root.get(&user).await.status, 200, "to look at something wants no fresh login");
    let own = app.client(app.administrator(), Audience::Own).await;
    let narrow = own.post("/api-tokens", &json!({"name": "x", "audience": "admin"})).await;
    assert_eq!(narrow.status, 400, "a token does not make a mightier one");
}

#[tokio::test]
async fn a_session_ends_unused_and_at_the_latest_as_the_settings_say() {
    let sessions = SessionPolicy { idle: 60 * MINUTE, lifetime: 180 * MINUTE, ..SessionPolicy::default() };
    let policy = Policy { sessions, ..Policy::default() };
    let app = TestApp::with(TestAppOptions { policy, ..Default::default() }).await;
    let (alice, bob) = (app.user("alice").await, app.user("bob").await);
    let (used, unused) = (app.browser(&alice).await, app.browser(&bob).await);
    let listed = used.get("/sessions").await.json["items"][0].clone();
    let at = |name: &str| listed[name].as_str().unwrap().parse::<doorward_domain::Timestamp>().unwrap();
    assert_eq!(at("created_at").until(at("ends_unused_at")), 60 * MINUTE);
    assert_eq!(at("created_at").until(at("expires_at")), 180 * MINUTE);
    let page = used.get("/ui/sessions").await.text;
    assert!(page.contains("A session ends 3 hours after the login, or after an hour without use."), "{page}");
    for _ in 0..3 {
        app.clock.advance(50 * MINUTE);
        assert_eq!(used.get("/me").await.status, 200);
    }
    assert_eq!(unused.get("/me").await.status, 401);
    app.clock.advance(30 * MINUTE);
    assert_eq!(used.get("/me").await.status, 401, "use does not lengthen it for ever");
}
