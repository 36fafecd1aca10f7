//! Asks a token endpoint: for a code's tokens, or with a refresh token. A refresh is one attempt with one set
//! of parameters: a request that fails late may already have spent what it carried.

use crate::client::OAuthClient;
use crate::client_auth::{ClientCredentials, Parameters, form};
use crate::dpop::{DPOP, nonce_of};
use crate::refusal::TokenError;
use crate::token_response;
use bytes::Bytes;
use doorward_domain::{
    AccessToken, AuthorizationCode, IdToken, IdentityAssertion, OAuthSettings, PkceVerifier, RefreshToken,
    SendResource, Timestamp, TokenBody, TokenSet,
};
use doorward_outbound::{OutboundRequest, OutboundResponse};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};
use url::Url;

/// Which parameters are secrets.
const SECRETS: [&str; 5] = ["assertion", "code", "code_verifier", "refresh_token", "subject_token"];

/// RFC 8693 §2.1, §3; the ID-JAG profile's own type; RFC 7523 §2.1.
const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN_TYPE: &str = "urn:ietf:params:oauth:token-type:access_token";
const ID_TOKEN_TYPE: &str = "urn:ietf:params:oauth:token-type:id_token";
const ID_JAG_TYPE: &str = "urn:ietf:params:oauth:token-type:id-jag";
const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

impl OAuthClient {
    /// Redeems an authorization code (RFC 6749 §4.1.3, RFC 7636 §4.5, RFC 8707 §2.2). Where the facts say so, a
    /// code that was refused for a parameter is sent once more without `resource`: no token came of it, so at
    /// worst it is refused again.
    pub async fn exchange_code(
        &self,
        settings: &OAuthSettings,
        client: ClientCredentials<'_>,
        redirect_uri: &Url,
        code: &AuthorizationCode,
        verifier: &PkceVerifier,
        now: Timestamp,
    ) -> Result<TokenSet, TokenError> {
        let plain = vec![
            ("grant_type", "authorization_code"),
            ("code", code.expose_secret()),
            ("redirect_uri", redirect_uri.as_str()),
            ("code_verifier", verifier.expose_secret()),
        ];
        let mut whole = plain.clone();
        whole.extend(settings.sent_resource().map(|resource| ("resource", resource)));
        let url = &settings.token_url;
        match self.token_request(settings, url, client, whole, now).await {
            Err(error)
                if settings.facts.send_resource == SendResource::RetryWithoutOn400
                    && settings.resource.is_some()
                    && error.is_about_a_parameter() =>
            {
                self.token_request(settings, url, client, plain, now).await
            }
            answered => answered,
        }
    }

    /// Redeems a refresh token (RFC 6749 §6), with the `resource` of the grant (RFC 8707 §2.2) and, where the
    /// provider wants them, the scopes of the consent.
    pub async fn refresh(
        &self,
        settings: &OAuthSettings,
        client: ClientCredentials<'_>,
        refresh_token: &RefreshToken,
        scopes: &[String],
        now: Timestamp,
    ) -> Result<TokenSet, TokenError> {
        let scope = settings.facts.joined(scopes);
        let mut parameters =
            vec![("grant_type", "refresh_token"), ("refresh_token", refresh_token.expose_secret())];
        if settings.facts.refresh_needs_scope && !scope.is_empty() {
            parameters.push(("scope", &scope));
        }
        parameters.extend(settings.refreshed_resource().map(|resource| ("resource", resource)));
        self.token_request(settings, settings.refresh_url(), client, parameters, now).await
    }

    /// Gets a token for the client itself (RFC 6749 §4.4). A refresh token that comes with it is of no use: the
    /// client can always ask again (§4.4.3).
    pub async fn client_credentials(
        &self,
        settings: &OAuthSettings,
        client: ClientCredentials<'_>,
        now: Timestamp,
    ) -> Result<TokenSet, TokenError> {
        let scope = settings.facts.joined(&settings.scopes);
        let mut parameters = vec![("grant_type", "client_credentials")];
        if !scope.is_empty() {
            parameters.push(("scope", &scope));
        }
        // Not in RFC 6749, but Auth0 and its like give no token without one.
        parameters.extend(settings.sent_audience().map(|audience| ("audience", audience)));
        parameters.extend(settings.sent_resource().map(|resource| ("resource", resource)));
        let tokens = self.token_request(settings, &settings.token_url, client, parameters, now).await?;
        Ok(TokenSet { refresh_token: None, id_token: None, ..tokens })
    }

    /// Gets a token in exchange for what a user has at an identity provider: for their access token there by RFC 8693
    /// §2.1, or for what the identity provider says of them by RFC 7523 §2.1.
    pub async fn exchange(
        &self,
        settings: &OAuthSettings,
        client: ClientCredentials<'_>,
        subject: &Subject,
        now: Timestamp,
    ) -> Result<TokenSet, TokenError> {
        let scope = settings.facts.joined(&settings.scopes);
        let mut parameters = match subject {
            Subject::AccessToken(token) => vec![
                ("grant_type", TOKEN_EXCHANGE),
                ("subject_token", token.expose_secret()),
                ("subject_token_type", ACCESS_TOKEN_TYPE),
                ("requested_token_type", ACCESS_TOKEN_TYPE),
            ],
            Subject::Assertion(assertion) => {
                vec![("grant_type", JWT_BEARER), ("assertion", assertion.expose_secret())]
            }
        };
        if !scope.is_empty() {
            parameters.push(("scope", &scope));
        }
        // RFC 8693 §2.1: the service by the name that the server has for it, where `resource` says its address.
        parameters.extend(settings.sent_audience().map(|audience| ("audience", audience)));
        parameters.extend(settings.sent_resource().map(|resource| ("resource", resource)));
        let answer = self.token_request(settings, &settings.token_url, client, parameters, now).await;
        answer.map_err(TokenError::of_one_user)
    }

