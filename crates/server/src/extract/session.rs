//! Who is at the browser, by the session cookie. For pages.

use crate::extract::ClientAddress;
use crate::state::AppState;
use crate::telemetry::Seen;
use crate::{cookies, csrf};
use axum::extract::FromRequestParts;
use axum::extract::OptionalFromRequestParts;
use doorward_broker::{BrokerError, Caller};
use http::Method;
use http::request::Parts;

/// A signed-in person at a browser.
#[derive(Debug, Clone)]
pub(crate) struct SessionCaller {
    pub(crate) caller: Caller,
    /// Goes into every form of the page, as the field `csrf`.
    pub(crate) csrf: String,
}

/// Why a page is not served. The pages say it in their own look (`impl IntoResponse` in `ui`).
#[derive(Debug)]
pub(crate) enum PageRejection {
    /// Nobody is signed in; `next` is the path and query to come back to after the login.
    LoginNeeded { next: String },
    /// The form does not come from our own page in this browser: 403.
    Forged,
    /// The form cannot be read; the problem is a sentence: 400.
    BadForm { problem: String },
    /// Something failed on the way.
    Failed(BrokerError),
}

impl FromRequestParts<AppState> for SessionCaller {
    type Rejection = PageRejection;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, PageRejection> {
        let found = <Self as OptionalFromRequestParts<AppState>>::from_request_parts(parts, state).await?;
        found.ok_or_else(|| PageRejection::LoginNeeded { next: way_back(parts) })
    }
}

impl OptionalFromRequestParts<AppState> for SessionCaller {
    type Rejection = PageRejection;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Option<Self>, PageRejection> {
        let cookies = state.facts.cookies;
        let Some(text) = cookies.text(&parts.headers, cookies::SESSION) else { return Ok(None) };
        let token = doorward_domain::SessionToken::new(text);
        let csrf = csrf::token(text);
        let address = ClientAddress::of(&parts.headers, &parts.extensions, &state.facts);
        let caller = state.broker.caller_by_session(&token, address).await.map_err(PageRejection::Failed)?;
        Ok(caller.map(|caller| {
            Seen::note(&parts.extensions, caller.user.id);
            Self { caller, csrf }
        }))
    }
}

/// Where the login leads back to: the page itself, or after a form that was lost, the start page.
fn way_back(parts: &Parts) -> String {
    let path = parts.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    match parts.method {
        Method::GET | Method::HEAD => path.to_owned(),
        _ => "/ui/".to_owned(),
    }
}
