//! The stream on which a server of 2026-07-28 tells how tasks stand (`subscriptions/listen` with `taskIds`). It is opened with
//! what the listening client declared, because servers tell nobody else (extension `io.modelcontextprotocol/tasks`).

use super::answer::{CallError, ClientFacts};
use super::body::{self, BodyKind, EventReader};
use super::exchange::Exchange;
use super::link::{Place, STEP_WITHIN};
use super::notice_source::{SILENCE, acknowledged};
use super::runs::Run;
use super::{Upstreams, wire};
use crate::bridge::upward;
use crate::envelope::{json_string, raw};
use bytes::Bytes;
use doorward_broker::Caller;
use doorward_domain::Gateway;
use std::collections::BTreeSet;
use std::sync::Arc;

/// A stream about some tasks of one gateway.
pub(crate) struct TaskStream {
    /// The tasks that the server tells of, by its own ids.
    pub(crate) tasks: BTreeSet<String>,
    reader: EventReader,
    gateway: Arc<Gateway>,
    run: Run,
}

impl Upstreams {
    /// Begins to listen to how these tasks stand; given when the server has said of which of them it tells.
    pub(crate) async fn task_stream(
        &self,
        caller: &Caller,
        gateway: &Arc<Gateway>,
        client: &ClientFacts,
        tasks: &BTreeSet<String>,
    ) -> Result<TaskStream, CallError> {
        let run = self.inner.runs.begin(caller.user.id, gateway.id);
        let opening = async {
            let mut exchange = Exchange::open(&self.inner, caller, gateway).await?;
            let link = self.inner.link(&mut exchange, client).await?;
            if !link.facts.revision.is_modern() {
                return Err(CallError::OtherTasks { gateway: gateway.slug.to_string() });
            }
            let names: Vec<String> = tasks.iter().map(|task| json_string(task)).collect();
            let params = raw(format!("{{\"notifications\":{{\"taskIds\":[{}]}}}}", names.join(",")));
            let up = upward(client, link.facts.revision, params.as_deref(), "");
            let body = wire::request(self.inner.next_id(), "subscriptions/listen", up.params.as_deref());
            let mut place = Place::clone(&link.place);
            wire::mirror_routing("subscriptions/listen", None, &mut place.headers);
            let response = exchange.post(&place, body, STEP_WITHIN).await?;
            let status = response.status();
            if !status.is_success() || body::body_kind(&response) != BodyKind::Events {
                return Err(body::broken(gateway, format!("it does not let us listen (HTTP {status})")));
            }
            let mut reader = EventReader::new(response.into_body());
            let told = tokio::time::timeout(STEP_WITHIN, acknowledged(&mut reader, gateway, "taskIds")).await;
            let told = told.map_err(|_| body::broken(gateway, "it did not acknowledge that we listen"))??;
            // Ids that it does not name, it does not tell of.
            let told = told.unwrap_or_default();
            Ok((reader, tasks.intersection(&told).cloned().collect()))
        };
        let (reader, tasks) = run.until_cut(gateway, Box::pin(opening)).await?;
        Ok(TaskStream { tasks, reader, gateway: Arc::clone(gateway), run })
    }
}

impl TaskStream {
    /// The next message. An error is the end of it.
    pub(crate) async fn next(&mut self) -> Result<Bytes, CallError> {
        let next = Box::pin(self.reader.next_within(&self.gateway, SILENCE));
        let message = self.run.until_cut(&self.gateway, next).await?;
        message.ok_or_else(|| body::broken(&self.gateway, "it ended the stream of its tasks"))
    }
}
