//! "My connections": what is connected with the reader's own key and how it fares.

use crate::extract::SessionCaller;
use crate::state::AppState;
use crate::ui::error::PageError;
use crate::ui::form::Asked;
use crate::ui::page::{self, Frame, Here};
use crate::ui::parts::{Badge, Icon, Moment, Tone};
use askama::Template;
use axum::extract::State;
use axum::response::Response;
use doorward_broker::{Connection, ConnectionStatus};
use doorward_domain::{EndCause, Grant, GrantState, Health, ReauthorizationReason, Removal, Timestamp};

/// The list; what needs attention comes first.
#[derive(Template)]
#[template(path = "connections.html")]
struct ConnectionsPage {
    frame: Frame,
    groups: Vec<RowGroup>,
}

/// Rows of one kind, under a head that says what the reader can do about them.
struct RowGroup {
    title: &'static str,
    rows: Vec<Row>,
}

struct Row {
    group: &'static str,
    name: String,
    slug: String,
    host: String,
    /// The account at the provider, where it is known.
    account: Option<String>,
    /// Whether the reader has a key of their own there, or would get one.
    own_key: bool,
    connected: bool,
    /// Whether the connect button stands out.
    urgent: bool,
    /// Since when the reader's consent stands.
    since: Option<Moment>,
    connect_label: &'static str,
    scopes: Vec<String>,
    badge: Badge,
    reason: String,
    last_used: Option<Moment>,
    /// Who deposited it, where it is not of the reader's own consent.
    deposited_by: Option<String>,
    /// Which deposit the reader is to accept or decline.
    offered: Option<i64>,
    /// "will be removed ... on", and when.
    removal: Option<(&'static str, Moment)>,
}

impl Row {
    fn new(connection: Connection, now: Timestamp) -> Self {
        let Connection { gateway, status, grant, removal } = connection;
        let asked = gateway.oauth().map(|settings| settings.scopes.clone()).unwrap_or_default();
        let account = grant.as_ref().and_then(|grant| grant.account.clone());
        Self {
            group: group(status, removal.is_some()),
            name: gateway.name.clone(),
            slug: gateway.slug.to_string(),
            host: gateway.url.host_str().unwrap_or_default().to_owned(),
            account: account.map(|account| account.name.unwrap_or(account.subject)),
            own_key: status != ConnectionStatus::NotNeeded,
            connected: grant.is_some(),
            urgent: matches!(status, ConnectionStatus::Connected(health) if health != Health::Valid),
            deposited_by: grant.as_ref().and_then(|grant| grant.deposited_by.clone()),
            offered: grant.as_ref().filter(|grant| grant.awaits_acceptance()).map(|grant| grant.version),
            connect_label: if grant.is_some() { "Authorize again" } else { "Connect" },
            badge: badge(status),
            since: grant.as_ref().map(|grant| Moment::exact(grant.authorized_at)),
            reason: grant.as_ref().map(|grant| reason(grant, now)).unwrap_or_default(),
            last_used: grant
                .as_ref()
                .and_then(|grant| grant.last_used_at)
                .map(|at| Moment::relative(at, now)),
            removal: removal.map(|removal| announcement(removal, now)),
            scopes: grant.map_or(asked, |grant| grant.scopes_granted),
        }
    }
}

const NEEDS_YOU: &str = "Needs you";
const GROUPS: [&str; 4] = [NEEDS_YOU, "Connected", "Not connected yet", "Open to everyone"];

fn group(status: ConnectionStatus, removed_soon: bool) -> &'static str {
    match status {
        ConnectionStatus::Connected(Health::Valid) if removed_soon => NEEDS_YOU,
        ConnectionStatus::Connected(Health::Valid) => "Connected",
        ConnectionStatus::Connected(_) => NEEDS_YOU,
        ConnectionStatus::NotConnected => "Not connected yet",
        ConnectionStatus::NotNeeded => "Open to everyone",
    }
}

/// What needs attention is on top.
fn grouped(rows: Vec<Row>) -> Vec<RowGroup> {
    let mut groups = GROUPS.map(|title| RowGroup { title, rows: Vec::new() });
    for row in rows {
        if let Some(group) = groups.iter_mut().find(|group| group.title == row.group) {
            group.rows.push(row);
        }
    }
    groups.into_iter().filter(|group| !group.rows.is_empty()).collect()
}

/// What an owner is told ahead. One that is overdue, because it is held, goes with some later run.
fn announcement(removal: Removal, now: Timestamp) -> (&'static str, Moment) {
    let words = match removal.cause {
        EndCause::OrphanedTooLong => "you have no access; will be removed on",
        _ => "will be removed for inactivity on",
    };
    (words, Moment::exact(removal.at.max(now)))
}

fn badge(status: ConnectionStatus) -> Badge {
    match status {
        ConnectionStatus::NotNeeded => Badge::new(Tone::Mute, Icon::Plug, "No key needed"),
        ConnectionStatus::NotConnected => Badge::new(Tone::Mute, Icon::Dot, "Not connected"),
        ConnectionStatus::Connected(health) => Badge::health(health),
    }
}

