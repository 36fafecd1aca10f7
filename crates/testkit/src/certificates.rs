//! A private authority and a certificate for 127.0.0.1, as files.

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use std::path::PathBuf;
use tempfile::TempDir;

/// Files that last as long as the value.
#[derive(Debug)]
pub struct Certificates(TempDir);

impl Certificates {
    /// A new authority and a certificate of it.
    pub fn make() -> Self {
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority_key = KeyPair::generate().expect("keys can be made");
        let root = authority.self_signed(&authority_key).expect("an authority signs itself");
        let key = KeyPair::generate().expect("keys can be made");
        let leaf = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("an address is a name");
        let leaf = leaf.signed_by(&key, &Issuer::from_params(&authority, authority_key));
        let made = Self(tempfile::tempdir().expect("a temporary directory can be made"));
        let write = |file: PathBuf, text: String| std::fs::write(file, text).expect("it can be written to");
        write(made.authority(), root.pem());
        write(made.certificate(), leaf.expect("an authority signs").pem());
        write(made.key(), key.serialize_pem());
        made
    }

    /// The authority's certificate.
    pub fn authority(&self) -> PathBuf {
        self.0.path().join("ca.pem")
    }

    /// The certificate for 127.0.0.1.
    pub fn certificate(&self) -> PathBuf {
        self.0.path().join("cert.pem")
    }

    /// The key of that certificate.
    pub fn key(&self) -> PathBuf {
        self.0.path().join("key.pem")
    }
}
