//! Grants.

use crate::samples::*;
use crate::stage::Stage;
use doorward_domain::*;
use doorward_storage::{End, StoredGrant, Updated};

async fn a_grant_is_read_as_it_was_written(stage: &Stage) {
    let storage = &stage.storage;
    let ada = stored_user(storage, "ada@example.com").await;
    let hub = stored_gateway(storage, "hub").await;
    let new = grant(GrantOwner::User(ada.id), &hub);
    let stored = storage.store_authorized_grant(&new, event("grant.authorize")).await.unwrap();
    assert_eq!(stored, StoredGrant::Stored { grant_id: new.id, replaced: false });
    let read = storage.grant(new.id).await.unwrap().unwrap();
    assert_eq!(read, Grant { version: 1, ..new });
    assert_eq!(storage.grant_of(read.owner, hub.id).await.unwrap().as_ref(), Some(&read));
    assert_eq!(storage.grants_of_user(ada.id).await.unwrap(), [read]);
    assert_eq!(storage.grant_of(GrantOwner::Service, hub.id).await.unwrap(), None);
}

async fn two_users_one_gateway_both_rows_live_r30(stage: &Stage) {
    let storage = &stage.storage;
    let hub = stored_gateway(storage, "hub").await;
    let ada = stored_user(storage, "ada@example.com").await;
    let bob = stored_user(storage, "bob@example.com").await;
    let of_ada = stored_grant(storage, &ada, &hub).await;
    let of_bob = stored_grant(storage, &bob, &hub).await;
    let service = grant(GrantOwner::Service, &hub);
    let stored = storage.store_authorized_grant(&service, event("grant.authorize")).await.unwrap();
    assert_eq!(stored, StoredGrant::Stored { grant_id: service.id, replaced: false });
    assert_eq!(storage.grant_of(of_ada.owner, hub.id).await.unwrap(), Some(of_ada));
    assert_eq!(storage.grant_of(of_bob.owner, hub.id).await.unwrap(), Some(of_bob));
    let read = storage.grant_of(GrantOwner::Service, hub.id).await.unwrap();
    assert_eq!(read.map(|grant| grant.id), Some(service.id));
}

async fn a_second_account_has_a_label_of_its_own(stage: &Stage) {
    let storage = &stage.storage;
    let hub = stored_gateway(storage, "hub").await;
    let ada = stored_user(storage, "ada@example.com").await;
    let first = stored_grant(storage, &ada, &hub).await;
    let work = Grant { label: "work".into(), ..grant(first.owner, &hub) };
    let stored = storage.store_authorized_grant(&work, event("grant.authorize")).await.unwrap();
    assert_eq!(stored, StoredGrant::Stored { grant_id: work.id, replaced: false });
    assert_eq!(storage.grants_of_user(ada.id).await.unwrap().len(), 2);
    assert_eq!(storage.grant_of(first.owner, hub.id).await.unwrap(), Some(first));
}

async fn a_new_consent_replaces_the_tokens_of_the_row_that_was_read(stage: &Stage) {
    let storage = &stage.storage;
    let hub = stored_gateway(storage, "hub").await;
    let ada = stored_user(storage, "ada@example.com").await;
    let before = stored_grant(storage, &ada, &hub).await;
    let mut again = before.clone();
    again.tokens.access_token = sealed("second access");
    again.tokens.refresh_token = None;
    again.account = None;
    let stored = storage.store_authorized_grant(&again, event("grant.authorize")).await.unwrap();
    assert_eq!(stored, StoredGrant::Stored { grant_id: before.id, replaced: true });
    let read = storage.grant(before.id).await.unwrap().unwrap();
    assert_eq!(read, Grant { version: 2, ..again });
}

async fn a_consent_that_lost_a_race_changes_nothing(stage: &Stage) {
    let storage = &stage.storage;
    let hub = stored_gateway(storage, "hub").await;
    let ada = stored_user(storage, "ada@example.com").await;
    let there = stored_grant(storage, &ada, &hub).await;
    let blind = grant(there.owner, &hub);
    let other_id = Grant { id: Entropy.id(NOW), ..there.clone() };
    let stale = Grant { version: 7, ..there.clone() };
    for loser in [blind, other_id, stale] {
        let stored = storage.store_authorized_grant(&loser, event("grant.authorize")).await.unwrap();
        assert_eq!(stored, StoredGrant::Conflict);
    }
    assert_eq!(storage.grants_of_user(ada.id).await.unwrap(), std::slice::from_ref(&there));

    assert_eq!(storage.end_grants(&[there.id], &revoked()).await.unwrap(), 1);
    let stored = storage.store_authorized_grant(&there, event("grant.authorize")).await.unwrap();
    assert_eq!(stored, StoredGrant::Conflict, "a revoked grant came back from a consent");
    assert_eq!(storage.grant(there.id).await.unwrap(), None);
}

