//! Debian's `glewlwyd`: the deliberately awkward real authorization server, with one-time refresh tokens.

use crate::provider::{CLIENT_ID, CLIENT_SECRET, Provider};
use crate::rig::Rig;
use serde_json::json;
use url::Url;

/// Starts it; access tokens live for `access_token_seconds`. It knows alice and bob.
pub async fn start(redirect_uri: &Url, access_token_seconds: u64) -> Provider {
    let options = json!({
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "redirect_uris": [redirect_uri],
        "access_token_seconds": access_token_seconds,
    });
    // With `openid` it would insist on a nonce (OpenID Connect Core §3.1.2.1 makes that optional).
    Provider::of(Rig::python("glewlwyd.py", &options), false, &["notes"]).await
}
