//! One run of cleanup: what it counted or swept, and why it held anything.

use crate::extract::SessionCaller;
use crate::state::AppState;
use crate::ui::audit_words::Emails;
use crate::ui::cleanup::why;
use crate::ui::error::PageError;
use crate::ui::form::sentence;
use crate::ui::page::{self, Frame, Here};
use crate::ui::parts::{Badge, Icon, Moment, Tone};
use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use doorward_domain::{Actor, CleanupRun, CleanupState, CleanupTrigger, SweptKind};

/// A run in the list.
pub(super) struct Row {
    pub(super) id: String,
    pub(super) at: Moment,
    pub(super) by: String,
    pub(super) badge: Badge,
    pub(super) grants: u64,
    pub(super) others: u64,
    pub(super) held: u64,
}

/// The page of a run.
#[derive(Template)]
#[template(path = "cleanup_run.html")]
struct RunPage {
    frame: Frame,
    title: String,
    row: Row,
    under_way: bool,
    took: Option<String>,
    slowest_batch_ms: u64,
    /// What it swept of each kind, or would.
    counts: Vec<(&'static str, u64)>,
    held_why: Option<&'static str>,
    confirms: Option<String>,
    error: Option<String>,
    names: Vec<String>,
    more: u64,
    dry_run: bool,
}

impl Row {
    pub(super) fn new(run: &CleanupRun, people: &Emails) -> Self {
        let (grants, others): (Vec<_>, Vec<_>) = run.counts.iter().partition(|(kind, _)| is_grants(**kind));
        let sum = |counts: Vec<(&SweptKind, &u64)>| counts.into_iter().map(|(_, count)| *count).sum();
        Self {
            id: run.id.to_string(),
            at: Moment::exact(run.started_at),
            by: by(run, people),
            badge: badge(run),
            grants: sum(grants),
            others: sum(others),
            held: run.held_count,
        }
    }
}

fn by(run: &CleanupRun, people: &Emails) -> String {
    match (&run.actor, run.trigger) {
        (Actor::User(id), _) => people.get(id).cloned().unwrap_or_else(|| "somebody who is gone".to_owned()),
        (_, CleanupTrigger::Scheduled) => "by itself".to_owned(),
        (_, CleanupTrigger::CommandLine) => "the command line".to_owned(),
        (_, CleanupTrigger::Manual) => "by hand".to_owned(),
    }
}

fn badge(run: &CleanupRun) -> Badge {
    match (run.state, run.dry_run, run.hold_reason) {
        (CleanupState::Running, ..) => Badge::new(Tone::Info, Icon::Clock, "Running"),
        (CleanupState::Failed, ..) => Badge::new(Tone::Bad, Icon::Bang, "Failed"),
        (_, true, _) => Badge::new(Tone::Mute, Icon::Question, "Dry run"),
        (_, false, Some(_)) => Badge::new(Tone::Warn, Icon::Clock, "Held some"),
        (_, false, None) => Badge::new(Tone::Ok, Icon::Check, "Done"),
    }
}

const fn is_grants(kind: SweptKind) -> bool {
    matches!(kind, SweptKind::StaleGrants | SweptKind::IdleGrants | SweptKind::OrphanedGrants)
}

/// What a run sweeps, as people say it.
pub(super) const fn swept(kind: SweptKind) -> &'static str {
    match kind {
        SweptKind::StaleGrants => "Grants that were stale",
        SweptKind::IdleGrants => "Grants that nobody used",
        SweptKind::OrphanedGrants => "Grants that were orphaned too long",
        SweptKind::AuthorizationRequests => "Authorizations that nobody finished",
        SweptKind::AuthorizationAttempts => "Authorization attempts past their 14 days",
        SweptKind::ConnectRequests => "Connect links that have expired",
        SweptKind::BrowserSessions => "Browser sessions that have ended",
        SweptKind::McpSessions => "MCP sessions that have ended",
        SweptKind::SetupLinks => "Setup and reset links that have expired",
        SweptKind::ApiTokens => "API tokens that ended long ago",
        SweptKind::ClientRegistrations => "Client registrations without a gateway",
        SweptKind::EndedGrants => "Records of grants that ended long ago",
        SweptKind::AuditEvents => "Audit events past their retention",
        SweptKind::BulkJobRows => "Rows of old bulk jobs",
        SweptKind::BulkJobs => "Old bulk jobs",
        SweptKind::CleanupRuns => "Records of old runs",
    }
}

/// `alice@example.com at github-mcp`, for those that a run names.
pub(super) fn names(run: &CleanupRun) -> Vec<String> {
    let whose = |email: &Option<String>| email.clone().unwrap_or_else(|| "the gateway's own".to_owned());
    run.sample.iter().map(|names| format!("{} at {}", whose(&names.user_email), names.gateway_slug)).collect()
}

impl RunPage {
    fn new(frame: Frame, run: &CleanupRun, people: &Emails) -> Self {
        let row = Row::new(run, people);
        let named = if run.dry_run { row.grants } else { run.held_count };
        let counts = run.counts.iter().filter(|(_, count)| **count > 0);
        Self {
            frame,
            title: if run.dry_run { "Dry run of cleanup" } else { "Run of cleanup" }.to_owned(),
            under_way: run.state == CleanupState::Running,
            took: run.finished_at.map(|end| took(run.started_at.until(end).as_millis())),
            slowest_batch_ms: run.slowest_batch_ms,
            counts: counts.map(|(kind, count)| (swept(*kind), *count)).collect(),
            held_why: run.hold_reason.map(why),
            confirms: run.confirms.map(|id| id.to_string()),
            error: run.error.as_deref().map(sentence),
            more: named.saturating_sub(run.sample.len() as u64),
            names: names(run),
            dry_run: run.dry_run,
            row,
        }
    }
}

fn took(millis: u128) -> String {
    if millis < 1_000 {
        format!("{millis} ms")
    } else {
        format!("{}.{} s", millis / 1_000, millis % 1_000 / 100)
    }
}

/// `GET /ui/cleanup/runs/{id}`
pub(super) async fn show(
    State(state): State<AppState>,
    session: SessionCaller,
    Path(id): Path<String>,
) -> Result<Response, PageError> {
    let run = state.broker.cleanup_run(&session.caller, crate::ui::id(&id)?).await?;
    let people = run.actor.person().into_iter().collect::<Vec<_>>();
    let people = state.broker.emails_of(&session.caller, people).await?;
    Ok(page::page(&RunPage::new(Frame::new(&state, &session, Here::Cleanup), &run, &people)))
}

#[cfg(test)]
pub(super) fn samples() -> Vec<(&'static str, String)> {
    let names = ["cleanup-dry", "cleanup-held", "cleanup-done", "cleanup-failed", "cleanup-running"];
    let page = |run: &CleanupRun| RunPage::new(Frame::sample(Here::Cleanup), run, &Emails::new());
    let runs = crate::ui::samples::cleanup_runs();
    names.into_iter().zip(&runs).map(|(name, run)| (name, page(run).render().unwrap())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::samples::cleanup_runs;

    #[test]
    fn a_run_says_how_it_ended_and_counts_grants_apart() {
        let words: Vec<_> =
            cleanup_runs().iter().map(|run| Row::new(run, &Emails::new()).badge.word).collect();
        assert_eq!(words, ["Dry run", "Held some", "Done", "Failed", "Running"]);
        let row = Row::new(&cleanup_runs()[2], &Emails::new());
        assert_eq!((row.grants, row.others), (5, 31));
        assert_eq!((took(12), took(61_240)), ("12 ms".to_owned(), "61.2 s".to_owned()));
    }
}
