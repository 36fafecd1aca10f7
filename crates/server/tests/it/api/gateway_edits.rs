//! `PUT /gateways/{id}`: an edit never loses a secret, never shows one, and never carries one elsewhere.

use doorward_demo::Demo;
use doorward_domain::{Audience, GatewayAuthorization};
use doorward_testkit::app::TestApp;
use doorward_testkit::client::Client;
use serde_json::{Value, json};

const SECRET: &str = "canary-client-secret";

async fn oauth_gateway(admin: &Client, demo: &Demo) -> String {
    let body = json!({
        "slug": "demo", "url": demo.mcp_server.url(), "state": "published",
        "authorization": authorization(demo, json!({"client_secret": SECRET})),
    });
    let made = admin.post("/gateways", &body).await;
    assert_eq!(made.status, 201, "{made:?}");
    assert!(!made.text.contains(SECRET));
    assert_eq!(made.json["authorization"]["has_client_secret"], true);
    format!("/gateways/{}", made.json["id"].as_str().unwrap())
}

/// The demo's settings with some members of their own.
fn authorization(demo: &Demo, own: Value) -> Value {
    let server = &demo.authorization_server;
    let mut settings = json!({
        "type": "oauth",
        "authorization_url": server.authorization_url(),
        "token_url": server.token_url(),
        "issuer": server.issuer(),
        "resource": demo.mcp_server.url(),
        "client_id": server.client_id(),
    });
    for (name, value) in own.as_object().unwrap() {
        settings[name] = value.clone();
    }
    settings
}

#[tokio::test]
async fn an_edit_keeps_a_secret_that_is_left_out_and_clears_one_that_is_null() {
    let app = TestApp::start().await;
    let (admin, demo) = (app.admin_client().await, app.demo().await);
    let path = oauth_gateway(&admin, &demo).await;
    let has_secret =
        |answer: &doorward_testkit::client::Answer| answer.json["authorization"]["has_client_secret"].clone();

    let renamed = admin.put(&path, &json!({"name": "Renamed"})).await;
    assert_eq!((renamed.status, has_secret(&renamed)), (200, json!(true)));
    let scoped =
        admin.put(&path, &json!({"authorization": authorization(&demo, json!({"scopes": ["notes"]}))})).await;
    assert_eq!((scoped.status, has_secret(&scoped)), (200, json!(true)), "{scoped:?}");
    assert_eq!(scoped.json["authorization"]["scopes"], json!(["notes"]));
    assert_eq!(scoped.json["must_reauthorize"], 0);

    let public = json!({"client_secret": null, "token_endpoint_auth": "none"});
    let cleared = admin.put(&path, &json!({"authorization": authorization(&demo, public)})).await;
    assert_eq!((cleared.status, has_secret(&cleared)), (200, json!(false)), "{cleared:?}");
    for answer in [&renamed, &scoped, &cleared, &admin.get(&path).await, &admin.get("/gateways").await] {
        assert!(!answer.text.contains(SECRET));
    }
}

#[tokio::test]
async fn pointing_elsewhere_asks_for_the_secret_again_and_parks_the_grants() {
    let app = TestApp::start().await;
    let (admin, demo) = (app.admin_client().await, app.demo().await);
    let gateway = app.register(&demo, "demo").await;
    let alice = app.user("alice").await;
    app.connect(&alice, "demo", &demo, "alice").await;
    let client = app.client(&alice, Audience::Own).await;
    // The catalog is read by itself after the consent; from here on that reading is over.
    assert_eq!(client.get("/tools").await.json["missing"], json!([]));
    let path = format!("/gateways/{}", gateway.id);

    let elsewhere = app.demo().await;
    let moved = admin.put(&path, &json!({"url": elsewhere.mcp_server.url()})).await;
    let (field, sentence) = moved.problem();
    assert_eq!((moved.status, field), (400, Some("authorization.client_secret")));
    assert!(sentence.contains("upstream changed"), "{sentence}");

    let again = authorization(&demo, json!({"client_secret": demo.authorization_server.client_secret()}));
    let moved = admin.put(&path, &json!({"url": elsewhere.mcp_server.url(), "authorization": again})).await;
    assert_eq!((moved.status, &moved.json["must_reauthorize"]), (200, &json!(1)), "{moved:?}");
    let status = client.get(&format!("/oauth/status/{}", gateway.id)).await;
    assert_eq!(status.json["health"], "needs_authorization", "{status:?}");
    assert!(elsewhere.mcp_server.log().is_empty(), "the new place has been sent nothing");
    assert_eq!(
        client.post(&format!("{path}/refresh"), &json!({})).await.status,
        409,
        "nothing is read with a parked grant"
    );
    assert!(elsewhere.mcp_server.log().iter().all(|seen| seen.bearer.is_none()));
}

#[tokio::test]
async fn a_static_header_is_kept_at_its_origin_and_given_again_for_another() {
    let app = TestApp::start().await;
    let admin = app.admin_client().await;
    let body = json!({"url": "http://127.0.0.1:9/mcp", "authorization": {"type": "static_header", "name": "X-Key", "value": SECRET}});
    let made = admin.post("/gateways", &body).await;
    assert_eq!(
        (made.status, &made.json["authorization"]),
        (201, &json!({"type": "static_header", "name": "x-key"}))
    );
    let path = format!("/gateways/{}", made.json["id"].as_str().unwrap());
    let same_origin = admin.put(&path, &json!({"url": "http://127.0.0.1:9/other"})).await;
    assert_eq!(same_origin.status, 200, "{same_origin:?}");
    let moved = admin.put(&path, &json!({"url": "http://127.0.0.1:10/mcp"})).await;
    assert_eq!((moved.status, moved.problem().0), (400, Some("authorization.value")));
    let id = made.json["id"].as_str().unwrap().parse().unwrap();
    let stored = app.app.storage().gateway(id).await.unwrap().unwrap();
    let GatewayAuthorization::StaticHeader(header) = stored.authorization else {
        panic!("the header is kept")
    };
    assert!(!format!("{header:?}").contains(SECRET));
    assert!(header.value.bytes.windows(SECRET.len()).all(|window| window != SECRET.as_bytes()));
}

#[tokio::test]
async fn an_edit_of_what_was_changed_meanwhile_is_refused() {
    let app = TestApp::start().await;
    let (admin, demo) = (app.admin_client().await, app.demo().await);
    let path = oauth_gateway(&admin, &demo).await;
    let put = async |tag: &str| {
        let request = admin.request(reqwest::Method::PUT, &path).header("if-match", tag);
        admin.send(request.json(&json!({"name": "Other"}))).await
    };
    let first = put("\"1\"").await;
    assert_eq!((first.status, first.header("etag")), (200, "\"2\""));
    assert_eq!(put("\"1\"").await.status, 412);
    assert_eq!(put("W/\"2\"").await.status, 200);
    assert_eq!(put("nonsense").await.status, 412);
    assert_eq!(put("*").await.status, 200);
    assert_eq!(admin.put(&path, &json!({"slug": "other"})).await.problem().0, Some("slug"));
}
