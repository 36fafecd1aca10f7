//! Asks a token endpoint: for a code's tokens, or with a refresh token. One attempt with one set of
//! parameters: a request that fails late may already have spent what it carried.

use crate::client::OAuthClient;
use crate::client_auth::ClientCredentials;
use crate::refusal::TokenError;
use crate::token_response;
use bytes::Bytes;
use doorward_domain::{AuthorizationCode, OAuthSettings, PkceVerifier, RefreshToken, Timestamp, TokenSet};
use doorward_outbound::OutboundRequest;
use http::{HeaderMap, HeaderValue, Method, header};
use secrecy::ExposeSecret;
use url::{Url, form_urlencoded};

/// Which parameters are secrets.
const SECRETS: [&str; 3] = ["code", "code_verifier", "refresh_token"];

impl OAuthClient {
    /// Redeems an authorization code (RFC 6749 §4.1.3, RFC 7636 §4.5, RFC 8707 §2.2).
    pub async fn exchange_code(
        &self,
        settings: &OAuthSettings,
        client: ClientCredentials<'_>,
        redirect_uri: &Url,
        code: &AuthorizationCode,
        verifier: &PkceVerifier,
        now: Timestamp,
    ) -> Result<TokenSet, TokenError> {
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code.expose_secret()),
            ("redirect_uri", redirect_uri.as_str()),
            ("code_verifier", verifier.expose_secret()),
        ];
        self.token_request(settings, client, &form, now).await
    }

    /// Redeems a refresh token (RFC 6749 §6), with the `resource` of the grant (RFC 8707 §2.2).
    pub async fn refresh(
        &self,
        settings: &OAuthSettings,
        client: ClientCredentials<'_>,
        refresh_token: &RefreshToken,
        now: Timestamp,
    ) -> Result<TokenSet, TokenError> {
        let form = [("grant_type", "refresh_token"), ("refresh_token", refresh_token.expose_secret())];
        self.token_request(settings, client, &form, now).await
    }

    async fn token_request(
        &self,
        settings: &OAuthSettings,
        client: ClientCredentials<'_>,
        parameters: &[(&str, &str)],
        now: Timestamp,
    ) -> Result<TokenSet, TokenError> {
        let (form, headers) = token_form(settings, client, parameters);
        let request = OutboundRequest {
            method: Method::POST,
            url: settings.token_url.clone(),
            headers,
            body: Bytes::from(form),
        };
        let answer = self.outbound.call(request).await.map_err(|error| TokenError::unanswered(&error))?;
        tracing::debug!(
            host = settings.token_url.host_str(),
            status = answer.status.as_u16(),
            "token endpoint answered"
        );
        let carried = parameters.iter().filter(|(name, _)| SECRETS.contains(name)).map(|(_, value)| *value);
        let sent: Vec<&str> = carried.chain(client.client_secret.map(ExposeSecret::expose_secret)).collect();
        token_response::read(&answer, now).map_err(|error| error.fit_to_keep(&sent))
    }
}

/// The body and headers of a token request.
fn token_form(
    settings: &OAuthSettings,
    client: ClientCredentials<'_>,
    parameters: &[(&str, &str)],
) -> (String, HeaderMap) {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.extend_pairs(parameters);
    if let Some(resource) = &settings.resource {
        form.append_pair("resource", resource);
    }
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
    // GitHub answers with a form unless it is asked for JSON.
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    client.apply(&mut form, &mut headers);
    (form.finish(), headers)
}
