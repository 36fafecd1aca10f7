//! A newer client's call of a tool that an older server runs as a task alone (2025-11-25, `execution.taskSupport`:
//! `required`). A client that knows tasks gets it as one of its own (`handed_task`); for any other the task is wanted, watched
//! and read here, and its client sees a call that takes its time.

use super::answer::{CallError, ClientFacts, UpstreamAnswer, UpstreamCall};
use super::body::broken;
use super::exchange::{Aside, Exchange};
use super::runs::Run;
use super::wire;
use super::{Inner, Link, handed_task};
use crate::envelope::{self, Envelope, edit, json_string, member, member_at, text, text_member};
use crate::revision::Revision;
use doorward_broker::Caller;
use doorward_domain::Gateway;
use futures_util::stream::{self, StreamExt};
use serde_json::value::RawValue;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How long a task may take.
pub(super) const TASK_WITHIN: Duration = Duration::from_secs(3_600);

/// The waits between looks at it, where the server does not say, and within which bounds it may say.
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(1);
const LOOK_AGAIN_BOUNDS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(30));

/// How a call is to be sent.
enum Sending {
    AsItIs,
    /// Without what the server would take for the wish for a task.
    Plain(Box<RawValue>),
    ByTask(Box<RawValue>),
    /// It is about a task that the client has in its hands.
    Handed,
}

/// Cancels a task that nobody waits for any more (2025-11-25, tasks: `notifications/cancelled` does not do that).
struct TaskGuard {
    aside: Aside,
    task: String,
    id: u64,
    armed: bool,
}

impl Drop for TaskGuard {
    fn drop(&mut self) {
        if self.armed {
            let params = format!("{{\"taskId\":{}}}", json_string(&self.task));
            let body = wire::request(self.id, "tasks/cancel", Some(&params));
            self.aside.send(String::from_utf8_lossy(&body).into_owned());
        }
    }
}

impl Inner {
    /// Tasks of one era mean nothing to a server of the other: one that changed its era since has no such task.
    pub(super) fn check_tasks_are_of_one_kind(
        method: &str,
        client: &ClientFacts,
        link: &Link,
        gateway: &Gateway,
    ) -> Result<(), CallError> {
        // A newer client's task at an older server is a matter of `handed_task`.
        if !method.starts_with("tasks/") || client.revision.is_modern() || !link.facts.revision.is_modern() {
            return Ok(());
        }
        Err(CallError::OtherTasks { gateway: gateway.slug.to_string() })
    }

    /// The answer to a call, by way of a task where its tool wants that.
    pub(super) async fn answered_by_task_if_need_be(
        &self,
        caller: &Caller,
        gateway: &Arc<Gateway>,
        client: &ClientFacts,
        call: UpstreamCall<'_>,
        run: &Arc<Run>,
    ) -> Result<UpstreamAnswer, CallError> {
        match self.sending(caller, gateway, client, call).await? {
            Sending::AsItIs => self.answered(caller, gateway, client, call, run).await,
            Sending::Plain(params) => {
                let call = UpstreamCall { params: Some(&params), ..call };
                self.answered(caller, gateway, client, call, run).await
            }
            // What is rare is boxed, so that a plain call's future stays small.
            Sending::Handed => Box::pin(self.about_handed_task((caller, gateway), client, call, run)).await,
            Sending::ByTask(params) => {
                let creating = UpstreamCall { params: Some(&params), accept_sse: false, ..call };
                let created = Box::pin(self.answered(caller, gateway, client, creating, run)).await?;
                let handed = match &created {
                    UpstreamAnswer::Message(message) if handed_task::knows_tasks(client) => {
                        handed_task::created(call, &message.body)
                    }
                    _ => None,
                };
                if let Some(handed) = handed {
                    return Ok(handed);
                }
                Box::pin(self.rest_of_task(created, (caller, gateway), client, call, run)).await
            }
        }
    }

    async fn sending(
        &self,
        caller: &Caller,
        gateway: &Arc<Gateway>,
        client: &ClientFacts,
        call: UpstreamCall<'_>,
    ) -> Result<Sending, CallError> {
        if !client.revision.is_modern() {
            return Ok(Sending::AsItIs);
        }
        if call.method.starts_with("tasks/") {
            let is_older = self.revision(caller, gateway, client).await? == Revision::V2025_11_25;
            return Ok(if is_older { Sending::Handed } else { Sending::AsItIs });
        }
        let Some(params) = call.params.filter(|_| call.method == "tools/call") else {
            return Ok(Sending::AsItIs);
        };
        let facts = self.tool_facts(caller, gateway).await?;
        let by_task = text_member(params, "name").is_some_and(|name| facts.is_by_task(&name));
        let says_task = params.get().contains("\"task\"") && member(params, "task").is_some();
        if !by_task && !says_task {
            return Ok(Sending::AsItIs);
        }
        if self.revision(caller, gateway, client).await? != Revision::V2025_11_25 {
            return Ok(Sending::AsItIs);
        }
        let edited = edit(params.get(), &[("task", by_task.then_some("{}"))]).and_then(envelope::raw);
        Ok(match edited {
            Some(params) if by_task => Sending::ByTask(params),
            Some(params) => Sending::Plain(params),
            None => Sending::AsItIs,
        })
    }

