//! The reader's API tokens: the list, and ending one.

use crate::extract::{CheckedForm, SessionCaller};
use crate::state::AppState;
use crate::ui::confirm::Confirm;
use crate::ui::error::PageError;
use crate::ui::form::{Asked, Fields};
use crate::ui::page::{self, Frame, Here};
use crate::ui::parts::{Badge, Icon, Moment, Tone};
use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use doorward_domain::{ApiToken, ApiTokenId, Audience, Gateway, Timestamp};
use std::sync::Arc;

/// The list, newest first, ended ones included.
#[derive(Template)]
#[template(path = "tokens.html")]
struct TokensPage {
    frame: Frame,
    rows: Vec<Row>,
}

struct Row {
    id: String,
    name: String,
    hint: String,
    opens: &'static str,
    gateways: String,
    badge: Badge,
    lives: bool,
    last_used: Option<Moment>,
    ends: Moment,
}

impl Row {
    fn new(token: &ApiToken, gateways: &[Arc<Gateway>], now: Timestamp) -> Self {
        let lives = token.lives(now);
        let badge = match token.ended_at {
            _ if lives => Badge::new(Tone::Ok, Icon::Check, "Valid"),
            Some(_) => Badge::new(Tone::Mute, Icon::Off, "Ended"),
            None => Badge::new(Tone::Mute, Icon::Clock, "Expired"),
        };
        Self {
            id: token.id.to_string(),
            name: token.name.clone(),
            hint: token.hint.clone(),
            opens: opens(token.audience),
            gateways: names(token, gateways),
            badge,
            lives,
            last_used: token.last_used_at.map(|at| Moment::relative(at, now)),
            ends: Moment::relative(token.ended_at.unwrap_or(token.expires_at), now),
        }
    }
}

const fn opens(audience: Audience) -> &'static str {
    match audience {
        Audience::Mcp => "MCP",
        Audience::Own => "Own account",
        Audience::Admin => "Administration",
    }
}

fn names(token: &ApiToken, gateways: &[Arc<Gateway>]) -> String {
    let Some(allowed) = &token.gateways else { return "every server".to_owned() };
    let known = gateways.iter().filter(|gateway| allowed.contains(&gateway.id));
    let names: Vec<&str> = known.map(|gateway| gateway.slug.as_str()).collect();
    if names.is_empty() { "no server any more".to_owned() } else { names.join(", ") }
}

/// `GET /ui/tokens`
pub(super) async fn show(
    State(state): State<AppState>,
    session: SessionCaller,
    Asked(asked): Asked,
) -> Result<Response, PageError> {
    let now = state.broker.clock().now();
    let gateways = state.broker.gateways(&session.caller).await?;
    let mut tokens = state.broker.api_tokens(&session.caller).await?;
    tokens.sort_by_key(|token| !token.lives(now));
    let rows = tokens.iter().map(|token| Row::new(token, &gateways, now)).collect();
    let frame = Frame::new(&state, &session, Here::ApiTokens).noted(&asked);
    Ok(page::page(&TokensPage { frame, rows }))
}

/// `GET /ui/tokens/{id}/end`
pub(super) async fn ask(
    State(state): State<AppState>,
    session: SessionCaller,
    Path(id): Path<String>,
) -> Result<Response, PageError> {
    let wanted: ApiTokenId = crate::ui::id(&id)?;
    let tokens = state.broker.api_tokens(&session.caller).await?;
    let token = tokens.iter().find(|token| token.id == wanted).ok_or(PageError::NOT_FOUND)?;
    Ok(page::page(&Confirm {
        frame: Frame::new(&state, &session, Here::ApiTokens),
        title: format!("End “{}”?", token.name),
        lines: vec![
            "Whatever uses it is refused from then on. It cannot be brought back; you can make a new one."
                .to_owned(),
        ],
        action: format!("/ui/tokens/{id}/end"),
        button: "End the token",
        danger: true,
        back: "/ui/tokens".to_owned(),
        version: None,
    }))
}

/// `POST /ui/tokens/{id}/end`
pub(super) async fn end(
    State(state): State<AppState>,
    session: SessionCaller,
    Path(id): Path<String>,
    CheckedForm(_): CheckedForm<Fields>,
) -> Result<Response, PageError> {
    state.broker.end_api_token(&session.caller, crate::ui::id(&id)?).await?;
    Ok(Redirect::to("/ui/tokens?note=ended").into_response())
}

#[cfg(test)]
pub(super) fn samples() -> Vec<(&'static str, String)> {
    let gateways: Vec<_> = crate::ui::samples::gateways().into_iter().map(Arc::new).collect();
    let tokens = crate::ui::samples::api_tokens();
    let rows = tokens.iter().map(|token| Row::new(token, &gateways, crate::ui::samples::NOW)).collect();
    let page = |rows| TokensPage { frame: Frame::sample(Here::ApiTokens), rows }.render().unwrap();
    vec![("tokens", page(rows)), ("tokens-empty", page(vec![]))]
}
