//! Asks an MCP server what it needs: 401 challenge → protected resource metadata (RFC 9728) →
//! authorization server metadata (RFC 8414, OpenID Connect Discovery), in the order of the MCP
//! specification's authorization chapter. What it says is checked before any of it is believed.

pub mod challenge;
mod probe;
mod resource;
mod server;
mod spoken;

pub use spoken::Spoken;

use crate::client::OAuthClient;
use doorward_outbound::{OutboundError, Refusal};
use url::Url;

/// What an upstream needs.
#[derive(Debug)]
pub enum Discovery {
    /// It answers without authorization.
    NotNeeded,
    /// Users authorize at this server.
    OAuth(Box<Discovered>),
}

/// An authorization server as it describes itself, and what the upstream wants of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discovered {
    pub issuer: String,
    pub authorization_url: Url,
    pub token_url: Url,
    pub registration_url: Option<Url>,
    pub revocation_url: Option<Url>,
    /// RFC 8707: byte for byte as the upstream publishes it.
    pub resource: Option<String>,
    pub scopes: Vec<String>,
    /// `authorization_response_iss_parameter_supported` (RFC 9207 §3).
    pub iss_promised: bool,
    /// None: the server did not say.
    pub token_endpoint_auth_methods: Option<Vec<String>>,
    pub client_id_metadata_document_supported: bool,
    /// The upstream wants tokens that are bound to a key of ours, and the server can bind them (RFC 9449).
    pub dpop: bool,
}

/// What an authorization server says of itself, checked (RFC 8414).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    pub issuer: String,
    pub authorization_url: Url,
    pub token_url: Url,
    /// Empty: it does not say.
    pub scopes: Vec<String>,
    /// None: it does not say.
    pub token_endpoint_auth_methods: Option<Vec<String>>,
    /// Whether it announces PKCE with S256.
    pub s256: bool,
}

/// Why an upstream could not be asked, or is not believed.
#[derive(Debug, thiserror::Error)]
pub enum DiscoveryError {
    #[error("the MCP server cannot be reached: {0}")]
    Unreachable(#[from] OutboundError),
    #[error("no MCP server answers there (status {status}): check the URL, or type the OAuth settings")]
    NoMcpServer { status: u16 },
    #[error("{0}")]
    Refused(#[from] Refusal),
    #[error(
        "the server at {host} asks for authorization, and no metadata says where: type the OAuth settings"
    )]
    NoMetadata { host: String },
    #[error(
        "the metadata says it is for {resource}, which is not this server: do not trust it, type the OAuth settings"
    )]
    OtherResource { resource: String },
    #[error(
        "the authorization server calls itself {found} and was expected to be {expected}: do not trust it"
    )]
    OtherIssuer { expected: String, found: String },
    #[error("the authorization server {issuer} does not offer PKCE with S256, which is required")]
    NoPkce { issuer: String },
    #[error("the metadata of {issuer} has no usable {field}")]
    Incomplete { issuer: String, field: &'static str },
}

impl DiscoveryError {
    /// Whether the MCP server may have turned us away because it was shown no client certificate: it ends the TLS
    /// handshake with an alert that says so, or answers by HTTP as nginx (400) and others (403, 495, 496) do.
    pub fn may_want_a_certificate(&self) -> bool {
        match self {
            Self::Unreachable(OutboundError::Unreachable { why, .. } | OutboundError::Broken { why, .. }) => {
                why.to_ascii_lowercase().contains("alert")
            }
            Self::NoMcpServer { status } => matches!(status, 400 | 403 | 495 | 496),
            _ => false,
        }
    }
}

impl OAuthClient {
    /// Asks an upstream what it needs.
    pub async fn discover(&self, upstream: &Url) -> Result<Discovery, DiscoveryError> {
        let Some(challenge) = self.probe(upstream).await? else { return Ok(Discovery::NotNeeded) };
        let resource = self.protected_resource(upstream, &challenge).await?;
        let server = self.authorization_server(&resource.authorization_server).await?;
        let mut scopes = challenge.scopes.or(resource.scopes).unwrap_or_default();
        // A refresh token often comes only with this scope; it is asked for only where it is offered.
        if server.scopes.iter().any(|scope| scope == "offline_access")
            && !scopes.contains(&"offline_access".to_owned())
        {
            scopes.push("offline_access".to_owned());
        }
        for url in [&server.authorization_url, &server.token_url] {
            self.check_url(url)?;
        }
        if let Some(url) = &server.registration_url {
            self.check_url(url)?;
        }
        let dpop = server.can_bind && (challenge.dpop || resource.wants_bound_tokens);
        Ok(Discovery::OAuth(Box::new(Discovered {
            resource: Some(resource.resource),
            scopes,
            dpop,
            ..Discovered::of(server)
        })))
    }

    /// What an issuer says of itself, for an upstream that names no authorization server. Which resource and scopes are
    /// wanted, nobody says.
    pub async fn discover_issuer(&self, issuer: &str) -> Result<Discovered, DiscoveryError> {
        let server = self.authorization_server(issuer).await?;
        for url in [&server.authorization_url, &server.token_url] {
            self.check_url(url)?;
        }
        Ok(Discovered::of(server))
    }

    /// What an authorization server says of itself, without an MCP server that names it. An issuer whose tenant is
    /// open has its metadata elsewhere.
    pub async fn metadata(&self, issuer: &str) -> Result<Metadata, DiscoveryError> {
        self.authorization_server(issuer).await.map(Metadata::of)
    }

    /// What stands at the address of an authorization server's metadata that is known otherwise. The issuer may leave
    /// its tenant open, as Microsoft's does; PKCE need not be announced there.
    pub async fn metadata_at(&self, place: &str, issuer: &str) -> Result<Metadata, DiscoveryError> {
        self.open_metadata(place, issuer).await.map(Metadata::of)
    }
}

impl Discovered {
    /// The server's own part.
    fn of(server: server::AuthorizationServer) -> Self {
        Self {
            issuer: server.issuer,
            authorization_url: server.authorization_url,
            token_url: server.token_url,
            registration_url: server.registration_url,
            revocation_url: server.revocation_url,
            resource: None,
            scopes: Vec::new(),
            iss_promised: server.iss_promised,
            token_endpoint_auth_methods: server.token_endpoint_auth_methods,
            client_id_metadata_document_supported: server.client_id_metadata_document_supported,
            dpop: false,
        }
    }
}

impl Metadata {
    fn of(server: server::AuthorizationServer) -> Self {
        Self {
            issuer: server.issuer,
            authorization_url: server.authorization_url,
            token_url: server.token_url,
            scopes: server.scopes,
            token_endpoint_auth_methods: server.token_endpoint_auth_methods,
            s256: server.s256,
        }
    }
}

/// A host for messages.
fn host(url: &Url) -> String {
    url.host_str().unwrap_or_default().to_owned()
}

/// The well-known URI of a kind for an identifier: inserted between host and path (RFC 8615, RFC 8414 §3.1).
fn well_known(identifier: &Url, kind: &str) -> Url {
    let path = identifier.path().trim_end_matches('/').to_owned();
    let mut url = identifier.clone();
    url.set_path(&format!("/.well-known/{kind}{path}"));
    url.set_query(None);
    url.set_fragment(None);
    url
}

#[cfg(test)]
#[path = "discovery/tests.rs"]
mod tests;
