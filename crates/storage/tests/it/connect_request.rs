//! Links that ask a user to authorize.

use crate::samples::*;
use crate::stage::Stage;
use doorward_domain::ConnectRequest;
use std::time::Duration;

async fn one_link_is_pending_per_user_gateway_and_client(stage: &Stage) {
    let storage = &stage.storage;
    let ada = stored_user(storage, "ada@example.com").await;
    let hub = stored_gateway(storage, "hub").await;
    let first = connect_request(ada.id, hub.id, "editor");
    assert_eq!(storage.upsert_connect_request(&first).await.unwrap(), first);
    let again = connect_request(ada.id, hub.id, "editor");
    assert_eq!(storage.upsert_connect_request(&again).await.unwrap(), first);
    let other = connect_request(ada.id, hub.id, "agent");
    assert_eq!(storage.upsert_connect_request(&other).await.unwrap(), other);
    let pending = async |client: &str, now| {
        storage.pending_connect_request(ada.id, hub.id, client, now).await.unwrap().map(|request| request.id)
    };
    assert_eq!(pending("editor", NOW).await, Some(first.id));
    assert_eq!(pending("agent", NOW).await, Some(other.id));
    assert_eq!(pending("nobody", NOW).await, None);
    assert_eq!(pending("editor", first.expires_at).await, None);
}

async fn twenty_calls_at_once_share_one_link(stage: &Stage) {
    let ada = stored_user(&stage.storage, "ada@example.com").await;
    let hub = stored_gateway(&stage.storage, "hub").await;
    let asks: Vec<_> = (0..20)
        .map(|_| {
            let (storage, request) = (stage.storage.clone(), connect_request(ada.id, hub.id, "editor"));
            tokio::spawn(async move { storage.upsert_connect_request(&request).await.unwrap().id })
        })
        .collect();
    let mut ids = Vec::new();
    for ask in asks {
        ids.push(ask.await.unwrap());
    }
    ids.dedup();
    assert_eq!(ids.len(), 1);
}

async fn an_ended_link_makes_room_and_is_still_found(stage: &Stage) {
    let storage = &stage.storage;
    let ada = stored_user(storage, "ada@example.com").await;
    let hub = stored_gateway(storage, "hub").await;
    let old = storage.upsert_connect_request(&connect_request(ada.id, hub.id, "editor")).await.unwrap();
    let new = ConnectRequest {
        created_at: old.expires_at,
        expires_at: later(9_999),
        ..connect_request(ada.id, hub.id, "editor")
    };
    assert_eq!(storage.upsert_connect_request(&new).await.unwrap(), new);
    assert_eq!(storage.connect_request(old.id).await.unwrap(), Some(old.clone()));

    stage.clock.advance(Duration::from_secs(3 * 86_400));
    storage.upsert_connect_request(&connect_request(ada.id, hub.id, "agent")).await.unwrap();
    assert_eq!(storage.connect_request(old.id).await.unwrap(), None);
}

async fn completing_names_the_links_and_leaves_others(stage: &Stage) {
    let storage = &stage.storage;
    let ada = stored_user(storage, "ada@example.com").await;
    let bob = stored_user(storage, "bob@example.com").await;
    let hub = stored_gateway(storage, "hub").await;
    let mut mine = Vec::new();
    for client in ["agent", "editor"] {
        let request = connect_request(ada.id, hub.id, client);
        mine.push(storage.upsert_connect_request(&request).await.unwrap().id);
    }
    let theirs = storage.upsert_connect_request(&connect_request(bob.id, hub.id, "editor")).await.unwrap();
    let mut completed = storage.complete_connect_requests(ada.id, hub.id, later(7)).await.unwrap();
    completed.sort();
    mine.sort();
    assert_eq!(completed, mine);
    assert!(storage.complete_connect_requests(ada.id, hub.id, later(8)).await.unwrap().is_empty());
    let read = storage.connect_request(mine[0]).await.unwrap().unwrap();
    assert_eq!(read.completed_at, Some(later(7)));
    assert_eq!(storage.connect_request(theirs.id).await.unwrap(), Some(theirs));
}

async fn a_nul_in_a_name_from_outside_breaks_nothing(stage: &Stage) {
    let storage = &stage.storage;
    let ada = stored_user(storage, "ada\0@example.com").await;
    assert_eq!(storage.user_by_email("ada\0@example.com").await.unwrap().map(|user| user.id), Some(ada.id));
    let hub = stored_gateway(storage, "hub").await;
    let asked = connect_request(ada.id, hub.id, "ed\0tor");
    let kept = storage.upsert_connect_request(&asked).await.unwrap();
    assert_eq!((kept.id, kept.client_name.as_str()), (asked.id, "ed\u{fffd}tor"));
    let found = storage.pending_connect_request(ada.id, hub.id, "ed\0tor", NOW).await.unwrap();
    assert_eq!(found, Some(kept));
}

on_both!(
    a_nul_in_a_name_from_outside_breaks_nothing,
    one_link_is_pending_per_user_gateway_and_client,
    twenty_calls_at_once_share_one_link,
    an_ended_link_makes_room_and_is_still_found,
    completing_names_the_links_and_leaves_others,
);
