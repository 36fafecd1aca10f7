//! A minimal ID token, so that a client learns which account stands behind a grant.

use super::options::Account;
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

/// An ID token (OpenID Connect Core §2), signed HS256 with the client's secret.
pub(super) fn sign(
    issuer: &str,
    client_id: &str,
    secret: &str,
    account: &Account,
    now: i64,
    end: i64,
) -> String {
    let header = json!({ "alg": "HS256", "typ": "JWT" });
    let claims = json!({
        "iss": issuer,
        "aud": client_id,
        "sub": account.name,
        "preferred_username": account.name,
        "email": account.email,
        "iat": now,
        "exp": end,
    });
    let signed = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string())).join(".");
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let signature = URL_SAFE_NO_PAD.encode(hmac::sign(&key, signed.as_bytes()));
    format!("{signed}.{signature}")
}
