//! TLS towards the outside: rustls with aws-lc-rs, and the roots that the machine trusts.

use crate::identity::ClientIdentity;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject};
use rustls::sign::SingleCertAndKey;
use rustls::{ClientConfig, RootCertStore};
use std::path::Path;
use std::sync::Arc;

/// The machine's roots; where it has none (a bare container), Mozilla's list as compiled in.
pub(crate) fn system_roots() -> RootCertStore {
    roots_from(rustls_native_certs::load_native_certs().certs)
}

fn roots_from(native: Vec<CertificateDer<'static>>) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(native);
    if roots.is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    roots
}

/// Certificates of authorities that the operator trusts beside the machine's own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExtraRoots(Vec<CertificateDer<'static>>);

/// Why a file holds no roots.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExtraRootsError {
    #[error("cannot read {path}: {why}")]
    File { path: String, why: String },
    #[error("{path} holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)")]
    Empty { path: String },
    #[error("a certificate in {path} cannot be an authority's: {why}")]
    Unfit { path: String, why: String },
}

impl ExtraRoots {
    /// Every certificate of a PEM file.
    pub fn read(file: &Path) -> Result<Self, ExtraRootsError> {
        let path = || file.display().to_string();
        let unreadable = |why: pem::Error| ExtraRootsError::File { path: path(), why: why.to_string() };
        let found = CertificateDer::pem_file_iter(file).map_err(unreadable)?;
        let found: Vec<_> = found.collect::<Result<_, _>>().map_err(unreadable)?;
        if found.is_empty() {
            return Err(ExtraRootsError::Empty { path: path() });
        }
        let mut tried = RootCertStore::empty();
        for certificate in &found {
            let added = tried.add(certificate.clone());
            added.map_err(|why| ExtraRootsError::Unfit { path: path(), why: why.to_string() })?;
        }
        Ok(Self(found))
    }

    pub(crate) fn beside(self, mut roots: RootCertStore) -> RootCertStore {
        roots.add_parsable_certificates(self.0);
        roots
    }
}

/// TLS 1.2 and 1.3, with or without a client certificate. The provider is named, so that none needs to be installed
/// globally.
pub(crate) fn client_config(
    roots: RootCertStore,
    identity: Option<&ClientIdentity>,
) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots);
    Ok(match identity {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            let resolver = SingleCertAndKey::from(Arc::clone(&identity.key));
            builder.with_client_cert_resolver(Arc::new(resolver))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_roots_adds_to_those_of_the_machine_and_says_what_is_wrong_with_it() {
        let directory = std::env::temp_dir().join(format!("doorward-roots-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let file = directory.join("ca.pem");
        let own = rcgen::generate_simple_self_signed(["a.example".to_owned()]).unwrap();
        std::fs::write(&file, own.cert.pem()).unwrap();
        let before = system_roots().len();
        assert_eq!(ExtraRoots::read(&file).unwrap().beside(system_roots()).len(), before + 1);
        std::fs::write(&file, "no certificate").unwrap();
        assert!(ExtraRoots::read(&file).unwrap_err().to_string().contains("BEGIN CERTIFICATE"));
        assert!(
            ExtraRoots::read(&directory.join("none")).unwrap_err().to_string().starts_with("cannot read")
        );
        std::fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn a_machine_without_roots_trusts_the_compiled_list() {
        assert_eq!(roots_from(Vec::new()).len(), webpki_roots::TLS_SERVER_ROOTS.len());
        let own = rcgen::generate_simple_self_signed(["a.example".to_owned()]).unwrap();
        assert_eq!(roots_from(vec![own.cert.der().clone()]).len(), 1);
        assert!(!system_roots().is_empty());
    }
}
