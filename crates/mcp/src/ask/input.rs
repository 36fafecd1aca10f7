//! The second way (2026-07-28, multi round-trip requests): an `input_required` result, and the retry that
//! brings our sealed state back. The state names user, gateway and call, so it serves nobody and nothing else.
//! A server's own state travels inside one of ours, byte for byte.

use super::{Ask, Refusal, TOO_QUICK, after_wait, in_words};
use crate::bridge::{InputRequired, Then, declared, needed, parts};
use crate::envelope::{Envelope, edit, json_string, member, members, splice, text, text_member};
use crate::errors::ProtocolError;
use crate::front::{ClientRequest, Endpoint, Front, Method, OwnResult, Reply, object};
use aws_lc_rs::digest::{Context, SHA256};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use doorward_domain::{Gateway, GatewayId, Timestamp, UserId};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::sync::Arc;
use std::time::Duration;

/// Purpose under which states are sealed.
const PURPOSE: &str = "mcp.ask";

/// How our states begin. Clients are given no others.
const PREFIX: &str = "dw1.";

/// How our keys in `inputRequests` begin.
const KEY_PREFIX: &str = "doorward-connect:";

/// How long a retry is held for the user to come back.
const HOLD: Duration = Duration::from_secs(25);

/// How long a state may be brought back.
const LIFETIME: Duration = Duration::from_secs(10 * 60);

/// The same for a server's own state: whoever is asked may take their time.
const LIFETIME_OF_THEIRS: Duration = Duration::from_secs(24 * 3_600);

/// A server's state may have so many bytes: the client has to send it back in a message.
const LARGEST_OF_THEIRS: usize = 1 << 20;

/// What a retry must match.
#[derive(Debug, Serialize, Deserialize)]
struct AskState {
    user: UserId,
    gateway: GatewayId,
    /// Of method, name and arguments.
    digest: String,
    /// Epoch milliseconds, both.
    asked_at: i64,
    expires_at: i64,
    waits_for: Awaited,
}

/// What the answers are for.
#[derive(Debug, Serialize, Deserialize)]
enum Awaited {
    /// The user was to authorize.
    Connect,
    /// A server's own questions; its state as JSON text, where it gave one.
    Upstream { state: Option<String> },
    /// A legacy server's call, which waits here under this handle.
    Parked { handle: String },
    /// A legacy server wanted a URL to be opened.
    Again,
}

/// What a request is, once a question that it answers has been dealt with.
pub(crate) enum Resumed {
    /// To be carried out.
    Request(Arc<ClientRequest>),
    /// Answered already.
    Reply(Reply),
    /// A legacy server's call goes on with the answers in it.
    Parked { request: Arc<ClientRequest>, gateway: Arc<Gateway>, handle: String },
    /// To be carried out, perhaps not at once: the server wanted something to be done outside.
    Again(Arc<ClientRequest>),
}

/// The `input_required` result.
pub(super) fn required(front: &Front, request: &ClientRequest, method: Method, ask: &Ask) -> Reply {
    let state = sealed(front, request, method, ask.gateway.id, Awaited::Connect);
    let key = format!("{KEY_PREFIX}{}", ask.gateway.slug);
    let params = object(&[
        ("mode", "\"url\"".to_owned()),
        ("url", json_string(ask.url.as_str())),
        ("message", json_string(&ask.invitation())),
    ]);
    let question = object(&[("method", "\"elicitation/create\"".to_owned()), ("params", params)]);
    OwnResult::to(request)
        .with("inputRequests", object(&[(&key, question)]))
        .with("requestState", json_string(&state))
        .of_type("input_required")
        .reply()
}

/// A state that serves this user's retry of this request alone.
fn sealed(
    front: &Front,
    request: &ClientRequest,
    method: Method,
    gateway: GatewayId,
    waits_for: Awaited,
) -> String {
    let now = front.clock.now();
    let lifetime = if matches!(waits_for, Awaited::Upstream { .. }) { LIFETIME_OF_THEIRS } else { LIFETIME };
    let state = AskState {
        user: request.caller.user.id,
        gateway,
        digest: digest(request, method),
        asked_at: now.millis(),
        expires_at: now.plus(lifetime).millis(),
        waits_for,
    };
    let state = serde_json::to_vec(&state).expect("a state is representable as JSON");
    format!("{PREFIX}{}", front.broker.seal_state(PURPOSE, &state))
}

