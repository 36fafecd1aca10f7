//! All that is known of an OAuth token but its value: shown beside the list, or as a page of its own.

use crate::state::AppState;
use crate::ui::error::PageError;
use crate::ui::oauth_tokens::named;
use crate::ui::oauth_tokens_view::LIST;
use crate::ui::parts::{Badge, Icon, Moment, Said, Tone, host_of};
use crate::ui::time_line::{self, Entry, People};
use doorward_broker::{Caller, GrantDetails};
use doorward_domain::{
    AccessTokenStatus, EndCause, Gateway, Grant, GrantId, Permission, RegistrationKind, Removal, Timestamp,
};

/// What there is to say of it.
pub(super) struct TokenDetails {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) email: String,
    /// Where everything of the same person is.
    pub(super) theirs: Option<String>,
    pub(super) slug: String,
    /// Where the gateway is, for those who manage it.
    pub(super) gateway: Option<String>,
    pub(super) badge: Badge,
    pub(super) reason: &'static str,
    pub(super) account: Option<Account>,
    pub(super) provider: String,
    pub(super) provider_host: String,
    pub(super) granted: Vec<String>,
    /// Asked for, and not granted.
    pub(super) missing: Vec<String>,
    pub(super) status: Badge,
    pub(super) access_token: Vec<Said>,
    pub(super) grant_end: Said,
    pub(super) renewal: Vec<Said>,
    pub(super) provider_words: Option<String>,
    pub(super) registration: Option<Registration>,
    /// Who deposited it, where that was not its user's own consent.
    pub(super) deposited_by: Option<String>,
    pub(super) created: Moment,
    pub(super) authorized: Moment,
    pub(super) last_used: Option<Moment>,
    pub(super) refreshed: Option<Moment>,
    pub(super) removal: Said,
    pub(super) reference: Option<String>,
    pub(super) time_line: Vec<Entry>,
    pub(super) may_revoke: bool,
    pub(super) may_refresh: bool,
}

/// Who it is at the provider.
pub(super) struct Account {
    pub(super) name: String,
    /// Where the name is not all there is to it.
    pub(super) subject: Option<String>,
}

/// Our client registration there, without its secret.
pub(super) struct Registration {
    pub(super) client_id: String,
    pub(super) kind: &'static str,
    pub(super) issuer: String,
    pub(super) problem: Option<String>,
}

impl TokenDetails {
    fn new(details: GrantDetails, people: &People, caller: &Rights, now: Timestamp) -> Self {
        let GrantDetails { listed, grant, gateway, removal, time_line } = details;
        let (name, email) = named(&listed);
        let user = listed.user.as_ref();
        let missing = grant.scopes_requested.iter().filter(|scope| !listed.scopes_granted.contains(scope));
        Self {
            id: listed.id.to_string(),
            name,
            email,
            theirs: user.map(|user| format!("{LIST}?user={}", user.id)),
            gateway: caller.manages_gateways.then(|| format!("/ui/gateways/{}", gateway.id)),
            slug: listed.gateway.slug.clone(),
            badge: Badge::health(listed.health),
            reason: listed.health_reason(),
            account: account(&grant),
            provider_host: host_of(&listed.provider).to_owned(),
            provider: listed.provider.clone(),
            missing: missing.cloned().collect(),
            status: status(listed.access_token_status),
            access_token: access_token(&grant, now),
            grant_end: grant_end(&grant, now),
            renewal: renewal(&grant, now),
            provider_words: grant.provider_words.clone(),
            registration: registration(&gateway),
            deposited_by: listed.deposited_by.clone(),
            created: Moment::exact(listed.created_at),
            authorized: Moment::exact(listed.authorized_at),
            last_used: listed.last_used_at.map(Moment::exact),
            refreshed: listed.last_refreshed_at.map(Moment::exact),
            removal: removed(removal, &gateway),
            reference: grant.reference.clone(),
            time_line: time_line::entries(&time_line, people),
            may_revoke: caller.revokes,
            may_refresh: caller.revokes && grant.renews_itself(),
            granted: listed.scopes_granted,
        }
    }
}

/// What the reader may do here.
struct Rights {
    revokes: bool,
    manages_gateways: bool,
}

impl Rights {
    fn of(caller: &Caller) -> Self {
        Self {
            revokes: caller.may(Permission::RevokeGrants),
            manages_gateways: caller.may(Permission::ManageGateways),
        }
    }
}

fn account(grant: &Grant) -> Option<Account> {
    let account = grant.account.clone()?;
    Some(match account.name {
        Some(name) => Account { name, subject: Some(account.subject) },
        None => Account { name: account.subject, subject: None },
    })
}

