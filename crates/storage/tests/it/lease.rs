//! Leases.

use crate::stage::Stage;
use doorward_storage::LeaseWatch;
use std::time::Duration;

const LONG: Duration = Duration::from_secs(600);
const NONE: Duration = Duration::ZERO;

async fn a_lease_has_one_holder_until_it_is_released(stage: &Stage) {
    let storage = &stage.storage;
    let tries: Vec<_> = (0..8)
        .map(|number| {
            let storage = storage.clone();
            tokio::spawn(async move {
                let holder = format!("replica {number}");
                storage.acquire_lease("grant:1", &holder, LONG, &mut LeaseWatch::default()).await.unwrap()
            })
        })
        .collect();
    let mut held = Vec::new();
    for attempt in tries {
        held.extend(attempt.await.unwrap());
    }
    assert_eq!(held.len(), 1);
    let mut watch = LeaseWatch::default();
    for _ in 0..3 {
        assert_eq!(storage.acquire_lease("grant:1", "late", LONG, &mut watch).await.unwrap(), None);
    }
    assert!(storage.acquire_lease("grant:2", "late", LONG, &mut watch).await.unwrap().is_some());
    assert!(storage.release_lease(&held[0]).await.unwrap());
    assert!(!storage.release_lease(&held[0]).await.unwrap());
    assert!(storage.acquire_lease("grant:1", "late", LONG, &mut watch).await.unwrap().is_some());
}

async fn a_lease_that_stood_still_is_stolen_and_its_old_holder_notices_r3(stage: &Stage) {
    let storage = &stage.storage;
    let mut dead =
        storage.acquire_lease("grant:1", "dead", NONE, &mut LeaseWatch::default()).await.unwrap().unwrap();
    let mut watch = LeaseWatch::default();
    let first = storage.acquire_lease("grant:1", "heir", LONG, &mut watch).await.unwrap();
    assert_eq!(first, None, "nobody had watched the lease yet");
    let stolen = storage.acquire_lease("grant:1", "heir", LONG, &mut watch).await.unwrap().unwrap();
    assert_eq!(stolen.holder, "heir");
    assert!(!storage.renew_lease(&mut dead).await.unwrap());
    assert!(!storage.release_lease(&dead).await.unwrap());
}

async fn a_renewed_lease_is_not_stolen_r3(stage: &Stage) {
    let storage = &stage.storage;
    let mut lease =
        storage.acquire_lease("grant:1", "busy", NONE, &mut LeaseWatch::default()).await.unwrap().unwrap();
    let mut watch = LeaseWatch::default();
    for _ in 0..3 {
        let stolen = storage.acquire_lease("grant:1", "waiter", NONE, &mut watch).await.unwrap();
        assert_eq!(stolen, None);
        assert!(storage.renew_lease(&mut lease).await.unwrap());
    }
}

on_both!(
    a_lease_has_one_holder_until_it_is_released,
    a_lease_that_stood_still_is_stolen_and_its_old_holder_notices_r3,
    a_renewed_lease_is_not_stolen_r3,
);