async fn nobody_is_granted_what_is_gone_or_disabled(stage: &Stage) {
    let storage = &stage.storage;
    let hub = stored_gateway(storage, "hub").await;
    let ada = stored_user(storage, "ada@example.com").await;
    let store = async |owner, gateway: &Gateway| {
        storage.store_authorized_grant(&grant(owner, gateway), event("grant.authorize")).await.unwrap()
    };
    assert_eq!(store(GrantOwner::User(Entropy.id(NOW)), &hub).await, StoredGrant::Gone);
    assert_eq!(store(GrantOwner::User(ada.id), &gateway("gone")).await, StoredGrant::Gone);

    let disabled = User { state: UserState::Disabled, ..ada.clone() };
    assert_eq!(storage.update_user(&disabled, event("user.update")).await.unwrap(), Updated::Yes);
    assert_eq!(store(GrantOwner::User(ada.id), &hub).await, StoredGrant::Gone);

    let bob = stored_user(storage, "bob@example.com").await;
    let closed = Gateway { state: GatewayState::Disabled, ..hub };
    let update = storage.update_gateway(&closed, None, event("gateway.update")).await.unwrap();
    assert_eq!(update.outcome, Updated::Yes);
    assert_eq!(store(GrantOwner::User(bob.id), &closed).await, StoredGrant::Gone);
}

async fn a_consent_completes_what_calls_had_asked_for(stage: &Stage) {
    let storage = &stage.storage;
    let hub = stored_gateway(storage, "hub").await;
    let ada = stored_user(storage, "ada@example.com").await;
    let asked = storage.upsert_connect_request(&connect_request(ada.id, hub.id, "editor")).await.unwrap();
    stored_grant(storage, &ada, &hub).await;
    let done = storage.connect_request(asked.id).await.unwrap().unwrap();
    assert_eq!(done.completed_at, Some(NOW));
}

async fn a_state_is_written_only_at_the_version_that_was_read(stage: &Stage) {
    let storage = &stage.storage;
    let hub = stored_gateway(storage, "hub").await;
    let ada = stored_user(storage, "ada@example.com").await;
    let grant = stored_grant(storage, &ada, &hub).await;
    let states = [
        GrantState::NeedsAuthorization(ReauthorizationReason::InvalidGrant),
        GrantState::Uncertain,
        GrantState::Active,
    ];
    for (version, state) in (1..).zip(states) {
        let set = async |version| {
            let changed = Grant {
                state,
                last_error: Some("why".into()),
                retry_at: Some(later(9)),
                failures: 3,
                version,
                ..grant.clone()
            };
            storage.set_grant_state(&changed, event("grant.state")).await.unwrap()
        };
        assert!(!set(version + 1).await);
        assert!(set(version).await);
        let read = storage.grant(grant.id).await.unwrap().unwrap();
        assert_eq!((read.state, read.version, read.failures), (state, version + 1, 3));
        assert_eq!((read.last_error.as_deref(), read.retry_at), (Some("why"), Some(later(9))));
    }
    assert_eq!(stage.number("SELECT count(*) FROM audit_events WHERE action = 'grant.state'").await, 3);
}

async fn use_is_noted_without_a_new_version(stage: &Stage) {
    let storage = &stage.storage;
    let hub = stored_gateway(storage, "hub").await;
    let ada = stored_user(storage, "ada@example.com").await;
    let grant = stored_grant(storage, &ada, &hub).await;
    storage.touch_grants(&[(grant.id, later(9)), (grant.id, later(5))]).await.unwrap();
    let read = storage.grant(grant.id).await.unwrap().unwrap();
    assert_eq!(read, Grant { last_used_at: Some(later(9)), ..grant });
}

async fn ending_a_grant_ends_what_was_pending_there_and_only_there(stage: &Stage) {
    let storage = &stage.storage;
    let (hub, other) = (stored_gateway(storage, "hub").await, stored_gateway(storage, "other").await);
    let ada = stored_user(storage, "ada@example.com").await;
    let grant = stored_grant(storage, &ada, &hub).await;
    let (here, there) = (authorization_request(ada.id, &hub), authorization_request(ada.id, &other));
    for request in [&here, &there] {
        storage.insert_authorization_request(request, event("authorization.begin")).await.unwrap();
    }
    let link = storage.upsert_connect_request(&connect_request(ada.id, hub.id, "editor")).await.unwrap();

    let bob = Actor::User(Entropy.id(NOW));
    let end = End { reason: Some("left the team"), ..End::by(EndCause::Revoked, &bob) };
    assert_eq!(storage.end_grants(&[grant.id], &end).await.unwrap(), 1);
    assert_eq!(storage.end_grants(&[grant.id], &end).await.unwrap(), 0);

    assert_eq!(storage.grant(grant.id).await.unwrap(), None);
    assert_eq!(storage.authorization_request_by_state(here.state_hash).await.unwrap(), None);
    assert_eq!(storage.authorization_request_by_state(there.state_hash).await.unwrap(), Some(there));
    assert_eq!(storage.connect_request(link.id).await.unwrap(), None);
    let record = "SELECT count(*) FROM ended_grants WHERE cause = 'revoked' AND actor_kind = 'user' \
                  AND account_name = 'ada' AND ended_at = 1800000000000";
    assert_eq!(stage.number(record).await, 1);
    assert_eq!(stage.number("SELECT count(*) FROM audit_events WHERE action = 'grant.revoke'").await, 1);
}

on_both!(
    a_grant_is_read_as_it_was_written,
    two_users_one_gateway_both_rows_live_r30,
    a_second_account_has_a_label_of_its_own,
    a_new_consent_replaces_the_tokens_of_the_row_that_was_read,
    a_consent_that_lost_a_race_changes_nothing,
    nobody_is_granted_what_is_gone_or_disabled,
    a_consent_completes_what_calls_had_asked_for,
    a_state_is_written_only_at_the_version_that_was_read,
    use_is_noted_without_a_new_version,
    ending_a_grant_ends_what_was_pending_there_and_only_there,
);
