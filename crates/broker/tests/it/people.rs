//! People, their sessions and their API tokens.

use crate::world::{PASSWORD, World, done, sign_in};
use doorward_broker::{BrokerError, NewApiToken, NewPerson, NewUser, UserEdit};
use doorward_domain::{
    Audience, PageRequest, Password, Permission, ProviderEnd, Role, SessionToken, UserState,
};
use std::time::Duration;
use url::Url;

fn token_of(link: &Url) -> SessionToken {
    SessionToken::new(link.query_pairs().find(|(name, _)| name == "token").unwrap().1)
}

fn person(email: &str) -> NewPerson {
    NewPerson { email: email.into(), name: String::new(), password: Password::new(PASSWORD) }
}

fn new_token(audience: Audience) -> NewApiToken {
    NewApiToken { name: "laptop".into(), audience, gateways: None, days: None }
}

#[tokio::test]
async fn a_setup_link_makes_one_administrator_once() {
    let world = World::start().await;
    let link = world.broker.create_setup_link().await.unwrap();
    assert!(link.as_str().starts_with("http://localhost:4444/ui/setup?token="));
    let token = token_of(&link);
    assert!(world.broker.setup_link_is_good(&token).await.unwrap());
    assert!(!world.broker.setup_needed().await.unwrap());
    let second = world.broker.complete_setup(&token, person("eve@example.com"), None).await;
    assert!(matches!(second.unwrap_err(), BrokerError::Conflict { .. }), "there is one already");
    assert!(!world.broker.setup_link_is_good(&token).await.unwrap());
    assert!(!world.broker.create_first_administrator(person("eve@example.com")).await.unwrap());
    let late = token_of(&world.broker.create_setup_link().await.unwrap());
    world.advance(3_601);
    assert!(!world.broker.setup_link_is_good(&late).await.unwrap());
    assert!(world.broker.complete_setup(&late, person("eve@example.com"), None).await.is_err());
}

#[tokio::test]
async fn wrong_passwords_and_unknown_people_look_the_same_and_slow_down() {
    let world = World::start().await;
    let wrong = Password::new("not the password");
    let attempt =
        async |email: &str| world.broker.log_in(email, &wrong, Some("10.1.1.1".into())).await.unwrap_err();
    assert_eq!(
        attempt("alice@example.com").await.to_string(),
        attempt("nobody@example.com").await.to_string()
    );
    let mut throttled = false;
    for _ in 0..8 {
        throttled |= matches!(attempt("alice@example.com").await, BrokerError::Throttled { .. });
    }
    assert!(throttled);
    world.advance(31);
    sign_in(&world.broker, "alice@example.com").await;
}

#[tokio::test]
async fn a_session_ends_by_logout_idleness_age_and_disabling() {
    let world = World::start().await;
    let log_in = async || {
        let signed_in = world.broker.log_in("Alice@Example.com", &Password::new(PASSWORD), None).await;
        done(signed_in.unwrap()).session
    };
    let alive = async |session: &SessionToken| world.broker.caller_by_session(session, None).await.unwrap();
    let first = log_in().await;
    let caller = alive(&first).await.unwrap();
    assert!(caller.may(Permission::UseGateways) && caller.audience().is_none());
    world.broker.log_out(&caller).await.unwrap();
    assert!(alive(&first).await.is_none());
    let idle = log_in().await;
    world.advance(24 * 3_600);
    assert!(alive(&idle).await.is_none());
    let old = log_in().await;
    for _ in 0..8 {
        world.advance(23 * 3_600);
        alive(&old).await;
    }
    assert!(alive(&old).await.is_none());
    let last = log_in().await;
    let edit = UserEdit { state: Some(UserState::Disabled), ..UserEdit::default() };
    world.broker.update_user(&world.admin, world.alice.user.id, None, edit).await.unwrap();
    assert!(alive(&last).await.is_none());
    assert!(world.broker.log_in("alice@example.com", &Password::new(PASSWORD), None).await.is_err());
}

#[tokio::test]
async fn a_reset_link_ends_sessions_and_tokens_and_works_once() {
    let world = World::start().await;
    let made = world.broker.create_api_token(&world.alice, new_token(Audience::Mcp)).await.unwrap();
    assert!(world.broker.caller_by_api_token(&made.plain, None).await.unwrap().is_some());
    let link = world.broker.create_reset_link(&world.admin, world.alice.user.id, false).await.unwrap();
    let other = world.broker.create_reset_link(&world.admin, world.alice.user.id, true).await.unwrap();
    let token = token_of(&link);
    let short = world.broker.complete_reset(&token, Password::new("short"), None).await;
    assert!(matches!(short.unwrap_err(), BrokerError::Invalid { .. }));
    let new = Password::new("a new long password");
    let login = done(world.broker.complete_reset(&token, new.clone(), None).await.unwrap());
    assert!(world.broker.caller_by_session(&login.session, None).await.unwrap().is_some());
    assert!(world.broker.caller_by_api_token(&made.plain, None).await.unwrap().is_none());
    for spent in [&token, &token_of(&other)] {
        assert!(world.broker.complete_reset(spent, new.clone(), None).await.is_err());
    }
    assert!(world.broker.log_in("alice@example.com", &Password::new(PASSWORD), None).await.is_err());
    assert!(world.broker.log_in("alice@example.com", &new, None).await.is_ok());
    assert!(world.broker.create_reset_link(&world.alice, world.admin.user.id, false).await.is_err());
}

