//! What is done with a request: answered here, or sent to the gateway that owns it, after asking the user
//! to authorize where that is needed.

use super::answer::{OwnResult, Reply};
use super::method::Method;
use super::request::ClientRequest;
use super::{Front, handshake, lists};
use crate::ask::{self, Resumed};
use crate::connections_tool;
use crate::envelope::text_member;
use crate::errors::ProtocolError;
use crate::route::{Route, route};
use crate::upstream::CallError;
use doorward_broker::Access;
use doorward_domain::Gateway;
use std::sync::Arc;

/// The levels of RFC 5424 that `logging/setLevel` takes.
const LEVELS: [&str; 8] = ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"];

/// A gateway that the user has to authorize first.
pub(crate) struct Needed {
    pub(crate) gateway: Arc<Gateway>,
    /// Leads to what the grant's time line says of it, if there is something.
    pub(crate) reference: Option<String>,
    /// The link is no failure but what was asked for.
    pub(crate) link_wanted: bool,
}

/// What came of one attempt to do what was asked.
pub(crate) enum Attempt {
    Done(Reply),
    /// The user has to authorize this gateway first.
    Needs(Needed),
}

/// Answers one request.
pub(super) async fn answer(front: &Arc<Front>, request: &Arc<ClientRequest>) -> Result<Reply, ProtocolError> {
    let method = Method::of(&request.method, request.is_modern())?;
    match method {
        Method::Ping => Ok(OwnResult::to(request).reply()),
        Method::SetLevel => set_level(request),
        Method::Discover => Ok(handshake::discover(front, request).await),
        Method::List(kind) => lists::list(front, request, kind).await,
        Method::CallTool | Method::ReadResource | Method::GetPrompt | Method::Complete => {
            let request = match ask::resume(front, request, method).await? {
                Resumed::Request(request) => request,
                Resumed::Reply(reply) => return Ok(reply),
            };
            match attempt(front, &request, method).await? {
                Attempt::Done(reply) => Ok(reply),
                Attempt::Needs(needed) => ask::ask(front, &request, method, needed).await,
            }
        }
    }
}

/// Finds the owner, and asks it. Nothing is sent upstream where the user has to authorize first.
pub(crate) async fn attempt(
    front: &Arc<Front>,
    request: &Arc<ClientRequest>,
    method: Method,
) -> Result<Attempt, ProtocolError> {
    match route(front, request, method).await? {
        Route::Upstream { gateway, params } => {
            let params = params.as_deref().or(request.params.as_deref());
            let call = request.call(params);
            match Box::pin(front.upstreams.call(&request.caller, &gateway, &request.facts, call)).await {
                Ok(answer) => Ok(Attempt::Done(Reply::of(answer, request))),
                Err(CallError::MustAuthorize { gateway, reference }) => {
                    Ok(Attempt::Needs(Needed { gateway, reference, link_wanted: false }))
                }
                Err(error) => Err(error.into()),
            }
        }
        Route::Unread(gateway) => Ok(Attempt::Needs(Needed { gateway, reference: None, link_wanted: false })),
        Route::Connections => connections_tool::list(front, request).await.map(Attempt::Done),
        Route::Connect(gateway) => match front.broker.access(&request.caller, &gateway).await? {
            Access::Open | Access::Header(_) => {
                Ok(Attempt::Done(connections_tool::connected(front, request, &gateway).await))
            }
            Access::MustAuthorize { reference } => {
                Ok(Attempt::Needs(Needed { gateway, reference, link_wanted: true }))
            }
            Access::Unavailable { problem, retry_after, reference } => {
                Err(CallError::Unavailable { problem, retry_after, reference }.into())
            }
        },
    }
}

/// Accepted for the session; upstreams' own levels stay as they are.
fn set_level(request: &ClientRequest) -> Result<Reply, ProtocolError> {
    let level = request.params.as_deref().and_then(|params| text_member(params, "level"));
    if level.is_some_and(|level| LEVELS.contains(&level.as_ref())) {
        return Ok(OwnResult::to(request).reply());
    }
    Err(ProtocolError::InvalidParams(format!("`params.level` must be one of {}", LEVELS.join(", "))))
}
