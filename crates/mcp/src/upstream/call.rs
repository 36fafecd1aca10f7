//! One request of a client, from its `params` to the upstream's answer.

use super::answer::{CallError, ClientFacts, UpstreamAnswer, UpstreamCall};
use super::body::{self, BodyKind};
use super::exchange::Exchange;
use super::line::{Asks, Ear};
use super::link::Place;
use super::parked::ParkedCall;
use super::passing::Read;
use super::reply::{self, Relay};
use super::runs::Run;
use super::trace::Trace;
use super::waiting::{CancelGuard, Waiting};
use super::{Inner, Link, by_task, param_headers, passing, wire};
use crate::bridge::{self, InputRequired, Then, Upward, error_code, upward};
use crate::envelope::{self, Envelope, json_string, member, text_member};
use crate::revision::{code, wire as names};
use doorward_broker::Caller;
use doorward_domain::{Gateway, GatewayId, UserId};
use http::{HeaderMap, Response, StatusCode};
use hyper::body::Incoming;
use serde_json::value::RawValue;
use std::sync::{Arc, OnceLock, PoisonError};
use std::time::Duration;

/// How long a call may take until its answer begins: tools may work for minutes.
const CALL_WITHIN: Duration = Duration::from_secs(300);

/// The same for lists, which need no work.
const LIST_WITHIN: Duration = Duration::from_secs(30);

/// Methods of the protocol that are no plain calls; each would need what Doorward does not do yet, or
/// answers itself.
const NOT_FORWARDED: [&str; 7] = [
    "initialize",
    "logging/setLevel",
    "ping",
    "resources/subscribe",
    "resources/unsubscribe",
    "server/discover",
    "subscriptions/listen",
];

/// What came of one attempt.
enum Attempt {
    Answered(UpstreamAnswer),
    /// The upstream has not run the request: what was agreed with it holds no more.
    Stale {
        era_is_wrong: bool,
        error: CallError,
    },
}

impl Inner {
    pub(super) async fn call(
        &self,
        caller: &Caller,
        gateway: &Arc<Gateway>,
        client: &ClientFacts,
        call: UpstreamCall<'_>,
        run: &Arc<Run>,
    ) -> Result<UpstreamAnswer, CallError> {
        if NOT_FORWARDED.contains(&call.method) {
            return Err(CallError::NotForwarded { method: call.method.to_owned() });
        }
        let answer = self.answered_by_task_if_need_be(caller, gateway, client, call, run).await;
        // A question is an answer of the server's.
        let has_answered = matches!(answer, Ok(_) | Err(CallError::InputRequired { .. }));
        if has_answered || matches!(answer, Err(CallError::Unreachable { .. })) {
            self.broker.note_answer(gateway, has_answered);
        }
        // Lists are read for the catalog, not because somebody calls.
        if has_answered && !call.method.ends_with("/list") {
            self.broker.called(gateway.id);
        }
        answer
    }

    /// The answer, perhaps after agreeing anew with an upstream that has forgotten.
    pub(super) async fn answered(
        &self,
        caller: &Caller,
        gateway: &Arc<Gateway>,
        client: &ClientFacts,
        call: UpstreamCall<'_>,
        run: &Arc<Run>,
    ) -> Result<UpstreamAnswer, CallError> {
        let mut exchange = Exchange::open(self, caller, gateway).await?;
        let link = self.link(&mut exchange, client).await?;
        let (era_is_wrong, _) = match self.attempt(&mut exchange, &link, client, call, run).await? {
            Attempt::Answered(answer) => return Ok(answer),
            Attempt::Stale { era_is_wrong, error } => (era_is_wrong, error),
        };
        if era_is_wrong {
            self.forget_era(gateway);
        }
        self.drop_link(&exchange, client, &link).await;
        let link = self.link(&mut exchange, client).await?;
        match self.attempt(&mut exchange, &link, client, call, run).await? {
            Attempt::Answered(answer) => Ok(answer),
            Attempt::Stale { error, .. } => Err(error),
        }
    }

