//! What a failed refresh means for a grant: parked, uncertain, or kept and tried again later.

use crate::refresh::{Need, Refreshed};
use crate::{Broker, BrokerError};
use doorward_domain::{Actor, Gateway, Grant, GrantOwner, GrantState, NewAuditEvent, ReauthorizationReason};
use doorward_oauth::{RefusalKind, TokenError};
use std::sync::Arc;
use std::time::Duration;

/// The first wait after a failed refresh; it doubles with each further failure.
const BACKOFF_FIRST: Duration = Duration::from_secs(2);
/// The longest wait after failed refreshes.
const BACKOFF_MAX: Duration = Duration::from_secs(10 * 60);

impl Broker {
    /// Classifies a failure (R13, R14) and writes down what it means for the grant.
    pub(crate) async fn after_failure(
        &self,
        grant: Grant,
        gateway: &Gateway,
        need: Need,
        error: TokenError,
    ) -> Result<Refreshed, BrokerError> {
        tracing::warn!(grant = %grant.id, gateway = %gateway.slug, %error, "a refresh failed");
        match error {
            TokenError::Refused { kind: RefusalKind::Grant, code, .. } => {
                count("refused");
                let parked = self.park(&grant, ReauthorizationReason::InvalidGrant, Some(&code)).await?;
                // R4: the loser of a race leaves the winner's new token alone; the next call uses it.
                let meanwhile = Refreshed::Later { problem: changed_meanwhile(), retry_after: None };
                Ok(if parked { Refreshed::MustAuthorize } else { meanwhile })
            }
            TokenError::Unanswered { why } => {
                count("unanswered");
                if let Need::Replace { .. } = need {
                    // The upstream refuses the token there is, and the refresh token may be spent.
                    self.park(&grant, ReauthorizationReason::RefusedFreshToken, None).await?;
                    return Ok(Refreshed::MustAuthorize);
                }
                self.uncertain(&grant, &why).await?;
                Ok(self.still_usable(grant, need))
            }
            TokenError::Refused { kind: RefusalKind::Registration, code, .. } => {
                count("registration");
                let why = format!("the provider refused our registration: {code}");
                self.later(grant, gateway, need, &why, None).await
            }
            TokenError::Temporary { why, retry_after } => {
                count("temporary");
                self.later(grant, gateway, need, &why, retry_after).await
            }
            TokenError::NotSent { why } => {
                count("not_sent");
                self.later(grant, gateway, need, &why, None).await
            }
        }
    }

    /// Keeps the grant, and does not try again before a while has passed.
    async fn later(
        &self,
        grant: Grant,
        gateway: &Gateway,
        need: Need,
        why: &str,
        retry_after: Option<Duration>,
    ) -> Result<Refreshed, BrokerError> {
        let wait = retry_after.unwrap_or_default().max(self.backoff(grant.failures)).min(BACKOFF_MAX);
        let kept = Grant {
            state: GrantState::Active,
            redeeming_number: None,
            retry_at: Some(self.now().plus(wait)),
            failures: grant.failures + 1,
            last_error: Some(why.to_owned()),
            ..grant
        };
        self.write_state(&kept, "grant.refresh_failed").await?;
        if need == Need::Renew && kept.access_token_lives(self.now()) {
            return Ok(Refreshed::Usable(Arc::new(kept)));
        }
        Ok(Refreshed::Later { problem: provider_down(gateway), retry_after: Some(wait) })
    }

    /// Doubles from two seconds to ten minutes, with up to a quarter of jitter.
    fn backoff(&self, failures: i64) -> Duration {
        let doubled = BACKOFF_FIRST.saturating_mul(1 << failures.clamp(0, 16)).min(BACKOFF_MAX);
        let [jitter] = self.parts.entropy.bytes::<1>();
        doubled + doubled.mul_f64(f64::from(jitter) / 1024.0)
    }

    /// Writes a grant's state; false when somebody else has changed the grant, and nothing was written.
    async fn write_state(&self, grant: &Grant, action: &'static str) -> Result<bool, BrokerError> {
        let event = refresh_event(grant, action);
        Ok(self.storage().set_grant_state(grant, event).await?)
    }

    /// Parks a grant until its user authorizes again. A lost race changes nothing (R4).
    pub(crate) async fn park(
        &self,
        grant: &Grant,
        reason: ReauthorizationReason,
        code: Option<&str>,
    ) -> Result<bool, BrokerError> {
        let parked = Grant {
            state: GrantState::NeedsAuthorization(reason),
            last_error: code.map(|code| format!("the provider refused the refresh token: {code}")),
            retry_at: None,
            ..grant.clone()
        };
        self.write_state(&parked, "grant.park").await
    }

    /// Marks a grant whose refresh token may be spent. It still serves the access token that it has.
    pub(crate) async fn uncertain(&self, grant: &Grant, why: &str) -> Result<(), BrokerError> {
        let uncertain = Grant {
            state: GrantState::Uncertain,
            redeeming_number: None,
            last_error: Some(why.to_owned()),
            retry_at: None,
            ..grant.clone()
        };
        self.write_state(&uncertain, "grant.uncertain").await?;
        Ok(())
    }

    /// An uncertain grant still serves the access token that it has.
    pub(crate) fn still_usable(&self, grant: Grant, need: Need) -> Refreshed {
        if need == Need::Renew && grant.access_token_lives(self.now()) {
            Refreshed::Usable(Arc::new(grant))
        } else {
            Refreshed::MustAuthorize
        }
    }
}

/// As the audit trail names what became of a grant.
pub(crate) fn refresh_event(grant: &Grant, action: &'static str) -> NewAuditEvent {
    let event =
        NewAuditEvent::new(Actor::System, action).subject(grant.id).detail("number", grant.refresh_number);
    match grant.owner {
        GrantOwner::User(user) => event.concerning(user),
        GrantOwner::Service => event,
    }
}

/// What the user is told while the provider does not answer.
pub(crate) fn provider_down(gateway: &Gateway) -> String {
    format!(
        "{} cannot be reached with your authorization right now; it is kept, try again shortly.",
        gateway.name
    )
}

/// What the user is told when somebody else was quicker.
pub(crate) fn changed_meanwhile() -> String {
    "The authorization was changed in the meantime; try again.".to_owned()
}

/// Counts how refreshes end.
pub(crate) fn count(result: &'static str) {
    metrics::counter!("doorward_refreshes_total", "result" => result).increment(1);
}