/// Why it fares so, in a few words.
fn reason(grant: &Grant, now: Timestamp) -> String {
    let because = match grant.state {
        GrantState::NeedsAuthorization(ReauthorizationReason::InvalidGrant) => "the provider ended it",
        GrantState::NeedsAuthorization(ReauthorizationReason::RefusedFreshToken) => "the server refused it",
        GrantState::NeedsAuthorization(ReauthorizationReason::NothingToRefreshWith) => "it ended",
        GrantState::NeedsAuthorization(ReauthorizationReason::Forced) => "an administrator asks you",
        GrantState::NeedsAuthorization(ReauthorizationReason::GatewayChanged) => "the server has moved",
        GrantState::NeedsAuthorization(ReauthorizationReason::Deposited) => "waits for your word",
        GrantState::Uncertain => "an answer was lost",
        GrantState::Active if grant.tokens.refresh_token.is_some() => "renews itself",
        GrantState::Active => match grant.tokens.expires_at {
            None => "no end",
            Some(end) if now >= end => "nothing renews it",
            Some(end) => return format!("ends {}", crate::ui::parts::distance(end, now)),
        },
    };
    because.to_owned()
}

/// `GET /ui/connections`
pub(super) async fn show(
    State(state): State<AppState>,
    session: SessionCaller,
    Asked(asked): Asked,
) -> Result<Response, PageError> {
    let now = state.broker.clock().now();
    let connections = state.broker.connections(&session.caller).await?;
    let rows = connections.into_iter().map(|connection| Row::new(connection, now)).collect();
    let frame = Frame::new(&state, &session, Here::Connections).noted(&asked);
    Ok(page::page(&ConnectionsPage { frame, groups: grouped(rows) }))
}

#[cfg(test)]
pub(super) fn samples() -> Vec<(&'static str, String)> {
    let page = |rows| {
        ConnectionsPage { frame: Frame::sample(Here::Connections), groups: grouped(rows) }.render().unwrap()
    };
    let now = crate::ui::samples::NOW;
    let rows =
        crate::ui::samples::connections().into_iter().map(|connection| Row::new(connection, now)).collect();
    vec![("connections", page(rows)), ("connections-empty", page(vec![]))]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::samples::{NOW, grant};
    use std::time::Duration;

    #[test]
    fn an_owner_is_told_what_will_be_removed_and_why() {
        let later = NOW.plus(Duration::from_secs(86_400));
        let told = |at, cause| announcement(Removal { at, cause }, NOW);
        assert_eq!(told(later, EndCause::Swept), ("will be removed for inactivity on", Moment::exact(later)));
        let overdue = told(NOW.minus(Duration::from_secs(1)), EndCause::OrphanedTooLong);
        assert_eq!(overdue, ("you have no access; will be removed on", Moment::exact(NOW)));
    }

    #[test]
    fn what_needs_its_owner_is_on_top() {
        let rows = crate::ui::samples::connections().into_iter();
        let groups = grouped(rows.map(|connection| Row::new(connection, NOW)).collect());
        let titles: Vec<_> = groups.iter().map(|group| (group.title, group.rows.len())).collect();
        assert_eq!(
            titles,
            [(NEEDS_YOU, 3), ("Connected", 1), ("Not connected yet", 1), ("Open to everyone", 1)]
        );
        assert_eq!(group(ConnectionStatus::Connected(Health::Valid), true), NEEDS_YOU);
        assert!(grouped(vec![]).is_empty());
    }

    #[test]
    fn the_reason_says_why_in_a_few_words() {
        use ReauthorizationReason::{
            Deposited, Forced, GatewayChanged, InvalidGrant, NothingToRefreshWith, RefusedFreshToken,
        };
        let later = Some(NOW.plus(Duration::from_secs(41 * 60)));
        let cases = [
            (GrantState::Active, None, "no end"),
            (GrantState::Active, later, "ends in 41 min"),
            (GrantState::Active, Some(NOW), "nothing renews it"),
            (GrantState::Uncertain, None, "an answer was lost"),
            (GrantState::NeedsAuthorization(InvalidGrant), None, "the provider ended it"),
            (GrantState::NeedsAuthorization(RefusedFreshToken), None, "the server refused it"),
            (GrantState::NeedsAuthorization(NothingToRefreshWith), None, "it ended"),
            (GrantState::NeedsAuthorization(Forced), None, "an administrator asks you"),
            (GrantState::NeedsAuthorization(GatewayChanged), None, "the server has moved"),
            (GrantState::NeedsAuthorization(Deposited), None, "waits for your word"),
        ];
        for (state, end, text) in cases {
            let mut grant = grant(state, false);
            grant.tokens.expires_at = end;
            assert_eq!(reason(&grant, NOW), text);
        }
        assert_eq!(reason(&grant(GrantState::Active, true), NOW), "renews itself");
    }
}
