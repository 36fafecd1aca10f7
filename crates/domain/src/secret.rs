//! Secrets have types that print `[redacted]` and cannot be serialized.
//!
//! `expose_secret()` may be called in `vault`, `oauth` and where a header is injected; a test greps for it.

use secrecy::{ExposeSecret, SecretString};

macro_rules! secret {
    ($(#[$doc:meta] $name:ident),* $(,)?) => {$(
        #[$doc]
        #[derive(Clone)]
        pub struct $name(SecretString);

        impl $name {
            /// Wraps a plain value; from here on it does not print.
            pub fn new(plain: impl Into<String>) -> Self {
                Self(SecretString::from(plain.into()))
            }
        }

        impl ExposeSecret<str> for $name {
            fn expose_secret(&self) -> &str {
                self.0.expose_secret()
            }
        }

        impl From<String> for $name {
            fn from(plain: String) -> Self {
                Self::new(plain)
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("[redacted]")
            }
        }
    )*};
}

secret! {
    /// An upstream's access token (RFC 6749 §1.4).
    AccessToken,
    /// An upstream's refresh token (RFC 6749 §1.5).
    RefreshToken,
    /// An ID token, kept because it is exchanged for tokens elsewhere (OpenID Connect Core §2).
    IdToken,
    /// What an identity provider says of a user to another authorization server: an ID-JAG (RFC 7523 §2.1).
    IdentityAssertion,
    /// Our client secret at an authorization server (RFC 6749 §2.3.1).
    ClientSecret,
    /// The private key by which we show that tokens are ours, in PEM (RFC 9449 §2).
    DpopKey,
    /// Address and access token, a line each, by which a dynamic registration is removed (RFC 7592 §2).
    RegistrationHandle,
    /// A one-time authorization code (RFC 6749 §1.3.1).
    AuthorizationCode,
    /// A PKCE code verifier (RFC 7636 §4.1).
    PkceVerifier,
    /// The value of a static header that an administrator set for a gateway.
    HeaderSecret,
    /// A person's password.
    Password,
    /// An API token in plain form, `dw_...`; shown once.
    ApiTokenPlain,
    /// A browser session, MCP session, setup link or binding cookie in plain form.
    SessionToken,
    /// A client certificate's chain and key, in PEM, for the TLS handshake with a server.
    ClientCertificatePem,
    /// What an authenticator app shares with us, in base32 (RFC 6238).
    TotpSecret,
    /// A code for the day on which the authenticator app is lost.
    RecoveryCode,
    /// The OAuth `state` in plain form (RFC 6749 §10.12).
    StateToken,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_prints_redacted() {
        let secret = AccessToken::new("canary-token");
        assert_eq!(format!("{secret:?}"), "[redacted]");
        assert_eq!(secret.expose_secret(), "canary-token");
    }
}
