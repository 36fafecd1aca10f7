//! A client that an authorization server made for a gateway goes with it (RFC 7592).

use crate::world::World;
use doorward_broker::{AuthorizationInput, GatewayInput};
use doorward_demo::TokenFault;
use doorward_domain::{Gateway, RegistrationKind};
use std::sync::Arc;

async fn discovered(world: &World) -> Arc<Gateway> {
    let authorization = Some(AuthorizationInput::Discover(Box::default()));
    let input = GatewayInput { authorization, ..world.gateway_input("demo") };
    world.broker.create_gateway(&world.admin, input).await.unwrap()
}

fn removed(world: &World) -> Vec<String> {
    world.demo.authorization_server.log().removed_registrations
}

async fn outcomes(world: &World) -> i64 {
    let actions = world.numbers("SELECT action, count(*) FROM audit_events GROUP BY action").await;
    actions.get("gateway.registration_removed").copied().unwrap_or_default()
}

#[tokio::test]
async fn a_gateway_that_goes_takes_its_client_along_after_its_last_revocation() {
    let world = World::start().await;
    let gateway = discovered(&world).await;
    let registration = &gateway.oauth().unwrap().registration;
    assert!(registration.kind == RegistrationKind::Dynamic && registration.handle.is_some());
    let client_id = registration.client_id.clone();
    world.connect(&world.broker, &world.alice, None).await;
    world
        .demo
        .authorization_server
        .faults()
        .next_revocation_answer(TokenFault::Unavailable { retry_after_seconds: 1 });
    world.broker.delete_gateway(&world.admin, gateway.id, None).await.unwrap();

    world.broker.tell_providers().await.unwrap();
    assert_eq!(removed(&world), [""; 0], "the revocation that failed still needs the client");
    world.advance(3_600);
    world.broker.tell_providers().await.unwrap();
    assert_eq!(removed(&world), [client_id]);
    assert_eq!(outcomes(&world).await, 1);
    world.advance(3_600);
    world.broker.tell_providers().await.unwrap();
    assert_eq!(removed(&world).len(), 1, "nothing is left to be done");
}

#[tokio::test]
async fn a_client_that_another_one_takes_the_place_of_is_removed_and_one_that_stays_is_not() {
    let world = World::start().await;
    let gateway = discovered(&world).await;
    let first = gateway.oauth().unwrap().registration.client_id.clone();
    let renamed = GatewayInput { name: Some("Another name".into()), ..GatewayInput::default() };
    world.broker.update_gateway(&world.admin, gateway.id, None, renamed).await.unwrap();
    world.broker.tell_providers().await.unwrap();
    assert_eq!(removed(&world), [""; 0]);

    let typed = AuthorizationInput::OAuth(Box::new(world.oauth_input()));
    let edit = GatewayInput { authorization: Some(typed), ..GatewayInput::default() };
    world.broker.update_gateway(&world.admin, gateway.id, None, edit).await.unwrap();
    world.broker.tell_providers().await.unwrap();
    assert_eq!(removed(&world), [first]);
}
