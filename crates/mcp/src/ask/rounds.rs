//! A legacy client's call to a modern server that wants input first (2026-07-28, multi round-trip requests):
//! the questions go to the client on its call's stream, the answers back to the server with the next try,
//! until it has what it wants. The client sees one call and one stream.

use crate::bridge::{InputRequired, Then, declared, needed, parts};
use crate::envelope::{edit, json_string, raw, text_member};
use crate::errors::ProtocolError;
use crate::front::{ClientRequest, Front, Method, Reply, object, told};
use crate::live_session::{ClientReply, LiveSession, Question, elicitation_complete};
use crate::tasks;
use crate::upstream::{CallError, UpstreamAnswer};
use bytes::Bytes;
use doorward_domain::Gateway;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use serde_json::value::RawValue;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

/// A server may ask so often within one call.
const MAX_ROUNDS: u32 = 8;

/// For so long a client may think about its answers.
const ANSWER_WITHIN: Duration = Duration::from_secs(10 * 60);

/// A server that only wants to be asked again, or waits for its user to come back from a URL, is asked after
/// this time, and each further time after twice as long; altogether for this long.
const ASK_AGAIN_AFTER: Duration = Duration::from_millis(200);
const ASK_AGAIN_FOR: Duration = Duration::from_secs(50);

/// A call in rounds.
struct Rounds {
    front: Arc<Front>,
    request: Arc<ClientRequest>,
    session: Arc<LiveSession>,
    gateway: Arc<Gateway>,
    params: Option<Box<RawValue>>,
    messages: mpsc::Sender<Bytes>,
    /// URLs that the client was asked to open, with the ids of these questions.
    opened: HashMap<String, String>,
}

/// The stream of a call whose first try came to `called`.
pub(crate) fn rounds(
    front: &Arc<Front>,
    request: &Arc<ClientRequest>,
    session: &Arc<LiveSession>,
    (gateway, params): (&Arc<Gateway>, Option<&RawValue>),
    called: Result<UpstreamAnswer, CallError>,
) -> BoxStream<'static, Bytes> {
    let (messages, receiver) = mpsc::channel(1);
    let rounds = Rounds {
        front: Arc::clone(front),
        request: Arc::clone(request),
        session: Arc::clone(session),
        gateway: Arc::clone(gateway),
        params: params.map(ToOwned::to_owned),
        messages,
        opened: HashMap::new(),
    };
    // The whole call ends with the stream that it feeds.
    let task = AbortOnDropHandle::new(tokio::spawn(rounds.run(called)));
    stream::unfold((receiver, task), |(mut receiver, task)| async move {
        Some((receiver.recv().await?, (receiver, task)))
    })
    .boxed()
}

impl Rounds {
    async fn run(mut self, called: Result<UpstreamAnswer, CallError>) {
        let call = self.request.call(self.params.as_deref().or(self.request.params.as_deref()));
        let run = self.front.upstreams.run(self.request.caller.user.id, self.gateway.id, call);
        let (gateway, request) = (Arc::clone(&self.gateway), Arc::clone(&self.request));
        let messages = self.messages.clone();
        // Between two tries nothing runs upstream; the end of the grant ends the waiting all the same.
        let ended = run.until_cut(&gateway, async { Ok(self.go(called).await) }).await;
        let failed = match ended {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error,
            Err(error) => ProtocolError::from(error),
        };
        failed.log(&request.method);
        let _ = messages.send(failed.message(Some(&request.id), false).into()).await;
    }

    async fn go(&mut self, mut called: Result<UpstreamAnswer, CallError>) -> Result<(), ProtocolError> {
        let (mut rounds, mut again_after) = (0, ASK_AGAIN_AFTER);
        let begun = tokio::time::Instant::now();
        loop {
            let Some(asked) = self.pass_on(called).await? else { return Ok(()) };
            let is_new = self.is_new(&asked);
            if is_new {
                rounds += 1;
            }
            if rounds > MAX_ROUNDS || (!is_new && begun.elapsed() > ASK_AGAIN_FOR) {
                return Err(self.not_answered());
            }
            let answers = self.ask(&asked).await?;
            if !is_new || answers.is_empty() || !self.opened.is_empty() {
                tokio::time::sleep(again_after).await;
                again_after *= 2;
            }
            called = self.call_again(&asked, &answers).await;
        }
    }

