//! The second way (2026-07-28, multi round-trip requests): an `input_required` result, and the retry that
//! brings our sealed state back. The state names user, gateway and call, so it serves nobody and nothing else.

use super::{Ask, Refusal, TOO_QUICK, after_wait, in_words};
use crate::envelope::{edit, json_string, member, members, text, text_member};
use crate::errors::ProtocolError;
use crate::front::{ClientRequest, Front, Method, OwnResult, Reply, object};
use aws_lc_rs::digest::{Context, SHA256};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use doorward_domain::{GatewayId, Timestamp, UserId};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::sync::Arc;
use std::time::Duration;

/// Purpose under which states are sealed.
const PURPOSE: &str = "mcp.ask";

/// How our states begin; others are an upstream's and pass.
const PREFIX: &str = "dw1.";

/// How our keys in `inputRequests` begin.
const KEY_PREFIX: &str = "doorward-connect:";

/// How long a retry is held for the user to come back.
const HOLD: Duration = Duration::from_secs(25);

/// How long a state may be brought back.
const LIFETIME: Duration = Duration::from_secs(10 * 60);

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
}

/// What a request is, once a question that it answers has been dealt with.
pub(crate) enum Resumed {
    /// To be carried out.
    Request(Arc<ClientRequest>),
    /// Answered already.
    Reply(Reply),
}

/// The `input_required` result.
pub(super) fn required(front: &Front, request: &ClientRequest, method: Method, ask: &Ask) -> Reply {
    let now = front.clock.now();
    let state = AskState {
        user: request.caller.user.id,
        gateway: ask.gateway.id,
        digest: digest(request, method),
        asked_at: now.millis(),
        expires_at: now.plus(LIFETIME).millis(),
    };
    let state = serde_json::to_vec(&state).expect("a state is representable as JSON");
    let state = format!("{PREFIX}{}", front.broker.seal_state(PURPOSE, &state));
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
    let sealed = request.param("requestState").and_then(text).filter(|state| state.starts_with(PREFIX));
    let answered = request.param("inputResponses").and_then(our_answer);
    let sealed = match (sealed, &answered) {
        (Some(sealed), _) => sealed,
        (None, None) => return untouched(),
        (None, Some(_)) => return Err(invalid("is missing or was changed")),
    };
    let state = opened(front, request, method, &sealed)?;
    let params = request
        .params
        .as_deref()
        .and_then(|params| edit(params.get(), &[("requestState", None), ("inputResponses", None)]));
    let plain = Arc::new(request.with_params(params.unwrap_or_else(|| "{}".to_owned())));
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
            refused(front, &plain, method, &state, refusal).await.map(Resumed::Reply)
        }
    }
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
