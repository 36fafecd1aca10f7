//! One OAuth token closely: all that is known of it but its value, and what happened to it.

use crate::extract::{CheckedForm, SessionCaller};
use crate::state::AppState;
use crate::ui::error::PageError;
use crate::ui::form::{Asked, Fields};
use crate::ui::oauth_tokens::named;
use crate::ui::oauth_tokens_view::LIST;
use crate::ui::page::{self, Frame, Here, Note};
use crate::ui::parts::{Badge, Icon, Moment, Said, Tone, host_of};
use crate::ui::time_line::{self, Entry, People};
use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use doorward_broker::{Caller, GrantDetails, RefreshedNow};
use doorward_domain::{
    AccessTokenStatus, EndCause, Gateway, Grant, GrantId, Permission, RegistrationKind, Removal, Timestamp,
};
use http::StatusCode;

/// The details.
#[derive(Template)]
#[template(path = "oauth_token.html")]
struct OAuthTokenPage {
    frame: Frame,
    id: String,
    name: String,
    email: String,
    /// Where everything of the same person is.
    theirs: Option<String>,
    slug: String,
    /// Where the gateway is, for those who manage it.
    gateway: Option<String>,
    badge: Badge,
    reason: &'static str,
    account: Option<Account>,
    provider: String,
    provider_host: String,
    granted: Vec<String>,
    /// Asked for, and not granted.
    missing: Vec<String>,
    status: Badge,
    access_token: Vec<Said>,
    grant_end: Said,
    renewal: Vec<Said>,
    provider_words: Option<String>,
    registration: Option<Registration>,
    /// Who deposited it, where that was not its user's own consent.
    deposited_by: Option<String>,
    created: Moment,
    authorized: Moment,
    last_used: Option<Moment>,
    refreshed: Option<Moment>,
    removal: Said,
    reference: Option<String>,
    time_line: Vec<Entry>,
    may_revoke: bool,
    may_refresh: bool,
}

/// Who it is at the provider.
struct Account {
    name: String,
    /// Where the name is not all there is to it.
    subject: Option<String>,
}

/// Our client registration there, without its secret.
struct Registration {
    client_id: String,
    kind: &'static str,
    issuer: String,
    problem: Option<String>,
}

impl OAuthTokenPage {
    fn new(frame: Frame, details: GrantDetails, people: &People, caller: &Rights, now: Timestamp) -> Self {
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
            frame,
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

/// Somebody else's row is as good as unknown.
pub(super) fn may_see(caller: &Caller) -> Result<(), PageError> {
    if caller.may(Permission::ReadGrants) { Ok(()) } else { Err(PageError::NOT_FOUND) }
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

/// `GET /ui/oauth-tokens/{id}`
pub(super) async fn show(
    State(state): State<AppState>,
    session: SessionCaller,
    Path(id): Path<String>,
    Asked(asked): Asked,
) -> Result<Response, PageError> {
    let frame = Frame::new(&state, &session, Here::OAuthTokens).noted(&asked);
    Ok(page::page(&closely(&state, &session, crate::ui::id(&id)?, frame).await?))
}

async fn closely(
    state: &AppState,
    session: &SessionCaller,
    id: GrantId,
    frame: Frame,
) -> Result<OAuthTokenPage, PageError> {
    let caller = &session.caller;
    may_see(caller)?;
    let details = state.broker.grant_details(caller, id).await?;
    let people = state.broker.emails_of(caller, time_line::who_acted(&details.time_line)).await?;
    let now = state.broker.clock().now();
    Ok(OAuthTokenPage::new(frame, details, &people, &Rights::of(caller), now))
}

/// `POST /ui/oauth-tokens/{id}/refresh`
pub(super) async fn refresh(
    State(state): State<AppState>,
    session: SessionCaller,
    Path(id): Path<String>,
    CheckedForm(_): CheckedForm<Fields>,
) -> Result<Response, PageError> {
    let caller = &session.caller;
    may_see(caller)?;
    let id: GrantId = crate::ui::id(&id)?;
    let (status, problem) = match state.broker.refresh_now(caller, id).await? {
        RefreshedNow::Fresh(_) => {
            return Ok(Redirect::to(&format!("{LIST}/{id}?note=refreshed")).into_response());
        }
        RefreshedNow::Lasting { problem, .. } => (StatusCode::CONFLICT, problem),
        RefreshedNow::Later { problem, .. } => (StatusCode::SERVICE_UNAVAILABLE, problem),
    };
    let mut frame = Frame::new(&state, &session, Here::OAuthTokens);
    frame.note = Some(Note::new(Tone::Warn, format!("Not refreshed. {problem}")));
    Ok(page::with_status(status, &closely(&state, &session, id, frame).await?))
}

#[cfg(test)]
pub(super) fn samples() -> Vec<(&'static str, String)> {
    use crate::ui::samples;
    let page = |details: GrantDetails, revokes| {
        let rights = Rights { revokes, manages_gateways: revokes };
        let frame = Frame::sample(Here::OAuthTokens);
        OAuthTokenPage::new(frame, details, &samples::emails(), &rights, samples::NOW).render().unwrap()
    };
    vec![
        ("oauth-token", page(samples::details(), true)),
        ("oauth-token-failing", page(samples::failing_details(), true)),
        ("oauth-token-read-only", page(samples::details(), false)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::samples::{NOW, details, failing_details};

    #[test]
    fn s2_the_details_say_when_who_and_what_and_nothing_of_the_value() {
        let pages = samples();
        let page = |name: &str| &pages.iter().find(|(found, _)| *found == name).unwrap().1;
        for words in
            ["Created", "Last used", "Scopes", "Access token", "acme-doorward", "Renewal", "reference"]
        {
            assert!(page("oauth-token-failing").contains(words), "{words}");
        }
        assert!(!page("oauth-token-read-only").contains("Revoke…"));
        assert!(!page("oauth-token-read-only").contains("method=\"post\" action=\"/ui/oauth-tokens"));
    }

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
