//! What a server of 2025-11-25 tells of its tasks on the stream of a session that a user's clients of a kind share.

use super::answer::{CallError, ClientFacts};
use super::exchange::Exchange;
use super::line::Ear;
use super::runs::Run;
use super::{Upstreams, body};
use bytes::Bytes;
use doorward_broker::Caller;
use doorward_domain::Gateway;
use std::sync::Arc;
use std::time::Duration;

/// A server may end the stream: whether it is open is seen to so often.
const OPEN_AGAIN_AFTER: Duration = Duration::from_secs(30);

/// A user's part of what a gateway tells of tasks.
pub(crate) struct TaskNotices {
    upstreams: Upstreams,
    caller: Caller,
    gateway: Arc<Gateway>,
    client: ClientFacts,
    ear: Ear,
    run: Run,
}

impl Upstreams {
    /// Begins to hear what a legacy server tells of tasks in the session that stands for this client's.
    pub(crate) async fn task_notices(
        &self,
        caller: &Caller,
        gateway: &Arc<Gateway>,
        client: &ClientFacts,
    ) -> Result<TaskNotices, CallError> {
        let run = self.inner.runs.begin(caller.user.id, gateway.id);
        let ear = run.until_cut(gateway, Box::pin(self.task_ear(caller, gateway, client))).await?;
        Ok(TaskNotices {
            upstreams: self.clone(),
            caller: caller.clone(),
            gateway: Arc::clone(gateway),
            client: client.clone(),
            ear,
            run,
        })
    }

    async fn task_ear(
        &self,
        caller: &Caller,
        gateway: &Arc<Gateway>,
        client: &ClientFacts,
    ) -> Result<Ear, CallError> {
        let inner = &self.inner;
        let mut exchange = Exchange::open(inner, caller, gateway).await?;
        let link = inner.link(&mut exchange, client).await?;
        if link.facts.revision.is_modern() {
            return Err(body::broken(gateway, "it has no tasks of 2025-11-25 any more"));
        }
        // First the ear, so that nothing of what comes at once is missed.
        let ear = link.line.task_ear();
        link.line.open(exchange.aside(&link), || inner.runs.begin(caller.user.id, gateway.id)).await;
        Ok(ear)
    }
}

impl TaskNotices {
    /// The next message about any task of the session; none when there will be none.
    pub(crate) async fn next(&mut self) -> Option<Bytes> {
        loop {
            let heard = tokio::select! {
                () = self.run.cut() => return None,
                heard = tokio::time::timeout(OPEN_AGAIN_AFTER, self.ear.next()) => heard,
            };
            match heard {
                Ok(message) => return message,
                Err(_) => {
                    let again = self.upstreams.task_ear(&self.caller, &self.gateway, &self.client);
                    if let Ok(ear) = self.run.until_cut(&self.gateway, Box::pin(again)).await {
                        self.ear = ear;
                    }
                }
            }
        }
    }
}