/// A server's questions, for a modern client that it may ask them.
pub(crate) fn carried(
    front: &Front,
    request: &ClientRequest,
    method: Method,
    gateway: &Gateway,
    asked: InputRequired,
) -> Result<Reply, ProtocolError> {
    for (_, ask) in &asked.requests {
        let (kind, params) = parts(ask);
        if !declared(&request.facts.capabilities, &kind, params) {
            let needed = needed(&kind, params).unwrap_or(&[]);
            return Err(ProtocolError::MissingCapability { needed });
        }
    }
    let waits_for = match asked.then {
        Then::Retry { state } => Awaited::Upstream { state: state.map(|state| state.get().to_owned()) },
        Then::Parked { handle } => Awaited::Parked { handle },
        Then::Again => Awaited::Again,
    };
    let requests: Vec<(&str, String)> =
        asked.requests.iter().map(|(key, ask)| (key.as_str(), ask.get().to_owned())).collect();
    let state = sealed(front, request, method, gateway.id, waits_for);
    Ok(OwnResult::to(request)
        .with("inputRequests", object(&requests))
        .with("requestState", json_string(&state))
        .of_type("input_required")
        .reply())
}

/// A modern server's answer with its state inside one of ours. Other answers stay as they are.
pub(crate) fn with_our_state(
    front: &Front,
    request: &ClientRequest,
    method: Method,
    gateway: &Gateway,
    body: Bytes,
) -> Result<Bytes, ProtocolError> {
    if !request.is_modern() || !method.takes_input() {
        return Ok(body);
    }
    let Ok(text) = std::str::from_utf8(&body) else { return Ok(body) };
    // Only a small part of all answers has to be looked into.
    if !text.contains("\"input_required\"") || !text.contains("\"requestState\"") {
        return Ok(body);
    }
    let Some(result) = Envelope::parse(&body).ok().and_then(|message| message.result) else {
        return Ok(body);
    };
    let kind = text_member(result, "resultType");
    let (Some("input_required"), Some(state)) = (kind.as_deref(), member(result, "requestState")) else {
        return Ok(body);
    };
    if state.get().len() > LARGEST_OF_THEIRS {
        return Err(ProtocolError::StateTooLarge { gateway: gateway.slug.to_string() });
    }
    let waits_for = Awaited::Upstream { state: Some(state.get().to_owned()) };
    let ours = json_string(&sealed(front, request, method, gateway.id, waits_for));
    Ok(splice(text, &[(state, &ours)]).into())
}

/// Takes our question's answer out of a retry: checks the state, waits for the user where they accepted,
/// and leaves the request as it would have been without it. What is an upstream's own passes untouched.
pub(crate) async fn resume(
    front: &Arc<Front>,
    request: &Arc<ClientRequest>,
    method: Method,
) -> Result<Resumed, ProtocolError> {
    let untouched = || Ok(Resumed::Request(Arc::clone(request)));
    if !request.is_modern() || !method.takes_input() {
        return untouched();
    }
    let answered = request.param("inputResponses").and_then(our_answer);
    let sealed = match (request.param("requestState").map(text), &answered) {
        (None, None) => return untouched(),
        (Some(Some(sealed)), _) if sealed.starts_with(PREFIX) => sealed.into_owned(),
        (None | Some(_), _) => return Err(invalid("is missing or was changed")),
    };
    let state = opened(front, request, method, &sealed)?;
    match state.waits_for {
        Awaited::Connect => connected(front, request, method, &state, answered).await,
        Awaited::Upstream { state } => {
            let edits = [("requestState", state.as_deref())];
            Ok(Resumed::Request(Arc::new(with(request, &edits))))
        }
        Awaited::Parked { handle } => {
            let gateway = front.broker.gateway(&request.caller, state.gateway).await?;
            // It may have been closed while the client thought.
            front.endpoint_now(&request.caller, &Endpoint::One(Arc::clone(&gateway))).await?;
            Ok(Resumed::Parked { request: Arc::clone(request), gateway, handle })
        }
        Awaited::Again => {
            let plain = Arc::new(with(request, &[("requestState", None), ("inputResponses", None)]));
            match request.param("inputResponses").and_then(first_refusal) {
                None => Ok(Resumed::Again(plain)),
                Some(refusal) => {
                    let gateway = front.broker.gateway(&plain.caller, state.gateway).await?;
                    refusal.answer(&plain, method, &gateway).map(Resumed::Reply)
                }
            }
        }
    }
}

