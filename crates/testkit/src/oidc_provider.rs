//! The OpenID-certified npm `oidc-provider`: the main real authorization server, with rotation and reuse
//! detection.

use crate::provider::{CLIENT_ID, CLIENT_SECRET, Provider};
use crate::rig::Rig;
use serde_json::json;
use url::Url;

/// Starts it so that it takes client ID metadata documents; whichever it asks for, it reads this Doorward's own.
pub async fn start_reading_documents(doorward: &str) -> Provider {
    let options = json!({ "documents_at": doorward });
    Provider::of(Rig::node("oidc_provider.mjs", &options), true, &["openid", "notes"]).await
}

/// Starts it; access tokens live for `access_token_seconds`.
pub async fn start(redirect_uri: &Url, access_token_seconds: u64) -> Provider {
    start_for_audience(redirect_uri, access_token_seconds, None).await
}

/// Starts it; a token exchange has to name this audience, or none at all.
pub async fn start_for_audience(
    redirect_uri: &Url,
    access_token_seconds: u64,
    audience: Option<&str>,
) -> Provider {
    let options = json!({
        "exchange_audience": audience,
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "redirect_uris": [redirect_uri],
        "access_token_seconds": access_token_seconds,
    });
    Provider::of(Rig::node("oidc_provider.mjs", &options), true, &["openid", "notes"]).await
}
