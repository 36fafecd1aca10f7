//! A URL of ours as the client id, where an authorization server takes one.

use crate::world::{World, parts_of, provider};
use doorward_broker::{AuthorizationInput, Broker, BrokerParts, GatewayInput};
use doorward_demo::AuthorizationServerOptions;
use doorward_domain::{Policy, RegistrationKind, TokenEndpointAuth};
use doorward_oauth::ProviderTemplates;

async fn world() -> World {
    let options =
        |clock: &_| AuthorizationServerOptions { client_id_metadata_documents: true, ..provider(clock) };
    World::with_provider(options).await
}

fn discovered(world: &World) -> GatewayInput {
    GatewayInput {
        authorization: Some(AuthorizationInput::Discover(Box::default())),
        ..world.gateway_input("demo")
    }
}

#[tokio::test]
async fn a_server_that_reads_metadata_documents_needs_no_registration() {
    let world = world().await;
    let parts =
        parts_of(&world.storage, &world.clock, &world.ring, Policy::default(), ProviderTemplates::shipped());
    let public_url = "https://doorward.example".parse().unwrap();
    let broker = Broker::new(BrokerParts { public_url, ..parts });
    let gateway = broker.create_gateway(&world.admin, discovered(&world)).await.unwrap();
    let registration = &gateway.oauth().unwrap().registration;
    let id = "https://doorward.example/oauth/client-metadata.json";
    assert_eq!(
        (registration.kind, registration.client_id.as_str()),
        (RegistrationKind::MetadataDocument, id)
    );
    assert_eq!(
        (registration.token_endpoint_auth, &registration.client_secret),
        (TokenEndpointAuth::None, &None)
    );
    let document = broker.client_metadata().unwrap();
    assert_eq!(
        (&document["client_id"], &document["token_endpoint_auth_method"]),
        (&id.into(), &"none".into())
    );
    assert_eq!(document["redirect_uris"][0], "https://doorward.example/oauth/callback");
}

#[tokio::test]
async fn without_https_nobody_could_read_the_document_and_a_client_is_registered() {
    let world = world().await;
    assert!(world.broker.client_metadata().is_none());
    let gateway = world.broker.create_gateway(&world.admin, discovered(&world)).await.unwrap();
    assert_eq!(gateway.oauth().unwrap().registration.kind, RegistrationKind::Dynamic);
}
