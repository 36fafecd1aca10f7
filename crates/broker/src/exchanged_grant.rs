//! Grants that are got in exchange for what a user has at an identity provider: another gateway, where they consented
//! once. Nobody consents here: the company has (RFC 8693; enterprise-managed authorization, the ID-JAG profile).
//! From then on such a grant is renewed as any other is, in exchange again; where that cannot help, it is got anew.

use crate::refresh::Refreshed;
use crate::refresh_attempt::grant_event;
use crate::refresh_failure::{changed_meanwhile, provider_down};
use crate::secret::SecretError;
use crate::{Broker, BrokerError};
use doorward_domain::{Gateway, GatewayId, Grant, GrantOwner, OAuthSettings, Timestamp, TokenSet, UserId};
use doorward_oauth::{RefusalKind, TokenError};
use doorward_storage::StoredGrant;
use std::sync::Arc;
use std::time::Duration;

/// A grant that was refused is not got anew more often than this.
const PAUSE: Duration = Duration::from_secs(60);

/// Whom an exchange was refused a moment ago, until when, and in what words: a client that tries on and on is no
/// reason to ask again and again (R16).
#[derive(Clone)]
pub(crate) struct RefusedExchanges(moka::sync::Cache<(UserId, GatewayId), (Timestamp, String)>);

impl Default for RefusedExchanges {
    fn default() -> Self {
        Self(moka::sync::Cache::new(100_000))
    }
}

/// What users are told where the exchange is refused: nothing that they do here changes it.
pub(crate) fn refused_in_exchange(gateway: &Gateway, code: &str) -> String {
    format!(
        "{} does not let you in by what your identity provider says ({code}): ask an administrator.",
        gateway.name
    )
}

impl Broker {
    /// A user's grant, got in exchange by one caller while the others wait.
    pub(crate) async fn exchanged_grant(
        &self,
        user: UserId,
        gateway: &Arc<Gateway>,
    ) -> Result<Refreshed, BrokerError> {
        let (broker, gateway) = (self.clone(), Arc::clone(gateway));
        // Detached: a caller that hangs up must not lose what was asked for.
        let task = tokio::spawn(async move {
            let lease = broker.hold_lease(&format!("exchange/{}/{user}", gateway.id)).await?;
            let got = broker.exchanged_grant_alone(user, &gateway).await;
            lease.release().await;
            got
        });
        task.await.unwrap_or_else(|_| Err(crate::refresh::interrupted()))
    }

    async fn exchanged_grant_alone(&self, user: UserId, gateway: &Gateway) -> Result<Refreshed, BrokerError> {
        let Some(settings) = gateway.oauth() else { return Ok(Refreshed::MustAuthorize { reference: None }) };
        let before = self.storage().grant_of(GrantOwner::User(user), gateway.id).await?;
        if let Some(grant) = &before {
            if !self.is_useless(grant, gateway) {
                return Ok(Refreshed::Usable(Arc::new(grant.clone())));
            }
            let again_at = grant.issued_at.plus(PAUSE);
            if gateway.fingerprint().as_ref() == Some(&grant.fingerprint) && self.now() < again_at {
                let problem = refused_in_exchange(gateway, "refused a moment ago");
                return Ok(later(problem, Some(self.now().until(again_at))));
            }
        }
        if let Some((until, problem)) = self.refused_exchanges.0.get(&(user, gateway.id))
            && self.now() < until
        {
            return Ok(later(problem, Some(self.now().until(until))));
        }
        let subject = match self.subject_of(user, gateway, settings).await? {
            Ok(subject) => subject,
            Err(otherwise) => return Ok(otherwise),
        };
        let leave = match self.admit(gateway, settings).await? {
            Ok(leave) => leave,
            Err(outage) => return Ok(self.during(outage, gateway)),
        };
        let client = match self.open_client(gateway, settings) {
            Ok(client) => client,
            Err(SecretError::Seal(error)) => return Err(error.into()),
            Err(error) => return Ok(later(error.to_string(), None)),
        };
        let error =
            match self.parts.oauth.exchange(settings, client.credentials(), &subject, self.now()).await {
                Ok(tokens) => {
                    self.provider_answered(settings).await;
                    self.registration_works(gateway).await?;
                    return self.store_exchanged(user, gateway, settings, &tokens, before).await;
                }
                Err(error) => error,
            };
        tracing::warn!(gateway = %gateway.slug, %error, "a grant could not be got in exchange");
        match error {
            TokenError::Refused { kind: RefusalKind::Grant, code, .. } => {
                self.provider_answered(settings).await;
                Ok(self.refused_to(user, gateway, &code))
            }
            TokenError::Refused { kind: RefusalKind::Registration, code, .. } => {
                self.provider_answered(settings).await;
                self.registration_refused(gateway, leave, &code).await?;
                Ok(later(refused_in_exchange(gateway, &code), None))
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

    /// Notes a refusal, and says so.
    pub(crate) fn refused_to(&self, user: UserId, gateway: &Gateway, code: &str) -> Refreshed {
        let (until, problem) = (self.now().plus(PAUSE), refused_in_exchange(gateway, code));
        self.refused_exchanges.0.insert((user, gateway.id), (until, problem.clone()));
        later(problem, Some(PAUSE))
    }

    async fn store_exchanged(
        &self,
        user: UserId,
        gateway: &Gateway,
        settings: &OAuthSettings,
        tokens: &TokenSet,
        before: Option<Grant>,
    ) -> Result<Refreshed, BrokerError> {
        let given_for = settings.fingerprint(&gateway.url);
        let owner = GrantOwner::User(user);
        let asked = (&given_for, settings.scopes.as_slice());
        let tokens = TokenSet { id_token: None, ..tokens.clone() };
        let grant =
            Grant { exchanged: true, ..self.new_grant(gateway, owner, asked, &tokens, before.as_ref()) };
        let event = grant_event(&grant, "grant.authorize")
            .detail("gateway", &gateway.slug)
            .detail("grant_type", settings.grant_type.as_str())
            .detail("scopes", grant.scopes_granted.join(" "));
        match self.storage().store_authorized_grant(&grant, event).await? {
            StoredGrant::Stored { .. } => {
                Ok(Refreshed::Usable(Arc::new(Grant { version: grant.version + 1, ..grant })))
            }
            StoredGrant::Gone | StoredGrant::Conflict => Ok(later(changed_meanwhile(), None)),
        }
    }
}

pub(crate) fn later(problem: String, retry_after: Option<Duration>) -> Refreshed {
    Refreshed::Later { problem, retry_after, reference: None }
}
