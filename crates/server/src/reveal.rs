//! The one place where a fresh API token leaves its wrapper: to be shown, once, to the person it is for.

use doorward_domain::ApiTokenPlain;
use secrecy::ExposeSecret;

/// The token's text. It goes into the one answer that shows it, which is never stored or logged.
pub(crate) fn api_token(plain: &ApiTokenPlain) -> &str {
    plain.expose_secret()
}
