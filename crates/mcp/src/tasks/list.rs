//! `tasks/list` (2025-11-25): the tasks of every server at the endpoint that has such a list, gateway after gateway, each
//! under our id.

use super::called::declares;
use super::id::ours;
use crate::envelope::{Envelope, json_string, member, raw, splice, text_member};
use crate::errors::ProtocolError;
use crate::front::{ClientRequest, Endpoint, Front, OwnResult, Reply};
use crate::upstream::{CallError, UpstreamAnswer, UpstreamCall, own_id};
use doorward_domain::{Gateway, GatewayAuthorization, GatewayState, GrantType, UserId};
use futures_util::future::join_all;
use http::HeaderMap;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::sync::Arc;
use std::time::Duration;

/// Purpose under which cursors are sealed.
const CURSOR: &str = "mcp.tasks";

/// How long one server may take, so that a slow one does not spoil the list.
const ONE_WITHIN: Duration = Duration::from_secs(10);

/// Where the next page begins. Sealed for one user.
#[derive(Debug, Serialize, Deserialize)]
struct Position {
    user: UserId,
    endpoint: String,
    slug: String,
    /// The server's own cursor.
    cursor: Option<String>,
}

/// Whether a server can tell one user's tasks from another's: where each has a token of their own.
pub(crate) fn tells_users_apart(gateway: &Gateway) -> bool {
    match &gateway.authorization {
        GatewayAuthorization::None | GatewayAuthorization::StaticHeader(_) => false,
        GatewayAuthorization::OAuth(settings) => settings.grant_type != GrantType::ClientCredentials,
    }
}

/// Answers `tasks/list`.
pub(crate) async fn list(front: &Front, request: &ClientRequest) -> Result<Reply, ProtocolError> {
    let start = start(front, request)?;
    let mut gateways = listing(front, request).await?;
    if let Some(start) = &start {
        gateways.retain(|gateway| gateway.slug.as_str() >= start.slug.as_str());
    }
    let mut gateways = gateways.into_iter().peekable();
    while let Some(gateway) = gateways.next() {
        let at = start.as_ref().filter(|start| start.slug == gateway.slug.as_str());
        let page = page(front, request, &gateway, at.and_then(|at| at.cursor.as_deref())).await;
        let page = match page {
            Ok(page) => page,
            Err(error) if matches!(request.endpoint, Endpoint::One(_)) => return Err(error.into()),
            Err(error) => {
                tracing::info!(gateway = %gateway.slug, %error, "its tasks are missing in a list");
                Page::default()
            }
        };
        let after = gateways.peek().map(|next| (next.slug.to_string(), None));
        let next = page.next.map(|cursor| (gateway.slug.to_string(), Some(cursor))).or(after);
        if !page.tasks.is_empty() || next.is_none() {
            return Ok(reply(front, request, &page.tasks, next));
        }
    }
    Ok(reply(front, request, &[], None))
}

fn reply(
    front: &Front,
    request: &ClientRequest,
    tasks: &[String],
    next: Option<(String, Option<String>)>,
) -> Reply {
    let mut result = OwnResult::to(request).with("tasks", format!("[{}]", tasks.join(",")));
    if let Some((slug, cursor)) = next {
        let (user, endpoint) = (request.caller.user.id, request.endpoint.path());
        let next = Position { user, endpoint, slug, cursor };
        let next = serde_json::to_vec(&next).expect("a position is representable as JSON");
        result = result.with("nextCursor", json_string(&front.broker.seal_state(CURSOR, &next)));
    }
    result.reply()
}

