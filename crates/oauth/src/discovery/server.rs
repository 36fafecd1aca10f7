//! Authorization server metadata (RFC 8414, OpenID Connect Discovery 1.0).

use super::resource::shown;
use super::{DiscoveryError, well_known};
use crate::client::OAuthClient;
use serde::Deserialize;
use url::Url;

/// What an authorization server says of itself, checked.
pub(super) struct AuthorizationServer {
    pub(super) issuer: String,
    pub(super) authorization_url: Url,
    pub(super) token_url: Url,
    pub(super) registration_url: Option<Url>,
    pub(super) revocation_url: Option<Url>,
    pub(super) scopes: Vec<String>,
    pub(super) iss_promised: bool,
    pub(super) token_endpoint_auth_methods: Option<Vec<String>>,
    pub(super) client_id_metadata_document_supported: bool,
    /// It binds tokens to keys by the algorithm that we sign with (RFC 9449 §5.1).
    pub(super) can_bind: bool,
    /// It announces PKCE with S256 (RFC 8414 §2).
    pub(super) s256: bool,
}

#[derive(Deserialize)]
struct Document {
    issuer: String,
    authorization_endpoint: Option<Url>,
    token_endpoint: Option<Url>,
    registration_endpoint: Option<Url>,
    revocation_endpoint: Option<Url>,
    #[serde(default)]
    scopes_supported: Vec<String>,
    code_challenge_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    client_id_metadata_document_supported: bool,
    #[serde(default)]
    dpop_signing_alg_values_supported: Vec<String>,
}

impl OAuthClient {
    /// Reads and checks the metadata of an issuer.
    pub(super) async fn authorization_server(
        &self,
        issuer: &str,
    ) -> Result<AuthorizationServer, DiscoveryError> {
        let incomplete = |field| DiscoveryError::Incomplete { issuer: shown(issuer), field };
        let url = Url::parse(issuer).map_err(|_| incomplete("issuer"))?;
        for place in places(&url) {
            self.check_url(&place)?;
            let Some(body) = self.document(&place).await? else { continue };
            if let Ok(document) = serde_json::from_slice::<Document>(&body) {
                return checked(issuer, document);
            }
        }
        Err(DiscoveryError::NoMetadata { host: super::host(&url) })
    }
}

impl OAuthClient {
    /// Reads the metadata at an address that is known otherwise. Its issuer fits the expected one, whose tenant may be
    /// open.
    pub(super) async fn open_metadata(
        &self,
        place: &str,
        issuer: &str,
    ) -> Result<AuthorizationServer, DiscoveryError> {
        let missing = || DiscoveryError::Incomplete { issuer: shown(issuer), field: "address" };
        let place = Url::parse(place).map_err(|_| missing())?;
        self.check_url(&place)?;
        let nothing = || DiscoveryError::NoMetadata { host: super::host(&place) };
        let body = self.document(&place).await?.ok_or_else(nothing)?;
        let document: Document = serde_json::from_slice(&body).map_err(|_| nothing())?;
        if !crate::issuer::fits(issuer, &document.issuer) {
            return Err(DiscoveryError::OtherIssuer {
                expected: shown(issuer),
                found: shown(&document.issuer),
            });
        }
        read(document)
    }
}

/// The order of the MCP specification: with a path the two inserted forms, then OpenID's appended one.
fn places(issuer: &Url) -> Vec<Url> {
    let mut places =
        vec![well_known(issuer, "oauth-authorization-server"), well_known(issuer, "openid-configuration")];
    let path = issuer.path().trim_end_matches('/').to_owned();
    if !path.is_empty() {
        let mut appended = issuer.clone();
        appended.set_path(&format!("{path}/.well-known/openid-configuration"));
        places.push(appended);
    }
    places
}

fn checked(expected: &str, document: Document) -> Result<AuthorizationServer, DiscoveryError> {
    // RFC 8414 §3.3: the issuer must be the one that was asked. One rule of ours: a slash at the end is
    // overlooked, because resource servers write it where the issuer does not; the server's own form counts.
    if document.issuer.trim_end_matches('/') != expected.trim_end_matches('/') {
        return Err(DiscoveryError::OtherIssuer {
            expected: shown(expected),
            found: shown(&document.issuer),
        });
    }
    let server = read(document)?;
    // The MCP specification: a client refuses where S256 is not announced.
    if !server.s256 {
        return Err(DiscoveryError::NoPkce { issuer: shown(&server.issuer) });
    }
    Ok(server)
}

fn read(document: Document) -> Result<AuthorizationServer, DiscoveryError> {
    let issuer = document.issuer;
    let missing = |field| DiscoveryError::Incomplete { issuer: shown(&issuer), field };
    let methods = document.code_challenge_methods_supported.unwrap_or_default();
    Ok(AuthorizationServer {
        s256: methods.iter().any(|one| one == "S256"),
        authorization_url: document
            .authorization_endpoint
            .ok_or_else(|| missing("authorization_endpoint"))?,
        token_url: document.token_endpoint.ok_or_else(|| missing("token_endpoint"))?,
        registration_url: document.registration_endpoint,
        revocation_url: document.revocation_endpoint,
        scopes: document.scopes_supported,
        iss_promised: document.authorization_response_iss_parameter_supported,
        token_endpoint_auth_methods: document.token_endpoint_auth_methods_supported,
        client_id_metadata_document_supported: document.client_id_metadata_document_supported,
        can_bind: document.dpop_signing_alg_values_supported.iter().any(|algorithm| algorithm == "ES256"),
        issuer,
    })
}
