//! What is done with a request: answered here, or sent to the gateway that owns it, after asking the user
//! to authorize where that is needed.

use super::answer::{OwnResult, Reply};
use super::carry::Called;
use super::method::Method;
use super::request::ClientRequest;
use super::{Front, handshake, listen, lists, subscribe};
use crate::ask::{self, Resumed};
use crate::connections_tool;
use crate::envelope::text_member;
use crate::errors::ProtocolError;
use crate::limits::CallTurn;
use crate::route::{Route, route};
use crate::tasks;
use crate::upstream::CallError;
use doorward_broker::Access;
use doorward_domain::Gateway;
use std::sync::Arc;
use std::time::Duration;

/// The levels of RFC 5424 that `logging/setLevel` takes.
const LEVELS: [&str; 8] = ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"];

/// The waits between tries while a user is on a URL that a legacy server wanted to be opened.
const OPENING: [Duration; 5] = [
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
];

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

impl Attempt {
    fn holding(self, turn: CallTurn) -> Self {
        match self {
            Self::Done(reply) => Self::Done(reply.holding(turn)),
            needs @ Self::Needs(_) => needs,
        }
    }
}

/// Answers one request.
pub(super) async fn answer(front: &Arc<Front>, request: &Arc<ClientRequest>) -> Result<Reply, ProtocolError> {
    let method = Method::of(&request.method, request.facts.revision)?;
    front.admission.request(request.caller.user.id)?;
    match method {
        Method::Ping => Ok(OwnResult::to(request).reply()),
        Method::SetLevel => set_level(request),
        Method::Subscribe => subscribe::subscribe(front, request).await,
        Method::Unsubscribe => subscribe::unsubscribe(request),
        Method::Listen => listen::listen(front, request).await,
        Method::Discover => Ok(handshake::discover(front, request).await),
        Method::List(kind) => lists::list(front, request, kind).await,
        Method::ListTasks => tasks::list(front, request).await,
        Method::CallTool
        | Method::ReadResource
        | Method::GetPrompt
        | Method::Complete
        | Method::Task
        | Method::TaskResult => {
            let (request, attempt) = match ask::resume(front, request, method).await? {
                Resumed::Reply(reply) => return Ok(reply),
                Resumed::Request(request) => (Arc::clone(&request), attempt(front, &request, method).await?),
                Resumed::Again(request) => {
                    (Arc::clone(&request), attempt_after_opening(front, &request, method).await?)
                }
                Resumed::Parked { request, gateway, handle } => {
                    let turn = front.admission.call(request.caller.user.id, gateway.id)?;
                    let call = request.call(request.params.as_deref());
                    let upstreams = &front.upstreams;
                    let going_on = Box::pin(upstreams.go_on(&request.caller, &gateway, &handle, call)).await;
                    let called = called(front, &request, method, &gateway);
                    (Arc::clone(&request), called.attempt(None, going_on)?.holding(turn))
                }
            };
            match attempt {
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
            tasks::check(front, request, method, &gateway).await?;
            let turn = front.admission.call(request.caller.user.id, gateway.id)?;
            let params = params.as_deref().or(request.params.as_deref());
            let call = request.call(params);
            let answer =
                Box::pin(front.upstreams.call(&request.caller, &gateway, &request.facts, call)).await;
            Ok(called(front, request, method, &gateway).attempt(params, answer)?.holding(turn))
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

fn called(
    front: &Arc<Front>,
    request: &Arc<ClientRequest>,
    method: Method,
    gateway: &Arc<Gateway>,
) -> Called {
    let (front, request) = (Arc::clone(front), Arc::clone(request));
    Called { front, request, method, gateway: Arc::clone(gateway) }
}

/// A legacy server wanted a URL to be opened (-32042) and does not say when that was done: it is asked again
/// for a while before its client is.
async fn attempt_after_opening(
    front: &Arc<Front>,
    request: &Arc<ClientRequest>,
    method: Method,
) -> Result<Attempt, ProtocolError> {
    for wait in OPENING {
        let Route::Upstream { gateway, params } = route(front, request, method).await? else { break };
        let turn = front.admission.call(request.caller.user.id, gateway.id)?;
        let params = params.as_deref().or(request.params.as_deref());
        let call = request.call(params);
        let answer = Box::pin(front.upstreams.call(&request.caller, &gateway, &request.facts, call)).await;
        if !matches!(answer, Err(CallError::InputRequired { .. })) {
            return Ok(called(front, request, method, &gateway).attempt(params, answer)?.holding(turn));
        }
        drop(turn);
        tokio::time::sleep(wait).await;
    }
    attempt(front, request, method).await
}

/// From now on the session's calls bring log lines of this weight and above.
fn set_level(request: &ClientRequest) -> Result<Reply, ProtocolError> {
    let level = request.params.as_deref().and_then(|params| text_member(params, "level"));
    if let Some(level) = level.filter(|level| LEVELS.contains(&level.as_ref())) {
        if let Some(session) = &request.session {
            session.set_log_level(level.into_owned());
        }
        return Ok(OwnResult::to(request).reply());
    }
    Err(ProtocolError::InvalidParams(format!("`params.level` must be one of {}", LEVELS.join(", "))))
}
