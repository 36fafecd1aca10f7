//! The change feed.

use crate::samples::*;
use crate::stage::{Place, Stage};
use doorward_domain::*;
use doorward_storage::{AppliedChange, Storage};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::timeout;

const SOON: Duration = Duration::from_secs(20);

/// What a cache would have been told so far.
fn heard(storage: &Storage) -> Arc<Mutex<Vec<Change>>> {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let listener = heard.clone();
    storage.on_change(Box::new(move |change| listener.lock().unwrap().push(change.clone())));
    heard
}

async fn a_method_returns_after_the_listeners_have_heard(stage: &Stage) {
    let storage = &stage.storage;
    let told = heard(storage);
    let mut changes = storage.changes();
    let ada = stored_user(storage, "ada@example.com").await;
    let hub = stored_gateway(storage, "hub").await;
    let asked = storage.upsert_connect_request(&connect_request(ada.id, hub.id, "editor")).await.unwrap();
    let grant = stored_grant(storage, &ada, &hub).await;
    let token = api_token(ada.id);
    storage.insert_api_token(&token, 1, event("api_token.create")).await.unwrap();
    let service = doorward_domain::Grant { ..crate::samples::grant(GrantOwner::Service, &hub) };
    let _ = storage.store_authorized_grant(&service, event("grant.authorize")).await.unwrap();
    storage.end_grants(&[service.id], &revoked()).await.unwrap();

    let gateway = hub.id;
    let expected = [
        Change::User(ada.id),
        Change::Gateway(gateway),
        Change::ConnectRequest(asked.id),
        Change::Grant { user: ada.id, gateway, grant: grant.id },
        Change::ApiToken(token.id),
        Change::ServiceGrant { gateway, grant: service.id },
        Change::ServiceGrantEnded { gateway, grant: service.id },
    ];
    assert_eq!(*told.lock().unwrap(), expected);
    for (seq, change) in (1..).zip(expected) {
        assert_eq!(changes.try_recv().unwrap(), AppliedChange { seq, change });
    }
    assert!(storage.feed_is_fresh());
}

async fn what_was_rolled_back_is_not_told(stage: &Stage) {
    let told = heard(&stage.storage);
    stored_user(&stage.storage, "ada@example.com").await;
    let _ = stage.storage.insert_user(&user("ada@example.com"), event("user.create")).await.unwrap();
    stored_user(&stage.storage, "bob@example.com").await;
    assert_eq!(told.lock().unwrap().len(), 2);
    assert_eq!(stage.number("SELECT max(seq) FROM changes").await, 2);
}

async fn two_replicas_hear_the_same_in_the_same_order(stage: &Stage) {
    let (one, other) = (stage.storage.clone(), stage.open_again().await);
    let (heard_by_one, heard_by_other) = (heard(&one), heard(&other));
    let mut writers = Vec::new();
    for number in 0..40 {
        let storage = if number % 2 == 0 { one.clone() } else { other.clone() };
        writers
            .push(tokio::spawn(async move { stored_user(&storage, &format!("{number}@example.com")).await }));
    }
    for writer in writers {
        writer.await.unwrap();
    }
    for storage in [&one, &other] {
        timeout(SOON, storage.applied(40)).await.unwrap();
    }
    let told = heard_by_one.lock().unwrap().clone();
    assert_eq!(told.len(), 40);
    assert_eq!(told, *heard_by_other.lock().unwrap());
}

async fn a_storage_that_opens_late_starts_behind_what_was(stage: &Stage) {
    stored_user(&stage.storage, "ada@example.com").await;
    let late = stage.open_again().await;
    let told = heard(&late);
    let bob = stored_user(&late, "bob@example.com").await;
    assert_eq!(*told.lock().unwrap(), [Change::User(bob.id)]);
}

async fn a_kind_that_a_newer_replica_writes_is_passed_over(stage: &Stage) {
    let told = heard(&stage.storage);
    stage
        .by_hand(
            "UPDATE counters SET value = 1 WHERE name = 'changes';
             INSERT INTO changes (seq, kind, at) VALUES (1, 'from_the_future', 0);",
        )
        .await;
    let ada = stored_user(&stage.storage, "ada@example.com").await;
    assert_eq!(*told.lock().unwrap(), [Change::User(ada.id)]);
}

async fn old_changes_are_swept_and_a_process_that_missed_them_trusts_nothing(stage: &Stage) {
    stage.by_hand("UPDATE counters SET value = 998 WHERE name = 'changes'").await;
    let storage = stage.open_again().await;
    stored_user(&storage, "ada@example.com").await;
    assert!(storage.feed_is_fresh());
    stage.clock.advance(Duration::from_secs(86_401));
    stored_user(&storage, "bob@example.com").await;
    assert_eq!(stage.number("SELECT min(seq) FROM changes").await, 1_000);
    // The first storage of this test has slept since before number 998.
    timeout(SOON, async {
        while stage.storage.feed_is_fresh() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
}

on_both!(
    a_method_returns_after_the_listeners_have_heard,
    what_was_rolled_back_is_not_told,
    two_replicas_hear_the_same_in_the_same_order,
    a_storage_that_opens_late_starts_behind_what_was,
    a_kind_that_a_newer_replica_writes_is_passed_over,
    old_changes_are_swept_and_a_process_that_missed_them_trusts_nothing,
);

/// Waits for the trust time to pass, which is three seconds of the machine's monotonic clock.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_feed_that_lost_its_database_is_not_fresh() {
    let stage = Stage::postgres().await;
    assert!(stage.storage.feed_is_fresh());
    let Place::Postgres(server) = &stage.place else { unreachable!() };
    server.cut_off();
    timeout(SOON, async {
        while stage.storage.feed_is_fresh() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await
    .unwrap();
    // Nobody waits for a feed that has lost its database.
    timeout(SOON, stage.storage.applied(1_000)).await.unwrap();
}
