//! Tells a provider that a grant has ended, in the words that it knows. Asking twice does no harm: whatever is
//! unknown there counts as gone.

use crate::client::OAuthClient;
use crate::client_auth::{ClientCredentials, basic, form};
use crate::refusal::retry_after;
use crate::token_response::error_code;
use bytes::Bytes;
use doorward_domain::{AccessToken, RefreshToken, RevocationMethod};
use doorward_outbound::{OutboundRequest, OutboundResponse};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use secrecy::ExposeSecret;
use serde_json::json;
use std::time::Duration;
use url::{Url, form_urlencoded};

/// What a provider is told of, and where.
pub struct Revocation<'a> {
    pub method: RevocationMethod,
    pub url: &'a Url,
    pub client: ClientCredentials<'a>,
    pub refresh_token: Option<&'a RefreshToken>,
    pub access_token: Option<&'a AccessToken>,
}

/// What came of it. Reasons carry the provider's error code or status, never its prose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// The provider has confirmed; a note where it did so with a limit.
    Ended { note: Option<String> },
    /// The provider did not know the token any more.
    AlreadyGone { why: String },
    /// The provider answered no.
    Refused { why: String },
    /// The provider did not answer, or asked to come back.
    Later { why: String, retry_after: Option<Duration> },
}

/// Codes that say that the token has ended before. (Google answers `invalid_token` to what it revoked.)
const GONE: [&str; 5] = ["invalid_token", "token_revoked", "token_expired", "expired_token", "invalid_auth"];

/// Codes that say that the provider cannot just now.
const BUSY: [&str; 5] =
    ["temporarily_unavailable", "server_error", "slow_down", "rate_limited", "ratelimited"];

impl OAuthClient {
    /// Tells a provider that a grant has ended. No redirect is followed.
    pub async fn revoke(&self, revocation: &Revocation<'_>) -> Told {
        match revocation.method {
            RevocationMethod::Rfc7009 => self.revoke_tokens(revocation).await,
            RevocationMethod::GithubDelete => self.delete_at_github(revocation).await,
            RevocationMethod::BearerCall => self.call_as_bearer(revocation).await,
            RevocationMethod::None => Told::Refused { why: "the provider has no such call".to_owned() },
        }
    }

    /// RFC 7009 §2.1. The refresh token comes first: its end should end the access tokens that came of it as well,
    /// while the end of an access token leaves the grant alive.
    async fn revoke_tokens(&self, revocation: &Revocation<'_>) -> Told {
        let refresh = revocation.refresh_token.map(|token| (token.expose_secret(), "refresh_token"));
        let access = revocation.access_token.map(|token| (token.expose_secret(), "access_token"));
        let first = match refresh {
            Some(token) => self.revoke_token(revocation, token).await,
            None => Told::AlreadyGone { why: "no token was left".to_owned() },
        };
        match (access, refresh) {
            (Some(access), None) => self.revoke_token(revocation, access).await,
            (Some(access), Some(_)) if !matches!(first, Told::Later { .. }) => {
                both(first, self.revoke_token(revocation, access).await)
            }
            _ => first,
        }
    }

    async fn revoke_token(&self, revocation: &Revocation<'_>, token: (&str, &str)) -> Told {
        let (form, headers) = form_of(revocation.client, token);
        let answered = self.told(revocation, Method::POST, revocation.url.clone(), headers, form).await;
        answered.map_or_else(|later| later, |answer| read(&answer))
    }