/// Where the client's cursor points. No cursor and an empty one are the beginning.
fn start(front: &Front, request: &ClientRequest) -> Result<Option<Position>, ProtocolError> {
    let invalid = || ProtocolError::InvalidParams("`params.cursor` is not one that this list gave".into());
    if request.param("cursor").is_none_or(|cursor| matches!(cursor.get(), "null" | "\"\"")) {
        return Ok(None);
    }
    let cursor = request.text("cursor").map_err(|_| invalid())?;
    let opened = front.broker.open_state(CURSOR, &cursor).ok_or_else(invalid)?;
    let opened: Position = serde_json::from_slice(&opened).map_err(|_| invalid())?;
    let is_theirs = opened.user == request.caller.user.id && opened.endpoint == request.endpoint.path();
    if is_theirs { Ok(Some(opened)) } else { Err(invalid()) }
}

/// The gateways here whose servers list tasks, by slug. All are asked at the same time what they can.
async fn listing(front: &Front, request: &ClientRequest) -> Result<Vec<Arc<Gateway>>, ProtocolError> {
    let gateways = front.gateways_at(&request.caller, &request.endpoint).await?;
    let mut gateways: Vec<_> = gateways
        .into_iter()
        .filter(|gateway| gateway.state != GatewayState::Disabled && tells_users_apart(gateway))
        .collect();
    gateways.sort_by(|a, b| a.slug.cmp(&b.slug));
    let facts = gateways.iter().map(|gateway| {
        tokio::time::timeout(ONE_WITHIN, front.upstreams.server(&request.caller, gateway, &request.facts))
    });
    let facts = join_all(facts).await;
    let lists = gateways.into_iter().zip(facts).filter(|(_, server)| {
        let server = server.as_ref().ok().and_then(|server| server.as_ref().ok());
        server.is_some_and(|server| declares(server, &["tasks", "list"]))
    });
    let lists: Vec<_> = lists.map(|(gateway, _)| gateway).collect();
    match (&request.endpoint, lists.is_empty()) {
        (Endpoint::One(gateway), true) => {
            Err(ProtocolError::NoTaskList { gateway: gateway.slug.to_string() })
        }
        _ => Ok(lists),
    }
}

/// One page of one server's tasks.
#[derive(Default)]
struct Page {
    tasks: Vec<String>,
    next: Option<String>,
}

async fn page(
    front: &Front,
    request: &ClientRequest,
    gateway: &Arc<Gateway>,
    cursor: Option<&str>,
) -> Result<Page, CallError> {
    let params = cursor.and_then(|cursor| raw(format!("{{\"cursor\":{}}}", json_string(cursor))));
    let id = own_id();
    let call = UpstreamCall {
        id: &id,
        method: "tasks/list",
        params: params.as_deref(),
        client_headers: &HeaderMap::new(),
        accept_sse: false,
        session: None,
    };
    let broken = |problem: String| CallError::Broken { gateway: gateway.slug.to_string(), problem };
    let asked = Box::pin(front.upstreams.call(&request.caller, gateway, &request.facts, call));
    let answer = tokio::time::timeout(ONE_WITHIN, asked).await;
    let answer = answer.map_err(|_| broken("it took too long to list its tasks".to_owned()))??;
    let UpstreamAnswer::Message(answer) = answer else {
        return Err(broken("tasks/list: it is a stream".to_owned()));
    };
    let message = Envelope::parse(&answer.body).map_err(|error| broken(format!("tasks/list: {error}")))?;
    let result = message.result.ok_or_else(|| broken("tasks/list: it is no result".to_owned()))?;
    let tasks =
        member(result, "tasks").and_then(|all| serde_json::from_str::<Vec<&RawValue>>(all.get()).ok());
    let tasks = tasks.ok_or_else(|| broken("tasks/list: it is no list".to_owned()))?;
    let under_our_id = |task: &RawValue| {
        let ours = ours(front, request, gateway.id, &text_member(task, "taskId")?)?;
        Some(splice(task.get(), &[(member(task, "taskId")?, &json_string(&ours))]))
    };
    let next = text_member(result, "nextCursor").map(std::borrow::Cow::into_owned);
    Ok(Page { tasks: tasks.into_iter().filter_map(under_our_id).collect(), next })
}