    /// Has an identity provider say who a user is to another authorization server (the ID-JAG profile of RFC 8693):
    /// `audience` is that server's issuer, `resource` the MCP server.
    pub async fn identity_assertion(
        &self,
        provider: &OAuthSettings,
        client: ClientCredentials<'_>,
        id_token: &IdToken,
        wanted: &OAuthSettings,
    ) -> Result<IdentityAssertion, TokenError> {
        let audience = wanted.issuer_key();
        let scope = wanted.facts.joined(&wanted.scopes);
        let mut parameters = vec![
            ("grant_type", TOKEN_EXCHANGE),
            ("requested_token_type", ID_JAG_TYPE),
            ("subject_token", id_token.expose_secret()),
            ("subject_token_type", ID_TOKEN_TYPE),
            ("audience", audience.as_str()),
        ];
        if !scope.is_empty() {
            parameters.push(("scope", &scope));
        }
        parameters.extend(wanted.resource.as_deref().map(|resource| ("resource", resource)));
        let (answer, sent) = self.asked(provider, &provider.token_url, client, parameters).await?;
        let read = token_response::read_issued(&answer, ID_JAG_TYPE);
        let sent: Vec<&str> = sent.iter().map(ExposeSecret::expose_secret).collect();
        read.map(IdentityAssertion::new).map_err(|error| error.fit_to_keep(&sent))
    }

    async fn token_request<'a>(
        &self,
        settings: &OAuthSettings,
        url: &Url,
        client: ClientCredentials<'a>,
        parameters: Parameters<'a>,
        now: Timestamp,
    ) -> Result<TokenSet, TokenError> {
        let bound = client.dpop.is_some();
        let (answer, sent) = self.asked(settings, url, client, parameters).await?;
        let sent: Vec<&str> = sent.iter().map(ExposeSecret::expose_secret).collect();
        let read = token_response::read(&answer, &settings.facts, bound, now);
        read.map_err(|error| error.fit_to_keep(&sent))
    }

    /// Sends a token request; gives the answer, and the secrets that were sent, so that none of them is kept with it.
    async fn asked<'a>(
        &self,
        settings: &OAuthSettings,
        url: &Url,
        client: ClientCredentials<'a>,
        mut parameters: Parameters<'a>,
    ) -> Result<(OutboundResponse, Vec<SecretString>), TokenError> {
        let carried = parameters.iter().filter(|(name, _)| SECRETS.contains(name)).map(|(_, value)| *value);
        let sent = carried.chain(client.client_secret.map(ExposeSecret::expose_secret));
        let sent: Vec<SecretString> = sent.map(SecretString::from).collect();
        let mut headers = HeaderMap::new();
        // GitHub answers with a form unless it is asked for JSON.
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        client.apply(&mut parameters, &mut headers);
        let (body, kind) = written(&parameters, settings.facts.token_body);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        let body = Bytes::from(body);
        let request = |proof: Option<HeaderValue>| {
            let mut headers = headers.clone();
            headers.extend(proof.map(|proof| (DPOP, proof)));
            OutboundRequest { method: Method::POST, url: url.clone(), headers, body: body.clone() }
        };
        let proof = |nonce| client.dpop.and_then(|key| key.proof(&Method::POST, url, nonce));
        let unanswered = |error| TokenError::unanswered(&error);
        let outbound = self.outbound.showing(client.identity.cloned());
        let mut answer = outbound.call(request(proof(None))).await.map_err(unanswered)?;
        // RFC 9449 §8: the server has looked at nothing but the proof, and wants something of its own in it.
        if let Some(again) = wanted_nonce(&answer).and_then(|nonce| proof(Some(nonce))) {
            answer = outbound.call(request(Some(again))).await.map_err(unanswered)?;
        }
        tracing::debug!(host = url.host_str(), status = answer.status.as_u16(), "token endpoint answered");
        Ok((answer, sent))
    }
}

/// What a user's token is got in exchange for.
#[derive(Debug, Clone)]
pub enum Subject {
    /// Their access token at the identity provider.
    AccessToken(AccessToken),
    /// What the identity provider says of them.
    Assertion(IdentityAssertion),
}

/// What the token endpoint wants in a proof before it looks at the request.
fn wanted_nonce(answer: &OutboundResponse) -> Option<&str> {
    let body: Value = serde_json::from_slice(&answer.body).ok()?;
    let asks = answer.status == StatusCode::BAD_REQUEST && body["error"] == "use_dpop_nonce";
    nonce_of(&answer.headers).filter(|_| asks)
}

/// The body of a token request, and its content type.
fn written(parameters: &Parameters<'_>, body: TokenBody) -> (String, &'static str) {
    match body {
        TokenBody::Form => (form(parameters), "application/x-www-form-urlencoded"),
        TokenBody::Json => {
            let members = parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).into()));
            (Value::Object(members.collect::<Map<_, _>>()).to_string(), "application/json")
        }
    }
}

#[cfg(test)]
#[path = "token_request_tests.rs"]
mod tests;
