//! What a failed refresh means for a grant: parked, uncertain, or kept and tried again later.

use crate::circuit::jittered;
use crate::exchanged_grant::refused_in_exchange;
use crate::outage::{Leave, Outage};
use crate::refresh::Refreshed;
use crate::refresh_attempt::{Attempt, Need, grant_event};
use crate::{Broker, BrokerError};
use doorward_domain::{Gateway, Grant, GrantState, OAuthSettings, ReauthorizationReason};
use doorward_oauth::{RefusalKind, TokenError};
use std::sync::Arc;
use std::time::Duration;

/// The first wait after a failed refresh; it doubles with each further failure.
const BACKOFF_FIRST: Duration = Duration::from_secs(2);
/// The longest wait after failed refreshes.
const BACKOFF_MAX: Duration = Duration::from_secs(10 * 60);

impl Broker {
    /// Classifies a failure (R13, R14) and writes down what it means: for the grant, for its gateway, and for
    /// the provider.
    pub(crate) async fn after_failure(
        &self,
        grant: Grant,
        gateway: &Gateway,
        settings: &OAuthSettings,
        attempt: &Attempt,
        leave: Leave,
        error: TokenError,
    ) -> Result<Refreshed, BrokerError> {
        let reference = &attempt.reference;
        tracing::warn!(grant = %grant.id, gateway = %gateway.slug, reference, %error, "a refresh failed");
        match error {
            TokenError::Refused { kind: RefusalKind::Grant, code, description } => {
                self.count(attempt, "refused");
                self.provider_answered(settings).await;
                let exchanged = grant.exchanged && grant.spends_nothing();
                let what = if exchanged { "what was to be exchanged" } else { "the refresh token" };
                let why = format!("the provider refused {what}: {code}");
                let grant = Grant { last_error: Some(why), provider_words: description, ..grant };
                let parked = self.park(&grant, ReauthorizationReason::InvalidGrant, Some(attempt)).await?;
                // R4: the loser of a race leaves the winner's new token alone, and uses it.
                if parked && exchanged {
                    Ok(attempt.later(refused_in_exchange(gateway, &code), None))
                } else if parked {
                    Ok(attempt.must_authorize())
                } else {
                    self.after_lost_race(grant.id, gateway, attempt).await
                }
            }
            TokenError::Refused { kind: RefusalKind::Registration, code, description } => {
                self.count(attempt, "registration");
                self.provider_answered(settings).await;
                self.registration_refused(gateway, leave, &code).await?;
                let why = format!("the provider refused our registration: {code}");
                let grant = Grant { last_error: Some(why), provider_words: description, ..grant };
                self.later(grant, gateway, attempt, None).await
            }
            TokenError::Temporary { why, retry_after } => {
                self.count(attempt, "temporary");
                self.blip(grant, gateway, settings, attempt, leave, (why, retry_after)).await
            }
            TokenError::NotSent { why } => {
                self.count(attempt, "not_sent");
                self.blip(grant, gateway, settings, attempt, leave, (why, None)).await
            }
            TokenError::Unanswered { why } if grant.spends_nothing() => {
                self.count(attempt, "unanswered");
                self.blip(grant, gateway, settings, attempt, leave, (why, None)).await
            }
            TokenError::Unanswered { why } => {
                self.count(attempt, "unanswered");
                self.provider_failed(settings, leave, None).await;
                self.lost(grant, gateway, attempt, &why).await
            }
        }
    }

    /// The provider cannot just now. While it counts as down that is no failure of this grant: its intent is
    /// withdrawn, and nothing else is written.
    async fn blip(
        &self,
        grant: Grant,
        gateway: &Gateway,
        settings: &OAuthSettings,
        attempt: &Attempt,
        leave: Leave,
        (why, retry_after): (String, Option<Duration>),
    ) -> Result<Refreshed, BrokerError> {
        match self.provider_failed(settings, leave, retry_after).await {
            Some(outage) => {
                self.storage().withdraw_refresh(grant.id, grant.version).await?;
                if attempt.need == Need::Renew && grant.access_token_lives(self.now()) {
                    return Ok(Refreshed::Usable(Arc::new(grant)));
                }
                Ok(self.during(outage, gateway))
            }
            None => {
                let grant = Grant { last_error: Some(why), provider_words: None, ..grant };
                self.later(grant, gateway, attempt, retry_after).await
            }
        }
    }

