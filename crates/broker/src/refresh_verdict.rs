//! What a grant's row, read under the lease, says about a refresh that somebody asks for.

use crate::Broker;
use crate::refresh_attempt::{Attempt, Need, RefreshPath};
use doorward_domain::{Gateway, Grant, GrantOwner, GrantState, GrantType, ReauthorizationReason, Timestamp};

/// What is to be done.
pub(crate) enum Verdict {
    /// The token there is meets the need.
    Serve,
    /// The user has been asked already.
    Ask,
    /// A refresh failed a short while ago.
    Wait {
        until: Timestamp,
    },
    /// The user has to be asked from now on.
    Park(ReauthorizationReason),
    /// The intent of an earlier refresh is there, and nobody is working on it.
    Interrupted,
    Redeem,
}

impl Broker {
    pub(crate) fn judge(&self, grant: &Grant, gateway: &Gateway, attempt: &Attempt) -> Verdict {
        let need = attempt.need;
        let lives = grant.access_token_lives(self.now());
        match grant.state {
            _ if grant.orphaned_since.is_some() => return Verdict::Ask,
            GrantState::NeedsAuthorization(_) => return Verdict::Ask,
            GrantState::Uncertain if may_recover(grant, gateway) => {}
            // What was refused is not sent again, and the refresh token may be spent: nothing is left to try.
            GrantState::Uncertain if need == (Need::Replace { refused: grant.refresh_number }) => {
                return Verdict::Park(ReauthorizationReason::RefusedFreshToken);
            }
            GrantState::Uncertain if lives && !matches!(need, Need::Newer { .. }) => return Verdict::Serve,
            GrantState::Uncertain => return Verdict::Ask,
            GrantState::Active => {}
        }
        if gateway.fingerprint().as_ref() != Some(&grant.fingerprint) || !of_its_kind(grant, gateway) {
            return Verdict::Park(ReauthorizationReason::GatewayChanged);
        }
        if self.is_met(grant, need) {
            return Verdict::Serve;
        }
        if matches!(need, Need::Replace { refused } if self.was_forced(grant, refused)) {
            return Verdict::Park(ReauthorizationReason::RefusedFreshToken);
        }
        if grant.redeeming_number.is_some() {
            return Verdict::Interrupted;
        }
        self.judge_means(grant, attempt, lives)
    }

    /// Whether there is something to refresh with, and whether it may be used now.
    fn judge_means(&self, grant: &Grant, attempt: &Attempt, lives: bool) -> Verdict {
        // A person who asks for a refresh does not wait for the grant's own turn.
        let waits = grant.retry_at.filter(|retry_at| self.now() < *retry_at);
        let waits = waits.filter(|_| attempt.path != RefreshPath::RefreshNow);
        match (grant.renews_itself(), waits) {
            (false, _) if lives && !matches!(attempt.need, Need::Replace { .. }) => Verdict::Serve,
            (true, Some(_)) if lives && attempt.need == Need::Renew => Verdict::Serve,
            (false, _) => Verdict::Park(ReauthorizationReason::NothingToRefreshWith),
            (true, Some(until)) => Verdict::Wait { until },
            (true, None) => Verdict::Redeem,
        }
    }

    fn is_met(&self, grant: &Grant, need: Need) -> bool {
        let now = self.now();
        match need.unmet_by() {
            Some(number) => grant.refresh_number != number,
            None => {
                grant.state == GrantState::Active
                    && grant.access_token_lives(now)
                    && !grant.inside_margin(now)
            }
        }
    }
}

/// Whether the gateway's tokens are still obtained in the way in which this grant was.
fn of_its_kind(grant: &Grant, gateway: &Gateway) -> bool {
    let kind = gateway.oauth().map(|settings| settings.grant_type).unwrap_or_default();
    (kind == GrantType::ClientCredentials) == (grant.owner == GrantOwner::Service)
        && kind.is_exchange() == grant.exchanged
}

/// Whether a refresh whose answer was lost may be repeated: where the provider's facts say that this is safe, or
/// nothing was spent because no
/// refresh token was sent; and once. The intent of that one recovery stays on the row until its answer is stored.
pub(crate) fn may_recover(grant: &Grant, gateway: &Gateway) -> bool {
    grant.state == GrantState::Uncertain
        && grant.redeeming_number.is_none()
        && (grant.spends_nothing() || gateway.oauth().is_some_and(|settings| settings.facts.replay_safe))
}
