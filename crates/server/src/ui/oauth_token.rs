//! One OAuth token closely, as a page of its own: all that is known of it but its value, and what happened to it.

use crate::extract::{CheckedForm, SessionCaller};
use crate::state::AppState;
use crate::ui::error::PageError;
use crate::ui::form::{Asked, Fields};
use crate::ui::oauth_token_details::{TokenDetails, read};
use crate::ui::oauth_tokens_view::View;
use crate::ui::page::{self, Frame, Here, Note};
use crate::ui::parts::Tone;
use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use doorward_broker::{Caller, RefreshedNow};
use doorward_domain::{GrantId, Permission};
use http::StatusCode;

/// The details.
#[derive(Template)]
#[template(path = "oauth_token.html")]
struct OAuthTokenPage {
    frame: Frame,
    token: TokenDetails,
    /// The list that the reader comes from.
    list: String,
}

/// Somebody else's row is as good as unknown.
pub(super) fn may_see(caller: &Caller) -> Result<(), PageError> {
    if caller.may(Permission::ReadGrants) { Ok(()) } else { Err(PageError::NOT_FOUND) }
}

/// `GET /ui/oauth-tokens/{id}`
pub(super) async fn show(
    State(state): State<AppState>,
    session: SessionCaller,
    Path(id): Path<String>,
    Asked(asked): Asked,
) -> Result<Response, PageError> {
    may_see(&session.caller)?;
    let frame = Frame::new(&state, &session, Here::OAuthTokens).noted(&asked);
    let token = read(&state, &session.caller, crate::ui::id(&id)?).await?;
    Ok(page::page(&OAuthTokenPage { frame, token, list: View::default().href() }))
}

/// `POST /ui/oauth-tokens/{id}/refresh`
pub(super) async fn refresh(
    State(state): State<AppState>,
    session: SessionCaller,
    Path(id): Path<String>,
    CheckedForm(sent): CheckedForm<Fields>,
) -> Result<Response, PageError> {
    let caller = &session.caller;
    may_see(caller)?;
    let id: GrantId = crate::ui::id(&id)?;
    let (status, problem) = match state.broker.refresh_now(caller, id).await? {
        RefreshedNow::Fresh(_) => {
            return Ok(Redirect::to(&View::back_to(&sent, id, "refreshed")).into_response());
        }
        RefreshedNow::Lasting { problem, .. } => (StatusCode::CONFLICT, problem),
        RefreshedNow::Later { problem, .. } => (StatusCode::SERVICE_UNAVAILABLE, problem),
    };
    let mut frame = Frame::new(&state, &session, Here::OAuthTokens);
    frame.note = Some(Note::new(Tone::Warn, format!("Not refreshed. {problem}")));
    let token = read(&state, caller, id).await?;
    let list = View::carried(&sent).close_href();
    Ok(page::with_status(status, &OAuthTokenPage { frame, token, list }))
}

#[cfg(test)]
pub(super) fn samples() -> Vec<(&'static str, String)> {
    use crate::ui::{oauth_token_details, samples};
    let page = |details, revokes| {
        let token = oauth_token_details::sample(details, revokes);
        let frame = Frame::sample(Here::OAuthTokens);
        OAuthTokenPage { frame, token, list: View::default().href() }.render().unwrap()
    };
    vec![
        ("oauth-token", page(samples::details(), true)),
        ("oauth-token-failing", page(samples::failing_details(), true)),
        ("oauth-token-read-only", page(samples::details(), false)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s2_the_details_say_when_who_and_what_and_nothing_of_the_value() {
        let pages = samples();
        let page = |name: &str| &pages.iter().find(|(found, _)| *found == name).unwrap().1;
        for words in
            ["Created", "Last used", "Scopes", "Access token", "acme-doorward", "Renewal", "reference"]
        {
            assert!(page("oauth-token-failing").contains(words), "{words}");
        }
        assert!(!page("oauth-token-read-only").contains("Revoke…"));
        assert!(!page("oauth-token-read-only").contains("method=\"post\" action=\"/ui/oauth-tokens"));
    }
}
