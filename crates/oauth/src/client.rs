//! The client itself: the guarded way to the outside, and what both metadata and registration need of it.

use crate::metadata_cache::MetadataCache;
use bytes::Bytes;
use doorward_outbound::{
    ClientIdentity, Outbound, OutboundError, OutboundRequest, OutboundResponse, Refusal,
};
use http::{HeaderMap, HeaderValue, Method, header};
use serde_json::Value;
use url::Url;

/// Speaks OAuth through the outbound guard. Cheap to clone.
#[derive(Clone)]
pub struct OAuthClient {
    pub(crate) outbound: Outbound,
    pub(crate) documents: MetadataCache,
    /// Whether a document that still counts as fresh is taken as it was kept.
    pub(crate) takes_fresh: bool,
}

impl OAuthClient {
    /// A client that stands on the guarded connector.
    pub fn new(outbound: Outbound) -> Self {
        Self { outbound, documents: MetadataCache::default(), takes_fresh: true }
    }

    /// The same client for whoever wants to know what servers say now: it asks again whatever it has kept.
    #[must_use]
    pub fn anew(&self) -> Self {
        Self { takes_fresh: false, ..self.clone() }
    }

    /// The same client, which shows a certificate to the servers that it is for.
    #[must_use]
    pub fn showing(&self, identity: Option<ClientIdentity>) -> Self {
        Self { outbound: self.outbound.showing(identity), ..self.clone() }
    }

    /// Whether the outbound guard would let a URL through, as far as that can be seen without resolving it.
    pub fn check_url(&self, url: &Url) -> Result<(), Refusal> {
        self.outbound.check_url(url)
    }

    pub(crate) async fn get(&self, url: &Url) -> Result<OutboundResponse, OutboundError> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        let request = OutboundRequest { method: Method::GET, url: url.clone(), headers, body: Bytes::new() };
        self.outbound.call(request).await
    }

    pub(crate) async fn post_json(
        &self,
        url: &Url,
        body: &Value,
        mut headers: HeaderMap,
    ) -> Result<OutboundResponse, OutboundError> {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let body = Bytes::from(body.to_string());
        self.outbound.call(OutboundRequest { method: Method::POST, url: url.clone(), headers, body }).await
    }
}

/// What the unit tests of this crate share.
#[cfg(test)]
pub(crate) mod samples {
    use super::OAuthClient;
    use axum::Router;
    use doorward_domain::{
        ClientRegistration, ClientRegistrationId, Fingerprint, OAuthSettings, RegistrationKind,
        TokenEndpointAuth,
    };
    use doorward_outbound::{EgressPolicy, Outbound};
    use std::collections::BTreeMap;
    use std::time::Duration;
    use url::Url;

    /// Settings whose endpoints stand at `base`.
    pub(crate) fn settings(base: &str) -> OAuthSettings {
        let base = base.trim_end_matches('/');
        OAuthSettings {
            grant_type: Default::default(),
            identity_provider: None,
            audience: None,
            authorization_url: Some(format!("{base}/authorize").parse().unwrap()),
            token_url: format!("{base}/token").parse().unwrap(),
            revocation_url: None,
            issuer: Some(base.to_owned()),
            iss_promised: true,
            resource: Some("https://mcp.example/mcp".to_owned()),
            scopes: vec!["read".to_owned()],
            scope_ceiling: Vec::new(),
            refused_scopes: Vec::new(),
            authorize_params: BTreeMap::new(),
            facts: Default::default(),
            template: None,
            keep_alive: false,
            registration_problem: None,
            former_issuer: None,
            registration: ClientRegistration {
                id: ClientRegistrationId(Default::default()),
                issuer: base.to_owned(),
                kind: RegistrationKind::PreRegistered,
                client_id: "client".to_owned(),
                client_secret: None,
                assertion_kid: None,
                handle: None,
                dpop_key: None,
                fingerprint: Fingerprint(String::new()),
                token_endpoint_auth: TokenEndpointAuth::None,
            },
        }
    }

    /// A client that may reach loopback.
    pub(crate) fn client() -> OAuthClient {
        let policy = EgressPolicy::parse("127.0.0.1/32", "127.0.0.1").unwrap();
        OAuthClient::new(Outbound::new(policy, Duration::from_secs(2)).unwrap())
    }

