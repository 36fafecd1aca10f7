//! Running cleanup from its page: counting, running now after a question, and the word for what is held.

use crate::extract::{CheckedForm, SessionCaller};
use crate::state::AppState;
use crate::ui::cleanup::CleanupPage;
use crate::ui::confirm::Confirm;
use crate::ui::error::PageError;
use crate::ui::form::{Asked, Fields, Form};
use crate::ui::page::{self, Frame, Here};
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use doorward_broker::{BrokerError, CleanupOrder};
use doorward_domain::{CleanupRunId, Permission};
use std::time::Duration;

/// A person waits so long for a run; after that its page says that it is running.
const PATIENCE: Duration = Duration::from_secs(10);

/// `GET /ui/cleanup/run`
pub(super) async fn ask(
    State(state): State<AppState>,
    session: SessionCaller,
) -> Result<Response, PageError> {
    session.caller.require(Permission::RunCleanup)?;
    Ok(page::page(&Confirm {
        frame: Frame::new(&state, &session, Here::Cleanup),
        title: "Run cleanup now?".to_owned(),
        lines: vec![
            "It ends every grant that the settings in force call stale, idle or orphaned too long, tells their \
             providers, and sweeps away what has expired. A dry run says beforehand how many that are."
                .to_owned(),
            "Whoever lost a grant is asked to authorize again at the next call.".to_owned(),
        ],
        action: "/ui/cleanup/run".to_owned(),
        button: "Run now",
        danger: true,
        back: "/ui/cleanup".to_owned(),
        version: None,
    }))
}

/// `POST /ui/cleanup/run`
pub(super) async fn run(
    State(state): State<AppState>,
    session: SessionCaller,
    CheckedForm(_): CheckedForm<Fields>,
) -> Result<Response, PageError> {
    let id = started(&state, &session, CleanupOrder::default()).await?;
    Ok(Redirect::to(&format!("/ui/cleanup/runs/{id}")).into_response())
}

/// `POST /ui/cleanup/dry-run`
pub(super) async fn dry_run(
    State(state): State<AppState>,
    session: SessionCaller,
    CheckedForm(_): CheckedForm<Fields>,
) -> Result<Response, PageError> {
    let order = CleanupOrder { dry_run: true, ..CleanupOrder::default() };
    let id = started(&state, &session, order).await?;
    Ok(Redirect::to(&format!("/ui/cleanup/runs/{id}")).into_response())
}

/// `POST /ui/cleanup/held`
pub(super) async fn end_held(
    State(state): State<AppState>,
    session: SessionCaller,
    CheckedForm(typed): CheckedForm<Fields>,
) -> Result<Response, PageError> {
    let order = match typed.text("expected_count").parse() {
        Ok(count) => Ok(CleanupOrder { confirm_held: true, expected_count: Some(count), dry_run: false }),
        Err(_) => Err(BrokerError::Invalid {
            field: "expected_count".to_owned(),
            problem: "type the number of grants that are held".to_owned(),
        }),
    };
    session.caller.require(Permission::RunCleanup)?;
    let begun = match order {
        Ok(order) => started(&state, &session, order).await,
        Err(error) => Err(error),
    };
    match begun {
        Ok(id) => Ok(Redirect::to(&format!("/ui/cleanup/runs/{id}")).into_response()),
        Err(error) => {
            let form = Form::refused(&typed, error)?;
            let asked = Asked(Fields::default());
            Ok(CleanupPage::load(&state, &session, &asked, form).await?.respond())
        }
    }
}

/// Starts a run and waits for its end, but not for ever.
async fn started(
    state: &AppState,
    session: &SessionCaller,
    order: CleanupOrder,
) -> Result<CleanupRunId, BrokerError> {
    let mut begun = state.broker.start_cleanup(&session.caller, order).await?;
    if let Ok(finished) = tokio::time::timeout(PATIENCE, begun.finished()).await {
        finished?;
    }
    Ok(begun.id)
}
