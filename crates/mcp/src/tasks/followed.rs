//! `taskIds` of `subscriptions/listen` (extension `io.modelcontextprotocol/tasks` of 2026-07-28): a client hears how its tasks
//! stand, of every gateway that has one of them, under the ids that it knows.

use super::EXTENSION;
use super::id::{Era, theirs, usable};
use crate::envelope::{Envelope, edit, json_string, member, member_at, text_member};
use crate::errors::ProtocolError;
use crate::front::{ClientRequest, Front};
use crate::revision::wire;
use crate::upstream::{CallError, TaskStream};
use bytes::Bytes;
use doorward_domain::{Gateway, GatewayId};
use serde_json::value::RawValue;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

/// Tasks that one stream may follow.
const MAX_TASKS: usize = 200;

/// The waits between tries to open a stream that broke.
const AGAIN_AFTER: Duration = Duration::from_secs(1);
const AGAIN_AT_MOST: Duration = Duration::from_secs(60);

/// The tasks that a stream follows; it ends when dropped.
pub(crate) struct FollowedTasks {
    /// The ids that the client gave, as far as their servers tell of them; none where it gave none.
    pub(crate) ids: Option<Vec<String>>,
    told: mpsc::Receiver<Bytes>,
    _following: Vec<AbortOnDropHandle<()>>,
}

/// By the server's own id: the id that the client knows.
type Known = HashMap<String, String>;

/// One gateway's tasks on their way to a client.
struct Following {
    front: Arc<Front>,
    request: Arc<ClientRequest>,
    gateway: Arc<Gateway>,
    known: Known,
    told: mpsc::Sender<Bytes>,
}

/// Begins to follow the tasks that a listening client named. What cannot be followed is left out.
pub(crate) async fn follow(
    front: &Arc<Front>,
    request: &Arc<ClientRequest>,
    wanted: &RawValue,
) -> Result<FollowedTasks, ProtocolError> {
    let (sender, told) = mpsc::channel(64);
    let mut followed = FollowedTasks { ids: None, told, _following: Vec::new() };
    let Some(ids) = member(wanted, "taskIds") else { return Ok(followed) };
    let mut all = Vec::new();
    for (gateway, known) in by_gateway(front, request, ids)? {
        let Some(gateway) = usable(front, request, gateway).await? else { continue };
        let (front, request) = (Arc::clone(front), Arc::clone(request));
        let following = Following { front, request, gateway, known, told: sender.clone() };
        match following.open().await {
            Ok(stream) => {
                all.extend(stream.tasks.iter().filter_map(|id| following.known.get(id).cloned()));
                followed._following.push(AbortOnDropHandle::new(tokio::spawn(following.run(stream))));
            }
            Err(error) => tracing::debug!(%error, "tasks are not followed"),
        }
    }
    all.sort();
    followed.ids = Some(all);
    Ok(followed)
}

fn by_gateway(
    front: &Front,
    request: &ClientRequest,
    ids: &RawValue,
) -> Result<HashMap<GatewayId, Known>, ProtocolError> {
    let declared = member_at(&request.facts.capabilities, &["extensions", EXTENSION]);
    if declared.is_none_or(|declared| !declared.get().starts_with('{')) {
        return Err(ProtocolError::MissingCapability { needed: &["extensions", EXTENSION] });
    }
    let invalid = |what: &str| ProtocolError::InvalidParams(format!("`params.notifications.taskIds` {what}"));
    let ids: Vec<String> =
        serde_json::from_str(ids.get()).map_err(|_| invalid("must be a list of strings"))?;
    if ids.len() > MAX_TASKS {
        return Err(invalid(&format!("may name at most {MAX_TASKS} tasks")));
    }
    let mut found: HashMap<GatewayId, Known> = HashMap::new();
    for id in ids {
        if let Some((gateway, theirs)) = theirs(front, request.caller.user.id, Era::Modern, &id) {
            found.entry(gateway).or_default().insert(theirs, id);
        }
    }
    Ok(found)
}

impl FollowedTasks {
    /// The next message for the client; never one where nothing is followed.
    pub(crate) async fn next(&mut self) -> Bytes {
        match self.told.recv().await {
            Some(message) => message,
            None => std::future::pending().await,
        }
    }
}

impl Following {
    async fn open(&self) -> Result<TaskStream, CallError> {
        let ids: BTreeSet<String> = self.known.keys().cloned().collect();
        let (upstreams, request) = (&self.front.upstreams, &self.request);
        upstreams.task_stream(&request.caller, &self.gateway, &request.facts, &ids).await
    }

    async fn run(self, mut stream: TaskStream) {
        let mut wait = AGAIN_AFTER;
        loop {
            while let Ok(message) = stream.next().await {
                wait = AGAIN_AFTER;
                let Some(message) = self.told(&message) else { continue };
                if self.told.send(message).await.is_err() {
                    return;
                }
            }
            // What was missed the client can ask for: a task keeps its last state.
            stream = loop {
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(AGAIN_AT_MOST);
                match self.open().await {
                    Ok(stream) => break stream,
                    Err(error) => tracing::debug!(%error, "tasks are not heard of"),
                }
            };
        }
    }

    /// A notice of a task under the client's id of it, on the client's stream.
    fn told(&self, message: &[u8]) -> Option<Bytes> {
        let message = Envelope::parse(message).ok()?;
        let params = message.params.filter(|_| message.method == Some("notifications/tasks"))?;
        let ours = self.known.get(text_member(params, "taskId")?.as_ref())?;
        let meta = member(params, "_meta").map_or("{}", RawValue::get);
        let meta = edit(meta, &[(wire::META_SUBSCRIPTION, Some(self.request.id.get()))])?;
        let params = edit(params.get(), &[("taskId", Some(&json_string(ours))), ("_meta", Some(&meta))])?;
        let text = format!("{{\"jsonrpc\":\"2.0\",\"method\":\"notifications/tasks\",\"params\":{params}}}");
        Some(text.into())
    }
}
