//! Pending browser round trips.

use crate::samples::*;
use crate::stage::Stage;
use doorward_domain::{AuthorizationRequest, Entropy};
use doorward_storage::TakenAuthorizationRequest;
use std::time::Duration;

async fn pending(stage: &Stage) -> AuthorizationRequest {
    let ada = stored_user(&stage.storage, "ada@example.com").await;
    let hub = stored_gateway(&stage.storage, "hub").await;
    let mut request = authorization_request(ada.id, &hub);
    request.connect_request_id = Some(Entropy.id(NOW));
    stage.storage.insert_authorization_request(&request, event("authorization.begin")).await.unwrap();
    request
}

async fn of_twenty_callbacks_one_takes_the_request(stage: &Stage) {
    let request = pending(stage).await;
    let (state, cookie, user) = (request.state_hash, request.cookie_hash, request.user_id);
    let tries: Vec<_> = (0..20)
        .map(|_| {
            let storage = stage.storage.clone();
            tokio::spawn(async move { storage.take_authorization_request(state, cookie, user, NOW).await })
        })
        .collect();
    let (mut taken, mut unknown) = (Vec::new(), 0);
    for attempt in tries {
        match attempt.await.unwrap().unwrap() {
            TakenAuthorizationRequest::Taken(request) => taken.push(request),
            TakenAuthorizationRequest::Unknown => unknown += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((taken, unknown), (vec![request], 19));
}

async fn a_mismatch_consumes_nothing(stage: &Stage) {
    let request = pending(stage).await;
    let (state, cookie, user) = (request.state_hash, request.cookie_hash, request.user_id);
    let take = async |state, cookie, user, now| {
        stage.storage.take_authorization_request(state, cookie, user, now).await.unwrap()
    };
    assert_eq!(take(hash(), cookie, user, NOW).await, TakenAuthorizationRequest::Unknown);
    assert_eq!(take(state, cookie, Entropy.id(NOW), NOW).await, TakenAuthorizationRequest::OtherUser);
    assert_eq!(take(state, hash(), user, NOW).await, TakenAuthorizationRequest::OtherBrowser);
    assert_eq!(take(state, hash(), user, later(9_999)).await, TakenAuthorizationRequest::OtherBrowser);
    assert_eq!(take(state, cookie, user, NOW).await, TakenAuthorizationRequest::Taken(request));
}

async fn a_late_callback_is_told_so_once(stage: &Stage) {
    let request = pending(stage).await;
    let take = async || {
        let (state, cookie) = (request.state_hash, request.cookie_hash);
        stage
            .storage
            .take_authorization_request(state, cookie, request.user_id, request.expires_at)
            .await
            .unwrap()
    };
    assert_eq!(take().await, TakenAuthorizationRequest::Expired);
    assert_eq!(take().await, TakenAuthorizationRequest::Unknown);
}

async fn begun_on_one_replica_finished_on_another_r36(stage: &Stage) {
    let request = pending(stage).await;
    let other = stage.open_again().await;
    let read = other.authorization_request_by_state(request.state_hash).await.unwrap();
    assert_eq!(read.as_ref(), Some(&request));
    let (state, cookie) = (request.state_hash, request.cookie_hash);
    let taken = other.take_authorization_request(state, cookie, request.user_id, NOW).await.unwrap();
    assert_eq!(taken, TakenAuthorizationRequest::Taken(request));
    let replay = stage.storage.authorization_request_by_state(state).await.unwrap();
    assert_eq!(replay, None);
}

async fn what_ended_long_ago_goes_with_the_next(stage: &Stage) {
    let old = pending(stage).await;
    stage.clock.advance(Duration::from_secs(2 * 86_400));
    let hub = stage.storage.gateway(old.gateway_id).await.unwrap().unwrap();
    let next =
        AuthorizationRequest { expires_at: later(3 * 86_400), ..authorization_request(old.user_id, &hub) };
    stage.storage.insert_authorization_request(&next, event("authorization.begin")).await.unwrap();
    assert_eq!(stage.storage.authorization_request_by_state(old.state_hash).await.unwrap(), None);
    assert_eq!(stage.storage.authorization_request_by_state(next.state_hash).await.unwrap(), Some(next));
}

on_both!(
    of_twenty_callbacks_one_takes_the_request,
    a_mismatch_consumes_nothing,
    a_late_callback_is_told_so_once,
    begun_on_one_replica_finished_on_another_r36,
    what_ended_long_ago_goes_with_the_next,
);
