//! Who calls REST: an API token in `Authorization: Bearer` (RFC 6750 §2.1), or a browser session with
//! the CSRF check. What an API token opens is its audience; what its person may do is their role, which
//! the use cases ask for.

use crate::api::ApiError;
use crate::extract::ClientAddress;
use crate::state::AppState;
use crate::telemetry::Seen;
use crate::{cookies, csrf};
use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use doorward_broker::Caller;
use doorward_domain::{ApiTokenPlain, Audience, SessionToken};
use http::request::Parts;
use http::{HeaderMap, Method, header};

/// For a person's own things: API tokens of the audiences `self` and `admin`, and browser sessions.
#[derive(Debug, Clone)]
pub(crate) struct OwnCaller(pub(crate) Caller);

/// For everything that a role allows: API tokens of the audience `admin`, and browser sessions.
#[derive(Debug, Clone)]
pub(crate) struct AdminCaller(pub(crate) Caller);

/// For how a person signs in: browser sessions alone. What an API token changed of it would outlive the token.
#[derive(Debug, Clone)]
pub(crate) struct SignedInCaller(pub(crate) Caller);

impl FromRequestParts<AppState> for SignedInCaller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let caller = caller(parts, state).await?;
        match caller.audience() {
            Some(_) => Err(ApiError::SessionNeeded),
            None => Ok(Self(caller)),
        }
    }
}

impl FromRequestParts<AppState> for OwnCaller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let caller = caller(parts, state).await?;
        Ok(Self(opening(caller, Audience::Own)?))
    }
}

impl FromRequestParts<AppState> for AdminCaller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let caller = caller(parts, state).await?;
        Ok(Self(opening(caller, Audience::Admin)?))
    }
}

impl OptionalFromRequestParts<AppState> for AdminCaller {
    type Rejection = ApiError;

    /// None for whoever is not let in: for answers that only say more to those who are.
    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Option<Self>, ApiError> {
        Ok(<Self as FromRequestParts<AppState>>::from_request_parts(parts, state).await.ok())
    }
}

fn opening(caller: Caller, need: Audience) -> Result<Caller, ApiError> {
    match caller.audience() {
        Some(audience) if audience < need => Err(ApiError::WrongAudience { audience, need }),
        _ => Ok(caller),
    }
}

async fn caller(parts: &Parts, state: &AppState) -> Result<Caller, ApiError> {
    let caller = authenticated(parts, state).await?;
    Seen::note(&parts.extensions, caller.user.id);
    Ok(caller)
}

async fn authenticated(parts: &Parts, state: &AppState) -> Result<Caller, ApiError> {
    let address = ClientAddress::of(&parts.headers, &parts.extensions, &state.facts);
    if parts.headers.contains_key(header::AUTHORIZATION) {
        let token = bearer(&parts.headers).ok_or(ApiError::Unauthenticated)?;
        let caller = state.broker.caller_by_api_token(&token, address).await?;
        return caller.ok_or(ApiError::Unauthenticated);
    }
    let cookies = state.facts.cookies;
    let text = cookies.text(&parts.headers, cookies::SESSION).ok_or(ApiError::Unauthenticated)?;
    let caller = state.broker.caller_by_session(&SessionToken::new(text), address).await?;
    let caller = caller.ok_or(ApiError::Unauthenticated)?;
    let safe = matches!(parts.method, Method::GET | Method::HEAD | Method::OPTIONS);
    if safe || is_not_forged(&parts.headers, text, &state.facts.public_origin) {
        Ok(caller)
    } else {
        Err(ApiError::Forged)
    }
}

fn is_not_forged(headers: &HeaderMap, session: &str, public_origin: &str) -> bool {
    let given = headers.get(csrf::HEADER).and_then(|value| value.to_str().ok());
    csrf::is_our_own(headers, public_origin) && given.is_some_and(|given| csrf::fits(given, [session]))
}

/// The token of `Authorization: Bearer`; the scheme's case does not matter (RFC 9110 §11.1).
fn bearer(headers: &HeaderMap) -> Option<ApiTokenPlain> {
    let text = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = text.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| ApiTokenPlain::new(token.trim()))
}
