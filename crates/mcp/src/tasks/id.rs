//! The ids of tasks that clients see. The same task has the same id each time, so that clients know it again in lists and
//! notices.

use crate::envelope::{edit, json_string};
use crate::errors::ProtocolError;
use crate::front::{ClientRequest, Front};
use crate::upstream::CallError;
use doorward_domain::{Gateway, GatewayId, GatewayState, UserId};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Purpose under which ids are marked.
const PURPOSE: &str = "mcp.task";

/// The longest id of a server's, in bytes: ours has to fit into a header.
const LONGEST: usize = 1_024;

/// Which kind of tasks: they have names in common, and nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Era {
    /// 2025-11-25.
    Legacy,
    /// 2026-07-28.
    Modern,
}

impl Era {
    pub(super) fn of(request: &ClientRequest) -> Self {
        if request.is_modern() { Self::Modern } else { Self::Legacy }
    }
}

/// Whose task, and where.
#[derive(Serialize, Deserialize)]
struct Handle {
    user: UserId,
    gateway: GatewayId,
    era: Era,
    id: String,
}

/// Our id for a server's task; none where the server's cannot be one.
pub(super) fn ours(
    front: &Front,
    request: &ClientRequest,
    gateway: GatewayId,
    theirs: &str,
) -> Option<String> {
    let (user, era) = (request.caller.user.id, Era::of(request));
    let handle = Handle { user, gateway, era, id: theirs.to_owned() };
    let handle = serde_json::to_vec(&handle).expect("a handle is representable as JSON");
    (theirs.len() <= LONGEST).then(|| front.broker.mark_state(PURPOSE, &handle))
}

/// The gateway and the server's own id behind one of ours, for the user whose task it is.
pub(super) fn theirs(front: &Front, user: UserId, era: Era, ours: &str) -> Option<(GatewayId, String)> {
    opened(front, user, ours).filter(|handle| handle.era == era).map(|handle| (handle.gateway, handle.id))
}

fn opened(front: &Front, user: UserId, ours: &str) -> Option<Handle> {
    let handle = front.broker.marked_state(PURPOSE, ours)?;
    let handle: Handle = serde_json::from_slice(&handle).ok()?;
    (handle.user == user).then_some(handle)
}

/// The gateway of a task that a request names, and the params with the gateway's own id.
pub(crate) async fn owner(
    front: &Front,
    request: &ClientRequest,
) -> Result<(Arc<Gateway>, String), ProtocolError> {
    let unknown = || ProtocolError::InvalidParams("`params.taskId` is no task of yours".to_owned());
    let ours = request.text("taskId")?;
    let handle = opened(front, request.caller.user.id, &ours).ok_or_else(unknown)?;
    let gateway = usable(front, request, handle.gateway).await?.ok_or_else(unknown)?;
    if handle.era != Era::of(request) {
        return Err(CallError::OtherTasks { gateway: gateway.slug.to_string() }.into());
    }
    let params = request.params.as_deref().map_or("{}", |params| params.get());
    let params = edit(params, &[("taskId", Some(&json_string(&handle.id)))]).ok_or_else(unknown)?;
    Ok((gateway, params))
}

/// A gateway that the caller may use at the request's endpoint.
pub(super) async fn usable(
    front: &Front,
    request: &ClientRequest,
    id: GatewayId,
) -> Result<Option<Arc<Gateway>>, ProtocolError> {
    let mut usable = front.gateways_at(&request.caller, &request.endpoint).await?.into_iter();
    Ok(usable.find(|gateway| gateway.id == id && gateway.state != GatewayState::Disabled))
}
