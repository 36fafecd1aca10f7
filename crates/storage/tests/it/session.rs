//! Logins in browsers, and MCP sessions.

use crate::samples::*;
use crate::stage::Stage;
use doorward_domain::{BrowserSession, McpSession, User, UserState};
use doorward_storage::Updated;
use std::time::Duration;

async fn a_login_is_found_touched_and_ended(stage: &Stage) {
    let storage = &stage.storage;
    let ada = stored_user(storage, "ada@example.com").await;
    let login = browser_session(ada.id);
    storage.insert_browser_session(&login, 1, event("login")).await.unwrap();
    assert_eq!(storage.browser_session(login.hash).await.unwrap(), Some(login.clone()));
    storage.touch_browser_session(login.hash, later(60)).await.unwrap();
    storage.touch_browser_session(login.hash, later(30)).await.unwrap();
    let touched = storage.browser_session(login.hash).await.unwrap();
    assert_eq!(touched, Some(BrowserSession { last_seen_at: later(60), ..login.clone() }));
    assert!(storage.refresh_browser_session(login.hash, later(70), event("login.again")).await.unwrap());
    let fresh = storage.browser_session(login.hash).await.unwrap().unwrap();
    assert_eq!((fresh.authenticated_at, fresh.last_seen_at), (later(70), later(60)));
    assert!(storage.end_browser_session(login.hash, event("logout")).await.unwrap());
    assert!(!storage.refresh_browser_session(login.hash, later(80), event("login.again")).await.unwrap());
    assert!(!storage.end_browser_session(login.hash, event("logout")).await.unwrap());
    assert_eq!(stage.number("SELECT count(*) FROM audit_events WHERE action = 'logout'").await, 1);
}

async fn the_logins_of_a_person_are_listed_and_found_by_id(stage: &Stage) {
    let storage = &stage.storage;
    let ada = stored_user(storage, "ada@example.com").await;
    let bob = stored_user(storage, "bob@example.com").await;
    let logins = [ada.id, ada.id, bob.id].map(browser_session);
    for login in &logins {
        storage.insert_browser_session(login, 1, event("login")).await.unwrap();
    }
    storage.touch_browser_session(logins[1].hash, later(5)).await.unwrap();
    let listed = storage.browser_sessions_of(ada.id).await.unwrap();
    assert_eq!(listed.iter().map(|login| login.id).collect::<Vec<_>>(), [logins[1].id, logins[0].id]);
    assert_eq!(storage.browser_session_by_id(logins[2].id).await.unwrap().as_ref(), Some(&logins[2]));
}

/// A password that was right before it was changed, or an account that was disabled meanwhile, signs nobody in.
async fn a_login_of_a_person_who_has_changed_since_is_not_kept(stage: &Stage) {
    let storage = &stage.storage;
    let ada = stored_user(storage, "ada@example.com").await;
    let keep = async |version| {
        let login = browser_session(ada.id);
        let kept = storage.insert_browser_session(&login, version, event("login")).await.unwrap();
        let token = api_token(ada.id);
        let made = storage.insert_api_token(&token, version, event("api_token.create")).await.unwrap();
        assert_eq!(storage.browser_session(login.hash).await.unwrap().is_some(), kept);
        assert_eq!(storage.api_token(token.id).await.unwrap().is_some(), made);
        (kept, made)
    };
    assert_eq!(keep(1).await, (true, true));
    let renamed = User { name: "Ada L.".into(), ..ada.clone() };
    assert_eq!(storage.update_user(&renamed, event("user.update")).await.unwrap(), Updated::Yes);
    assert_eq!(keep(1).await, (false, false));
    assert_eq!(keep(2).await, (true, true));
    let disabled = User { state: UserState::Disabled, version: 2, ..ada.clone() };
    assert_eq!(storage.update_user(&disabled, event("user.update")).await.unwrap(), Updated::Yes);
    assert_eq!(keep(3).await, (false, false));
}

async fn ended_logins_go_with_the_next_login(stage: &Stage) {
    let storage = &stage.storage;
    let ada = stored_user(storage, "ada@example.com").await;
    storage.insert_browser_session(&browser_session(ada.id), 1, event("login")).await.unwrap();
    stage.clock.advance(Duration::from_secs(86_400));
    let next = BrowserSession { expires_at: later(2 * 86_400), ..browser_session(ada.id) };
    storage.insert_browser_session(&next, 1, event("login")).await.unwrap();
    assert_eq!(stage.number("SELECT count(*) FROM browser_sessions").await, 1);
}

async fn an_mcp_session_is_found_touched_and_ended(stage: &Stage) {
    let storage = &stage.storage;
    let ada = stored_user(storage, "ada@example.com").await;
    let token = api_token(ada.id);
    storage.insert_api_token(&token, 1, event("api_token.create")).await.unwrap();
    let session = mcp_session(&token);
    storage.insert_mcp_session(&session).await.unwrap();
    assert_eq!(storage.mcp_session(session.hash).await.unwrap(), Some(session.clone()));
    storage.touch_mcp_session(session.hash, later(60)).await.unwrap();
    let touched = storage.mcp_session(session.hash).await.unwrap();
    assert_eq!(touched, Some(McpSession { last_seen_at: later(60), ..session.clone() }));
    assert!(storage.end_mcp_session(session.hash).await.unwrap());
    assert!(!storage.end_mcp_session(session.hash).await.unwrap());
    assert_eq!(storage.mcp_session(session.hash).await.unwrap(), None);
}

async fn idle_mcp_sessions_go_with_the_next(stage: &Stage) {
    let storage = &stage.storage;
    let ada = stored_user(storage, "ada@example.com").await;
    let token = api_token(ada.id);
    storage.insert_api_token(&token, 1, event("api_token.create")).await.unwrap();
    let idle = mcp_session(&token);
    storage.insert_mcp_session(&idle).await.unwrap();
    stage.clock.advance(Duration::from_secs(86_401));
    let busy = McpSession { last_seen_at: later(86_401), ..mcp_session(&token) };
    storage.insert_mcp_session(&busy).await.unwrap();
    assert_eq!(storage.mcp_session(idle.hash).await.unwrap(), None);
    assert_eq!(storage.mcp_session(busy.hash).await.unwrap(), Some(busy));
}

on_both!(
    a_login_is_found_touched_and_ended,
    the_logins_of_a_person_are_listed_and_found_by_id,
    a_login_of_a_person_who_has_changed_since_is_not_kept,
    ended_logins_go_with_the_next_login,
    an_mcp_session_is_found_touched_and_ended,
    idle_mcp_sessions_go_with_the_next,
);
