//! Rows that make no sense: the error names table, column and row, and repeats no value.

use crate::samples::*;
use crate::stage::Stage;
use doorward_domain::*;
use doorward_storage::{AuditFilter, StorageError};
use std::fmt::Debug;

/// Checks that a read failed at one column of one row.
fn assert_corrupt<T: Debug>(read: Result<T, StorageError>, place: (&str, &str, &str)) {
    match read {
        Err(StorageError::Corrupt { table, column, id, why }) => {
            assert_eq!((table, column, id.as_str()), place);
            assert!(!why.contains("SPOILT"), "{why}");
        }
        other => panic!("expected {place:?}, got {other:?}"),
    }
}

async fn spoilt_people_and_tokens_are_named(stage: &Stage) {
    let storage = &stage.storage;
    let ada = stored_user(storage, "ada@example.com").await;
    let token = api_token(ada.id);
    storage.insert_api_token(&token, 1, event("api_token.create")).await.unwrap();
    let (ada_id, token_id) = (ada.id.to_string(), token.id.to_string());

    for (column, value) in [("role", "'SPOILT'"), ("state", "'SPOILT'")] {
        stage.by_hand(&format!("UPDATE users SET {column} = {value}")).await;
        assert_corrupt(storage.user(ada.id).await, ("users", column, &ada_id));
        stage.by_hand("UPDATE users SET role = 'user', state = 'active'").await;
    }
    stage.by_hand("UPDATE api_tokens SET gateways = '[\"SPOILT\"]'").await;
    assert_corrupt(storage.api_token(token.id).await, ("api_tokens", "gateways", &token_id));
    stage.by_hand("UPDATE api_tokens SET gateways = NULL, audience = 'SPOILT'").await;
    assert_corrupt(storage.api_tokens_of(ada.id).await, ("api_tokens", "audience", &token_id));
}

async fn spoilt_gateways_are_named(stage: &Stage) {
    let storage = &stage.storage;
    let hub = stored_gateway(storage, "hub").await;
    let id = hub.id.to_string();
    let registration = hub.oauth().unwrap().registration.id.to_string();
    let spoilt = [
        ("slug", "'SPOILT'", "'hub'"),
        ("url", "'SPOILT'", "'https://mcp.example.com/mcp'"),
        ("authorization_kind", "'SPOILT'", "'oauth'"),
        ("token_url", "NULL", "'https://as.example.com/token'"),
        ("scopes", "'{SPOILT'", "'[]'"),
        ("client_registration_id", "'SPOILT'", "(SELECT id FROM client_registrations)"),
    ];
    for (column, bad, good) in spoilt {
        stage.by_hand(&format!("UPDATE gateways SET {column} = {bad}")).await;
        assert_corrupt(storage.gateway(hub.id).await, ("gateways", column, &id));
        stage.by_hand(&format!("UPDATE gateways SET {column} = {good}")).await;
    }
    stage.by_hand("UPDATE gateways SET authorization_kind = 'static_header'").await;
    let missing = storage.gateway(hub.id).await;
    assert_corrupt(missing, ("gateways", "static_header_fingerprint", &id));
    stage.by_hand("UPDATE gateways SET authorization_kind = 'oauth'").await;
    stage.by_hand("UPDATE client_registrations SET client_secret_key_id = NULL").await;
    let half = storage.gateway(hub.id).await;
    assert_corrupt(half, ("client_registrations", "client_secret", &registration));
}

async fn spoilt_grants_are_named(stage: &Stage) {
    let storage = &stage.storage;
    let ada = stored_user(storage, "ada@example.com").await;
    let hub = stored_gateway(storage, "hub").await;
    let grant = stored_grant(storage, &ada, &hub).await;
    let id = grant.id.to_string();
    let spoilt = [
        ("state", "state = 'SPOILT'", "state = 'active'"),
        (
            "state_reason",
            "state = 'needs_authorization', state_reason = 'SPOILT'",
            "state = 'active', state_reason = NULL",
        ),
        ("owner_kind", "owner_kind = 'service'", "owner_kind = 'user'"),
        ("account_subject", "account_subject = NULL", "account_subject = 's'"),
        ("refresh_token", "refresh_token = NULL", "refresh_token_key_id = NULL"),
        ("scopes_granted", "scopes_granted = 'SPOILT'", "scopes_granted = '[]'"),
    ];
    for (column, bad, good) in spoilt {
        stage.by_hand(&format!("UPDATE grants SET {bad}")).await;
        assert_corrupt(storage.grant(grant.id).await, ("grants", column, &id));
        stage.by_hand(&format!("UPDATE grants SET {good}")).await;
    }
    assert!(storage.grant(grant.id).await.unwrap().is_some());
}

async fn spoilt_sessions_requests_and_events_are_named(stage: &Stage) {
    let storage = &stage.storage;
    let ada = stored_user(storage, "ada@example.com").await;
    let hub = stored_gateway(storage, "hub").await;
    let request = authorization_request(ada.id, &hub);
    storage.insert_authorization_request(&request, event("authorization.begin")).await.unwrap();
    let id = request.id.to_string();
    let bytes = match &stage.place {
        crate::stage::Place::Sqlite(_) => "x'00'",
        crate::stage::Place::Postgres(_) => r"'\x00'",
    };
    stage.by_hand(&format!("UPDATE authorization_requests SET cookie_hash = {bytes}")).await;
    let read = storage.authorization_request_by_state(request.state_hash).await;
    assert_corrupt(read, ("authorization_requests", "cookie_hash", &id));

    let shared =
        Catalog { gateway_id: hub.id, user_id: None, items: Vec::new(), instructions: None, fetched_at: NOW };
    storage.put_catalog(&shared).await.unwrap();
    stage.by_hand("UPDATE catalogs SET items = '[SPOILT]'").await;
    assert_corrupt(storage.catalog(hub.id, None).await, ("catalogs", "items", &hub.id.to_string()));

    stage.by_hand("DELETE FROM audit_events WHERE seq > 1").await;
    stage.by_hand("UPDATE audit_events SET id = 'first', actor_id = 'SPOILT'").await;
    let trail = storage.audit_events(&AuditFilter::default(), &PageRequest::default()).await;
    assert_corrupt(trail, ("audit_events", "actor_kind", "first"));
}

on_both!(
    spoilt_people_and_tokens_are_named,
    spoilt_gateways_are_named,
    spoilt_grants_are_named,
    spoilt_sessions_requests_and_events_are_named,
);
