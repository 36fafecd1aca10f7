//! A copy of the database, and what a restored one forgets.

use crate::samples::*;
use crate::stage::Stage;
use doorward_domain::*;
use doorward_storage::Storage;
use std::os::unix::fs::PermissionsExt;

async fn a_new_epoch_ends_what_lets_in_and_doubts_what_may_be_spent(stage: &Stage) {
    let storage = &stage.storage;
    let ada = stored_user(storage, "ada@example.com").await;
    let bob = stored_user(storage, "bob@example.com").await;
    let forgiving = stored_gateway(storage, "forgiving").await;
    let strict = stored_gateway(storage, "strict").await;
    stage.by_hand("UPDATE gateways SET replay_safe = FALSE WHERE slug = 'strict'").await;
    let kept = stored_grant(storage, &ada, &forgiving).await;
    let doubted = stored_grant(storage, &ada, &strict).await;
    let mut single = grant(GrantOwner::User(bob.id), &strict);
    single.tokens.refresh_token = None;
    let _ = storage.store_authorized_grant(&single, event("grant.authorize")).await.unwrap();
    let token = api_token(ada.id);
    storage.insert_api_token(&token, 1, event("api_token.create")).await.unwrap();
    let session = browser_session(ada.id);
    storage.insert_browser_session(&session, 1, event("login")).await.unwrap();
    storage
        .acquire_lease("refresh/1", "somebody", std::time::Duration::from_secs(9), &mut Default::default())
        .await
        .unwrap();

    let begun = storage.begin_epoch().await.unwrap();
    assert_eq!((begun.epoch, begun.uncertain, begun.api_tokens), (2, 1, 1));
    let state = async |id: GrantId| storage.grant(id).await.unwrap().unwrap().state;
    assert_eq!(state(kept.id).await, GrantState::Active);
    assert_eq!(state(doubted.id).await, GrantState::Uncertain);
    assert_eq!(state(single.id).await, GrantState::Active, "its access token is as good as it was");
    let error = storage.grant(doubted.id).await.unwrap().unwrap().last_error.unwrap();
    assert!(error.contains("restored from a backup"), "{error}");
    assert_eq!(stage.number("SELECT count(*) FROM grants WHERE health = 'uncertain'").await, 1);
    assert!(storage.browser_session(session.hash).await.unwrap().is_none());
    let ended = storage.api_tokens_of(ada.id).await.unwrap()[0].ended_at;
    assert_eq!(ended, Some(NOW));
    assert!(!storage.lease_is_held("refresh/1").await.unwrap());
    assert_eq!(storage.cleanup_hold().await.unwrap(), Some(HoldReason::Restored));
    let changes = stage.number("SELECT value FROM counters WHERE name = 'changes'").await;
    assert!(changes >= NOW.millis(), "numbers of changes go on above all that were seen");
    let filter =
        doorward_storage::AuditFilter { action_prefix: Some("restore.".into()), ..Default::default() };
    let events = storage.audit_events(&filter, &PageRequest::default()).await.unwrap().items;
    assert_eq!((events[0].action.as_str(), events[0].detail["new_epoch"].as_str()), ("restore.done", "2"));
    assert_eq!(storage.begin_epoch().await.unwrap().epoch, 3);
}

on_both!(a_new_epoch_ends_what_lets_in_and_doubts_what_may_be_spent);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_is_the_database_of_one_moment_while_others_write() {
    let stage = Stage::sqlite().await;
    let ada = stored_user(&stage.storage, "ada@example.com").await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("backup.db");
    let writing = tokio::spawn({
        let storage = stage.storage.clone();
        async move {
            for number in 0..20 {
                stored_user(&storage, &format!("{number}@example.com")).await;
            }
        }
    });
    assert!(stage.storage.back_up_sqlite(&file).await.unwrap());
    writing.await.unwrap();
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(stage.storage.back_up_sqlite(&file).await.is_err(), "what is there is not written over");
    let copy = Storage::open_sqlite(&file, stage.clock.clone()).await.unwrap();
    assert_eq!(copy.user(ada.id).await.unwrap().unwrap().email, "ada@example.com");
    let nowhere = directory.path().join("missing/backup.db");
    let told = stage.storage.back_up_sqlite(&nowhere).await.unwrap_err().to_string();
    assert!(told.contains("missing/backup.db"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgresql_is_backed_up_by_its_own_tools() {
    let stage = Stage::postgres().await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("backup.db");
    assert!(!stage.storage.back_up_sqlite(&file).await.unwrap());
    assert!(!file.exists());
}
