//! A person's word on tokens that somebody deposited for them. The forms stand in "My connections".

use crate::extract::{CheckedForm, SessionCaller};
use crate::state::AppState;
use crate::ui::error::PageError;
use crate::ui::form::Fields;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};

/// `POST /ui/connections/{slug}/accept`
pub(super) async fn accept(
    State(state): State<AppState>,
    session: SessionCaller,
    Path(slug): Path<String>,
    CheckedForm(fields): CheckedForm<Fields>,
) -> Result<Response, PageError> {
    let gateway = state.broker.gateway_by_slug(&session.caller, &slug).await?;
    state.broker.accept_deposit(&session.caller, gateway.id, version(&fields)?).await?;
    Ok(Redirect::to("/ui/connections").into_response())
}

/// `POST /ui/connections/{slug}/decline`
pub(super) async fn decline(
    State(state): State<AppState>,
    session: SessionCaller,
    Path(slug): Path<String>,
    CheckedForm(fields): CheckedForm<Fields>,
) -> Result<Response, PageError> {
    let gateway = state.broker.gateway_by_slug(&session.caller, &slug).await?;
    let ended = state.broker.decline_deposit(&session.caller, gateway.id, version(&fields)?).await?;
    Ok(Redirect::to(&format!("/ui/disconnected/{}", ended.grant_id)).into_response())
}

/// Which deposit the reader was shown.
fn version(fields: &Fields) -> Result<i64, PageError> {
    fields.text("version").parse().map_err(|_| PageError::NOT_FOUND)
}
