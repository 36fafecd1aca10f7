//! Forms of pages: the token that goes into them, and the check when they come back.

use crate::extract::PageRejection;
use crate::state::AppState;
use crate::{cookies, csrf};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::response::{IntoResponseParts, ResponseParts};
use bytes::Bytes;
use doorward_domain::{Entropy, SessionToken};
use http::request::Parts;
use http::{HeaderValue, header};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::convert::Infallible;
use std::time::Duration;

/// A form that is opened and left lying is still good for a day.
const FORM_COOKIE_LIFETIME: Duration = Duration::from_secs(24 * 3_600);

/// What a form needs where perhaps nobody is signed in: login, setup, reset. It goes into the answer as
/// well, `(guard, page)`, because it may have to set a cookie.
pub(crate) struct FormGuard {
    /// Goes into the form, as the field `csrf`.
    pub(crate) csrf: String,
    fresh: Option<HeaderValue>,
}

impl FromRequestParts<AppState> for FormGuard {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Infallible> {
        let cookies = state.facts.cookies;
        if let Some(known) = cookies.text(&parts.headers, cookies::FORM) {
            return Ok(Self { csrf: csrf::token(known), fresh: None });
        }
        let value = Entropy.token();
        let csrf = csrf::token(&value);
        let fresh = cookies.set(cookies::FORM, &SessionToken::new(value), FORM_COOKIE_LIFETIME);
        Ok(Self { csrf, fresh: Some(fresh) })
    }
}

impl IntoResponseParts for FormGuard {
    type Error = Infallible;

    fn into_response_parts(self, mut response: ResponseParts) -> Result<ResponseParts, Infallible> {
        if let Some(cookie) = self.fresh {
            response.headers_mut().append(header::SET_COOKIE, cookie);
        }
        Ok(response)
    }
}

/// The fields of a form that our own page sent from this browser. Fields that `T` does not name are
/// ignored, the token among them.
#[derive(Debug)]
pub(crate) struct CheckedForm<T>(pub(crate) T);

#[derive(Deserialize)]
struct TokenField {
    #[serde(default)]
    csrf: String,
}

impl<T: DeserializeOwned> FromRequest<AppState> for CheckedForm<T> {
    type Rejection = PageRejection;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, PageRejection> {
        if !csrf::is_our_own(request.headers(), &state.facts.public_origin) {
            return Err(PageRejection::Forged);
        }
        let cookies = state.facts.cookies;
        let headers = request.headers().clone();
        let known =
            [cookies::SESSION, cookies::FORM].into_iter().filter_map(|name| cookies.text(&headers, name));
        let body = Bytes::from_request(request, state)
            .await
            .map_err(|_| bad_form("the form is larger than 1 MiB, or was cut off"))?;
        let field: TokenField = serde_urlencoded::from_bytes(&body).map_err(bad_form)?;
        if !csrf::fits(&field.csrf, known) {
            return Err(PageRejection::Forged);
        }
        serde_urlencoded::from_bytes(&body).map(Self).map_err(bad_form)
    }
}

fn bad_form(problem: impl ToString) -> PageRejection {
    PageRejection::BadForm { problem: problem.to_string() }
}
