//! What the database keeps of keys, and which of them seals.

use crate::samples::*;
use crate::stage::Stage;
use doorward_domain::*;
use doorward_storage::{SealingSwitch, Storage, sealing_key};
use std::time::Duration;

fn keys() -> [KeyId; 3] {
    ["k1", "k2", "k3"].map(|name| KeyId(name.into()))
}

async fn switched(storage: &Storage, key: &KeyId) -> SealingSwitch {
    storage.switch_sealing_key(key, Some(event("keys.rotate"))).await.unwrap()
}

async fn a_key_check_that_is_there_stays(stage: &Stage) {
    let storage = &stage.storage;
    let [k1, k2, _] = keys();
    storage.insert_key_check(&k2, b"two").await.unwrap();
    storage.insert_key_check(&k1, b"one").await.unwrap();
    storage.insert_key_check(&k1, b"another").await.unwrap();
    let checks = storage.key_checks().await.unwrap();
    let read: Vec<_> = checks.iter().map(|check| (&check.id, check.check.as_slice())).collect();
    assert_eq!(read, [(&k1, &b"one"[..]), (&k2, b"two")]);
    assert_eq!(sealing_key(&checks), None);
    storage.forget_key(&k1, event("keys.retire")).await.unwrap();
    assert_eq!(storage.key_checks().await.unwrap().len(), 1);
}

async fn the_last_key_that_began_to_seal_seals_and_none_begins_twice(stage: &Stage) {
    let storage = &stage.storage;
    let [k1, k2, k3] = keys();
    for key in [&k1, &k2] {
        storage.insert_key_check(key, b"check").await.unwrap();
    }
    assert_eq!(switched(storage, &k1).await, SealingSwitch::Switched);
    assert_eq!(switched(storage, &k2).await, SealingSwitch::Switched);
    assert_eq!(switched(storage, &k1).await, SealingSwitch::NotAgain);
    assert_eq!(switched(storage, &k3).await, SealingSwitch::NotAgain, "an unknown key seals nothing");
    let checks = storage.key_checks().await.unwrap();
    let after = NOW.plus(Duration::from_millis(1));
    assert_eq!(sealing_key(&checks), Some((&k2, after)), "also within one millisecond");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_key_seals_before_every_replica_has_it() {
    let stage = Stage::postgres().await;
    let (one, other) = (&stage.storage, stage.open_again().await);
    let [k1, k2, _] = keys();
    for key in [&k1, &k2] {
        one.insert_key_check(key, b"check").await.unwrap();
    }
    one.announce_keys(&[k2.clone(), k1.clone()]).await.unwrap();
    let waits = SealingSwitch::NotEverywhere { replicas: 1 };
    assert_eq!(switched(one, &k1).await, waits, "the other has not said what it has");
    other.announce_keys(std::slice::from_ref(&k1)).await.unwrap();
    assert_eq!(switched(one, &k1).await, SealingSwitch::Switched);
    assert_eq!(switched(one, &k2).await, waits);
    other.announce_keys(&[k1, k2.clone()]).await.unwrap();
    assert_eq!(switched(one, &k2).await, SealingSwitch::Switched);
    other.close().await;
}

on_both!(a_key_check_that_is_there_stays, the_last_key_that_began_to_seal_seals_and_none_begins_twice);
