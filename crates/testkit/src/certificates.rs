//! A private authority, a certificate for 127.0.0.1 and one for a client, as files.

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair,
};
use std::path::PathBuf;
use tempfile::TempDir;

/// The year at whose beginning the client's certificate ends.
pub const CLIENT_ENDS: i32 = 2100;

const CLIENT: &str = "client.pem";
const CLIENT_KEY: &str = "client-key.pem";

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
        let issuer = Issuer::from_params(&authority, authority_key);
        let leaf = leaf.signed_by(&key, &issuer);
        let client_key = KeyPair::generate().expect("keys can be made");
        let mut client = CertificateParams::default();
        client.distinguished_name = DistinguishedName::new();
        client.distinguished_name.push(DnType::CommonName, "doorward at test");
        client.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        client.not_after = rcgen::date_time_ymd(CLIENT_ENDS, 1, 1);
        let client = client.signed_by(&client_key, &issuer);
        let made = Self(tempfile::tempdir().expect("a temporary directory can be made"));
        let write = |file: PathBuf, text: String| std::fs::write(file, text).expect("it can be written to");
        write(made.authority(), root.pem());
        write(made.certificate(), leaf.expect("an authority signs").pem());
        write(made.key(), key.serialize_pem());
        write(made.0.path().join(CLIENT), client.expect("an authority signs").pem());
        write(made.0.path().join(CLIENT_KEY), client_key.serialize_pem());
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

    /// A client's certificate and its key, in PEM. It ends with the year before [`CLIENT_ENDS`].
    pub fn client(&self) -> (String, String) {
        let read = |name| std::fs::read_to_string(self.0.path().join(name)).expect("it was written");
        (read(CLIENT), read(CLIENT_KEY))
    }

    /// The key of that certificate.
    pub fn key(&self) -> PathBuf {
        self.0.path().join("key.pem")
    }
}
