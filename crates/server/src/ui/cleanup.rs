//! Cleanup, for administrators: the settings in force, what is held for their word, and the last runs.

use crate::extract::SessionCaller;
use crate::state::AppState;
use crate::ui::audit_words::Emails;
use crate::ui::cleanup_run::{Row, names};
use crate::ui::error::PageError;
use crate::ui::form::{Asked, Form};
use crate::ui::page::{self, Frame, Here};
use crate::ui::parts::Moment;
use askama::Template;
use axum::extract::State;
use axum::response::Response;
use doorward_broker::CleanupOverview;
use doorward_domain::{CleanupRun, HoldReason, Page, PageRequest, Policy, Timestamp};
use std::time::Duration;

const HOUR: u64 = 3_600;
const DAY: u64 = 86_400;

/// The page.
#[derive(Template)]
#[template(path = "cleanup.html")]
pub(super) struct CleanupPage {
    frame: Frame,
    form: Form,
    overdue: Option<String>,
    held: Option<Held>,
    next_run: Option<Moment>,
    due_now: bool,
    settings: Vec<Setting>,
    rows: Vec<Row>,
    next_cursor: Option<String>,
}

/// Grants that wait for an administrator's word.
struct Held {
    run: String,
    at: Moment,
    count: u64,
    why: &'static str,
    names: Vec<String>,
    more: u64,
}

/// One setting in force.
struct Setting {
    what: &'static str,
    value: String,
    /// What the operator changes.
    name: &'static str,
}

impl Held {
    fn of(run: &CleanupRun) -> Option<Self> {
        let reason = run.hold_reason?;
        Some(Self {
            run: run.id.to_string(),
            at: Moment::exact(run.started_at),
            count: run.held_count,
            why: why(reason),
            more: run.held_count.saturating_sub(run.sample.len() as u64),
            names: names(run),
        })
    }
}

/// Why a run left grants alone, as a sentence.
pub(super) const fn why(reason: HoldReason) -> &'static str {
    match reason {
        HoldReason::TooMany => {
            "It would have ended more grants that could still be refreshed than a slip should be able to: \
             more than 100, and over a quarter of them. A retention that was set too short looks just like this."
        }
        HoldReason::Restored => {
            "The database came out of a backup, so uses since then are unknown and grants look older than they are."
        }
        HoldReason::ClockJumped => {
            "The clock jumped, or nothing ran for long, so nothing is known of how old anything is."
        }
    }
}

impl CleanupPage {
    /// The page with a form that may say what is wrong with it.
    pub(super) async fn load(
        state: &AppState,
        session: &SessionCaller,
        asked: &Asked,
        form: Form,
    ) -> Result<Self, PageError> {
        let caller = &session.caller;
        let request = PageRequest { cursor: asked.0.filled("cursor"), limit: 20 };
        let overview = state.broker.cleanup_overview(caller).await?;
        let runs = state.broker.cleanup_runs(caller, &request).await?;
        let people = runs.items.iter().filter_map(|run| run.actor.person());
        let people = state.broker.emails_of(caller, people.collect::<Vec<_>>()).await?;
        let frame = Frame::new(state, session, Here::Cleanup).noted(&asked.0);
        Ok(Self::new(frame, form, &overview, runs, &people, state.broker.clock().now()))
    }

    fn new(
        frame: Frame,
        form: Form,
        overview: &CleanupOverview,
        runs: Page<CleanupRun>,
        people: &Emails,
        now: Timestamp,
    ) -> Self {
        Self {
            frame,
            form,
            overdue: overview.overdue.as_deref().map(crate::ui::form::sentence),
            held: overview.last_finished.as_ref().and_then(Held::of),
            due_now: overview.next_run_at.is_some_and(|at| at <= now),
            next_run: overview.next_run_at.map(|at| Moment::relative(at, now)),
            settings: settings(&overview.policy),
            rows: runs.items.iter().map(|run| Row::new(run, people)).collect(),
            next_cursor: runs.next_cursor,
        }
    }

    pub(super) fn respond(&self) -> Response {
        page::with_status(self.form.status, self)
    }
}

