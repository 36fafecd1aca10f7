//! An authorization request, read and checked (RFC 6749 §4.1.1, RFC 7636, RFC 8707).

use super::client::Client;
use super::metadata::SCOPES;
use super::{IssuerInRedirect, Shared};
use std::collections::BTreeMap;
use url::{Url, form_urlencoded};

/// A request that may be shown to a person.
pub(super) struct AuthorizeRequest {
    pub(super) client: Client,
    pub(super) redirect_uri: Url,
    pub(super) state: Option<String>,
    pub(super) challenge: String,
    pub(super) scopes: Vec<String>,
    pub(super) resource: Option<String>,
}

/// Why a request goes no further.
pub(super) enum AuthorizeRefusal {
    /// The client or its redirect is not to be trusted: the browser stays here (RFC 6749 §4.1.2.1).
    Page(String),
    /// The client is told.
    Redirect(Url),
}

impl AuthorizeRequest {
    /// Checks the client and the redirect first, because only then may an error be sent anywhere.
    pub(super) fn read(server: &Shared, query: &BTreeMap<String, String>) -> Result<Self, AuthorizeRefusal> {
        let client_id = query.get("client_id").map_or("", String::as_str);
        let client = server.with(|inner| inner.clients.get(client_id).cloned()).ok_or_else(|| {
            AuthorizeRefusal::Page("The `client_id` of this request is not registered here.".to_owned())
        })?;
        let redirect_uri = query
            .get("redirect_uri")
            .filter(|uri| client.may_return_to(uri))
            .and_then(|uri| Url::parse(uri).ok())
            .ok_or_else(|| {
                AuthorizeRefusal::Page("The `redirect_uri` of this request is not the client's.".to_owned())
            })?;
        let state = query.get("state").cloned();
        let refuse = |error: &str, why: &str| {
            let parameters = [("error", error), ("error_description", why)];
            AuthorizeRefusal::Redirect(answer(server, &redirect_uri, state.as_deref(), &parameters))
        };
        if query.get("response_type").map(String::as_str) != Some("code") {
            return Err(refuse("unsupported_response_type", "response_type must be code"));
        }
        let challenge = challenge(query)
            .ok_or_else(|| refuse("invalid_request", "a code_challenge of method S256 is required"))?;
        let scopes = scopes(query).ok_or_else(|| refuse("invalid_scope", "a scope does not exist"))?;
        let resource = query.get("resource").cloned();
        if resource.as_deref().is_some_and(|resource| !is_resource(resource)) {
            return Err(refuse("invalid_target", "resource must be an absolute URI without a fragment"));
        }
        Ok(Self { client, redirect_uri, state, challenge, scopes, resource })
    }

    /// The redirect that answers this request.
    pub(super) fn answer(&self, server: &Shared, parameters: &[(&str, &str)]) -> Url {
        answer(server, &self.redirect_uri, self.state.as_deref(), parameters)
    }
}

/// The parameters of a query or form. Of a repeated one the last counts.
pub(super) fn parameters(text: &[u8]) -> BTreeMap<String, String> {
    form_urlencoded::parse(text).into_owned().collect()
}

fn challenge(query: &BTreeMap<String, String>) -> Option<String> {
    let method = query.get("code_challenge_method").map(String::as_str);
    // The base64url form of a SHA-256 has 43 characters (RFC 7636 §4.2).
    query.get("code_challenge").filter(|text| method == Some("S256") && text.len() == 43).cloned()
}

fn scopes(query: &BTreeMap<String, String>) -> Option<Vec<String>> {
    let asked = query.get("scope").map_or("", String::as_str).split_ascii_whitespace();
    asked.map(|scope| SCOPES.contains(&scope).then(|| scope.to_owned())).collect()
}

/// RFC 8707 §2.
pub(super) fn is_resource(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| url.fragment().is_none())
}

/// The redirect URI with the answer in its query, and `iss` as RFC 9207 asks (or as a fault says).
fn answer(server: &Shared, redirect_uri: &Url, state: Option<&str>, parameters: &[(&str, &str)]) -> Url {
    let mut url = redirect_uri.clone();
    let mut query = url.query_pairs_mut();
    query.extend_pairs(parameters);
    if let Some(state) = state {
        query.append_pair("state", state);
    }
    match server.faults.issuer() {
        IssuerInRedirect::Right => _ = query.append_pair("iss", &server.issuer),
        IssuerInRedirect::Wrong(issuer) => _ = query.append_pair("iss", &issuer),
        IssuerInRedirect::Missing => {}
    }
    drop(query);
    url
}