    /// Keeps the grant, and does not try again before a while has passed.
    async fn later(
        &self,
        grant: Grant,
        gateway: &Gateway,
        attempt: &Attempt,
        retry_after: Option<Duration>,
    ) -> Result<Refreshed, BrokerError> {
        let wait = retry_after.unwrap_or_default().max(self.backoff(grant.failures)).min(BACKOFF_MAX);
        let kept = Grant {
            redeeming_number: None,
            retry_at: Some(self.now().plus(wait)),
            failures: grant.failures + 1,
            reference: Some(attempt.reference.clone()),
            ..grant
        };
        let event = attempt.failure(&kept, "grant.refresh_failed");
        self.storage().set_grant_state(&kept, event).await?;
        if attempt.need == Need::Renew && kept.access_token_lives(self.now()) {
            return Ok(Refreshed::Usable(Arc::new(kept)));
        }
        Ok(attempt.later(provider_down(gateway), Some(wait)))
    }

    /// The answer was lost, and with it perhaps the refresh token.
    async fn lost(
        &self,
        grant: Grant,
        gateway: &Gateway,
        attempt: &Attempt,
        why: &str,
    ) -> Result<Refreshed, BrokerError> {
        let uncertain = self.uncertain(&grant, gateway, attempt, why).await?;
        let refused = matches!(attempt.need, Need::Replace { .. });
        if attempt.need == Need::Renew && uncertain.access_token_lives(self.now()) {
            return Ok(Refreshed::Usable(Arc::new(uncertain)));
        }
        if let Some(retry_at) = uncertain.retry_at {
            return Ok(attempt.later(provider_down(gateway), Some(self.now().until(retry_at))));
        }
        if refused {
            // The upstream refuses the token there is, and the refresh token may be spent.
            let now_there = Grant { version: uncertain.version + 1, ..uncertain };
            self.park(&now_there, ReauthorizationReason::RefusedFreshToken, Some(attempt)).await?;
        }
        Ok(attempt.must_authorize())
    }

    /// Marks a grant whose refresh token may be spent. It still serves the access token that it has. Where the
    /// provider's facts allow it, one careful recovery is tried after a while; when that one is lost too, its
    /// intent stays on the row, and there is no other.
    pub(crate) async fn uncertain(
        &self,
        grant: &Grant,
        gateway: &Gateway,
        attempt: &Attempt,
        why: &str,
    ) -> Result<Grant, BrokerError> {
        let was_recovery = grant.state == GrantState::Uncertain;
        let uncertain = Grant {
            state: GrantState::Uncertain,
            redeeming_number: grant.redeeming_number.filter(|_| was_recovery),
            last_error: Some(why.to_owned()),
            provider_words: None,
            reference: Some(attempt.reference.clone()),
            failures: grant.failures + 1,
            retry_at: None,
            ..grant.clone()
        };
        let retry_at =
            self.recovers(&uncertain, gateway).then(|| self.now().plus(self.backoff(grant.failures)));
        let uncertain = Grant { retry_at, ..uncertain };
        let event = attempt.failure(&uncertain, "grant.uncertain");
        self.storage().set_grant_state(&uncertain, event).await?;
        Ok(uncertain)
    }

    /// Parks a grant until its user authorizes again. A lost race changes nothing (R4).
    pub(crate) async fn park(
        &self,
        grant: &Grant,
        reason: ReauthorizationReason,
        attempt: Option<&Attempt>,
    ) -> Result<bool, BrokerError> {
        let parked = Grant {
            state: GrantState::NeedsAuthorization(reason),
            redeeming_number: None,
            retry_at: None,
            reference: attempt.map(|attempt| attempt.reference.clone()),
            ..grant.clone()
        };
        let event = match attempt {
            Some(attempt) => attempt.failure(&parked, "grant.park"),
            None => grant_event(&parked, "grant.park"),
        };
        let event = event.detail("reason", reason_word(reason));
        Ok(self.storage().set_grant_state(&parked, event).await?)
    }

    /// What a caller is told while no request leaves.
    pub(crate) fn during(&self, outage: Outage, gateway: &Gateway) -> Refreshed {
        Refreshed::Later {
            problem: outage.problem(gateway),
            retry_after: Some(self.wait_until(outage.next_probe())),
            reference: None,
        }
    }

    /// Doubles from two seconds to ten minutes, with up to a quarter of jitter.
    fn backoff(&self, failures: i64) -> Duration {
        let doubled = BACKOFF_FIRST.saturating_mul(1 << failures.clamp(0, 16)).min(BACKOFF_MAX);
        jittered(doubled, self.parts.entropy)
    }
}

fn reason_word(reason: ReauthorizationReason) -> &'static str {
    match reason {
        ReauthorizationReason::InvalidGrant => "invalid_grant",
        ReauthorizationReason::RefusedFreshToken => "refused_fresh_token",
        ReauthorizationReason::NothingToRefreshWith => "nothing_to_refresh_with",
        ReauthorizationReason::Forced => "forced",
        ReauthorizationReason::GatewayChanged => "gateway_changed",
        ReauthorizationReason::Deposited => "deposited",
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
