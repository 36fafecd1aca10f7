//! A client certificate: what shows who we are in the TLS handshake (mutual TLS), to the servers it was given for and
//! to no other.

use aws_lc_rs::digest::{Context, SHA256};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use std::sync::Arc;
use url::{Origin, Url};
use x509_parser::prelude::{FromDer, X509Certificate};

/// A certificate chain with its private key. Cheap to clone; it does not print the key.
#[derive(Clone)]
pub struct ClientIdentity {
    /// Of certificate and key: equal identities share connections.
    pub(crate) id: [u8; 32],
    pub(crate) key: Arc<CertifiedKey>,
    /// Where it is shown.
    shown_to: Arc<[Origin]>,
    /// Who it says we are.
    subject: String,
    /// When it ends, in milliseconds since 1970.
    ends_at: i64,
}

/// What is wrong with a certificate or its key. None of it repeats the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    #[error("it holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)")]
    NoCertificate,
    #[error(
        "the certificate cannot be read: give the one for the client first, then those of its authorities"
    )]
    BadCertificate,
    #[error("it holds no private key in PEM form without a passphrase (-----BEGIN PRIVATE KEY-----)")]
    NoKey,
    #[error(
        "the private key is of a kind that is not known: use RSA, ECDSA (P-256, P-384 or P-521) or Ed25519"
    )]
    BadKey,
    #[error("the private key is not the certificate's")]
    Mismatch,
}

impl IdentityError {
    /// Whether it is about the key, and not the certificate.
    pub fn is_about_the_key(self) -> bool {
        matches!(self, Self::NoKey | Self::BadKey | Self::Mismatch)
    }
}

impl ClientIdentity {
    /// Reads a chain and its key, in PEM. It is shown to nobody yet.
    pub fn parse(certificate: &str, key: &str) -> Result<Self, IdentityError> {
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(certificate.as_bytes())
            .collect::<Result<_, _>>()
            .map_err(|_| IdentityError::BadCertificate)?;
        let first = chain.first().ok_or(IdentityError::NoCertificate)?;
        let (_, parsed) = X509Certificate::from_der(first).map_err(|_| IdentityError::BadCertificate)?;
        let subject = parsed.subject().to_string();
        let ends_at = parsed.validity().not_after.timestamp().saturating_mul(1_000);
        let private = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|_| IdentityError::NoKey)?;
        let mut both = Context::new(&SHA256);
        both.update(certificate.as_bytes());
        both.update(private.secret_der());
        let signing = rustls::crypto::aws_lc_rs::sign::any_supported_type(&private)
            .map_err(|_| IdentityError::BadKey)?;
        let id = both.finish().as_ref().try_into().expect("SHA-256 has 32 bytes");
        let key = CertifiedKey::new(chain, signing);
        key.keys_match().map_err(|_| IdentityError::Mismatch)?;
        Ok(Self { id, key: Arc::new(key), shown_to: Arc::new([]), subject, ends_at })
    }

    /// The same, shown at these URLs' origins.
    #[must_use]
    pub fn shown_to<'a>(self, urls: impl IntoIterator<Item = &'a Url>) -> Self {
        Self { shown_to: urls.into_iter().map(Url::origin).collect(), ..self }
    }

    /// Who the certificate says we are.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// When the certificate ends, in milliseconds since 1970.
    pub fn ends_at(&self) -> i64 {
        self.ends_at
    }

    pub(crate) fn is_for(&self, url: &Url) -> bool {
        self.shown_to.contains(&url.origin())
    }
}

impl std::fmt::Debug for ClientIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("ClientIdentity").field(&self.subject).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair};

    #[test]
    fn a_certificate_is_read_with_its_own_key_and_what_is_wrong_is_said_without_the_key() {
        let key = KeyPair::generate().unwrap();
        let certificate =
            CertificateParams::new(vec!["doorward".to_owned()]).unwrap().self_signed(&key).unwrap();
        let (certificate, pem) = (certificate.pem(), key.serialize_pem());
        let identity = ClientIdentity::parse(&certificate, &pem).unwrap();
        assert!(identity.ends_at() > 0 && !identity.subject().is_empty());
        assert_eq!(identity.id, ClientIdentity::parse(&certificate, &pem).unwrap().id);
        let other = KeyPair::generate().unwrap().serialize_pem();
        let wrong = |certificate: &str, key: &str| ClientIdentity::parse(certificate, key).unwrap_err();
        assert_eq!(wrong("x", &pem), IdentityError::NoCertificate);
        assert_eq!(wrong(&certificate, "x"), IdentityError::NoKey);
        assert_eq!(wrong(&certificate, &other), IdentityError::Mismatch);
        let cut = certificate.replacen("MI", "AA", 1);
        assert_eq!(wrong(&cut, &pem), IdentityError::BadCertificate);
        assert!(!format!("{identity:?}").contains("PRIVATE"));
    }

    #[test]
    fn it_is_shown_where_it_was_given_for_and_nowhere_else() {
        let url = |text: &str| text.parse::<Url>().unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec!["a".to_owned()]).unwrap().self_signed(&key).unwrap();
        let identity = ClientIdentity::parse(&certificate.pem(), &key.serialize_pem()).unwrap();
        assert!(!identity.is_for(&url("https://a.example/mcp")));
        let identity =
            identity.shown_to([&url("https://a.example/mcp"), &url("https://as.example:8443/token")]);
        for at in ["https://a.example/other", "https://as.example:8443/revoke"] {
            assert!(identity.is_for(&url(at)), "{at}");
        }
        for elsewhere in ["https://b.example/mcp", "https://as.example/token", "http://a.example/mcp"] {
            assert!(!identity.is_for(&url(elsewhere)), "{elsewhere}");
        }
    }
}
