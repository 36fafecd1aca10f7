//! TLS of our own: the certificate comes from files and is read again when they change, without a restart and
//! without touching connections that stand.

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// Where certificate and key are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate chain as PEM, our own first.
    pub certificate: PathBuf,
    /// Its private key as PEM.
    pub key: PathBuf,
}

/// Why the files serve no TLS. It names the setting.
#[derive(Debug, thiserror::Error)]
#[error("{setting}: {problem}")]
pub struct TlsError {
    setting: &'static str,
    problem: String,
}

/// A certificate that can change while it serves.
#[derive(Debug, Clone)]
pub struct Tls {
    files: TlsFiles,
    current: Arc<Current>,
}

#[derive(Debug)]
struct Current(RwLock<(Arc<CertifiedKey>, Option<SystemTime>)>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.read().unwrap_or_else(PoisonError::into_inner).0.clone())
    }
}

impl Tls {
    /// Reads the files.
    pub fn load(files: TlsFiles) -> Result<Self, TlsError> {
        // Looked at first: what is written in between is found by the next look.
        let changed = changed(&files);
        let certified = certified(&files)?;
        Ok(Self { files, current: Arc::new(Current(RwLock::new((Arc::new(certified), changed)))) })
    }

    /// TLS 1.2 and 1.3, HTTP/2 and HTTP/1.1.
    pub fn acceptor(&self) -> TlsAcceptor {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider has the suites of the default versions")
            .with_no_client_auth()
            .with_cert_resolver(self.current.clone());
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        TlsAcceptor::from(Arc::new(config))
    }

    /// Reads the files again if they have changed. Where they no longer fit, the old certificate goes on serving.
    pub fn read_again(&self) -> Result<bool, TlsError> {
        let now = changed(&self.files);
        if self.current.0.read().unwrap_or_else(PoisonError::into_inner).1 == now {
            return Ok(false);
        }
        let certified = certified(&self.files)?;
        *self.current.0.write().unwrap_or_else(PoisonError::into_inner) = (Arc::new(certified), now);
        Ok(true)
    }

    /// Looks at the files from time to time, until the stop.
    pub(crate) async fn follow(self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
            match self.read_again() {
                Ok(true) => tracing::info!("the TLS certificate was read again"),
                Ok(false) => {}
                Err(error) => {
                    tracing::error!(%error, "the new TLS certificate does not fit; the old one serves on");
                }
            }
        }
    }
}

/// The later change of the two; none while one cannot be looked at.
fn changed(files: &TlsFiles) -> Option<SystemTime> {
    let of = |path: &Path| std::fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
    Some(of(&files.certificate)?.max(of(&files.key)?))
}

fn certified(files: &TlsFiles) -> Result<CertifiedKey, TlsError> {
    let wrong = |setting, path: &Path, why: String| TlsError {
        setting,
        problem: format!("{}: {why}", path.display()),
    };
    let of_certificate = |why: String| wrong("DOORWARD_TLS_CERT_FILE", &files.certificate, why);
    let of_key = |why: String| wrong("DOORWARD_TLS_KEY_FILE", &files.key, why);
    let chain = CertificateDer::pem_file_iter(&files.certificate)
        .map_err(|error| of_certificate(error.to_string()))?;
    let chain: Vec<_> = chain.collect::<Result<_, _>>().map_err(|error| of_certificate(error.to_string()))?;
    if chain.is_empty() {
        return Err(of_certificate("holds no certificate in PEM form".to_owned()));
    }
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|error| of_key(error.to_string()))?;
    let signing = aws_lc_rs::sign::any_supported_type(&key).map_err(|error| of_key(error.to_string()))?;
    let certified = CertifiedKey::new(chain, signing);
    certified.keys_match().map_err(|_| of_key("is not the key of the certificate".to_owned()))?;
    Ok(certified)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::CertifiedKey as Made;

    fn made() -> Made<rcgen::KeyPair> {
        rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap()
    }

    fn write(files: &TlsFiles, made: &Made<rcgen::KeyPair>, at: SystemTime) {
        std::fs::write(&files.certificate, made.cert.pem()).unwrap();
        std::fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
        let file = std::fs::File::open(&files.certificate).unwrap();
        file.set_modified(at).unwrap();
    }

    fn files() -> (tempfile::TempDir, TlsFiles) {
        let directory = tempfile::tempdir().unwrap();
        let of = |name: &str| directory.path().join(name);
        let files = TlsFiles { certificate: of("cert.pem"), key: of("key.pem") };
        (directory, files)
    }

    fn serving(tls: &Tls) -> Vec<u8> {
        tls.current.0.read().unwrap().0.cert[0].to_vec()
    }

    #[test]
    fn a_new_certificate_is_taken_and_one_that_does_not_fit_is_not() {
        let (_directory, files) = files();
        let (first, second) = (made(), made());
        let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        write(&files, &first, start);
        let tls = Tls::load(files.clone()).unwrap();
        assert_eq!(serving(&tls), first.cert.der().to_vec());
        assert!(!tls.read_again().unwrap(), "nothing has changed");

        let later = |seconds| start + Duration::from_secs(seconds);
        write(&files, &second, later(60));
        assert!(tls.read_again().unwrap());
        assert_eq!(serving(&tls), second.cert.der().to_vec());

        write(&files, &first, later(120));
        std::fs::write(&files.key, second.signing_key.serialize_pem()).unwrap();
        std::fs::File::open(&files.certificate).unwrap().set_modified(later(180)).unwrap();
        let told = tls.read_again().unwrap_err().to_string();
        assert!(
            told.starts_with("DOORWARD_TLS_KEY_FILE: ")
                && told.ends_with("is not the key of the certificate"),
            "{told}"
        );
        assert_eq!(serving(&tls), second.cert.der().to_vec(), "the old one serves on");
    }

    #[test]
    fn files_that_serve_no_tls_are_named() {
        let (_directory, files) = files();
        let told = |files: &TlsFiles| Tls::load(files.clone()).unwrap_err().to_string();
        assert!(told(&files).starts_with("DOORWARD_TLS_CERT_FILE: "));
        std::fs::write(&files.certificate, "nothing").unwrap();
        assert!(told(&files).ends_with("holds no certificate in PEM form"));
        std::fs::write(&files.certificate, made().cert.pem()).unwrap();
        assert!(told(&files).starts_with("DOORWARD_TLS_KEY_FILE: "));
    }
}