    /// What the server speaks with this client's kind.
    async fn revision(
        &self,
        caller: &Caller,
        gateway: &Arc<Gateway>,
        client: &ClientFacts,
    ) -> Result<Revision, CallError> {
        let mut exchange = Exchange::open(self, caller, gateway).await?;
        Ok(self.link(&mut exchange, client).await?.facts.revision)
    }

    /// What becomes of the task that a call was answered with. Any other answer is the call's own.
    async fn rest_of_task(
        &self,
        created: UpstreamAnswer,
        (caller, gateway): (&Caller, &Arc<Gateway>),
        client: &ClientFacts,
        call: UpstreamCall<'_>,
        run: &Arc<Run>,
    ) -> Result<UpstreamAnswer, CallError> {
        let UpstreamAnswer::Message(created) = created else { return Ok(created) };
        let Some((task, wait)) = task_of(&created.body, &["task"]) else {
            return Ok(UpstreamAnswer::Message(created));
        };
        let mut exchange = Exchange::open(self, caller, gateway).await?;
        let link = self.link(&mut exchange, client).await?;
        let (aside, id) = (exchange.aside(&link), self.next_id());
        let mut guard = TaskGuard { aside, task: task.id, id, armed: true };
        let meta = call.params.and_then(|params| member(params, "_meta")).map_or("{}", RawValue::get);
        let params = format!("{{\"taskId\":{},\"_meta\":{meta}}}", json_string(&guard.task));
        let params = envelope::raw(params);
        let looking =
            UpstreamCall { method: "tasks/get", params: params.as_deref(), accept_sse: false, ..call };
        self.wait_for_task((caller, gateway), client, looking, run, (task.is_working, wait)).await?;
        let reading = UpstreamCall { method: "tasks/result", params: params.as_deref(), ..call };
        let answer = self.answered(caller, gateway, client, reading, run).await;
        // A call that waits for its client's answers goes on, or is refused, with the task.
        guard.armed = matches!(answer, Ok(UpstreamAnswer::Stream(_)));
        Ok(match answer? {
            UpstreamAnswer::Stream(events) => UpstreamAnswer::Stream(
                stream::unfold((events, guard), |(mut events, mut guard)| async move {
                    let event = events.next().await?;
                    guard.armed &= event.as_ref().is_ok_and(|event| !event.last);
                    Some((event, (events, guard)))
                })
                .boxed(),
            ),
            answer => answer,
        })
    }

    /// Waits until a task has ended or wants something.
    async fn wait_for_task(
        &self,
        (caller, gateway): (&Caller, &Arc<Gateway>),
        client: &ClientFacts,
        looking: UpstreamCall<'_>,
        run: &Arc<Run>,
        (mut is_working, mut wait): (bool, Duration),
    ) -> Result<(), CallError> {
        let begun = Instant::now();
        while is_working {
            if begun.elapsed() > TASK_WITHIN {
                return Err(broken(gateway, "its task did not end in time"));
            }
            sleep(wait).await;
            let answered = self.answered(caller, gateway, client, looking, run).await?;
            let answer = handed_task::message_of(gateway, looking.method, answered)?;
            // Where it does not know its own task, the reading of the result will say so.
            let Some((task, again)) = task_of(&answer.body, &[]) else { return Ok(()) };
            (is_working, wait) = (task.is_working, again);
        }
        Ok(())
    }
}

struct Task {
    id: String,
    is_working: bool,
}

/// The task at a place in a result, and when to look at it again.
fn task_of(body: &[u8], path: &[&str]) -> Option<(Task, Duration)> {
    let task = member_at(Envelope::parse(body).ok()?.result?, path)?;
    let id = member(task, "taskId").and_then(text)?.into_owned();
    let is_working = text_member(task, "status").as_deref() == Some("working");
    let wait = member(task, "pollInterval").and_then(|wait| wait.get().parse().ok());
    let wait = wait.map_or(LOOK_AGAIN_AFTER, Duration::from_millis);
    Some((Task { id, is_working }, wait.clamp(LOOK_AGAIN_BOUNDS.0, LOOK_AGAIN_BOUNDS.1)))
}
