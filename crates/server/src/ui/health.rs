//! Why a grant fares as it does, in the few words that fit under its badge. The whole sentence is the domain's.

use crate::ui::parts::distance;
use doorward_domain::{GrantState, Health, ListedGrant, ReauthorizationReason, Timestamp};

/// Under the badge.
pub(super) fn in_short(grant: &ListedGrant, now: Timestamp) -> String {
    match (grant.health, grant.state) {
        (Health::Orphaned, _) => "no access at present".to_owned(),
        (_, GrantState::NeedsAuthorization(reason)) => asked_because(reason).to_owned(),
        (_, GrantState::Uncertain) => "an answer was lost".to_owned(),
        (Health::Valid, _) if grant.refreshable => "renews itself".to_owned(),
        _ => match end(grant) {
            Some(end) if now >= end => format!("ended {}", distance(end, now)),
            Some(end) => format!("ends {}", distance(end, now)),
            None => "no end".to_owned(),
        },
    }
}

/// Whichever ends it first: its access token where nothing renews it, or the provider's own limit.
fn end(grant: &ListedGrant) -> Option<Timestamp> {
    let token = grant.expires_at.filter(|_| !grant.refreshable);
    [token, grant.ends_at].into_iter().flatten().min()
}

fn asked_because(reason: ReauthorizationReason) -> &'static str {
    match reason {
        ReauthorizationReason::InvalidGrant => "the provider ended it",
        ReauthorizationReason::RefusedFreshToken => "the server refused it",
        ReauthorizationReason::NothingToRefreshWith => "it ended",
        ReauthorizationReason::Forced => "an administrator asks",
        ReauthorizationReason::GatewayChanged => "the gateway has moved",
        ReauthorizationReason::Deposited => "waits to be accepted",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::samples::{NOW, listed};
    use std::time::Duration;

    #[test]
    fn the_few_words_say_why() {
        let hours = |count: u64| Duration::from_secs(count * 3_600);
        let says = |change: fn(&mut ListedGrant)| {
            let mut grant = ListedGrant { refreshable: false, expires_at: None, ..listed() };
            change(&mut grant);
            in_short(&grant, NOW)
        };
        assert_eq!(says(|_| ()), "no end");
        assert_eq!(says(|grant| grant.refreshable = true), "renews itself");
        assert_eq!(says(|grant| grant.health = Health::Orphaned), "no access at present");
        assert_eq!(says(|grant| grant.state = GrantState::Uncertain), "an answer was lost");
        let mut ends = ListedGrant { refreshable: false, health: Health::ExpiringSoon, ..listed() };
        ends.expires_at = Some(NOW.plus(hours(9)));
        assert_eq!(in_short(&ends, NOW), "ends in 9 h");
        ends.ends_at = Some(NOW.plus(hours(2)));
        assert_eq!(in_short(&ends, NOW), "ends in 2 h", "the provider's limit comes first");
        ends.expires_at = Some(NOW.minus(hours(3)));
        assert_eq!(in_short(&ends, NOW), "ended 3 h ago");
        for (reason, words) in [
            (ReauthorizationReason::InvalidGrant, "the provider ended it"),
            (ReauthorizationReason::RefusedFreshToken, "the server refused it"),
            (ReauthorizationReason::NothingToRefreshWith, "it ended"),
            (ReauthorizationReason::Forced, "an administrator asks"),
            (ReauthorizationReason::GatewayChanged, "the gateway has moved"),
            (ReauthorizationReason::Deposited, "waits to be accepted"),
        ] {
            let state = GrantState::NeedsAuthorization(reason);
            assert_eq!(in_short(&ListedGrant { state, ..listed() }, NOW), words);
        }
    }
}