    /// Serves a router on a free loopback port; the URL has no trailing slash.
    pub(crate) async fn serve(router: Router) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        format!("http://{address}")
    }

    pub(crate) fn url(text: &str) -> Url {
        text.parse().unwrap()
    }
}

#[cfg(test)]
mod tests {
    use super::samples::{client, serve, settings, url};
    use crate::{ClientCredentials, TokenError};
    use axum::Router;
    use axum::extract::RawForm;
    use axum::routing::post;
    use doorward_domain::{AuthorizationCode, PkceVerifier, RefreshToken, Timestamp, TokenEndpointAuth};
    use secrecy::ExposeSecret;
    use std::sync::{Arc, Mutex};

    const PUBLIC: ClientCredentials<'_> = ClientCredentials {
        client_id: "client",
        client_secret: None,
        auth: TokenEndpointAuth::None,
        dpop: None,
        identity: None,
    };

    #[tokio::test]
    async fn code_and_refresh_requests_carry_what_the_rfcs_ask_for() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let record = Arc::clone(&seen);
        let answer = move |RawForm(body): RawForm| async move {
            record.lock().unwrap().push(String::from_utf8(body.to_vec()).unwrap());
            r#"{"access_token":"a","token_type":"Bearer","expires_in":60}"#
        };
        let settings = settings(&serve(Router::new().route("/token", post(answer))).await);
        let now = Timestamp::from_millis(0);
        let redirect = url("http://localhost:4444/oauth/callback");
        let (code, verifier) = (AuthorizationCode::new("c1"), PkceVerifier::new("v1"));
        let set = client().exchange_code(&settings, PUBLIC, &redirect, &code, &verifier, now).await.unwrap();
        assert_eq!(set.access_token.expose_secret(), "a");
        client().refresh(&settings, PUBLIC, &RefreshToken::new("r1"), &[], now).await.unwrap();
        let seen = seen.lock().unwrap().clone();
        let resource = "resource=https%3A%2F%2Fmcp.example%2Fmcp&client_id=client";
        assert_eq!(
            seen,
            [
                format!(
                    "grant_type=authorization_code&code=c1&redirect_uri=http%3A%2F%2Flocalhost%3A4444%2Foauth%2Fcallback&code_verifier=v1&{resource}"
                ),
                format!("grant_type=refresh_token&refresh_token=r1&{resource}"),
            ]
        );
    }

    #[tokio::test]
    async fn an_unreachable_provider_spent_nothing_and_a_silent_one_may_have() {
        let now = Timestamp::from_millis(0);
        let closed = settings("http://127.0.0.1:9");
        let error = client().refresh(&closed, PUBLIC, &RefreshToken::new("r"), &[], now).await.unwrap_err();
        assert!(matches!(error, TokenError::NotSent { .. }), "{error}");
        let refused = settings("http://10.0.0.1");
        let error = client().refresh(&refused, PUBLIC, &RefreshToken::new("r"), &[], now).await.unwrap_err();
        assert!(matches!(error, TokenError::NotSent { .. }), "{error}");
        let hang = post(|| async { std::future::pending::<()>().await });
        let silent = settings(&serve(Router::new().route("/token", hang)).await);
        let error =
            client().refresh(&silent, PUBLIC, &RefreshToken::new("canary"), &[], now).await.unwrap_err();
        assert!(matches!(error, TokenError::Unanswered { .. }), "{error}");
        assert!(!format!("{error:?}").contains("canary"));
    }

    #[tokio::test]
    async fn r38_a_token_request_follows_no_redirect() {
        let away = post(|| async {
            (axum::http::StatusCode::TEMPORARY_REDIRECT, [("location", "http://127.0.0.1:9/")])
        });
        let settings = settings(&serve(Router::new().route("/token", away)).await);
        let now = Timestamp::from_millis(0);
        let error = client().refresh(&settings, PUBLIC, &RefreshToken::new("r"), &[], now).await.unwrap_err();
        assert!(matches!(error, TokenError::Temporary { .. }), "{error}");
    }
}
