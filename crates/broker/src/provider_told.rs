//! Telling providers what has ended here, from the outbox: in the background, again and again for three days,
//! each row by one process at a time. The secrets go with the row; what is left is the receipt.

use crate::secret::{SecretError, ShownClient};
use crate::{Broker, BrokerError};
use doorward_domain::{AccessToken, ClientSecret, ProviderRevocation, Receipt, RefreshToken, Telling};
use doorward_domain::{RevocationReach, telling};
use doorward_oauth::{ClientCredentials, Revocation, Told};
use doorward_vault::Place;
use futures_util::{StreamExt, stream};
use std::time::Duration;

/// Rows taken up at once, and told of at the same time.
const BATCH: u32 = 64;
const AT_ONCE: usize = 8;

/// For so long a row belongs to whoever took it up: longer than a batch takes at its slowest.
const LEASE: Duration = Duration::from_secs(15 * 60);

/// How long it is tried.
pub(crate) const TRIED_FOR: Duration = Duration::from_secs(3 * 86_400);

/// The first and the longest pause between two attempts.
const PAUSES: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(6 * 3_600));

/// What the outbox holds of one grant, opened for one call.
struct Opened {
    client_secret: Option<ClientSecret>,
    refresh_token: Option<RefreshToken>,
    access_token: Option<AccessToken>,
}

impl Broker {
    /// Tells providers of whatever is due, until nothing is. Called on a beat, and right after a revoke.
    pub async fn tell_providers(&self) -> Result<(), BrokerError> {
        while self.storage().provider_revocations_due().await? {
            let taken = self.storage().take_provider_revocations(BATCH, LEASE).await?;
            if taken.is_empty() {
                break;
            }
            let telling = taken.into_iter().map(|revocation| {
                let broker = self.clone();
                async move { broker.tell_provider(&revocation).await }
            });
            let results: Vec<_> = stream::iter(telling).buffer_unordered(AT_ONCE).collect().await;
            results.into_iter().collect::<Result<(), _>>()?;
        }
        // What waited for them.
        self.remove_registrations().await
    }

    /// Resolves when a grant has ended since the last call.
    pub async fn grants_have_ended(&self) {
        self.ended.notified().await;
    }

    async fn tell_provider(&self, revocation: &ProviderRevocation) -> Result<(), BrokerError> {
        let opened = match self.opened_revocation(revocation) {
            Ok(opened) => opened,
            Err(error) => {
                let why = format!("its secrets could not be opened for use there: {error}");
                return self.finish_telling(revocation, Receipt::NothingToTell, Some(&why)).await;
            }
        };
        // A gateway that is gone has taken its certificate with it.
        let identity = self.identity_at(&revocation.gateway_slug).await?;
        let told = self
            .parts
            .oauth
            .revoke(&Revocation {
                method: revocation.method,
                url: &revocation.revocation_url,
                client: ClientCredentials {
                    client_id: &revocation.client_id,
                    client_secret: opened.client_secret.as_ref(),
                    auth: revocation.token_endpoint_auth,
                    dpop: None,
                    identity: identity.as_ref(),
                },
                refresh_token: opened.refresh_token.as_ref(),
                access_token: opened.access_token.as_ref(),
            })
            .await;
        match told {
            Told::Ended { note } => {
                self.finish_telling(revocation, Receipt::EndedAtProvider, note.as_deref()).await
            }
            Told::AlreadyGone { why } => {
                let why = format!("the provider did not know it any more ({why})");
                self.finish_telling(revocation, Receipt::NothingToTell, Some(&why)).await
            }
            Told::Refused { why } => self.finish_telling(revocation, Receipt::Refused, Some(&why)).await,
            Told::Later { why, retry_after } => self.tell_later(revocation, &why, retry_after).await,
        }
    }

    /// Opens what the row holds. Tokens go only to the authorization server that gave them, whatever the row says.
    fn opened_revocation(&self, revocation: &ProviderRevocation) -> Result<Opened, SecretError> {
        let ProviderRevocation { grant_id, fingerprint, token_url, issuer, client_id, .. } = revocation;
        let used_at = fingerprint.asking(token_url, issuer.as_deref(), client_id);
        let reach = RevocationReach::ThisGrant;
        let url = Some(&revocation.revocation_url);
        if telling(revocation.method, reach, url, token_url, issuer.as_deref()) != Telling::Ends {
            return Err(SecretError::GivenElsewhere { changed: vec!["revocation endpoint".to_owned()] });
        }
        let secret_place = Place::client_secret(revocation.registration_id);
        let (access, refresh) = (Place::grant_access_token(*grant_id), Place::grant_refresh_token(*grant_id));
        let secret = revocation
            .client_secret
            .as_ref()
            .map(|sealed| {
                let given_for = &revocation.client_secret_fingerprint;
                self.open_bound(given_for, &used_at, &secret_place, sealed)
            })
            .transpose()?;
        let shown = ShownClient {
            client_id,
            auth: revocation.token_endpoint_auth,
            assertion_kid: revocation.assertion_kid.as_deref(),
            audience: issuer.as_deref().unwrap_or(token_url.as_str()),
        };
        Ok(Opened {
            client_secret: self.proof_of(secret, &shown)?,
            refresh_token: revocation
                .refresh_token
                .as_ref()
                .map(|sealed| self.open_bound(fingerprint, &used_at, &refresh, sealed))
                .transpose()?,
            access_token: revocation
                .access_token
                .as_ref()
                .map(|sealed| self.open_bound(fingerprint, &used_at, &access, sealed))
                .transpose()?,
        })
    }

    async fn tell_later(
        &self,
        revocation: &ProviderRevocation,
        why: &str,
        retry_after: Option<Duration>,
    ) -> Result<(), BrokerError> {
        if revocation.created_at.until(self.now()) >= TRIED_FOR {
            return self.finish_telling(revocation, Receipt::GaveUp, Some(why)).await;
        }
        let (first, longest) = PAUSES;
        let doubled = first.saturating_mul(1 << (revocation.attempts - 1).clamp(0, 16)).min(longest);
        let [jitter] = self.parts.entropy.bytes::<1>();
        let pause =
            retry_after.unwrap_or_default().max(doubled + doubled.mul_f64(f64::from(jitter) / 1024.0));
        let (grant, gateway) = (revocation.grant_id, &revocation.gateway_slug);
        tracing::info!(%grant, %gateway, why, "a provider could not be told yet that a grant has ended");
        Ok(self.storage().put_off_provider_revocation(revocation, self.now().plus(pause)).await?)
    }

    async fn finish_telling(
        &self,
        revocation: &ProviderRevocation,
        receipt: Receipt,
        detail: Option<&str>,
    ) -> Result<(), BrokerError> {
        if self.storage().finish_provider_revocation(revocation, receipt, detail).await? {
            metrics::counter!("doorward_revocations_total", "receipt" => receipt_label(receipt)).increment(1);
        }
        Ok(())
    }
}

fn receipt_label(receipt: Receipt) -> &'static str {
    match receipt {
        Receipt::Pending => "pending",
        Receipt::EndedAtProvider => "ended_at_provider",
        Receipt::NoSuchCall => "no_such_call",
        Receipt::Refused => "refused",
        Receipt::GaveUp => "gave_up",
        Receipt::NotTold => "not_told",
        Receipt::NothingToTell => "nothing_to_tell",
    }
}
