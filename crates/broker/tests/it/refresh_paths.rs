//! Every path to a refresh at once: a call, the background, "refresh now", the retry after a 401; and what
//! each leaves in the time line.

use crate::world::{World, bearer, used};
use doorward_broker::{Access, BrokerError, RefreshedNow, UsedToken};
use doorward_demo::TokenFault;
use doorward_domain::{Gateway, GrantId};
use std::sync::Arc;
use tokio::sync::Notify;

/// Fifty callers, a quarter by each path, spread over two replicas.
async fn fifty_at_once(world: &World, gateway: &Arc<Gateway>, grant: GrantId, sent: UsedToken) {
    let replicas = [world.broker.clone(), world.second_broker()];
    let callers = (0..50).map(|number| {
        let broker = &replicas[number / 2 % 2];
        async move {
            match number % 4 {
                0 => drop(bearer(&broker.access(&world.alice, gateway).await.unwrap())),
                1 => drop(broker.refresh_due().await.unwrap()),
                2 => {
                    let fresh = broker.refresh_now(&world.admin, grant).await.unwrap();
                    assert!(matches!(fresh, RefreshedNow::Fresh(_)), "{fresh:?}");
                }
                _ => {
                    let renewed = broker.access_after_refusal(&world.alice, gateway, &sent).await.unwrap();
                    bearer(&renewed);
                }
            }
        }
    });
    futures_util::future::join_all(callers).await;
}

#[tokio::test]
async fn r1_r2_fifty_callers_by_every_path_and_on_two_replicas_cause_one_refresh() {
    let world = World::start().await;
    let gateway = world.connected().await;
    let sent = used(&world.access(&gateway).await);
    let grant = world.grant(&gateway).await.unwrap();
    world.advance(301);
    // Whoever asks "now" asks for a token newer than the one there was: they all ask before there is one.
    let release = Arc::new(Notify::new());
    world.demo.authorization_server.faults().next_token_answer(TokenFault::HeldUntil(Arc::clone(&release)));
    let asked_by_all = async {
        while world
            .time_line(grant.id)
            .await
            .iter()
            .filter(|event| event.action == "grant.refresh_now")
            .count()
            < 12
        {
            tokio::task::yield_now().await;
        }
        while world.refreshes() == 0 {
            tokio::task::yield_now().await;
        }
        release.notify_one();
    };
    tokio::join!(fifty_at_once(&world, &gateway, grant.id, sent), asked_by_all);
    let log = world.demo.authorization_server.log();
    assert_eq!((log.refreshes, log.token_requests_of("refresh_token"), log.refresh_token_reuses), (1, 1, 0));
}

#[tokio::test]
async fn each_path_has_its_name_in_the_time_line() {
    let world = World::start().await;
    let gateway = world.connected().await;
    let id = world.grant(&gateway).await.unwrap().id;
    world.advance(301);
    world.access(&gateway).await;
    world.advance(250);
    assert_eq!(world.broker.refresh_due().await.unwrap(), 1);
    world.broker.refresh_now(&world.admin, id).await.unwrap();
    let sent = used(&world.access(&gateway).await);
    world.broker.access_after_refusal(&world.alice, &gateway, &sent).await.unwrap();
    let events = world.time_line(id).await;
    let told: Vec<_> = events.iter().filter(|event| event.action == "grant.refresh").collect();
    let paths: Vec<_> = told.iter().map(|event| event.detail["path"].as_str()).collect();
    assert_eq!(paths, ["call", "background", "refresh_now", "refused_upstream"]);
    assert_eq!(world.refreshes(), 4);
}

#[tokio::test]
async fn refresh_now_is_for_those_who_may_and_says_what_came_of_it() {
    let world = World::start().await;
    let gateway = world.connected().await;
    let before = world.grant(&gateway).await.unwrap();
    let refused = world.broker.refresh_now(&world.alice, before.id).await.unwrap_err();
    assert!(matches!(refused, BrokerError::Forbidden { .. }), "{refused}");
    let unknown = world.broker.refresh_now(&world.admin, GrantId(Default::default())).await.unwrap_err();
    assert!(matches!(unknown, BrokerError::NotFound { .. }), "{unknown}");

    let RefreshedNow::Fresh(fresh) = world.broker.refresh_now(&world.admin, before.id).await.unwrap() else {
        panic!()
    };
    assert_eq!(fresh.refresh_number, before.refresh_number + 1);

    let faults = world.demo.authorization_server.faults();
    faults.next_token_answer(TokenFault::Unavailable { retry_after_seconds: 7 });
    let later = world.broker.refresh_now(&world.admin, before.id).await.unwrap();
    let RefreshedNow::Later { reference, retry_after, .. } = later else { panic!("{later:?}") };
    assert!(reference.is_some() && retry_after.unwrap().as_secs() >= 7);
    bearer(&world.access(&gateway).await);

    faults.next_token_answer(TokenFault::Refused { status: 400, error: "invalid_grant".into() });
    let ended = world.broker.refresh_now(&world.admin, before.id).await.unwrap();
    let RefreshedNow::Lasting { reference: Some(reference), .. } = ended else { panic!("{ended:?}") };
    let parked = world.grant(&gateway).await.unwrap();
    assert_eq!(parked.reference.as_ref(), Some(&reference));
    let again = world.broker.refresh_now(&world.admin, before.id).await.unwrap();
    assert!(matches!(again, RefreshedNow::Lasting { reference: Some(same), .. } if same == reference));
    assert_eq!(world.refresh_requests(), 3, "what needs its user is not asked for again");
}

#[tokio::test]
async fn m8_an_error_leads_to_the_event_that_says_why_and_only_there_stand_the_providers_words() {
    let world = World::start().await;
    let gateway = world.connected().await;
    world.advance(301);
    let said = TokenFault::RefusedSaying {
        status: 400,
        error: "invalid_grant".into(),
        description: "Token \u{1b}[31mexpired on Monday".into(),
    };
    world.demo.authorization_server.faults().next_token_answer(said);
    let Access::MustAuthorize { reference: Some(first) } = world.access(&gateway).await else { panic!() };
    let Access::MustAuthorize { reference: Some(later) } = world.access(&gateway).await else { panic!() };
    assert_eq!(first, later, "a parked grant refers to what parked it");
    let grant = world.grant(&gateway).await.unwrap();
    assert_eq!(grant.provider_words.as_deref(), Some("Token [31mexpired on Monday"));
    assert_eq!(
        grant.last_error.as_deref(),
        Some("the provider refused the refresh token: invalid_grant"),
        "our words, for everybody"
    );
    let events = world.time_line(grant.id).await;
    let parked = events.iter().find(|event| event.reference.as_ref() == Some(&first)).unwrap();
    assert_eq!(parked.action, "grant.park");
    for (name, value) in [
        ("path", "call"),
        ("reason", "invalid_grant"),
        ("error", "the provider refused the refresh token: invalid_grant"),
        ("provider_words", "Token [31mexpired on Monday"),
    ] {
        assert_eq!(parked.detail[name], value);
    }
}