    /// GitHub, "Delete an app token": `DELETE /applications/{client_id}/token` with the token as JSON, under the
    /// client's own Basic authentication; 204 is done. `{client_id}` in the URL stands for ours.
    async fn delete_at_github(&self, revocation: &Revocation<'_>) -> Told {
        let (Some(token), Some(secret)) = (revocation.access_token, revocation.client.client_secret) else {
            return Told::Refused { why: "GitHub wants the access token and a client secret".to_owned() };
        };
        let Some(url) = with_client_id(revocation.url, revocation.client.client_id) else {
            return Told::Refused { why: "the client id does not fit into the revocation URL".to_owned() };
        };
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::AUTHORIZATION, basic(revocation.client.client_id, secret));
        let body = json!({ "access_token": token.expose_secret() }).to_string();
        match self.told(revocation, Method::DELETE, url, headers, body).await {
            Ok(answer) if matches!(answer.status.as_u16(), 404 | 422) => {
                Told::AlreadyGone { why: status(answer.status) }
            }
            Ok(answer) => read(&answer),
            Err(later) => later,
        }
    }

    /// An empty `POST` that carries the access token itself.
    async fn call_as_bearer(&self, revocation: &Revocation<'_>) -> Told {
        let Some(token) = revocation.access_token else {
            return Told::Refused { why: "the call wants the access token, which has ended".to_owned() };
        };
        let Ok(mut bearer) = HeaderValue::from_str(&format!("Bearer {}", token.expose_secret())) else {
            return Told::Refused { why: "the access token fits into no header".to_owned() };
        };
        bearer.set_sensitive(true);
        let headers = HeaderMap::from_iter([(header::AUTHORIZATION, bearer)]);
        match self.told(revocation, Method::POST, revocation.url.clone(), headers, String::new()).await {
            Ok(answer) if answer.status == StatusCode::UNAUTHORIZED => {
                Told::AlreadyGone { why: status(answer.status) }
            }
            Ok(answer) => read(&answer),
            Err(later) => later,
        }
    }

    async fn told(
        &self,
        revocation: &Revocation<'_>,
        method: Method,
        url: Url,
        mut headers: HeaderMap,
        body: String,
    ) -> Result<OutboundResponse, Told> {
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        let request = OutboundRequest { method, url, headers, body: Bytes::from(body) };
        let outbound = self.outbound.showing(revocation.client.identity.cloned());
        let answered = outbound.call(request).await;
        answered.map_err(|error| Told::Later { why: error.to_string(), retry_after: None })
    }
}

/// The body and headers of one RFC 7009 request, under the same authentication as at the token endpoint.
fn form_of<'a>(client: ClientCredentials<'a>, (token, hint): (&'a str, &'a str)) -> (String, HeaderMap) {
    let mut parameters = vec![("token", token), ("token_type_hint", hint)];
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
    client.apply(&mut parameters, &mut headers);
    (form(&parameters), headers)
}

/// What the answers to the refresh token and then to the access token say together.
fn both(refresh: Told, access: Told) -> Told {
    match (refresh, access) {
        // The grant is gone; an access token that cannot be revoked (a JWT, RFC 7009 §2.2.1) lives out its time.
        (Told::Ended { .. }, Told::Refused { why }) => Told::Ended {
            note: Some(format!("the refresh token; its access token lives until its end ({why})")),
        },
        (_, Told::Later { why, retry_after }) => Told::Later { why, retry_after },
        (Told::AlreadyGone { .. }, access) => access,
        (refresh, _) => refresh,
    }
}

/// RFC 7009 §2.2: 200 for what was revoked and for what was unknown; 503 with `Retry-After` means later.
fn read(answer: &OutboundResponse) -> Told {
    let code = error_code(&answer.body);
    let later = |why: String| Told::Later { why, retry_after: retry_after(&answer.headers) };
    match code {
        Some(code) if BUSY.contains(&code.as_str()) => later(code),
        Some(code) if GONE.contains(&code.as_str()) => Told::AlreadyGone { why: code },
        _ if answer.status.is_server_error() || matches!(answer.status.as_u16(), 408 | 429) => {
            later(status(answer.status))
        }
        Some(code) => Told::Refused { why: code },
        None if answer.status.is_success() => Told::Ended { note: None },
        None if answer.headers.contains_key(header::RETRY_AFTER) => later(status(answer.status)),
        None => Told::Refused { why: status(answer.status) },
    }
}

fn status(status: StatusCode) -> String {
    format!("status {}", status.as_u16())
}

/// The URL with our client id where it stands for one.
fn with_client_id(url: &Url, client_id: &str) -> Option<Url> {
    let escaped: String = form_urlencoded::byte_serialize(client_id.as_bytes()).collect();
    let path = url.path().replace("%7Bclient_id%7D", &escaped);
    let mut url = url.clone();
    url.set_path(&path);
    (!url.path().contains("%7B")).then_some(url)
}

#[cfg(test)]
#[path = "revocation_tests.rs"]
mod tests;
