//! TLS towards the outside: rustls with aws-lc-rs, and the roots that the machine trusts.

use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};
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

/// TLS 1.2 and 1.3, no client certificate. The provider is named, so that none needs to be installed globally.
pub(crate) fn client_config(roots: RootCertStore) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_without_roots_trusts_the_compiled_list() {
        assert_eq!(roots_from(Vec::new()).len(), webpki_roots::TLS_SERVER_ROOTS.len());
        let own = rcgen::generate_simple_self_signed(["a.example".to_owned()]).unwrap();
        assert_eq!(roots_from(vec![own.cert.der().clone()]).len(), 1);
        assert!(!system_roots().is_empty());
    }
}
