//! `POST /admin/oauth/tokens/{id}/refresh`, and what `/ready` tells administrators of providers that are down.

use doorward_demo::TokenFault;
use doorward_domain::{Audience, GrantOwner, PageRequest};
use doorward_storage::AuditFilter;
use doorward_testkit::app::TestApp;
use serde_json::json;

const UNKNOWN: &str = "/admin/oauth/tokens/0190f5d2-7c1e-7000-8000-000000000001/refresh";

#[tokio::test]
async fn an_administrator_refreshes_a_token_and_is_told_how_it_fares() {
    let app = TestApp::start().await;
    let demo = app.demo().await;
    let gateway = app.register(&demo, "demo").await;
    let alice = app.user("alice").await;
    app.connect(&alice, "demo", &demo, "alice").await;
    let grant = app.app.storage().grant_of(GrantOwner::User(alice.id), gateway.id).await.unwrap().unwrap();
    let path = format!("/admin/oauth/tokens/{}/refresh", grant.id);
    let admin = app.admin_client().await;
    app.clock.advance(std::time::Duration::from_secs(60));

    let fresh = admin.post(&path, &json!({})).await;
    assert_eq!((fresh.status, &fresh.json["health"]), (200, &json!("valid")), "{fresh:?}");
    assert_eq!(fresh.json["access_token_status"], "valid");
    assert_eq!(fresh.json["last_refreshed_at"], app.clock.now().to_string());
    assert_eq!(demo.authorization_server.log().refreshes, 1);

    let faults = demo.authorization_server.faults();
    faults.next_token_answer(TokenFault::Unavailable { retry_after_seconds: 7 });
    let later = admin.post(&path, &json!({})).await;
    assert_eq!((later.status, later.header("retry-after")), (503, "7"), "{later:?}");
    later.problem();
    assert!(later.json["reference"].is_string());

    let said = TokenFault::RefusedSaying {
        status: 400,
        error: "invalid_grant".into(),
        description: "expired on Monday".into(),
    };
    faults.next_token_answer(said);
    let refused = admin.post(&path, &json!({})).await;
    assert_eq!(refused.status, 409, "{refused:?}");
    let reference = refused.json["reference"].as_str().unwrap();
    assert!(!refused.text.contains("Monday"), "the provider's words stand in the time line alone");
    let filter = AuditFilter { reference: Some(reference.to_owned()), ..AuditFilter::default() };
    let told = app.app.storage().audit_events(&filter, &PageRequest::default()).await.unwrap().items;
    assert_eq!(told.len(), 1);
    assert_eq!(
        (told[0].action.as_str(), told[0].subject.as_ref()),
        ("grant.park", Some(&grant.id.to_string()))
    );
    assert_eq!(told[0].detail["provider_words"], "expired on Monday");

    assert_eq!(admin.post(UNKNOWN, &json!({})).await.status, 404);
    let user = app.client(&alice, Audience::Admin).await;
    assert_eq!(user.post(&path, &json!({})).await.status, 403);
    assert_eq!(app.anonymous().post(&path, &json!({})).await.status, 401);
}

#[tokio::test]
async fn providers_that_are_down_are_told_to_administrators_with_readiness() {
    let app = TestApp::start().await;
    let demo = app.demo().await;
    let gateway = app.register(&demo, "demo").await;
    let alice = app.user("alice").await;
    app.connect(&alice, "demo", &demo, "alice").await;
    let grant = app.app.storage().grant_of(GrantOwner::User(alice.id), gateway.id).await.unwrap().unwrap();
    let path = format!("/admin/oauth/tokens/{}/refresh", grant.id);
    let admin = app.admin_client().await;
    assert_eq!(admin.get("/ready").await.json["details"]["providers_down"], json!([]));

    let down = TokenFault::Unavailable { retry_after_seconds: 1 };
    demo.authorization_server.faults().every_token_answer(Some(down));
    for _ in 0..6 {
        assert_eq!(admin.post(&path, &json!({})).await.status, 503);
    }
    let ready = admin.get("/ready").await;
    assert_eq!(
        (ready.status, &ready.json["status"]),
        (200, &json!("ready")),
        "a provider's weather is not ours"
    );
    let outage = &ready.json["details"]["providers_down"][0];
    assert_eq!(outage["provider"], demo.authorization_server.issuer());
    assert_eq!(outage["since"], app.clock.now().to_string());
    assert!(outage["next_probe_at"].is_string());
    assert_eq!(demo.authorization_server.log().token_requests_of("refresh_token"), 5);
}
