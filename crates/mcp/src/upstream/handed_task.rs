//! A task of an older server (2025-11-25) in the hands of a newer client that knows tasks (extension
//! `io.modelcontextprotocol/tasks`): created where the tool runs as a task alone, then asked for, answered and cancelled in the
//! newer words. What the server asks in its course waits here, in this process, until the client answers.

use super::Inner;
use super::answer::{Answered, CallError, ClientFacts, UpstreamAnswer, UpstreamCall};
use super::body::broken;
use super::parked::{ParkedCall, ParkedCalls};
use super::reply;
use super::runs::Run;
use crate::bridge::Then;
use crate::envelope::{Envelope, edit, json_string, member, member_at, members, text_member};
use crate::tasks::EXTENSION;
use doorward_broker::Caller;
use doorward_domain::{Gateway, GatewayId, UserId};
use http::StatusCode;
use serde_json::value::RawValue;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A server that says that it wants input asks within this time.
const ASKED_WITHIN: Duration = Duration::from_secs(10);

/// Tasks that are remembered; a task beyond them is asked for anew.
const MAX_TASKS: usize = 1_000;

/// A user's task at a gateway, by the server's id.
type Key = (UserId, GatewayId, String);

/// Where a task stands that has asked something.
enum Asked {
    /// The questions, by their keys, and the call that waits for the answers.
    Waits { requests: Vec<(String, Box<RawValue>)>, handle: String },
    /// It has been answered, and goes on.
    GoesOn,
}

/// The tasks of this process that have asked something, each with the number of times.
#[derive(Default)]
pub(super) struct HandedTasks(Mutex<HashMap<Key, (u32, Asked)>>);

impl HandedTasks {
    fn lock(&self) -> MutexGuard<'_, HashMap<Key, (u32, Asked)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a round of questions. Keys are not used twice in the life of a task.
    fn asks(&self, key: Key, requests: Vec<(String, Box<RawValue>)>, handle: String) {
        let mut all = self.lock();
        if all.len() >= MAX_TASKS && !all.contains_key(&key) {
            return;
        }
        let round = all.get(&key).map_or(1, |(round, _)| round + 1);
        let requests = requests.into_iter().map(|(name, ask)| (format!("{round}-{name}"), ask)).collect();
        all.insert(key, (round, Asked::Waits { requests, handle }));
    }
}

/// Whether a client knows tasks of 2026-07-28.
pub(super) fn knows_tasks(client: &ClientFacts) -> bool {
    let declared = member_at(&client.capabilities, &["extensions", EXTENSION]);
    client.revision.is_modern() && declared.is_some_and(|declared| declared.get().starts_with('{'))
}

/// The answer to a call that has become a task, in the newer words; none where it has not.
pub(super) fn created(call: UpstreamCall<'_>, body: &[u8]) -> Option<UpstreamAnswer> {
    let task = member(Envelope::parse(body).ok()?.result?, "task")?;
    Some(answer(call, &in_newer_words(task, "task", &[])?))
}

impl Inner {
    /// Answers a newer client's request about a task at an older server.
    pub(super) async fn about_handed_task(
        &self,
        (caller, gateway): (&Caller, &Arc<Gateway>),
        client: &ClientFacts,
        call: UpstreamCall<'_>,
        run: &Arc<Run>,
    ) -> Result<UpstreamAnswer, CallError> {
        if !knows_tasks(client) {
            let needed = &["extensions", EXTENSION];
            return Err(CallError::MissingCapability { gateway: gateway.slug.to_string(), needed });
        }
        let id =
            call.params.and_then(|params| text_member(params, "taskId")).unwrap_or_default().into_owned();
        let key = (caller.user.id, gateway.id, id);
        match call.method {
            "tasks/get" => Box::pin(self.handed_task((caller, gateway), client, call, run, key)).await,
            "tasks/update" => {
                self.answer_handed_task(call, key);
                Ok(answer(call, "{\"resultType\":\"complete\"}"))
            }
            _ => self.answered(caller, gateway, client, call, run).await,
        }
    }

    async fn handed_task(
        &self,
        (caller, gateway): (&Caller, &Arc<Gateway>),
        client: &ClientFacts,
        call: UpstreamCall<'_>,
        run: &Arc<Run>,
        key: Key,
    ) -> Result<UpstreamAnswer, CallError> {
        let looking = UpstreamCall { accept_sse: false, ..call };
        let answered = self.answered(caller, gateway, client, looking, run).await?;
        let looked = message_of(gateway, looking.method, answered)?;
        let message = Envelope::parse(&looked.body).map_err(|error| broken(gateway, error.to_string()))?;
        let Some(task) = message.result else { return Ok(UpstreamAnswer::Message(looked)) };
        let reading = UpstreamCall { method: "tasks/result", accept_sse: false, ..call };
        let reading = Box::pin(self.answered(caller, gateway, client, reading, run));
        let more = match text_member(task, "status").as_deref() {
            Some("completed" | "failed") => {
                self.handed.lock().remove(&key);
                ended(&message_of(gateway, "tasks/result", reading.await?)?.body)
            }
            Some("input_required") => self.wants(gateway, reading, key).await?,
            _ => Vec::new(),
        };
        let more: Vec<(&str, Option<&str>)> =
            more.iter().map(|(name, json)| (*name, Some(json.as_str()))).collect();
        let told = in_newer_words(task, "complete", &more);
        told.map(|told| answer(call, &told)).ok_or_else(|| broken(gateway, "tasks/get: it is no task"))
    }

