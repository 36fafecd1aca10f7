//! People.

use crate::samples::*;
use crate::stage::Stage;
use doorward_domain::*;
use doorward_storage::{Inserted, StorageError, Updated};

async fn a_person_is_found_by_id_and_by_address_in_any_case(stage: &Stage) {
    let ada = stored_user(&stage.storage, "Ada@Example.com").await;
    assert_eq!(stage.storage.user(ada.id).await.unwrap(), Some(ada.clone()));
    assert_eq!(stage.storage.user_by_email("aDA@example.COM").await.unwrap(), Some(ada));
    assert_eq!(stage.storage.user_by_email("bob@example.com").await.unwrap(), None);
}

async fn an_address_belongs_to_one_person(stage: &Stage) {
    stored_user(&stage.storage, "ada@example.com").await;
    let other = user("ADA@example.com");
    assert_eq!(stage.storage.insert_user(&other, event("user.create")).await.unwrap(), Inserted::Conflict);
    assert_eq!(stage.storage.user(other.id).await.unwrap(), None);
    assert_eq!(stage.number("SELECT count(*) FROM audit_events").await, 1);

    let mut bob = stored_user(&stage.storage, "bob@example.com").await;
    bob.email = "ada@example.com".into();
    let taken = stage.storage.update_user(&bob, event("user.update")).await.unwrap();
    assert_eq!(taken, Updated::VersionMismatch);
}

async fn of_two_first_administrators_one_wins(stage: &Stage) {
    assert!(!stage.storage.administrator_exists().await.unwrap());
    let tries = ["a@example.com", "b@example.com", "c@example.com", "d@example.com"].map(|email| {
        let storage = stage.storage.clone();
        let mut first = user(email);
        first.role = Role::Administrator;
        tokio::spawn(async move { storage.insert_first_administrator(&first, event("user.create")).await })
    });
    let mut won = 0;
    for attempt in tries {
        won += u32::from(attempt.await.unwrap().unwrap());
    }
    assert_eq!(won, 1);
    assert!(stage.storage.administrator_exists().await.unwrap());
}

async fn an_update_wants_the_version_that_was_read(stage: &Stage) {
    let ada = stored_user(&stage.storage, "ada@example.com").await;
    let renamed = User { name: "Ada L.".into(), updated_at: later(5), ..ada.clone() };
    assert_eq!(stage.storage.update_user(&renamed, event("user.update")).await.unwrap(), Updated::Yes);
    let read = stage.storage.user(ada.id).await.unwrap().unwrap();
    assert_eq!((read.name.as_str(), read.version, read.updated_at), ("Ada L.", 2, later(5)));
    let stale = stage.storage.update_user(&ada, event("user.update")).await.unwrap();
    assert_eq!(stale, Updated::VersionMismatch);
    let nobody = stage.storage.update_user(&user("x@example.com"), event("user.update")).await.unwrap();
    assert_eq!(nobody, Updated::Missing);
}

async fn disabling_ends_all_that_lets_a_person_in(stage: &Stage) {
    let storage = &stage.storage;
    let ada = stored_user(storage, "ada@example.com").await;
    let hub = stored_gateway(storage, "hub").await;
    let grant = stored_grant(storage, &ada, &hub).await;
    let token = api_token(ada.id);
    storage.insert_api_token(&token, 1, event("api_token.create")).await.unwrap();
    let (login, session) = (browser_session(ada.id), mcp_session(&token));
    storage.insert_browser_session(&login, 1, event("login")).await.unwrap();
    storage.insert_mcp_session(&session).await.unwrap();
    let pending = authorization_request(ada.id, &hub);
    storage.insert_authorization_request(&pending, event("authorization.begin")).await.unwrap();

    let disabled = User { state: UserState::Disabled, ..ada.clone() };
    assert_eq!(storage.update_user(&disabled, event("user.update")).await.unwrap(), Updated::Yes);

    assert_eq!(storage.grant(grant.id).await.unwrap(), None);
    assert_eq!(storage.browser_session(login.hash).await.unwrap(), None);
    assert_eq!(storage.mcp_session(session.hash).await.unwrap(), None);
    assert_eq!(storage.authorization_request_by_state(pending.state_hash).await.unwrap(), None);
    let ended = storage.api_token(token.id).await.unwrap().unwrap();
    assert_eq!(ended.ended_at, Some(NOW));
    assert_eq!(stage.number("SELECT count(*) FROM ended_grants WHERE cause = 'user_disabled'").await, 1);
}

async fn deleting_a_person_keeps_a_record_of_their_grants(stage: &Stage) {
    let storage = &stage.storage;
    let ada = stored_user(storage, "ada@example.com").await;
    let hub = stored_gateway(storage, "hub").await;
    stored_grant(storage, &ada, &hub).await;
    let token = api_token(ada.id);
    storage.insert_api_token(&token, 1, event("api_token.create")).await.unwrap();
    storage.insert_mcp_session(&mcp_session(&token)).await.unwrap();

    let stale = storage.delete_user(ada.id, Some(7), event("user.delete")).await.unwrap();
    assert_eq!(stale, Updated::VersionMismatch);
    assert_eq!(storage.delete_user(ada.id, Some(1), event("user.delete")).await.unwrap(), Updated::Yes);
    assert_eq!(storage.delete_user(ada.id, None, event("user.delete")).await.unwrap(), Updated::Missing);

    assert_eq!(storage.user(ada.id).await.unwrap(), None);
    assert_eq!(storage.api_token(token.id).await.unwrap(), None);
    assert_eq!(stage.number("SELECT count(*) FROM grants").await, 0);
    let kept =
        "SELECT count(*) FROM ended_grants WHERE user_email = 'ada@example.com' AND gateway_slug = 'hub'";
    assert_eq!(stage.number(kept).await, 1);
}

async fn pages_of_people_are_complete_and_in_order(stage: &Stage) {
    let mut ids = Vec::new();
    for number in 0..5 {
        let mut someone = user(&format!("user{number}@example.com"));
        // Two of them share a moment.
        someone.created_at = later(number / 2);
        ids.push((someone.created_at, someone.id));
        let inserted = stage.storage.insert_user(&someone, event("user.create")).await.unwrap();
        assert_eq!(inserted, Inserted::Yes);
    }
    ids.sort();
    let (mut seen, mut cursor) = (Vec::new(), None);
    loop {
        let page = stage.storage.users(&PageRequest { limit: 2, cursor }).await.unwrap();
        assert!(page.items.len() <= 2);
        seen.extend(page.items.iter().map(|user| (user.created_at, user.id)));
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen, ids);
    let stray = PageRequest { limit: 2, cursor: Some("bm9uc2Vuc2U".into()) };
    assert!(matches!(stage.storage.users(&stray).await, Err(StorageError::BadCursor)));
}

on_both!(
    a_person_is_found_by_id_and_by_address_in_any_case,
    an_address_belongs_to_one_person,
    of_two_first_administrators_one_wins,
    an_update_wants_the_version_that_was_read,
    disabling_ends_all_that_lets_a_person_in,
    deleting_a_person_keeps_a_record_of_their_grants,
    pages_of_people_are_complete_and_in_order,
);
