//! Replicas: who takes something away is answered when all have heard of it.

use crate::postgres_server::TestPostgres;
use crate::samples::*;
use crate::stage::Stage;
use doorward_domain::*;
use doorward_storage::Storage;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r26_a_revoke_is_answered_when_every_replica_has_applied_it() {
    let stage = Stage::postgres().await;
    let other = stage.open_again().await;
    let hub = stored_gateway(&stage.storage, "hub").await;
    for number in 0..20 {
        let user = stored_user(&stage.storage, &format!("user{number}@example.com")).await;
        let grant = stored_grant(&stage.storage, &user, &hub).await;
        let heard = Arc::new(AtomicBool::new(false));
        let (hears, ended) = (Arc::clone(&heard), grant.id);
        other.on_change(Box::new(move |change| {
            if matches!(change, Change::GrantEnded { grant, .. } if *grant == ended) {
                hears.store(true, Ordering::SeqCst);
            }
        }));
        stage.storage.end_grants(&[grant.id], &revoked()).await.unwrap();
        assert!(heard.load(Ordering::SeqCst), "answered before the other replica had applied it");
    }
    assert_eq!(stage.number("SELECT count(*) FROM replicas").await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_leaves_is_waited_for_no_more() {
    let stage = Stage::postgres().await;
    let other = stage.open_again().await;
    assert_eq!(stage.storage.replicas().await.unwrap(), Some(2));
    other.close().await;
    assert_eq!(stage.storage.replicas().await.unwrap(), Some(1));
}

#[tokio::test]
async fn a_database_on_another_machine_has_a_clock_of_its_own_and_can_be_shared() {
    let there = Stage::postgres().await.storage.database_clock().await.unwrap().unwrap();
    let here = Clock::System.now();
    assert!(there.until(here).max(here.until(there)) < Duration::from_secs(60), "{there} {here}");
    let alone = Stage::sqlite().await;
    assert_eq!(alone.storage.database_clock().await.unwrap(), None);
    assert_eq!(alone.storage.replicas().await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_replica_is_waited_for_as_long_as_it_believes_its_caches_and_then_forgotten() {
    let stage = Stage::postgres().await;
    let dead = "INSERT INTO replicas (id, acknowledged_seq, beat, heartbeat_at, started_at) VALUES ('dead', 0, 1, 0, 0)";
    stage.by_hand(dead).await;
    let hub = gateway("hub");
    let inserted = stage.storage.insert_gateway(&hub, event("gateway.create")).await.unwrap();
    assert_eq!(inserted, doorward_storage::Inserted::Yes);
    assert_eq!(stage.number("SELECT count(*) FROM replicas WHERE id = 'dead'").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_was_taken_for_dead_comes_back() {
    let server = TestPostgres::new();
    let clock = Clock::mock(NOW);
    let storage = Storage::open_postgres(&server.url(), clock.clone()).await.unwrap();
    let pool = sqlx::PgPool::connect(&server.url()).await.unwrap();
    sqlx::query("DELETE FROM replicas").execute(&pool).await.unwrap();
    stored_gateway(&storage, "hub").await;
    // A revoke elsewhere waits for it again.
    let other = Storage::open_postgres(&server.url(), clock).await.unwrap();
    stored_gateway(&other, "second").await;
    let count: i64 = sqlx::query_scalar("SELECT count(*) FROM replicas").fetch_one(&pool).await.unwrap();
    assert_eq!(count, 2);
}

#[tokio::test]
async fn sqlite_has_one_process_and_no_replicas() {
    let stage = Stage::sqlite().await;
    stored_gateway(&stage.storage, "hub").await;
    assert_eq!(stage.number("SELECT count(*) FROM replicas").await, 0);
}
