//! Where somebody is signed in: the reader's own logins, or a person's for those who see people; and ending one.

use crate::extract::{CheckedForm, SessionCaller};
use crate::state::AppState;
use crate::ui::confirm::Confirm;
use crate::ui::error::PageError;
use crate::ui::form::{Asked, Fields};
use crate::ui::page::{self, Frame, Here};
use crate::ui::parts::Moment;
use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use doorward_broker::SignedIn;
use doorward_domain::{BrowserSession, BrowserSessionId, Permission, SessionPolicy, Timestamp, UserId};
use std::time::Duration;

/// The list.
#[derive(Template)]
#[template(path = "sessions.html")]
struct SessionsPage {
    frame: Frame,
    /// Whose they are; none: the reader's own.
    whose: Option<String>,
    may_end: bool,
    limits: String,
    rows: Vec<Row>,
}

struct Row {
    id: String,
    address: String,
    here: bool,
    since: Moment,
    seen: Moment,
    ends_unused: Moment,
    ends: Moment,
}

impl Row {
    fn new(signed_in: SignedIn, now: Timestamp) -> Self {
        let SignedIn { session, here, ends_unused_at, ends_at_the_latest } = signed_in;
        Self {
            id: session.id.to_string(),
            address: address(&session),
            here,
            since: Moment::relative(session.created_at, now),
            seen: Moment::relative(session.last_seen_at, now),
            ends_unused: Moment::relative(ends_unused_at, now),
            ends: Moment::relative(ends_at_the_latest, now),
        }
    }
}

fn address(session: &BrowserSession) -> String {
    session.address.clone().unwrap_or_else(|| "an unknown address".to_owned())
}

fn rows(sessions: Vec<SignedIn>, now: Timestamp) -> Vec<Row> {
    sessions.into_iter().map(|signed_in| Row::new(signed_in, now)).collect()
}

fn limits(state: &AppState) -> String {
    told(&state.broker.policy().sessions)
}

/// The limits in words.
fn told(policy: &SessionPolicy) -> String {
    let hours = |duration: Duration| match duration.as_secs() / 3_600 {
        24 => "a day".to_owned(),
        1 => "an hour".to_owned(),
        168 => "a week".to_owned(),
        days if days % 24 == 0 => format!("{} days", days / 24),
        hours => format!("{hours} hours"),
    };
    format!(
        "A session ends {} after the login, or after {} without use.",
        hours(policy.lifetime),
        hours(policy.idle)
    )
}

/// `GET /ui/sessions`
pub(super) async fn show(
    State(state): State<AppState>,
    session: SessionCaller,
    Asked(asked): Asked,
) -> Result<Response, PageError> {
    let sessions = state.broker.own_browser_sessions(&session.caller).await?;
    let frame = Frame::new(&state, &session, Here::Sessions).noted(&asked);
    let rows = rows(sessions, state.broker.clock().now());
    Ok(page::page(&SessionsPage { frame, whose: None, may_end: true, limits: limits(&state), rows }))
}

/// `GET /ui/people/{id}/sessions`
pub(super) async fn show_of(
    State(state): State<AppState>,
    session: SessionCaller,
    Path(id): Path<String>,
    Asked(asked): Asked,
) -> Result<Response, PageError> {
    let user: UserId = crate::ui::id(&id)?;
    let (user, sessions) = state.broker.browser_sessions_of(&session.caller, user).await?;
    let frame = Frame::new(&state, &session, Here::People).noted(&asked);
    let rows = rows(sessions, state.broker.clock().now());
    let may_end = session.caller.may(Permission::ManageUsers);
    Ok(page::page(&SessionsPage { frame, whose: Some(user.email), may_end, limits: limits(&state), rows }))
}

/// Where the list is that a login stands in.
fn list_of(session: &SessionCaller, found: &BrowserSession) -> String {
    if found.user_id == session.caller.user.id {
        "/ui/sessions".to_owned()
    } else {
        format!("/ui/people/{}/sessions", found.user_id)
    }
}

/// `GET /ui/sessions/{id}/end`
pub(super) async fn ask(
    State(state): State<AppState>,
    session: SessionCaller,
    Path(id): Path<String>,
) -> Result<Response, PageError> {
    let found = state.broker.browser_session(&session.caller, crate::ui::id(&id)?).await?;
    Ok(page::page(&Confirm {
        frame: Frame::new(&state, &session, Here::Sessions),
        title: format!("End the session from {}?", address(&found)),
        lines: vec![
            "That browser has to sign in again. API tokens and connections stay as they are.".to_owned(),
        ],
        action: format!("/ui/sessions/{id}/end"),
        button: "End the session",
        danger: true,
        back: list_of(&session, &found),
        version: None,
    }))
}

/// `POST /ui/sessions/{id}/end`
pub(super) async fn end(
    State(state): State<AppState>,
    session: SessionCaller,
    Path(id): Path<String>,
    CheckedForm(_): CheckedForm<Fields>,
) -> Result<Response, PageError> {
    let id: BrowserSessionId = crate::ui::id(&id)?;
    let caller = &session.caller;
    let found = state.broker.browser_session(caller, id).await?;
    if found.user_id == caller.user.id {
        state.broker.end_own_browser_session(caller, id).await?;
    } else {
        state.broker.end_any_browser_session(caller, id).await?;
    }
    Ok(Redirect::to(&format!("{}?note=session-ended", list_of(&session, &found))).into_response())
}

#[cfg(test)]
pub(super) fn samples() -> Vec<(&'static str, String)> {
    use crate::ui::samples::{NOW, ago};
    use doorward_domain::TokenHash;
    use uuid::Uuid;
    let signed_in = |number: u128, here| SignedIn {
        session: BrowserSession {
            id: Uuid::from_u128(number).into(),
            hash: TokenHash([7; 32]),
            user_id: UserId(Uuid::from_u128(1)),
            address: (number == 1).then(|| "192.0.2.7<b>".into()),
            created_at: ago(86_400),
            last_seen_at: ago(240),
            authenticated_at: ago(240),
            expires_at: NOW.plus(std::time::Duration::from_secs(6 * 86_400)),
        },
        here,
        ends_unused_at: NOW.plus(std::time::Duration::from_secs(86_400 - 240)),
        ends_at_the_latest: NOW.plus(std::time::Duration::from_secs(6 * 86_400)),
    };
    let page = |here, whose: Option<&str>, may_end, sessions| {
        let whose = whose.map(str::to_owned);
        let limits = told(&doorward_domain::SessionPolicy::default());
        SessionsPage { frame: Frame::sample(here), whose, may_end, limits, rows: rows(sessions, NOW) }
            .render()
            .unwrap()
    };
    let both = || vec![signed_in(1, true), signed_in(2, false)];
    vec![
        ("sessions", page(Here::Sessions, None, true, both())),
        ("sessions-of", page(Here::People, Some("<b>admin</b>@acme.example"), false, both())),
        ("sessions-none", page(Here::People, Some("m.okafor@acme.example"), true, vec![])),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_only_look_gets_no_button() {
        let pages = samples();
        let page = |name: &str| &pages.iter().find(|(found, _)| *found == name).unwrap().1;
        assert!(page("sessions").contains("End…") && page("sessions").contains("This browser"));
        assert!(!page("sessions-of").contains("End…"));
        assert!(page("sessions-none").contains("Nobody is signed in"));
    }
}
