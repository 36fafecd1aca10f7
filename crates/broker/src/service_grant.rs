//! The gateway's own grant (client credentials, RFC 6749 §4.4): one for all of its users, got when the first call needs
//! it. From then on it is renewed as any other grant is; where that cannot help, it is got anew.

use crate::refresh::Refreshed;
use crate::refresh_attempt::grant_event;
use crate::refresh_failure::provider_down;
use crate::{Broker, BrokerError};
use doorward_domain::{Gateway, GatewayId, Grant, GrantId, GrantOwner, GrantState, OAuthSettings, TokenSet};
use doorward_oauth::{RefusalKind, TokenError};
use doorward_storage::StoredGrant;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

/// A grant that was refused is not got anew more often than this.
const PAUSE: Duration = Duration::from_secs(60);

/// Whose turn it is to get a gateway's grant, in this process.
#[derive(Clone)]
pub(crate) struct Turns(moka::sync::Cache<GatewayId, Arc<Mutex<()>>>);

impl Default for Turns {
    fn default() -> Self {
        Self(moka::sync::Cache::new(10_000))
    }
}

/// What users are told of a gateway whose own client is refused.
pub(crate) fn refused_itself(gateway: &Gateway) -> String {
    format!(
        "{} does not let Doorward’s own client in: an administrator has to mend the gateway.",
        gateway.name
    )
}

impl Broker {
    /// Whether a grant that no user consents to is beyond renewal, so that it has to be got anew.
    pub(crate) fn is_useless(&self, grant: &Grant, gateway: &Gateway) -> bool {
        let elsewhere = gateway.fingerprint().as_ref() != Some(&grant.fingerprint);
        let spent = grant.state == GrantState::Uncertain && !grant.access_token_lives(self.now());
        let exchanges = gateway.oauth().is_some_and(|settings| settings.grant_type.is_exchange());
        grant.orphaned_since.is_none()
            && (elsewhere
                || grant.exchanged != exchanges
                || spent
                || matches!(grant.state, GrantState::NeedsAuthorization(_)))
    }

    /// The gateway's own grant, got by one caller while the others wait.
    pub(crate) async fn own_grant(&self, gateway: &Arc<Gateway>) -> Result<Refreshed, BrokerError> {
        let (broker, gateway) = (self.clone(), Arc::clone(gateway));
        // Detached: a caller that hangs up must not lose what was asked for.
        let task = tokio::spawn(async move {
            let turn = broker.service_turns.0.get_with(gateway.id, Arc::default);
            let _turn = turn.lock().await;
            let lease = broker.hold_lease(&format!("service/{}", gateway.id)).await?;
            let got = broker.own_grant_alone(&gateway).await;
            lease.release().await;
            got
        });
        task.await.unwrap_or_else(|_| Err(crate::refresh::interrupted()))
    }

    async fn own_grant_alone(&self, gateway: &Gateway) -> Result<Refreshed, BrokerError> {
        let Some(settings) = gateway.oauth() else { return Ok(Refreshed::MustAuthorize { reference: None }) };
        let before = self.storage().grant_of(GrantOwner::Service, gateway.id).await?;
        if let Some(grant) = &before {
            if !self.is_useless(grant, gateway) {
                return Ok(Refreshed::Usable(Arc::new(grant.clone())));
            }
            let again_at = grant.issued_at.plus(PAUSE);
            if gateway.fingerprint().as_ref() == Some(&grant.fingerprint) && self.now() < again_at {
                let retry_after = Some(self.now().until(again_at));
                let (problem, reference) = (refused_itself(gateway), grant.reference.clone());
                return Ok(Refreshed::Later { problem, retry_after, reference });
            }
        }
        let _turn = self.turn_at(&settings.issuer_key()).await;
        let leave = match self.admit(gateway, settings).await? {
            Ok(leave) => leave,
            Err(outage) => return Ok(self.during(outage, gateway)),
        };
        let client = match self.open_client(gateway, settings) {
            Ok(client) => client,
            Err(crate::secret::SecretError::Seal(error)) => return Err(error.into()),
            Err(error) => return Ok(later(format!("{}: {error}", refused_itself(gateway)), None)),
        };
        let answer = self.parts.oauth.client_credentials(settings, client.credentials(), self.now()).await;
        match answer {
            Ok(tokens) => {
                self.provider_answered(settings).await;
                self.registration_works(gateway).await?;
                self.store_own_grant(gateway, settings, &tokens, before).await
            }
            Err(error) => {
                tracing::warn!(gateway = %gateway.slug, %error, "a gateway’s own grant could not be got");
                match error {
                    TokenError::Refused {
                        kind: RefusalKind::Grant | RefusalKind::Registration,
                        code,
                        ..
                    } => {
                        self.provider_answered(settings).await;
                        self.registration_refused(gateway, leave, &code).await?;
                        Ok(later(format!("{} ({code})", refused_itself(gateway)), None))
                    }
                    TokenError::Temporary { retry_after, .. } => {
                        self.provider_failed(settings, leave, retry_after).await;
                        Ok(later(provider_down(gateway), retry_after))
                    }
                    TokenError::NotSent { .. } | TokenError::Unanswered { .. } => {
                        self.provider_failed(settings, leave, None).await;
                        Ok(later(provider_down(gateway), None))
                    }
                }
            }
        }
    }

    async fn store_own_grant(
        &self,
        gateway: &Gateway,
        settings: &OAuthSettings,
        tokens: &TokenSet,
        before: Option<Grant>,
    ) -> Result<Refreshed, BrokerError> {
        let now = self.now();
        let id: GrantId = before.as_ref().map_or_else(|| self.parts.entropy.id(now), |grant| grant.id);
        let grant = Grant {
            id,
            owner: GrantOwner::Service,
            gateway_id: gateway.id,
            label: String::new(),
            state: GrantState::Active,
            orphaned_since: None,
            fingerprint: settings.fingerprint(&gateway.url),
            account: None,
            scopes_requested: settings.scopes.clone(),
            scopes_granted: tokens.scopes.clone().unwrap_or_else(|| settings.scopes.clone()),
            tokens: self.sealed(id, tokens),
            refresh_number: before.as_ref().map_or(1, |grant| grant.refresh_number + 1),
            redeeming_number: None,
            created_at: before.as_ref().map_or(now, |grant| grant.created_at),
            authorized_at: now,
            issued_at: now,
            last_used_at: before.as_ref().and_then(|grant| grant.last_used_at),
            last_refreshed_at: before.as_ref().and_then(|grant| grant.last_refreshed_at),
            ends_at: None,
            retry_at: None,
            failures: 0,
            last_error: None,
            provider_words: None,
            reference: None,
            deposited_by: None,
            exchanged: false,
            version: before.as_ref().map_or(0, |grant| grant.version),
        };
        let event = grant_event(&grant, "grant.authorize")
            .detail("gateway", &gateway.slug)
            .detail("grant_type", "client_credentials")
            .detail("scopes", grant.scopes_granted.join(" "));
        match self.storage().store_authorized_grant(&grant, event).await? {
            StoredGrant::Stored { .. } => {
                Ok(Refreshed::Usable(Arc::new(Grant { version: grant.version + 1, ..grant })))
            }
            StoredGrant::Gone => Ok(later(refused_itself(gateway), None)),
            StoredGrant::Conflict => Ok(later(crate::refresh_failure::changed_meanwhile(), None)),
        }
    }
}

fn later(problem: String, retry_after: Option<Duration>) -> Refreshed {
    Refreshed::Later { problem, retry_after, reference: None }
}
