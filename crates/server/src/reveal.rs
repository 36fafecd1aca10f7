//! The one place where a fresh API token, an app's secret and recovery codes leave their wrappers: to be shown, once,
//! to the person they are for.

use doorward_domain::{ApiTokenPlain, RecoveryCode, TotpSecret};
use secrecy::ExposeSecret;

/// The token's text. It goes into the one answer that shows it, which is never stored or logged.
pub(crate) fn api_token(plain: &ApiTokenPlain) -> &str {
    plain.expose_secret()
}

/// What an authenticator app is to be told, shown to its owner while they set it up.
pub(crate) fn totp_secret(secret: &TotpSecret) -> &str {
    secret.expose_secret()
}

/// A recovery code, shown to its owner this once.
pub(crate) fn recovery_code(code: &RecoveryCode) -> &str {
    code.expose_secret()
}
