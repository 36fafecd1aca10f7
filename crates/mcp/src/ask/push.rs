//! The first way (2025-11-25): `elicitation/create` on the stream of the call itself, a wait for the user,
//! and then the call's own answer on the same stream.

use super::{Ask, Refusal, TOO_QUICK, after_wait, in_words, open_url};
use crate::envelope::{json_string, text_member};
use crate::errors::ProtocolError;
use crate::front::{Attempt, ClientRequest, Front, Method, Reply, attempt};
use crate::live_session::{ClientReply, Question, elicitation_complete};
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Clients give up on a call after a minute; the link is handed out as an error before that.
const WAIT: Duration = Duration::from_secs(50);

/// What the wait came to.
#[derive(Debug, PartialEq, Eq)]
enum Settled {
    Granted,
    Refused(Refusal),
    /// The client cannot ask its user after all.
    Unable,
    TimedOut,
}

/// The stream that answers the call.
pub(super) fn push(
    front: Arc<Front>,
    request: Arc<ClientRequest>,
    method: Method,
    question: Question,
    ask: Ask,
) -> BoxStream<'static, Bytes> {
    let (id, params) = (json_string(&question.id), ask.elicitation());
    let asked: Bytes =
        format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"elicitation/create\",\"params\":{params}}}")
            .into();
    let rest = stream::once(settle_and_run(front, request, method, ask, question)).flatten();
    stream::once(std::future::ready(asked)).chain(rest).boxed()
}

async fn settle_and_run(
    front: Arc<Front>,
    request: Arc<ClientRequest>,
    method: Method,
    ask: Ask,
    question: Question,
) -> BoxStream<'static, Bytes> {
    let mut before = Vec::new();
    let settled = settle(&front, &request, &ask, question).await;
    if matches!(settled, Ok(Settled::Granted)) {
        before.push(elicitation_complete(&ask.id.to_string()));
    }
    let answered = async {
        match go_on(&front, &request, method, ask, settled?).await? {
            Reply::Stream(messages) => Ok(messages),
            reply => reply.response().await.map(one),
        }
    };
    let answer = answered.await.unwrap_or_else(|error: ProtocolError| {
        error.log(&request.method);
        one(error.message(Some(&request.id), request.is_modern()).into())
    });
    stream::iter(before).chain(answer).boxed()
}

fn one(message: Bytes) -> BoxStream<'static, Bytes> {
    stream::once(std::future::ready(message)).boxed()
}

/// Answers the call by what the wait came to, if its client may still have an answer.
async fn go_on(
    front: &Arc<Front>,
    request: &Arc<ClientRequest>,
    method: Method,
    ask: Ask,
    settled: Settled,
) -> Result<Reply, ProtocolError> {
    let request = &after_wait(front, request).await?;
    match settled {
        Settled::Granted => run(front, request, method).await,
        Settled::Refused(refusal) => refusal.answer(request, method, &ask.gateway),
        Settled::Unable => {
            front.reluctant.remember(request);
            in_words(request, method, ask, true)
        }
        Settled::TimedOut => Err(open_url(request, ask)),
    }
}

/// Whether the user authorizes in time. They may do so without the client's help.
async fn settle(
    front: &Front,
    request: &ClientRequest,
    ask: &Ask,
    mut question: Question,
) -> Result<Settled, ProtocolError> {
    let asked_at = Instant::now();
    let granted = front.broker.wait_for_grant(&request.caller, ask.gateway.id, WAIT);
    let mut granted = std::pin::pin!(granted);
    let in_time = tokio::select! {
        in_time = &mut granted => in_time?,
        reply = question.reply() => match verdict(&reply, asked_at.elapsed()) {
            None => granted.await?,
            Some(settled) => return Ok(settled),
        },
    };
    Ok(if in_time { Settled::Granted } else { Settled::TimedOut })
}

/// What a client's reply settles; nothing when the user agreed to open the link.
fn verdict(reply: &ClientReply, after: Duration) -> Option<Settled> {
    let action = match reply {
        ClientReply::Result(result) => text_member(result, "action").unwrap_or_default(),
        ClientReply::Error(_) => return Some(Settled::Unable),
    };
    match action.as_ref() {
        "accept" => None,
        action if after >= TOO_QUICK => Some(Refusal::of(action).map_or(Settled::Unable, Settled::Refused)),
        _ => Some(Settled::Unable),
    }
}

/// The call itself, once there is a grant. It asks no second time on this stream.
async fn run(
    front: &Arc<Front>,
    request: &Arc<ClientRequest>,
    method: Method,
) -> Result<Reply, ProtocolError> {
    match attempt(front, request, method).await? {
        Attempt::Done(reply) => Ok(reply),
        Attempt::Needs(needed) => {
            let ask = Ask::new(front, request, &needed.gateway).await?.referring_to(needed.reference);
            Err(open_url(request, ask))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_considered_no_is_the_users() {
        let says = |action: &str| {
            ClientReply::Result(crate::envelope::raw(format!(r#"{{"action":"{action}"}}"#)).unwrap())
        };
        let (quick, slow) = (Duration::from_millis(900), Duration::from_secs(1));
        assert_eq!(verdict(&says("accept"), quick), None);
        assert_eq!(verdict(&says("decline"), slow), Some(Settled::Refused(Refusal::Declined)));
        assert_eq!(verdict(&says("cancel"), slow), Some(Settled::Refused(Refusal::Cancelled)));
        assert_eq!(verdict(&says("decline"), quick), Some(Settled::Unable));
        assert_eq!(verdict(&says("shrug"), slow), Some(Settled::Unable));
        assert_eq!(verdict(&ClientReply::Error(None), slow), Some(Settled::Unable));
    }
}