/// The same request with other members.
fn with(request: &ClientRequest, edits: &[(&str, Option<&str>)]) -> ClientRequest {
    let params = request.params.as_deref().and_then(|params| edit(params.get(), edits));
    request.with_params(params.unwrap_or_else(|| "{}".to_owned()))
}

/// The user was asked to authorize; this is what came of it.
async fn connected(
    front: &Arc<Front>,
    request: &Arc<ClientRequest>,
    method: Method,
    state: &AskState,
    answered: Option<String>,
) -> Result<Resumed, ProtocolError> {
    let plain = Arc::new(with(request, &[("requestState", None), ("inputResponses", None)]));
    match answered.as_deref() {
        Some("accept") => {
            // Whether or not they came in time: the attempt that follows knows, and asks again.
            front.broker.wait_for_grant(&plain.caller, state.gateway, HOLD).await?;
            after_wait(front, &plain).await.map(Resumed::Request)
        }
        None => Ok(Resumed::Request(plain)),
        Some(action) => {
            let refusal = Refusal::of(action).ok_or_else(|| {
                ProtocolError::InvalidParams(format!("`inputResponses` of {KEY_PREFIX}...: unknown `action`"))
            })?;
            refused(front, &plain, method, state, refusal).await.map(Resumed::Reply)
        }
    }
}

/// The first answer that says no.
fn first_refusal(responses: &RawValue) -> Option<Refusal> {
    members(responses.get())?.into_iter().find_map(|(_, answer)| Refusal::of(&text_member(answer, "action")?))
}

/// `action` of the answer to our question; an answer without one counts as an unknown action.
fn our_answer(responses: &RawValue) -> Option<String> {
    let ours = members(responses.get())?.into_iter().find(|(key, _)| key.starts_with(KEY_PREFIX));
    ours.map(|(_, answer)| text_member(answer, "action").unwrap_or_default().into_owned())
}

async fn refused(
    front: &Front,
    request: &Arc<ClientRequest>,
    method: Method,
    state: &AskState,
    refusal: Refusal,
) -> Result<Reply, ProtocolError> {
    let gateway = front.broker.gateway(&request.caller, state.gateway).await?;
    let asked_at = Timestamp::from_millis(state.asked_at);
    if asked_at.until(front.clock.now()) < TOO_QUICK {
        front.reluctant.remember(request);
        let ask = Ask::new(front, request, &gateway).await?;
        return in_words(request, method, ask, true);
    }
    refusal.answer(request, method, &gateway)
}

fn opened(
    front: &Front,
    request: &ClientRequest,
    method: Method,
    sealed: &str,
) -> Result<AskState, ProtocolError> {
    let sealed = sealed.strip_prefix(PREFIX).unwrap_or_default();
    let state = front.broker.open_state(PURPOSE, sealed).ok_or_else(|| invalid("was changed"))?;
    let state: AskState = serde_json::from_slice(&state).map_err(|_| invalid("cannot be read"))?;
    if state.user != request.caller.user.id || state.digest != digest(request, method) {
        return Err(invalid("belongs to another request"));
    }
    if front.clock.now().millis() >= state.expires_at {
        return Err(invalid("has expired; send the request again without it"));
    }
    Ok(state)
}

fn invalid(problem: &str) -> ProtocolError {
    ProtocolError::InvalidParams(format!("`params.requestState` {problem}"))
}

/// SHA-256 of what a request does: its method, and what it names with which arguments, as they were written.
fn digest(request: &ClientRequest, method: Method) -> String {
    let named = if method == Method::ReadResource { "uri" } else { "name" };
    let params = request.params.as_deref();
    let part = |name| params.and_then(|params| member(params, name)).map_or("", RawValue::get);
    let mut context = Context::new(&SHA256);
    for part in [request.method.as_str(), part(named), part("arguments")] {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part.as_bytes());
    }
    URL_SAFE_NO_PAD.encode(context.finish())
}
