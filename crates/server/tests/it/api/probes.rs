//! `/health`, `/ready`, `/openapi.json`.

use doorward_domain::Audience;
use doorward_testkit::app::{TestApp, TestAppOptions};
use serde_json::json;
use std::collections::HashSet;

#[tokio::test]
async fn probes_say_a_word_and_to_administrators_more() {
    let app = TestApp::start().await;
    let nobody = app.anonymous();
    assert_eq!(nobody.get("/health").await.json, json!({"status": "ok"}));
    assert_eq!(nobody.get("/ready").await.json, json!({"status": "ready"}));
    let details = app.admin_client().await.get("/ready").await.json["details"].clone();
    assert_eq!((&details["database"], &details["setup_needed"]), (&json!(true), &json!(false)));
    let alice = app.client(&app.user("alice").await, Audience::Admin).await;
    assert_eq!(alice.get("/ready").await.json, json!({"status": "ready"}));
    assert_eq!(app.anonymous().with_bearer("x").get("/ready").await.json, json!({"status": "ready"}));
}

#[tokio::test]
async fn without_its_database_the_server_is_not_ready_but_alive() {
    let app = TestApp::start().await;
    let admin = app.admin_client().await;
    app.app.storage().close().await;
    let ready = app.anonymous().get("/ready").await;
    assert_eq!((ready.status, ready.json), (503, json!({"status": "unready"})));
    assert_eq!(app.anonymous().get("/health").await.status, 200);
    let failed = admin.get("/admin/users").await;
    assert_eq!((failed.status, failed.header("retry-after")), (503, "1"), "{failed:?}");
    failed.problem();
}

#[tokio::test]
async fn the_document_names_every_operation_once_and_says_how_to_authenticate() {
    let app =
        TestApp::with(TestAppOptions { without_administrator: true, ..TestAppOptions::default() }).await;
    let document = app.anonymous().get("/openapi.json").await.json;
    assert_eq!(document["openapi"], "3.1.0");
    let mut ids = HashSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            assert!(ids.insert(operation["operationId"].as_str().unwrap().to_owned()), "{method} {path}");
            let problem = &operation["responses"]["default"]["content"]["application/problem+json"];
            assert!(problem.is_object(), "{method} {path}");
        }
    }
    assert!(ids.len() > 20 && ids.contains("get_gateways_id"), "{ids:?}");
    assert!(document["components"]["securitySchemes"]["api_token"].is_object());
    assert_eq!(document["components"]["schemas"]["GatewayBody"]["additionalProperties"], false);
}
