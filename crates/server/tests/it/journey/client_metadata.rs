//! A real authorization server that opens our client ID metadata document, and takes its address as the client id.

use super::walk::{connect, published};
use doorward_broker::AuthorizationInput;
use doorward_demo::McpServerOptions;
use doorward_domain::{Clock, RegistrationKind};
use doorward_testkit::app::{TestApp, TestAppOptions};
use doorward_testkit::oidc_provider;
use serde_json::json;

/// Where the document is said to be. The server under test reaches it at this Doorward's own loopback address.
const DOCUMENT: &str = "https://doorward.example/oauth/client-metadata.json";

#[tokio::test]
async fn a_real_server_reads_who_we_are_and_gives_tokens_without_a_registration() {
    let app = TestApp::with(TestAppOptions {
        clock: Some(Clock::System),
        client_metadata_url: Some(DOCUMENT.parse().unwrap()),
        ..TestAppOptions::default()
    })
    .await;
    let provider = oidc_provider::start_reading_documents(&app.origin).await;
    let upstream = provider.mcp_server(McpServerOptions::default()).await;
    let discover = AuthorizationInput::Discover(Box::default());
    let gateway = app.register_input(published("notes", upstream.url(), discover)).await;
    let registration = &gateway.oauth().unwrap().registration;
    assert_eq!(
        (registration.kind, registration.client_id.as_str()),
        (RegistrationKind::MetadataDocument, DOCUMENT)
    );
    let wanda = app.user("wanda").await;
    connect(&app, &wanda, "notes", &provider, "wanda").await;
    assert_eq!(provider.control().log().await.grants["authorization_code"], 1);
}

#[tokio::test]
async fn the_document_stands_at_its_address_only_where_it_has_one() {
    let without = TestApp::start().await;
    assert_eq!(without.anonymous().get("/oauth/client-metadata.json").await.status, 404);
    let with = TestApp::with(TestAppOptions {
        client_metadata_url: Some(DOCUMENT.parse().unwrap()),
        ..TestAppOptions::default()
    })
    .await;
    let document = with.anonymous().get("/oauth/client-metadata.json").await;
    assert_eq!((document.status, document.header("content-type")), (200, "application/json"));
    assert_eq!(document.json["client_id"], DOCUMENT);
    assert_eq!(document.json["redirect_uris"], json!([format!("{}/oauth/callback", with.origin)]));
    assert_eq!(document.json["application_type"], "native", "browsers come back over http on loopback");
}