    async fn attempt(
        &self,
        exchange: &mut Exchange<'_>,
        link: &Arc<Link>,
        client: &ClientFacts,
        call: UpstreamCall<'_>,
        run: &Arc<Run>,
    ) -> Result<Attempt, CallError> {
        Self::check_tasks_are_of_one_kind(call.method, client, link, exchange.gateway)?;
        let id = self.next_id();
        let up = upward(client, link.facts.revision, call.params, &id.to_string());
        if let Some(level) = up.log_level.as_deref() {
            self.lower_log_level(exchange, link, level).await;
        }
        let trace = Trace::under(call.client_headers, call.params, call.method);
        let params = trace.put_params(up.params.clone(), link.facts.revision.is_modern());
        let body = wire::request(id, call.method, params.as_deref());
        let mut headers = self.headers(exchange, link, client, call).await?;
        trace.put_headers(&mut headers);
        let place = Place { url: link.place.url.clone(), headers };
        let aside = exchange.aside(link);
        let mut ear = self.ear(exchange, link, (client, call), id).await;
        let mut guard = CancelGuard { aside: aside.clone(), id, armed: !link.facts.revision.is_modern() };
        let limit = match call.method {
            "tasks/result" => by_task::TASK_WITHIN,
            method if method.ends_with("/list") => LIST_WITHIN,
            _ => CALL_WITHIN,
        };
        let sending = exchange.post(&place, body, limit);
        let answered = match ear.as_mut().filter(|_| !link.line.is_everything()) {
            Some(ear) => ear.during(sending, &aside).await,
            None => sending.await,
        };
        // Only a request that was given up while it may still run is worth a cancellation.
        let given_up = matches!(&answered, Err(CallError::Unreachable { may_have_run: true, .. }));
        guard.armed &= answered.is_ok() || given_up;
        let response = answered?;
        guard.aside = exchange.aside(link);
        let whose = (exchange.caller.user.id, exchange.gateway.id);
        let waiting = self.waiting(link, (client, call), &up, guard, (whose, run));
        Box::pin(read_answer(link, response, (waiting, ear), call.accept_sse)).await
    }

