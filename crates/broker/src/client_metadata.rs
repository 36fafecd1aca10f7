//! The client ID metadata document: a URL of ours is the client id, and whoever opens it learns who we are. Where an
//! authorization server takes such ids, nothing has to be registered (OAuth Client ID Metadata Document).

use crate::Broker;
use serde_json::{Value, json};
use url::Url;

/// Where the document stands under the public URL.
pub const CLIENT_METADATA_PATH: &str = "/oauth/client-metadata.json";

impl Broker {
    /// Our client id at servers that read such documents: they open it, so it is https, or there is none.
    pub fn client_metadata_url(&self) -> Option<Url> {
        let own = || self.page_url(CLIENT_METADATA_PATH);
        let url = self.parts.client_metadata_url.clone().unwrap_or_else(own);
        (url.scheme() == "https").then_some(url)
    }

    /// The document. It is the same for everybody, and holds no secret.
    pub fn client_metadata(&self) -> Option<Value> {
        let url = self.client_metadata_url()?;
        let mut document = json!({
            "client_id": url,
            "client_name": "Doorward",
            "redirect_uris": [self.redirect_uri()],
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "token_endpoint_auth_method": "none",
            // As in a dynamic registration: who comes back over http is on loopback.
            "application_type": doorward_oauth::application_type(&self.redirect_uri()),
        });
        // Servers refuse a document that sends people to an unencrypted page.
        if self.public_url().scheme() == "https" {
            document["client_uri"] = self.public_url().as_str().into();
        }
        Some(document)
    }
}