fn status(status: AccessTokenStatus) -> Badge {
    match status {
        AccessTokenStatus::Valid => Badge::new(Tone::Ok, Icon::Check, "Valid"),
        AccessTokenStatus::ExpiringSoon => Badge::new(Tone::Warn, Icon::Clock, "Expiring soon"),
        AccessTokenStatus::Expired => Badge::new(Tone::Mute, Icon::Off, "Expired"),
    }
}

fn access_token(grant: &Grant, now: Timestamp) -> Vec<Said> {
    let end = match grant.tokens.expires_at {
        Some(end) if end <= now => Said::at("ended", end, ""),
        Some(end) => Said::at("ends", end, ""),
        None => Said::plain("no known end"),
    };
    vec![end, Said::at("issued", grant.issued_at, "")]
}

fn grant_end(grant: &Grant, now: Timestamp) -> Said {
    match grant.ends_at {
        Some(end) if end <= now => Said::at("the provider's own limit ended it", end, ""),
        Some(end) => Said::at("the provider ends it by its own rules", end, ""),
        None => Said::plain("no limit is known"),
    }
}

fn renewal(grant: &Grant, now: Timestamp) -> Vec<Said> {
    let first = match grant.tokens.refresh_token {
        Some(_) => "by a refresh token, when it is due",
        None => "nothing renews it: there is no refresh token",
    };
    let mut lines = vec![Said::plain(first)];
    if grant.failures > 0 {
        let often = if grant.failures == 1 {
            "once".to_owned()
        } else {
            format!("{} times in a row", grant.failures)
        };
        lines.push(Said::plain(format!("failed {often}")));
    }
    lines.extend(grant.last_error.clone().map(Said::plain));
    lines.extend(grant.retry_at.filter(|at| *at > now).map(|at| Said::at("tried again", at, "")));
    lines
}

fn registration(gateway: &Gateway) -> Option<Registration> {
    let settings = gateway.oauth()?;
    Some(Registration {
        client_id: settings.registration.client_id.clone(),
        kind: match settings.registration.kind {
            RegistrationKind::PreRegistered => "registered by hand",
            RegistrationKind::Dynamic => "registered by Doorward",
            RegistrationKind::MetadataDocument => "a metadata document of Doorward",
        },
        issuer: settings.registration.issuer.clone(),
        problem: settings.registration_problem.as_ref().map(|problem| problem.code.clone()),
    })
}

fn removed(removal: Option<Removal>, gateway: &Gateway) -> Said {
    let kept_alive = gateway.oauth().is_some_and(|settings| settings.keep_alive);
    let Some(removal) = removal else { return Said::plain("never, as things are") };
    let before = match removal.cause {
        EndCause::OrphanedTooLong => "without access for too long, from",
        _ => "for inactivity, from",
    };
    let after = if kept_alive { "; the gateway keeps it alive, so a refresh counts as use" } else { "" };
    Said::at(before, removal.at, after)
}

/// Reads them for somebody who may see everybody's grants.
pub(super) async fn read(state: &AppState, caller: &Caller, id: GrantId) -> Result<TokenDetails, PageError> {
    let details = state.broker.grant_details(caller, id).await?;
    let people = state.broker.emails_of(caller, time_line::who_acted(&details.time_line)).await?;
    Ok(TokenDetails::new(details, &people, &Rights::of(caller), state.broker.clock().now()))
}

#[cfg(test)]
pub(super) fn sample(details: GrantDetails, revokes: bool) -> TokenDetails {
    use crate::ui::samples;
    let rights = Rights { revokes, manages_gateways: revokes };
    TokenDetails::new(details, &samples::emails(), &rights, samples::NOW)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::samples::{NOW, details, failing_details};

    #[test]
    fn what_cleanup_will_do_is_told_with_its_reason() {
        let details = details();
        let removal = details.removal.unwrap();
        assert!(removed(Some(removal), &details.gateway).before.contains("inactivity"));
        let orphaned = Removal { cause: EndCause::OrphanedTooLong, ..removal };
        assert!(removed(Some(orphaned), &details.gateway).before.contains("without access"));
        assert_eq!(removed(None, &details.gateway), Said::plain("never, as things are"));
    }

    #[test]
    fn failures_stand_beside_how_it_renews() {
        let lines = renewal(&failing_details().grant, NOW);
        assert!(lines[0].before.contains("refresh token"));
        assert_eq!(lines[1].before, "failed 3 times in a row");
        assert!(lines.last().unwrap().at.is_some(), "when it is tried again: {lines:?}");
        let once = Grant { failures: 1, ..failing_details().grant };
        assert_eq!(renewal(&once, NOW)[1].before, "failed once");
    }
}
