//! Tasks of servers of 2026-07-28 (extension `io.modelcontextprotocol/tasks`): a server answers a call with a task, and
//! its client asks for it by id. A client sees ids of ours: each is sealed, leads to its gateway, and serves the user whose
//! call made it and nobody else.

use crate::envelope::{Envelope, edit, json_string, member, splice, text_member};
use crate::errors::ProtocolError;
use crate::front::{ClientRequest, Front, Method};
use bytes::Bytes;
use doorward_domain::{Gateway, GatewayId, GatewayState, UserId};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The extension's name in capabilities.
pub(crate) const EXTENSION: &str = "io.modelcontextprotocol/tasks";

/// Purpose under which ids are sealed.
const PURPOSE: &str = "mcp.task";

/// The longest id of a server's, in bytes: ours has to fit into a header.
const LONGEST: usize = 1_024;

/// Whose task, and where.
#[derive(Serialize, Deserialize)]
struct Handle {
    user: UserId,
    gateway: GatewayId,
    id: String,
}

/// The gateway of a task that a request names, and the params with the gateway's own id.
pub(crate) async fn owner(
    front: &Front,
    request: &ClientRequest,
) -> Result<(Arc<Gateway>, String), ProtocolError> {
    let ours = request.text("taskId")?;
    let opened = front.broker.open_state(PURPOSE, &ours);
    let handle = opened.and_then(|handle| serde_json::from_slice::<Handle>(&handle).ok());
    let handle = handle.filter(|handle| handle.user == request.caller.user.id);
    let unknown = || ProtocolError::InvalidParams("`params.taskId` is no task of yours".to_owned());
    let handle = handle.ok_or_else(unknown)?;
    let usable = front.gateways_at(&request.caller, &request.endpoint).await?;
    let gateway = usable.into_iter().find(|gateway| gateway.id == handle.gateway);
    let gateway = gateway.filter(|gateway| gateway.state != GatewayState::Disabled).ok_or_else(unknown)?;
    let params = request.params.as_deref().map_or("{}", |params| params.get());
    let params = edit(params, &[("taskId", Some(&json_string(&handle.id)))]).ok_or_else(unknown)?;
    Ok((gateway, params))
}

/// An answer with our id in place of the server's: a new one where a call has become a task, else the one that was asked
/// for.
pub(crate) fn with_our_id(
    front: &Front,
    request: &ClientRequest,
    method: Method,
    gateway: &Gateway,
    body: Bytes,
) -> Result<Bytes, ProtocolError> {
    if !request.is_modern() || !matches!(method, Method::CallTool | Method::Task) {
        return Ok(body);
    }
    let Ok(text) = std::str::from_utf8(&body) else { return Ok(body) };
    // Only a small part of all answers has to be looked into.
    if !text.contains("\"taskId\"") {
        return Ok(body);
    }
    let result = Envelope::parse(&body).ok().and_then(|message| message.result);
    let Some((result, theirs)) = result.and_then(|result| Some((result, member(result, "taskId")?))) else {
        return Ok(body);
    };
    let ours = if method == Method::Task {
        request.text("taskId")?
    } else {
        let id = text_member(result, "taskId").filter(|id| id.len() <= LONGEST);
        // A result of another type may call something else so.
        let is_task = text_member(result, "resultType").as_deref() == Some("task");
        let Some(id) = id.filter(|_| is_task) else { return Ok(body) };
        let handle = Handle { user: request.caller.user.id, gateway: gateway.id, id: id.into_owned() };
        let handle = serde_json::to_vec(&handle).expect("a handle is representable as JSON");
        front.broker.seal_state(PURPOSE, &handle)
    };
    Ok(splice(text, &[(theirs, &json_string(&ours))]).into())
}