    /// What a task that wants input is shown with: its questions.
    async fn wants(
        &self,
        gateway: &Arc<Gateway>,
        reading: impl Future<Output = Result<UpstreamAnswer, CallError>>,
        key: Key,
    ) -> Result<Vec<(&'static str, String)>, CallError> {
        if let Some(known) = self.known(&key) {
            return Ok(known);
        }
        match tokio::time::timeout(ASKED_WITHIN, reading).await {
            // It has gone on meanwhile.
            Ok(Ok(answer)) => return Ok(ended(&message_of(gateway, "tasks/result", answer)?.body)),
            Ok(Err(CallError::InputRequired { asked, .. })) => {
                if let Then::Parked { handle } = asked.then {
                    self.handed.asks(key.clone(), asked.requests, handle);
                }
            }
            Ok(Err(error)) => return Err(error),
            Err(_) => {}
        }
        Ok(self.known(&key).unwrap_or_else(|| vec![("inputRequests", "{}".to_owned())]))
    }

    fn known(&self, key: &Key) -> Option<Vec<(&'static str, String)>> {
        let all = self.handed.lock();
        match &all.get(key)?.1 {
            Asked::Waits { requests, handle } if self.parked.holds(handle) => {
                let asks = requests.iter().map(|(name, ask)| format!("{}:{}", json_string(name), ask.get()));
                Some(vec![("inputRequests", format!("{{{}}}", asks.collect::<Vec<_>>().join(",")))])
            }
            Asked::Waits { .. } => None,
            // The server has the answers, and does not say so yet.
            Asked::GoesOn => Some(vec![("status", "\"working\"".to_owned())]),
        }
    }

    /// Hands a client's answers to its task. Answers to what was not asked, or not here, are nobody's.
    fn answer_handed_task(&self, call: UpstreamCall<'_>, key: Key) {
        let responses = call.params.and_then(|params| member(params, "inputResponses"));
        let answers = responses.and_then(|all| members(all.get())).unwrap_or_default();
        let mut all = self.handed.lock();
        let Some((round, asked)) = all.get_mut(&key) else { return };
        let Asked::Waits { requests, handle } = asked else { return };
        let Some(mut waiting) = self.parked.take(handle, key.0, key.1) else { return };
        let answer = |name: &str| {
            let name = format!("{round}-{name}");
            answers.iter().rev().find(|(key, _)| *key == name).map(|(_, answer)| *answer)
        };
        waiting.hand_on(answer);
        if !waiting.asked.is_empty() {
            let names: Vec<String> =
                waiting.asked.iter().map(|(name, _)| format!("{round}-{name}")).collect();
            requests.retain(|(name, _)| names.contains(name));
            if let Ok(again) = self.parked.park((key.0, key.1), waiting) {
                *handle = again;
            }
            return;
        }
        *asked = Asked::GoesOn;
        drop(all);
        tokio::spawn(goes_on(Arc::clone(&self.handed), Arc::clone(&self.parked), waiting, key));
    }
}

/// Reads on until the task asks again, or is done: then its result can be had from the server.
async fn goes_on(handed: Arc<HandedTasks>, parked: Arc<ParkedCalls>, waiting: ParkedCall, key: Key) {
    let run = waiting.relay.run();
    let gateway = Arc::clone(waiting.relay.gateway());
    match run.until_cut(&gateway, Box::pin(reply::go_on(waiting.relay, false))).await {
        Err(CallError::InputRequired { asked, .. }) => match asked.then {
            Then::Parked { handle } if parked.holds(&handle) => handed.asks(key, asked.requests, handle),
            _ => drop(handed.lock().remove(&key)),
        },
        _ => drop(handed.lock().remove(&key)),
    }
}

/// An answer that has to be one message.
pub(super) fn message_of(
    gateway: &Gateway,
    method: &str,
    answer: UpstreamAnswer,
) -> Result<Answered, CallError> {
    match answer {
        UpstreamAnswer::Message(answered) => Ok(answered),
        _ => Err(broken(gateway, format!("{method}: it is a stream"))),
    }
}

/// How a task that is done is shown: an error of the protocol is a failure, everything else a result.
fn ended(body: &[u8]) -> Vec<(&'static str, String)> {
    let Ok(message) = Envelope::parse(body) else { return Vec::new() };
    match (message.result, message.error) {
        (Some(result), _) => {
            let plain = edit(result.get(), &[("resultType", None)]);
            let plain = plain.unwrap_or_else(|| result.get().to_owned());
            vec![("status", "\"completed\"".to_owned()), ("result", plain)]
        }
        (None, Some(error)) => {
            vec![("status", "\"failed\"".to_owned()), ("error", error.get().to_owned())]
        }
        (None, None) => Vec::new(),
    }
}

/// A task of 2025-11-25 as 2026-07-28 spells it.
fn in_newer_words(task: &RawValue, kind: &str, more: &[(&str, Option<&str>)]) -> Option<String> {
    let kind = json_string(kind);
    let ttl = member(task, "ttl").map_or("null", RawValue::get);
    let mut edits: Vec<(&str, Option<&str>)> =
        vec![("resultType", Some(&kind)), ("ttl", None), ("ttlMs", Some(ttl)), ("pollInterval", None)];
    if let Some(interval) = member(task, "pollInterval") {
        edits.push(("pollIntervalMs", Some(interval.get())));
    }
    edits.extend(more);
    edit(task.get(), &edits)
}

/// An answer of ours under the client's id.
fn answer(call: UpstreamCall<'_>, result: &str) -> UpstreamAnswer {
    let body = format!("{{\"jsonrpc\":\"2.0\",\"id\":{},\"result\":{result}}}", call.id.get());
    UpstreamAnswer::Message(Answered { body: body.into(), status: StatusCode::OK })
}
