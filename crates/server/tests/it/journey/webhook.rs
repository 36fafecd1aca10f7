//! Notices over the network: signed, retried, sent nowhere else.

use aws_lc_rs::hmac;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use doorward_domain::{Actor, NewAuditEvent};
use doorward_outbound::EgressPolicy;
use doorward_server::settings::WebhookSetting;
use doorward_server::{App, StartError};
use doorward_testkit::app::{TestApp, TestAppOptions, settings};
use secrecy::SecretString;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const KEY: [u8; 32] = [7; 32];

type Seen = Arc<Mutex<Vec<(HeaderMap, String)>>>;

/// A receiver that answers as its path says, and the address of it.
async fn receiver(seen: &Seen) -> String {
    async fn note(State(seen): State<Seen>, headers: HeaderMap, body: String) {
        seen.lock().unwrap().push((headers, body));
    }
    async fn away(seen: State<Seen>, headers: HeaderMap, body: String) -> Response {
        note(seen, headers, body).await;
        (StatusCode::TEMPORARY_REDIRECT, [("location", "/hook")]).into_response()
    }
    let router =
        Router::new().route("/hook", post(note)).route("/away", post(away)).with_state(Arc::clone(seen));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    format!("http://{address}")
}

fn webhook(url: &str, secret: &str) -> Option<WebhookSetting> {
    Some(WebhookSetting { url: url.parse().unwrap(), secret: SecretString::from(secret) })
}

fn secret() -> String {
    format!("whsec_{}", STANDARD.encode(KEY))
}

async fn told(app: &TestApp) -> u64 {
    app.app.tell_notices().await.unwrap()
}

#[tokio::test]
async fn a_notice_arrives_signed_and_only_where_it_was_meant_to() {
    let seen = Seen::default();
    let origin = receiver(&seen).await;
    let hook = webhook(&format!("{origin}/hook"), &secret());
    let app = TestApp::with(TestAppOptions { webhook: hook, ..Default::default() }).await;
    told(&app).await;
    let event = NewAuditEvent::new(Actor::System, "circuit.open").detail("provider", "https://p.example");
    app.app.broker().record(event).await.unwrap();
    assert_eq!(told(&app).await, 1);
    let (headers, body) = seen.lock().unwrap()[0].clone();
    let header = |name: &str| headers[name].to_str().unwrap();
    let signed = format!("{}.{}.{body}", header("webhook-id"), header("webhook-timestamp"));
    let tag = STANDARD.decode(header("webhook-signature").strip_prefix("v1,").unwrap()).unwrap();
    hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, &KEY), signed.as_bytes(), &tag).unwrap();
    assert_eq!(header("webhook-timestamp"), (app.clock.now().millis() / 1_000).to_string());
    assert_eq!(header("content-type"), "application/json");
    let notice: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((&notice["type"], &notice["actor"]), (&json!("circuit.open"), &json!("system")));
    assert_eq!(
        (&notice["id"], &notice["detail"]),
        (&json!(header("webhook-id")), &json!({"provider": "https://p.example"}))
    );
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_counts_as_not_arrived() {
    let seen = Seen::default();
    let origin = receiver(&seen).await;
    let hook = webhook(&format!("{origin}/away"), &secret());
    let app = TestApp::with(TestAppOptions { webhook: hook, ..Default::default() }).await;
    told(&app).await;
    app.app.broker().record(NewAuditEvent::new(Actor::System, "circuit.close")).await.unwrap();
    assert_eq!(told(&app).await, 0);
    assert_eq!(seen.lock().unwrap().len(), 1);
    app.clock.advance(Duration::from_secs(10));
    assert_eq!(told(&app).await, 0);
    let seen = seen.lock().unwrap();
    assert_eq!(seen[0].0["webhook-id"], seen[1].0["webhook-id"], "the same notice again");
}

#[tokio::test]
async fn a_webhook_that_may_not_be_called_stops_the_start_and_names_the_setting() {
    let started = async |url: &str, secret: &str| {
        let directory = tempfile::tempdir().unwrap();
        let mut settings = settings(&directory, "http://localhost:4444");
        settings.egress = EgressPolicy::default();
        settings.webhook = webhook(url, secret);
        match App::build(settings, doorward_domain::Clock::System, doorward_domain::Entropy).await {
            Err(StartError::Webhook(why)) => why,
            Err(other) => panic!("{other}"),
            Ok(_) => panic!("it started"),
        }
    };
    let inside = started("https://10.0.0.1/canary", &secret()).await;
    assert!(
        inside.starts_with("DOORWARD_WEBHOOK_URL: ") && inside.contains("DOORWARD_ALLOW_PRIVATE_NETWORKS"),
        "{inside}"
    );
    assert!(!inside.contains("canary"));
    let short = started("https://hook.example", "whsec_c2hvcnQ=").await;
    assert!(short.starts_with("DOORWARD_WEBHOOK_SECRET: give `whsec_`"), "{short}");
}
