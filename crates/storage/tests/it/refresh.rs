//! The two commits around a refresh.

use crate::samples::*;
use crate::stage::Stage;
use doorward_domain::*;

async fn of_eight_that_want_to_refresh_one_may_r5(stage: &Stage) {
    let storage = &stage.storage;
    let hub = stored_gateway(storage, "hub").await;
    let ada = stored_user(storage, "ada@example.com").await;
    let grant = stored_grant(storage, &ada, &hub).await;
    let tries = [0; 8].map(|_| {
        let storage = storage.clone();
        tokio::spawn(async move { storage.begin_refresh(grant.id, 1).await.unwrap() })
    });
    let mut won = Vec::new();
    for attempt in tries {
        won.extend(attempt.await.unwrap());
    }
    assert_eq!(won, [2]);
    let read = storage.grant(grant.id).await.unwrap().unwrap();
    assert_eq!((read.redeeming_number, read.version), (Some(1), 2));
    assert_eq!(storage.begin_refresh(grant.id, 2).await.unwrap(), None, "an intent was begun twice");
}

async fn what_cannot_be_refreshed_is_not_begun(stage: &Stage) {
    let storage = &stage.storage;
    let hub = stored_gateway(storage, "hub").await;
    let ada = stored_user(storage, "ada@example.com").await;
    for (owner, begun) in [(GrantOwner::User(ada.id), None), (GrantOwner::Service, Some(2))] {
        let mut without = grant(owner, &hub);
        without.tokens.refresh_token = None;
        let _ = storage.store_authorized_grant(&without, event("grant.authorize")).await.unwrap();
        assert_eq!(storage.begin_refresh(without.id, 1).await.unwrap(), begun, "{owner:?}");
    }
    assert_eq!(storage.begin_refresh(Entropy.id(NOW), 1).await.unwrap(), None);
}

async fn the_answer_is_stored_at_the_version_of_the_intent_only(stage: &Stage) {
    let storage = &stage.storage;
    let hub = stored_gateway(storage, "hub").await;
    let ada = stored_user(storage, "ada@example.com").await;
    let before = stored_grant(storage, &ada, &hub).await;
    let version = storage.begin_refresh(before.id, before.version).await.unwrap().unwrap();
    let mut answer = before.clone();
    answer.tokens.access_token = sealed("second access");
    answer.tokens.refresh_token = Some(sealed("second refresh"));
    answer.refresh_number = 2;
    answer.issued_at = later(10);
    answer.last_refreshed_at = Some(later(10));
    assert!(!storage.finish_refresh(&answer, before.version, event("grant.refresh")).await.unwrap());
    assert!(storage.finish_refresh(&answer, version, event("grant.refresh")).await.unwrap());
    assert!(!storage.finish_refresh(&answer, version, event("grant.refresh")).await.unwrap());
    let read = storage.grant(before.id).await.unwrap().unwrap();
    assert_eq!(read, Grant { version: 3, ..answer });
}

async fn a_refresh_does_not_turn_back_the_last_use(stage: &Stage) {
    let storage = &stage.storage;
    let hub = stored_gateway(storage, "hub").await;
    let ada = stored_user(storage, "ada@example.com").await;
    let before = stored_grant(storage, &ada, &hub).await;
    let version = storage.begin_refresh(before.id, before.version).await.unwrap().unwrap();
    storage.touch_grants(&[(before.id, later(3))]).await.unwrap();
    assert!(storage.finish_refresh(&before, version, event("grant.refresh")).await.unwrap());
    let read = storage.grant(before.id).await.unwrap().unwrap();
    assert_eq!(read.last_used_at, Some(later(3)));
}

async fn a_revoke_during_a_refresh_wins_r24(stage: &Stage) {
    let storage = &stage.storage;
    let hub = stored_gateway(storage, "hub").await;
    let ada = stored_user(storage, "ada@example.com").await;
    let grant = stored_grant(storage, &ada, &hub).await;
    let version = storage.begin_refresh(grant.id, grant.version).await.unwrap().unwrap();
    storage.end_grants(&[grant.id], &revoked()).await.unwrap();
    assert!(!storage.finish_refresh(&grant, version, event("grant.refresh")).await.unwrap());
    assert_eq!(storage.grant(grant.id).await.unwrap(), None);
}

async fn an_intent_without_an_answer_is_uncertain_after_a_restart_r8(stage: &Stage) {
    let storage = &stage.storage;
    let hub = stored_gateway(storage, "hub").await;
    let (ada, bob) =
        (stored_user(storage, "ada@example.com").await, stored_user(storage, "bob@example.com").await);
    let interrupted = stored_grant(storage, &ada, &hub).await;
    let untouched = stored_grant(storage, &bob, &hub).await;
    storage.begin_refresh(interrupted.id, 1).await.unwrap().unwrap();
    storage.close().await;

    let restarted = stage.open_again().await;
    assert_eq!(restarted.recover_interrupted_refreshes(later(60)).await.unwrap(), 1);
    assert_eq!(restarted.recover_interrupted_refreshes(later(61)).await.unwrap(), 0);
    let read = restarted.grant(interrupted.id).await.unwrap().unwrap();
    assert_eq!((read.state, read.redeeming_number, read.version), (GrantState::Uncertain, None, 3));
    assert_eq!(restarted.grant(untouched.id).await.unwrap(), Some(untouched));
    let told = format!(
        "SELECT count(*) FROM audit_events WHERE action = 'grant.uncertain' AND user_id = '{}'",
        ada.id
    );
    assert_eq!(stage.number(&told).await, 1);
}

on_both!(
    of_eight_that_want_to_refresh_one_may_r5,
    what_cannot_be_refreshed_is_not_begun,
    the_answer_is_stored_at_the_version_of_the_intent_only,
    a_refresh_does_not_turn_back_the_last_use,
    a_revoke_during_a_refresh_wins_r24,
    an_intent_without_an_answer_is_uncertain_after_a_restart_r8,
);
