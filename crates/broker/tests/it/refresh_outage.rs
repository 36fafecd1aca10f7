//! A provider that is down: one circuit for all its grants, few requests, nothing lost, and a wave that is
//! spread out when it is back.

use crate::world::{World, bearer, provider};
use doorward_broker::Access;
use doorward_demo::{AuthorizationServerOptions, TokenFault};
use doorward_domain::{GrantId, GrantState};
use std::collections::BTreeMap;
use std::time::Duration;

const DOWN: TokenFault = TokenFault::Unavailable { retry_after_seconds: 1 };

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m15_ten_thousand_tokens_due_while_the_provider_is_down_are_all_well_afterwards() {
    let hour = |clock: &_| AuthorizationServerOptions { access_token_seconds: 3_600, ..provider(clock) };
    let world = World::in_memory(hour).await;
    let gateway = world.connected().await;
    for number in 1..10_000 {
        world.one_more_grant(&gateway, &format!("account {number}")).await;
    }
    world.advance(3_601);
    world.demo.authorization_server.faults().every_token_answer(Some(DOWN));
    let mut asked = vec![];
    for second in 0..600 {
        world.broker.refresh_due().await.unwrap();
        if second % 60 == 30 {
            let Access::Unavailable { retry_after, .. } = world.access(&gateway).await else { panic!() };
            assert!(retry_after.unwrap() <= Duration::from_secs(170), "{retry_after:?}");
        }
        asked.push(world.refresh_requests());
        world.advance(1);
    }
    assert!(asked[599] < 40, "{} requests in ten minutes", asked[599]);
    assert!(asked[599] > asked[0], "it was probed");
    let outage = &world.broker.circuits()[0];
    assert_eq!(outage.provider, world.demo.authorization_server.issuer());

    world.demo.authorization_server.faults().every_token_answer(None);
    world.demo.authorization_server.clear_log();
    let (mut before, mut beats) = (0, 0);
    while world.refreshes() < 10_000 {
        world.broker.refresh_due().await.unwrap();
        let refreshes = world.refreshes();
        assert!(refreshes - before <= 32, "{} in one beat", refreshes - before);
        before = refreshes;
        beats += 1;
        assert!(beats < 1_000, "{refreshes} after {beats} beats");
        world.advance(1);
    }
    assert!(world.broker.circuits().is_empty());
    let log = world.demo.authorization_server.log();
    assert_eq!((log.refreshes, log.token_requests_of("refresh_token")), (10_000, 10_000));
    let states = world
        .numbers("SELECT state, count(*) FROM grants WHERE failures = 0 AND health = 'valid' GROUP BY state")
        .await;
    assert_eq!(states, BTreeMap::from([("active".to_owned(), 10_000)]));
    bearer(&world.access(&gateway).await);
}

#[tokio::test]
async fn m15_while_a_provider_is_down_living_tokens_are_served_and_no_grant_is_blamed() {
    let world = World::start().await;
    let gateway = world.connected().await;
    let ended: Vec<GrantId> = {
        let mut ids = vec![];
        for number in 0..10 {
            ids.push(world.one_more_grant(&gateway, &format!("account {number}")).await.id);
        }
        ids
    };
    world.demo.authorization_server.faults().every_token_answer(Some(DOWN));
    for id in &ended {
        world.broker.refresh_now(&world.admin, *id).await.unwrap();
    }
    assert_eq!(world.refresh_requests(), 5, "the sixth does not leave");
    let outage = world.broker.circuits()[0].clone();
    assert_eq!(outage.since, world.clock.now());
    let blamed = world.numbers("SELECT 'failures', sum(failures) FROM grants").await["failures"];
    assert_eq!(blamed, 5);

    // Within its margin a token is served, and nothing is asked for.
    world.clock.advance(Duration::from_secs(250));
    bearer(&world.access(&gateway).await);
    world.advance(60);
    let probes = world.refresh_requests();
    let Access::Unavailable { problem, retry_after, .. } = world.access(&gateway).await else { panic!() };
    assert!(problem.contains("has not answered since 2027-01-15 08:00 UTC"), "{problem}");
    assert!(retry_after.unwrap() > Duration::ZERO);
    assert_eq!(world.refresh_requests(), probes + 1, "that was the probe");
    let grant = world.grant(&gateway).await.unwrap();
    assert_eq!((grant.state, grant.failures, grant.redeeming_number), (GrantState::Active, 0, None));

    world.demo.authorization_server.faults().every_token_answer(None);
    world.advance(200);
    bearer(&world.access(&gateway).await);
    assert!(world.broker.circuits().is_empty());
    let told = world
        .numbers("SELECT action, count(*) FROM audit_events WHERE action LIKE 'circuit.%' GROUP BY action")
        .await;
    assert_eq!(told, BTreeMap::from([("circuit.close".to_owned(), 1), ("circuit.open".to_owned(), 1)]));
}

#[tokio::test]
async fn an_outage_at_a_provider_that_no_gateway_stands_for_is_forgotten() {
    let world = World::start().await;
    let gateway = world.connected().await;
    let id = world.grant(&gateway).await.unwrap().id;
    world.demo.authorization_server.faults().every_token_answer(Some(DOWN));
    for _ in 0..5 {
        world.broker.refresh_now(&world.admin, id).await.unwrap();
    }
    assert_eq!(world.broker.circuits().len(), 1);
    world.broker.delete_gateway(&world.admin, gateway.id, None).await.unwrap();
    world.broker.refresh_due().await.unwrap();
    assert!(world.broker.circuits().is_empty());
}
