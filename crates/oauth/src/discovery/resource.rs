//! Protected resource metadata (RFC 9728): which authorization server, for which resource.

use super::challenge::Challenge;
use super::{DiscoveryError, host, well_known};
use crate::client::OAuthClient;
use doorward_domain::gateway::origin;
use serde::Deserialize;
use url::Url;

/// What the upstream says of itself.
pub(super) struct ProtectedResource {
    pub(super) resource: String,
    pub(super) authorization_server: String,
    pub(super) scopes: Option<Vec<String>>,
    /// RFC 9728 §2, `dpop_bound_access_tokens_required`.
    pub(super) wants_bound_tokens: bool,
}

#[derive(Deserialize)]
struct Document {
    resource: String,
    #[serde(default)]
    authorization_servers: Vec<String>,
    scopes_supported: Option<Vec<String>>,
    #[serde(default)]
    dpop_bound_access_tokens_required: bool,
}

impl OAuthClient {
    /// Where the challenge points, else the well-known URI with the path, else the one without.
    pub(super) async fn protected_resource(
        &self,
        upstream: &Url,
        challenge: &Challenge,
    ) -> Result<ProtectedResource, DiscoveryError> {
        let mut root = upstream.clone();
        root.set_path("");
        let mut places = match challenge.resource_metadata.as_deref().map(Url::parse) {
            Some(Ok(named)) => vec![named],
            _ => vec![
                well_known(upstream, "oauth-protected-resource"),
                well_known(&root, "oauth-protected-resource"),
            ],
        };
        places.dedup();
        for place in places {
            if let Some(document) = self.resource_document(&place).await? {
                return checked(upstream, document);
            }
        }
        // Servers of the 2025-03-26 revision have no such metadata: they are their own authorization server.
        Ok(ProtectedResource {
            resource: upstream.to_string(),
            authorization_server: origin(upstream),
            scopes: None,
            wants_bound_tokens: false,
        })
    }

    async fn resource_document(&self, place: &Url) -> Result<Option<Document>, DiscoveryError> {
        self.check_url(place)?;
        let document = self.document(place).await?;
        Ok(document.and_then(|body| serde_json::from_slice(&body).ok()))
    }
}

/// RFC 9728 §3.3: metadata that is for another resource must not be used. MCP allows the resource to be
/// a parent of the server's URL.
fn checked(upstream: &Url, document: Document) -> Result<ProtectedResource, DiscoveryError> {
    let covers = Url::parse(&document.resource).is_ok_and(|resource| {
        let parent = resource.path().trim_end_matches('/');
        let below = upstream.path().strip_prefix(parent);
        resource.origin() == upstream.origin()
            && below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    });
    if !covers {
        return Err(DiscoveryError::OtherResource { resource: shown(&document.resource) });
    }
    let Some(authorization_server) = document.authorization_servers.into_iter().next() else {
        return Err(DiscoveryError::NoMetadata { host: host(upstream) });
    };
    Ok(ProtectedResource {
        resource: document.resource,
        authorization_server,
        scopes: document.scopes_supported,
        wants_bound_tokens: document.dpop_bound_access_tokens_required,
    })
}

/// A foreign text, fit to stand in a message.
pub(super) fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}