    /// Passes messages on to the client until the server asks; none when its answer was among them.
    async fn pass_on(
        &mut self,
        called: Result<UpstreamAnswer, CallError>,
    ) -> Result<Option<Box<InputRequired>>, ProtocolError> {
        let mut events = match called {
            Err(CallError::InputRequired { asked, .. }) => return Ok(Some(asked)),
            Err(error) => return Err(error.into()),
            Ok(UpstreamAnswer::Message(answered)) => {
                self.finish(answered.body).await;
                return Ok(None);
            }
            Ok(UpstreamAnswer::Stream(events)) => events,
            Ok(UpstreamAnswer::Passing(pieces)) => {
                let response = Reply::Passing(pieces).response().await?;
                self.finish(response).await;
                return Ok(None);
            }
        };
        while let Some(event) = events.next().await {
            match event {
                Ok(event) if event.last => {
                    self.finish(event.data).await;
                    return Ok(None);
                }
                Ok(event) => {
                    self.send(told(&self.front, &self.request, &self.gateway, event.data)).await;
                }
                Err(CallError::InputRequired { asked, .. }) => return Ok(Some(asked)),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(None)
    }

    /// The answer; and before it, that what the user was to do outside has been done.
    async fn finish(&mut self, answer: Bytes) {
        for id in std::mem::take(&mut self.opened).into_values() {
            self.send(elicitation_complete(&id)).await;
        }
        let (front, request, gateway) = (&self.front, &self.request, &self.gateway);
        // Tasks are made of the calls of tools alone.
        let answer = match request.method.as_str() {
            "tools/call" => tasks::answer_with_our_ids(front, request, Method::CallTool, gateway, answer),
            _ => answer,
        };
        self.send(answer).await;
    }

    async fn send(&self, message: Bytes) {
        let _ = self.messages.send(message).await;
    }

    /// Whether the client has not been asked this yet: a server waits for the same URL until it was opened.
    fn is_new(&self, asked: &InputRequired) -> bool {
        asked.requests.iter().any(|(_, ask)| url_of(ask).is_none_or(|url| !self.opened.contains_key(&url)))
    }

    /// Asks the client everything at once, and waits for all of it.
    async fn ask(&mut self, asked: &InputRequired) -> Result<Vec<(String, String)>, ProtocolError> {
        let mut waiting = Vec::new();
        let mut answers = Vec::new();
        for (key, ask) in &asked.requests {
            match url_of(ask) {
                Some(url) if self.opened.contains_key(&url) => {
                    answers.push((key.clone(), "{\"action\":\"accept\"}".to_owned()));
                }
                url => waiting.push((key, ask, self.put(ask, url).await?)),
            }
        }
        for (key, ask, mut question) in waiting {
            let reply = tokio::time::timeout(ANSWER_WITHIN, question.reply()).await;
            let answer = answer(ask, reply.unwrap_or(ClientReply::Error(None)))?;
            let agreed =
                raw(answer.clone()).is_some_and(|said| text_member(&said, "action") == Some("accept".into()));
            if let Some(url) = url_of(ask).filter(|_| !agreed) {
                self.opened.remove(&url);
            }
            answers.push((key.clone(), answer));
        }
        Ok(answers)
    }

    /// Puts one question on the call's stream.
    async fn put(&mut self, ask: &RawValue, url: Option<String>) -> Result<Question, ProtocolError> {
        let (kind, params) = parts(ask);
        if !declared(&self.request.facts.capabilities, &kind, params) {
            return Err(ProtocolError::MissingCapability { needed: needed(&kind, params).unwrap_or(&[]) });
        }
        let question = self.session.question().ok_or_else(|| {
            ProtocolError::Unanswered("too many questions wait for its answers already".to_owned())
        })?;
        let mut params = params.map_or("{}", RawValue::get).to_owned();
        if let Some(url) = url {
            // 2025-11-25 tells the end of what was done outside by an id, which 2026-07-28 has no more.
            let id = json_string(&question.id);
            params = edit(&params, &[("elicitationId", Some(&id))]).unwrap_or(params);
            self.opened.insert(url, question.id.clone());
        }
        let (id, kind) = (json_string(&question.id), json_string(&kind));
        self.send(
            format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":{kind},\"params\":{params}}}").into(),
        )
        .await;
        Ok(question)
    }

    /// The next try: the same request under a new id, with the answers and the server's state as it was.
    async fn call_again(
        &self,
        asked: &InputRequired,
        answers: &[(String, String)],
    ) -> Result<UpstreamAnswer, CallError> {
        let members: Vec<(&str, String)> =
            answers.iter().map(|(key, answer)| (key.as_str(), answer.clone())).collect();
        let responses = (!members.is_empty()).then(|| object(&members));
        let state = match &asked.then {
            Then::Retry { state } => state.as_deref().map(RawValue::get),
            Then::Parked { .. } | Then::Again => None,
        };
        let edits = [("inputResponses", responses.as_deref()), ("requestState", state)];
        let params = edit(self.params.as_deref().map_or("{}", RawValue::get), &edits).and_then(raw);
        let params = params.as_deref().or(self.params.as_deref());
        let (request, upstreams) = (&self.request, &self.front.upstreams);
        let call = request.call(params);
        Box::pin(upstreams.call(&request.caller, &self.gateway, &request.facts, call)).await
    }

    /// The server still waits. Where it waits for a URL, the client is told by the error of its own era, and may
    /// try again later.
    fn not_answered(&self) -> ProtocolError {
        if !self.opened.is_empty() {
            let entry = |(url, id): (&String, &String)| {
                object(&[
                    ("mode", "\"url\"".to_owned()),
                    ("elicitationId", json_string(id)),
                    ("url", json_string(url)),
                    ("message", json_string("This has to be done first.")),
                ])
            };
            let entries: Vec<String> = self.opened.iter().map(entry).collect();
            return ProtocolError::TheirUrls { elicitations: format!("[{}]", entries.join(",")) };
        }
        let slug = &self.gateway.slug;
        ProtocolError::Unanswered(format!("{slug} still asks for more, or for what was not done in time"))
    }
}

/// The URL that a question wants to be opened.
fn url_of(ask: &RawValue) -> Option<String> {
    let (kind, params) = parts(ask);
    let params = params.filter(|_| kind == "elicitation/create")?;
    text_member(params, "mode").filter(|mode| mode == "url")?;
    text_member(params, "url").map(std::borrow::Cow::into_owned)
}

/// What the server is told. It can be told that a user cancelled, but of nothing else that went wrong.
fn answer(ask: &RawValue, reply: ClientReply) -> Result<String, ProtocolError> {
    match reply {
        ClientReply::Result(result) => Ok(result.get().to_owned()),
        ClientReply::Error(_) if parts(ask).0 == "elicitation/create" => {
            Ok("{\"action\":\"cancel\"}".to_owned())
        }
        ClientReply::Error(error) => {
            let said = error.as_deref().and_then(|error| text_member(error, "message"));
            Err(ProtocolError::Unanswered(said.map_or_else(|| "it said nothing".to_owned(), Into::into)))
        }
    }
}