#[tokio::test]
async fn people_are_made_edited_and_deleted_by_those_who_may() {
    let world = World::start().await;
    let (broker, admin) = (&world.broker, &world.admin);
    let new =
        |email: &str| NewUser { email: email.into(), name: String::new(), role: Role::User, password: None };
    let bob = broker.create_user(admin, new("bob@example.com")).await.unwrap();
    assert_eq!(bob.name, "bob@example.com");
    assert!(matches!(
        broker.create_user(admin, new("BOB@example.com")).await.unwrap_err(),
        BrokerError::Conflict { .. }
    ));
    assert!(broker.create_user(&world.alice, new("eve@example.com")).await.is_err());
    assert_eq!(broker.users(admin, &PageRequest::default()).await.unwrap().items.len(), 3);
    let edit =
        |email: &str| UserEdit { email: Some(email.into()), name: Some("Bob".into()), ..UserEdit::default() };
    assert!(broker.update_user(admin, bob.id, None, edit("alice@example.com")).await.is_err());
    let edited = broker.update_user(admin, bob.id, Some(1), edit("bob@example.org")).await.unwrap();
    assert_eq!((edited.email.as_str(), edited.version), ("bob@example.org", 2));
    assert!(matches!(
        broker.update_user(admin, bob.id, Some(1), edit("x@example.org")).await.unwrap_err(),
        BrokerError::VersionMismatch
    ));
    let demote = UserEdit { role: Some(Role::User), ..UserEdit::default() };
    assert!(broker.update_user(admin, admin.user.id, None, demote).await.is_err());
    assert!(broker.delete_user(admin, admin.user.id, None).await.is_err());
    broker.delete_user(admin, bob.id, Some(2)).await.unwrap();
    assert!(matches!(broker.user(admin, bob.id).await.unwrap_err(), BrokerError::NotFound { .. }));
}

#[tokio::test]
async fn an_api_token_opens_what_it_says_until_it_ends() {
    let world = World::start().await;
    let gateway = world.gateway().await;
    let (broker, alice) = (&world.broker, &world.alice);
    let narrow = NewApiToken { gateways: Some(vec![gateway.id]), days: Some(2), ..new_token(Audience::Own) };
    let made = broker.create_api_token(alice, narrow).await.unwrap();
    let caller = broker.caller_by_api_token(&made.plain, None).await.unwrap().unwrap();
    assert_eq!((caller.user.id, caller.audience()), (alice.user.id, Some(Audience::Own)));
    let wider = broker.create_api_token(&caller, new_token(Audience::Admin)).await.unwrap_err();
    assert!(wider.to_string().contains("audience"));
    let inherited = broker.create_api_token(&caller, new_token(Audience::Mcp)).await.unwrap();
    assert_eq!(inherited.token.gateways, Some(vec![gateway.id]));
    let other = broker.create_gateway(&world.admin, world.gateway_input("other")).await.unwrap();
    assert!(broker.gateway(&caller, other.id).await.is_err(), "a narrowed token sees its gateways only");
    let foreign = NewApiToken { gateways: Some(vec![other.id]), ..new_token(Audience::Mcp) };
    assert!(broker.create_api_token(&caller, foreign).await.is_err());
    for bad in [
        NewApiToken { days: Some(0), ..new_token(Audience::Mcp) },
        NewApiToken { gateways: Some(vec![]), ..new_token(Audience::Mcp) },
    ] {
        assert!(matches!(
            broker.create_api_token(alice, bad).await.unwrap_err(),
            BrokerError::Invalid { .. }
        ));
    }
    let unseen = broker.disconnect(&caller, other.id, ProviderEnd::UnlessWide).await.unwrap_err();
    assert!(matches!(unseen, BrokerError::NotFound { .. }), "nor does it end what it does not see");
    assert!(broker.end_api_token(&caller, inherited.token.id).await.is_err(), "nor another token");
    assert_eq!(broker.api_tokens(alice).await.unwrap().len(), 2);
    assert!(
        broker.end_api_token(&world.admin, inherited.token.id).await.is_err(),
        "somebody else's is unknown"
    );
    broker.end_api_token(alice, inherited.token.id).await.unwrap();
    assert!(broker.caller_by_api_token(&inherited.plain, None).await.unwrap().is_none());
    broker.flush_last_used().await.unwrap();
    world.clock.advance(Duration::from_secs(2 * 24 * 3_600));
    assert!(broker.caller_by_api_token(&made.plain, None).await.unwrap().is_none());
}

#[tokio::test]
async fn the_command_line_acts_for_a_person_and_states_come_back_whole() {
    let world = World::start().await;
    let caller = world.broker.caller_on_command_line("ALICE@example.com").await.unwrap().unwrap();
    assert_eq!(caller.user.id, world.alice.user.id);
    assert!(world.broker.caller_on_command_line("nobody@example.com").await.unwrap().is_none());
    let state = world.broker.seal_state("test", b"cargo");
    assert_eq!(world.broker.open_state("test", &state).unwrap(), b"cargo");
    assert!(world.broker.open_state("other", &state).is_none());
}