    /// Hears what a legacy server says beside its answer: everything, or what it asks a client who can be asked.
    async fn ear(
        &self,
        exchange: &Exchange<'_>,
        link: &Arc<Link>,
        (client, call): (&ClientFacts, UpstreamCall<'_>),
        id: u64,
    ) -> Option<Ear> {
        let asks = match call.session.filter(|_| call.accept_sse) {
            _ if !bridge::takes_input(call.method) || !bridge::declares_any(&client.capabilities) => {
                Asks::Nobody
            }
            Some(session) => Asks::Session(Arc::clone(session)),
            None if client.revision.is_modern() => Asks::Caller,
            None => Asks::Nobody,
        };
        if link.line.is_everything() {
            return Some(link.line.ear(id, asks));
        }
        if link.facts.revision.is_modern() || matches!(asks, Asks::Nobody) {
            return None;
        }
        let run = || self.runs.begin(exchange.caller.user.id, exchange.gateway.id);
        link.line.open(exchange.aside(link), run).await;
        Some(link.line.ear(id, asks))
    }

    /// A legacy session has one level for all its calls: the lowest that any of them wanted. Each call leaves
    /// out what is below its own.
    async fn lower_log_level(&self, exchange: &mut Exchange<'_>, link: &Link, level: &str) {
        let logs = link.facts.capabilities.as_deref().is_some_and(|all| member(all, "logging").is_some());
        let Some(wanted) = wire::severity(level).filter(|_| logs && !link.facts.revision.is_modern()) else {
            return;
        };
        {
            let mut set = link.log_level.lock().unwrap_or_else(PoisonError::into_inner);
            if set.is_some_and(|set| set <= wanted) {
                return;
            }
            *set = Some(wanted);
        }
        let params = format!("{{\"level\":{}}}", json_string(level));
        let body = wire::request(self.next_id(), "logging/setLevel", Some(&params));
        if let Err(error) = exchange.post(&link.place, body, LIST_WITHIN).await {
            tracing::debug!(gateway = %exchange.gateway.slug, %error, "a log level was not set");
        }
    }

    fn waiting(
        &self,
        link: &Link,
        (client, call): (&ClientFacts, UpstreamCall<'_>),
        up: &Upward<'_>,
        guard: CancelGuard,
        (whose, run): ((UserId, GatewayId), &Arc<Run>),
    ) -> Waiting {
        let own = |raw: &RawValue| raw.to_owned();
        Waiting {
            client: client.revision,
            upstream: link.facts.revision,
            method: call.method.to_owned(),
            params: call.params.filter(|_| call.method == "resources/read").map(own),
            client_id: own(call.id),
            our_id: guard.id,
            progress_token: up.progress_token.map(own),
            log_level: up.log_level.as_deref().map(str::to_owned),
            guard,
            capabilities: client.capabilities.clone(),
            session: call.session.filter(|_| call.accept_sse).cloned(),
            whose,
            run: Arc::clone(run),
            parked: Arc::clone(&self.parked),
            undeclared: OnceLock::new(),
        }
    }

    /// Hands a client's answers to the call that waits for them, and goes on with it. Answers that are missing
    /// are asked for again.
    pub(super) async fn go_on(
        &self,
        mut parked: ParkedCall,
        call: UpstreamCall<'_>,
        whose: (UserId, GatewayId),
    ) -> Result<UpstreamAnswer, CallError> {
        let responses = call.params.and_then(|params| member(params, "inputResponses"));
        let answer = |key: &str| {
            let found = responses.and_then(|all| member(all, key));
            found.filter(|answer| answer.get().starts_with('{'))
        };
        parked.hand_on(answer);
        if !parked.asked.is_empty() {
            return Err(self.park_again(parked, whose));
        }
        let meta = call.params.and_then(|params| member(params, "_meta"));
        let progress = meta.and_then(|meta| member(meta, "progressToken"));
        let level = meta.and_then(|meta| text_member(meta, names::META_LOG_LEVEL));
        parked.relay.serve(call.id, progress, level.as_deref());
        reply::go_on(parked.relay, call.accept_sse).await
    }

    fn park_again(&self, parked: ParkedCall, whose: (UserId, GatewayId)) -> CallError {
        let requests = reply::requests(&parked.asked);
        let gateway = parked.relay.gateway().slug.to_string();
        match self.parked.park(whose, parked) {
            Ok(handle) => {
                let asked = InputRequired { requests, then: Then::Parked { handle } };
                CallError::InputRequired { gateway, asked: Box::new(asked) }
            }
            Err(_) => CallError::NotParked { gateway },
        }
    }

    async fn headers(
        &self,
        exchange: &Exchange<'_>,
        link: &Link,
        client: &ClientFacts,
        call: UpstreamCall<'_>,
    ) -> Result<HeaderMap, CallError> {
        let mut headers = link.place.headers.clone();
        wire::pass_on(call.client_headers, link.facts.revision, &mut headers);
        if !link.facts.revision.is_modern() {
            return Ok(headers);
        }
        wire::mirror_routing(call.method, call.params, &mut headers);
        if let ("tools/call", Some(params)) = (call.method, call.params) {
            let facts = self.tool_facts(exchange.caller, exchange.gateway).await?;
            let tool = text_member(params, "name").and_then(|name| facts.headers(&name));
            if let Some(tool) = tool {
                // A modern client says it itself, and must say the same (2026-07-28, custom headers).
                if client.revision.is_modern() && !call.client_headers.is_empty() {
                    param_headers::check(tool, params, call.client_headers)
                        .map_err(CallError::ParamHeader)?;
                }
                param_headers::mirror(tool, params, &mut headers);
            }
        }
        Ok(headers)
    }
}

async fn read_answer(
    link: &Link,
    response: Response<Incoming>,
    (mut waiting, ear): (Waiting, Option<Ear>),
    accept_sse: bool,
) -> Result<Attempt, CallError> {
    let status = response.status();
    let gateway = Arc::clone(waiting.guard.aside.gateway());
    // 2025-11-25, session management: a 404 means that the session has ended, and nothing has run.
    if status == StatusCode::NOT_FOUND && link.has_session {
        waiting.guard.armed = false;
        return Ok(Attempt::Stale { era_is_wrong: false, error: refused(&gateway, status) });
    }
    // 2024-11-05, HTTP with SSE: the message was taken, and its answer comes on the stream.
    if link.line.is_everything() && status.is_success() {
        return Ok(Attempt::Answered(reply::go_on(Relay::new(None, ear, waiting), accept_sse).await?));
    }
    match body::body_kind(&response) {
        BodyKind::Events if status.is_success() => {
            let relay = Relay::new(Some(response.into_body()), ear, waiting);
            Ok(Attempt::Answered(reply::go_on(relay, accept_sse).await?))
        }
        BodyKind::Json if status.is_success() && passing::may_pass(&waiting.method) => {
            match passing::read(response.into_body(), &waiting).await? {
                Read::Begun(beginning) => Ok(Attempt::Answered(beginning.pass(waiting))),
                Read::Whole(bytes) => {
                    waiting.guard.armed = false;
                    read_message(link, status, &bytes, &waiting)
                }
            }
        }
        BodyKind::Json => {
            let bytes = body::read_json(&gateway, response.into_body(), CALL_WITHIN).await?;
            waiting.guard.armed = false;
            read_message(link, status, &bytes, &waiting)
        }
        BodyKind::Events | BodyKind::Other => {
            waiting.guard.armed = false;
            unreadable(link, &gateway, status)
        }
    }
}

fn read_message(
    link: &Link,
    status: StatusCode,
    bytes: &[u8],
    waiting: &Waiting,
) -> Result<Attempt, CallError> {
    let gateway = waiting.guard.aside.gateway();
    let message = match Envelope::parse(bytes) {
        Ok(message) => message,
        Err(_) if !status.is_success() => return unreadable(link, gateway, status),
        Err(error) => return Err(body::broken(gateway, error.to_string())),
    };
    if !body::is_answer_to(&message, waiting.our_id) {
        return Err(body::broken(gateway, "it answers another request than the one that was sent"));
    }
    if let Some(era_is_wrong) = contradiction(link, status, &message) {
        return Ok(Attempt::Stale { era_is_wrong, error: refused(gateway, status) });
    }
    let answered = waiting.response(&message, status)?;
    Ok(Attempt::Answered(UpstreamAnswer::Message(answered)))
}

/// Whether a refusal contradicts what was agreed, and if so whether the era was wrong.
fn contradiction(link: &Link, status: StatusCode, message: &Envelope<'_>) -> Option<bool> {
    let number = message.error.filter(|_| status == StatusCode::BAD_REQUEST).and_then(error_code)?;
    let modern = link.facts.revision.is_modern();
    match number {
        code::UNSUPPORTED_VERSION => Some(true),
        code::HEADER_MISMATCH if !modern => Some(true),
        // Servers that lost their sessions answer 400 without an id instead of 404.
        _ if !modern && link.has_session && message.id.is_none() => Some(false),
        _ => None,
    }
}

/// An answer that is no message at all.
fn unreadable(link: &Link, gateway: &Gateway, status: StatusCode) -> Result<Attempt, CallError> {
    if status.is_success() {
        return Err(body::broken(gateway, "it is neither JSON nor an event stream, or it is compressed"));
    }
    let error = refused(gateway, status);
    // A modern server answers 400, 404 and 405 with a JSON-RPC error; without one it is none (any more).
    let none_such = matches!(status.as_u16(), 400 | 404 | 405);
    if link.facts.revision.is_modern() && none_such {
        return Ok(Attempt::Stale { era_is_wrong: true, error });
    }
    Err(error)
}

fn refused(gateway: &Gateway, status: StatusCode) -> CallError {
    let problem = match status.as_u16() {
        403 => "it forbids this user the access",
        404 | 405 => "there is no MCP server at this URL (any more), or it ends every session at once",
        413 => "the request is too large for it",
        429 => "it asks for fewer requests",
        300..=399 => "it redirects, which is not followed: the gateway's URL must be the final one",
        500..=599 => "it failed",
        _ => "it refused the request",
    };
    CallError::Upstream {
        gateway: gateway.slug.to_string(),
        status: status.as_u16(),
        problem: problem.to_owned(),
    }
}

/// An id for requests of our own whose answer nobody else sees.
pub(crate) fn own_id() -> Box<RawValue> {
    envelope::raw("0".to_owned()).expect("a digit is JSON")
}