fn settings(policy: &Policy) -> Vec<Setting> {
    let cleanup = &policy.cleanup;
    let setting = |what, name, value| Setting { what, value, name };
    vec![
        setting("Runs by itself", "OAUTH_CLEANUP_ENABLED", yes_or_no(cleanup.enabled)),
        setting("Every", "OAUTH_CLEANUP_INTERVAL_HOURS", amount(cleanup.interval, HOUR, "hour")),
        setting("Ends what was stale for", "OAUTH_TOKEN_RETENTION_DAYS", days(cleanup.retention)),
        setting(
            "Spares what could still be refreshed",
            "OAUTH_CLEANUP_KEEP_REFRESHABLE",
            yes_or_no(cleanup.keep_refreshable),
        ),
        setting(
            "Ends what nobody used for",
            "OAUTH_IDLE_REVOKE_DAYS",
            cleanup.idle_revoke.map_or_else(|| "never".to_owned(), days),
        ),
        setting("Ends orphaned grants after", "OAUTH_ORPHAN_GRACE_DAYS", days(cleanup.orphan_grace)),
        setting("Keeps the audit trail for", "AUDIT_RETENTION_DAYS", days(policy.audit_retention)),
    ]
}

fn yes_or_no(yes: bool) -> String {
    if yes { "yes" } else { "no" }.to_owned()
}

fn days(time: Duration) -> String {
    amount(time, DAY, "day")
}

fn amount(time: Duration, unit: u64, word: &str) -> String {
    let number = time.as_secs() / unit;
    if number == 1 { format!("1 {word}") } else { format!("{number} {word}s") }
}

/// `GET /ui/cleanup`
pub(super) async fn show(
    State(state): State<AppState>,
    session: SessionCaller,
    asked: Asked,
) -> Result<Response, PageError> {
    Ok(CleanupPage::load(&state, &session, &asked, Form::blank()).await?.respond())
}

#[cfg(test)]
pub(super) fn samples() -> Vec<(&'static str, String)> {
    use crate::ui::samples::{NOW, cleanup_runs};
    let frame = || Frame::sample(Here::Cleanup);
    let runs = cleanup_runs();
    let overview = |last: Option<CleanupRun>, overdue: Option<&str>| CleanupOverview {
        policy: Policy::default(),
        next_run_at: last.is_some().then(|| NOW.plus(Duration::from_secs(7_300))),
        last_finished: last,
        overdue: overdue.map(str::to_owned),
    };
    let page = |items: Vec<CleanupRun>| Page { items, next_cursor: Some("a&b".into()) };
    let refused = Form::with([("expected_count", "7")]).problem(
        http::StatusCode::CONFLICT,
        "expected_count",
        "140 grants are held, not 7: look at them again and repeat that number",
    );
    let people = Emails::new();
    let held = overview(Some(runs[1].clone()), None);
    let quiet = overview(None, Some("cleanup has not run yet"));
    let nothing = Page { items: vec![], next_cursor: None };
    vec![
        ("cleanup", CleanupPage::new(frame(), refused, &held, page(runs), &people, NOW).render().unwrap()),
        (
            "cleanup-new",
            CleanupPage::new(frame(), Form::blank(), &quiet, nothing, &people, NOW).render().unwrap(),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::cleanup_run::swept;
    use doorward_domain::SweptKind;

    #[test]
    fn the_settings_in_force_are_all_told_with_their_names() {
        let told = settings(&Policy::default());
        let value = |name: &str| &told.iter().find(|setting| setting.name == name).unwrap().value;
        assert_eq!(value("OAUTH_TOKEN_RETENTION_DAYS"), "90 days");
        assert_eq!(value("OAUTH_CLEANUP_INTERVAL_HOURS"), "24 hours");
        assert_eq!(value("OAUTH_IDLE_REVOKE_DAYS"), "never");
        assert_eq!(value("OAUTH_CLEANUP_ENABLED"), "yes");
        assert_eq!(days(Duration::from_secs(DAY)), "1 day");
    }

    #[test]
    fn every_kind_that_a_run_sweeps_has_a_word() {
        for kind in SweptKind::ALL {
            assert!(!swept(kind).is_empty() && !swept(kind).contains('_'), "{kind:?}");
        }
    }
}
