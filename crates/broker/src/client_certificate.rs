//! A gateway's client certificate: read and checked when it is given, and opened for the TLS handshakes with the servers
//! it was given for.

use crate::gateway_input::{ClientCertificateInput, Edit};
use crate::secret::SecretError;
use crate::{Broker, BrokerError};
use doorward_domain::{ClientCertificate, ClientCertificatePem, Fingerprint, Gateway, Slug, Timestamp};
use doorward_oauth::{ClientIdentity, IdentityError};
use doorward_vault::Place;
use secrecy::ExposeSecret;
use std::time::Duration;

/// The longest chain or key that is read, in bytes.
const PEM_MAX: usize = 64 * 1_024;

/// So long before its end a new certificate is asked for.
const NEAR: Duration = Duration::from_secs(30 * 86_400);

const FIELD: &str = "client_certificate";

impl Broker {
    /// What a gateway shows in the TLS handshake, at its upstream and its authorization server's endpoints; none where
    /// it has no certificate.
    pub fn client_identity(&self, gateway: &Gateway) -> Result<Option<ClientIdentity>, BrokerError> {
        self.identity_of(gateway).map_err(|error| match error {
            SecretError::Seal(error) => error.into(),
            error => BrokerError::Unavailable { problem: format!("{error}"), retry_after: None },
        })
    }

    pub(crate) fn identity_of(&self, gateway: &Gateway) -> Result<Option<ClientIdentity>, SecretError> {
        let Some(certificate) = &gateway.client_certificate else { return Ok(None) };
        let key = (gateway.id, gateway.version);
        if let Some(known) = self.caches.identities.get(&key) {
            return Ok(Some(known));
        }
        let stamp = self.caches.identities.stamp();
        let place = Place::client_certificate(gateway.id);
        let used_at = shown_at(gateway);
        let pem: ClientCertificatePem =
            self.open_bound(&certificate.fingerprint, &used_at, &place, &certificate.sealed)?;
        // The key's block comes last; each reader takes what is its own.
        let identity = ClientIdentity::parse(pem.expose_secret(), pem.expose_secret())?;
        let oauth = gateway.oauth();
        let endpoints = oauth.iter().flat_map(|oauth| {
            std::iter::once(&oauth.token_url).chain(&oauth.facts.refresh_url).chain(&oauth.revocation_url)
        });
        let token_origin = oauth.map(|oauth| oauth.token_url.origin());
        // Beside the upstream only the origin that the certificate was given for, whatever else the settings name.
        let at_its_server = endpoints.filter(|url| Some(url.origin()) == token_origin);
        let identity = identity.shown_to(std::iter::once(&gateway.url).chain(at_its_server));
        self.caches.identities.keep(key, identity.clone(), stamp);
        Ok(Some(identity))
    }

    /// The same for a gateway that may be gone.
    pub(crate) async fn identity_at(&self, slug: &str) -> Result<Option<ClientIdentity>, BrokerError> {
        let Ok(slug) = Slug::parse(slug) else { return Ok(None) };
        match self.storage().gateway_by_slug(&slug).await? {
            Some(gateway) => self.client_identity(&gateway),
            None => Ok(None),
        }
    }

    /// A gateway's certificate after an edit. One that stays must still be shown where it was given for.
    pub(crate) fn edited_client_certificate(
        &self,
        after: &Gateway,
        edit: Edit<ClientCertificateInput>,
    ) -> Result<Option<ClientCertificate>, BrokerError> {
        let fingerprint = shown_at(after);
        match edit {
            Edit::Clear => Ok(None),
            Edit::Keep => match &after.client_certificate {
                Some(kept) if kept.fingerprint != fingerprint => Err(BrokerError::invalid(
                    format!("{FIELD}.key"),
                    "give certificate and key again, or null: the gateway points to other servers now",
                )),
                kept => Ok(kept.clone()),
            },
            Edit::Set(typed) => {
                let identity = self.typed_identity(&typed)?;
                let pem = format!("{}\n{}\n", typed.certificate.trim(), typed.key.expose_secret().trim());
                let pem = ClientCertificatePem::new(pem);
                Ok(Some(ClientCertificate {
                    sealed: self.parts.vault.seal(&Place::client_certificate(after.id), &pem),
                    fingerprint,
                    subject: identity.subject().to_owned(),
                    ends_at: Timestamp::from_millis(identity.ends_at()),
                }))
            }
        }
    }

    /// How far off the end of a certificate is now.
    pub fn certificate_end(&self, certificate: &ClientCertificate) -> CertificateEnd {
        let now = self.now();
        match certificate.ends_at {
            end if end <= now => CertificateEnd::Over,
            end if end <= now.plus(NEAR) => CertificateEnd::Near,
            _ => CertificateEnd::Far,
        }
    }

    /// A certificate as typed, with its key; it is shown to nobody yet.
    pub(crate) fn typed_identity(
        &self,
        typed: &ClientCertificateInput,
    ) -> Result<ClientIdentity, BrokerError> {
        let identity = checked(typed)?;
        let ends_at = Timestamp::from_millis(identity.ends_at());
        if ends_at <= self.now() {
            let problem = format!("the certificate ended at {ends_at}: give one that is valid");
            return Err(BrokerError::invalid(format!("{FIELD}.certificate"), problem));
        }
        Ok(identity)
    }
}

/// How far off the end of a certificate is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CertificateEnd {
    Over,
    /// Within a month.
    Near,
    Far,
}

/// Where a gateway's certificate is shown.
fn shown_at(gateway: &Gateway) -> Fingerprint {
    Fingerprint::of_client_certificate(&gateway.url, gateway.oauth().map(|oauth| &oauth.token_url))
}

fn checked(typed: &ClientCertificateInput) -> Result<ClientIdentity, BrokerError> {
    let key = typed.key.expose_secret();
    for (part, text) in [("certificate", typed.certificate.as_str()), ("key", key)] {
        if text.len() > PEM_MAX {
            return Err(BrokerError::invalid(format!("{FIELD}.{part}"), "is longer than 64 KiB"));
        }
    }
    // A key among the certificates would be kept, and the wrong one be used.
    if typed.certificate.contains("PRIVATE KEY-----") {
        return Err(BrokerError::invalid(format!("{FIELD}.certificate"), "leave the private key out of it"));
    }
    ClientIdentity::parse(&typed.certificate, key).map_err(|error: IdentityError| {
        let part = if error.is_about_the_key() { "key" } else { "certificate" };
        BrokerError::invalid(format!("{FIELD}.{part}"), error.to_string())
    })
}
