//! API tokens.

use crate::samples::*;
use crate::stage::Stage;
use doorward_domain::{ApiToken, Audience, Entropy};

async fn a_token_is_found_by_hash_by_id_and_by_person(stage: &Stage) {
    let storage = &stage.storage;
    let ada = stored_user(storage, "ada@example.com").await;
    let any = api_token(ada.id);
    let some = ApiToken {
        audience: Audience::Own,
        gateways: Some(vec![Entropy.id(NOW), Entropy.id(NOW)]),
        created_at: later(1),
        ..api_token(ada.id)
    };
    for token in [&any, &some] {
        storage.insert_api_token(token, 1, event("api_token.create")).await.unwrap();
        assert_eq!(storage.api_token_by_hash(token.hash).await.unwrap().as_ref(), Some(token));
        assert_eq!(storage.api_token(token.id).await.unwrap().as_ref(), Some(token));
    }
    assert_eq!(storage.api_tokens_of(ada.id).await.unwrap(), [any, some]);
    assert_eq!(storage.api_token_by_hash(hash()).await.unwrap(), None);
}

async fn only_its_owner_ends_a_token_and_only_once(stage: &Stage) {
    let storage = &stage.storage;
    let ada = stored_user(storage, "ada@example.com").await;
    let bob = stored_user(storage, "bob@example.com").await;
    let token = api_token(ada.id);
    storage.insert_api_token(&token, 1, event("api_token.create")).await.unwrap();
    let session = mcp_session(&token);
    storage.insert_mcp_session(&session).await.unwrap();
    assert!(!storage.end_api_token(token.id, bob.id, later(1), event("api_token.end")).await.unwrap());
    assert!(storage.end_api_token(token.id, ada.id, later(2), event("api_token.end")).await.unwrap());
    assert!(!storage.end_api_token(token.id, ada.id, later(3), event("api_token.end")).await.unwrap());
    let ended = storage.api_token_by_hash(token.hash).await.unwrap().unwrap();
    assert_eq!(ended.ended_at, Some(later(2)));
    assert!(!ended.lives(later(2)));
    assert_eq!(storage.mcp_session(session.hash).await.unwrap(), None);
}

async fn the_latest_use_of_a_token_is_kept(stage: &Stage) {
    let storage = &stage.storage;
    let ada = stored_user(storage, "ada@example.com").await;
    let token = api_token(ada.id);
    storage.insert_api_token(&token, 1, event("api_token.create")).await.unwrap();
    storage.touch_api_tokens(&[(token.id, later(9)), (token.id, later(5))]).await.unwrap();
    let touched = storage.api_token(token.id).await.unwrap().unwrap();
    assert_eq!(touched.last_used_at, Some(later(9)));
}

on_both!(
    a_token_is_found_by_hash_by_id_and_by_person,
    only_its_owner_ends_a_token_and_only_once,
    the_latest_use_of_a_token_is_kept,
);
