//! An order about many grants, afterwards: how far it has come, and what became of each.

use crate::extract::SessionCaller;
use crate::state::AppState;
use crate::ui::error::PageError;
use crate::ui::form::Asked;
use crate::ui::oauth_token::may_see;
use crate::ui::oauth_tokens_view::LIST;
use crate::ui::page::{self, Frame, Here};
use crate::ui::parts::{Badge, Icon, Moment, Tone, grouped};
use crate::ui::time_line::{self, People};
use crate::ui::{receipt, words};
use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use doorward_domain::{BulkJob, BulkJobId, BulkJobRow, BulkKind, BulkResult, Page};

/// The order and a page of its grants.
#[derive(Template)]
#[template(path = "oauth_tokens_job.html")]
struct JobPage {
    frame: Frame,
    title: String,
    running: bool,
    reason: String,
    by: String,
    given: Moment,
    finished: Option<Moment>,
    total: u64,
    worked_off: u64,
    counts: Vec<(String, &'static str)>,
    /// Where its ended grants are, with filters and export.
    ended: Option<String>,
    rows: Vec<Row>,
    first: Option<String>,
    next: Option<String>,
    here: String,
}

struct Row {
    who: String,
    slug: String,
    href: Option<String>,
    result: Badge,
    receipt: Option<Badge>,
    detail: Option<String>,
}

impl Row {
    fn new(row: BulkJobRow, kind: BulkKind) -> Self {
        let href = match (row.result, kind) {
            (BulkResult::Done, BulkKind::Revoke) => Some(format!("{LIST}/ended/{}", row.grant_id)),
            (BulkResult::Gone, _) => None,
            _ => Some(format!("{LIST}/{}", row.grant_id)),
        };
        Self {
            who: row.user_email.unwrap_or_else(|| "the gateway itself".to_owned()),
            slug: row.gateway_slug,
            href,
            result: match (row.result, kind) {
                (BulkResult::Waiting, _) => Badge::new(Tone::Info, Icon::Clock, "Waiting"),
                (BulkResult::Gone, _) => Badge::new(Tone::Mute, Icon::Dot, "Had ended before"),
                (BulkResult::Done, BulkKind::Revoke) => Badge::new(Tone::Mute, Icon::Off, "Blocked here"),
                (BulkResult::Done, BulkKind::Reauthorize) => {
                    Badge::new(Tone::Mute, Icon::Bang, "Will be asked")
                }
            },
            receipt: row.receipt.map(receipt::badge),
            detail: row.receipt_detail,
        }
    }
}

impl JobPage {
    fn new(frame: Frame, job: BulkJob, rows: Page<BulkJobRow>, cursor: bool, people: &People) -> Self {
        let total = job.waiting + job.done + job.gone;
        let revoke = job.kind == BulkKind::Revoke;
        let here = format!("{LIST}/jobs/{}", job.id);
        let done = if revoke { "Blocked here" } else { "Will be asked" };
        let next = |cursor| words::href(&here, &[("cursor", cursor)]);
        Self {
            frame,
            title: match job.kind {
                BulkKind::Revoke => format!("Revoking {} OAuth token{}", grouped(total), many(total)),
                BulkKind::Reauthorize => {
                    format!("Asking for {} new authorization{}", grouped(total), many(total))
                }
            },
            running: job.finished_at.is_none(),
            by: time_line::by(&job.actor, people),
            given: Moment::exact(job.created_at),
            finished: job.finished_at.map(Moment::exact),
            total,
            worked_off: job.done + job.gone,
            counts: vec![
                (grouped(job.done), done),
                (grouped(job.waiting), "Waiting"),
                (grouped(job.gone), "Had ended before"),
            ],
            ended: revoke.then(|| format!("{LIST}/ended?job={}", job.id)),
            first: cursor.then(|| here.clone()),
            next: rows.next_cursor.map(next),
            rows: rows.items.into_iter().map(|row| Row::new(row, job.kind)).collect(),
            reason: job.reason,
            here,
        }
    }
}

/// The ending of a word that stands for so many.
const fn many(count: u64) -> &'static str {
    if count == 1 { "" } else { "s" }
}

/// `GET /ui/oauth-tokens/jobs/{id}`
pub(super) async fn show(
    State(state): State<AppState>,
    session: SessionCaller,
    Path(id): Path<String>,
    Asked(asked): Asked,
) -> Result<Response, PageError> {
    let caller = &session.caller;
    may_see(caller)?;
    let id: BulkJobId = crate::ui::id(&id)?;
    let request = asked.page();
    let (job, rows) = state.broker.bulk_job(caller, id, &request).await?;
    let people = state.broker.emails_of(caller, job.actor.person().into_iter().collect()).await?;
    let frame = Frame::new(&state, &session, Here::OAuthTokens);
    Ok(page::page(&JobPage::new(frame, job, rows, request.cursor.is_some(), &people)))
}

#[cfg(test)]
pub(super) fn samples() -> Vec<(&'static str, String)> {
    use crate::ui::samples;
    let page = |kind, waiting| {
        let (job, rows) = samples::job(kind, waiting);
        let rows = Page { items: rows, next_cursor: Some("n&xt".into()) };
        JobPage::new(Frame::sample(Here::OAuthTokens), job, rows, true, &samples::emails()).render().unwrap()
    };
    vec![
        ("oauth-tokens-job-running", page(BulkKind::Revoke, 7)),
        ("oauth-tokens-job-done", page(BulkKind::Revoke, 0)),
        ("oauth-tokens-job-again", page(BulkKind::Reauthorize, 0)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_running_order_looks_again_by_itself_and_a_finished_one_does_not() {
        let pages = samples();
        assert!(pages[0].1.contains("data-reload") && pages[0].1.contains("<progress"));
        assert!(!pages[1].1.contains("data-reload") && !pages[1].1.contains("<progress"));
        assert!(
            pages[1].1.contains("Had ended before") && pages[1].1.contains("/ui/oauth-tokens/ended?job=")
        );
        assert!(!pages[2].1.contains("ended?job="));
    }
}
