//! How a session hears of the tasks that its calls have become (2025-11-25, `notifications/tasks/status`): servers tell on
//! their own session's stream, which is one for all of a user's clients of a kind; each client hears of its own tasks.

use super::STATUS;
use super::id::ours;
use crate::envelope::{Envelope, json_string, member, splice, text_member};
use crate::front::{ClientRequest, Front};
use bytes::Bytes;
use doorward_domain::Gateway;
use serde_json::value::RawValue;
use std::sync::{Arc, Weak};

/// Begins to tell the request's session of a task, until the task is done. `theirs`: the server's id.
pub(super) fn tell(front: &Arc<Front>, request: &ClientRequest, gateway: &Arc<Gateway>, theirs: &str) {
    let Some(session) = &request.session else { return };
    let Some(ours) = ours(front, request, gateway.id, theirs) else { return };
    let (of, key) = (Arc::downgrade(session), ours.clone());
    let (upstreams, theirs) = (front.upstreams.clone(), theirs.to_owned());
    let (caller, gateway, facts) = (request.caller.clone(), Arc::clone(gateway), request.facts.clone());
    let telling = tokio::spawn(async move {
        let Ok(mut notices) = upstreams.task_notices(&caller, &gateway, &facts).await else { return };
        while let Some(message) = notices.next().await {
            let Some((message, is_over)) = told(&message, &theirs, &ours) else { continue };
            let Some(session) = Weak::upgrade(&of) else { return };
            session.notify(message);
            if is_over {
                // The last thing that is done here: it ends this very task.
                session.unsubscribe(&ours);
                return;
            }
        }
    });
    // A session that follows too much hears nothing; it may ask.
    session.subscribe(key, telling);
}

/// A status of this task under our id, and whether nothing follows it.
fn told(message: &[u8], theirs: &str, ours: &str) -> Option<(Bytes, bool)> {
    let message = Envelope::parse(message).ok()?;
    let params = message.params.filter(|_| message.method == Some(STATUS))?;
    let id = member(params, "taskId").filter(|_| text_member(params, "taskId").as_deref() == Some(theirs))?;
    let is_over = is_over(params);
    Some((splice(message.text, &[(id, &json_string(ours))]).into(), is_over))
}

/// Whether a task is in a state that it does not leave.
fn is_over(task: &RawValue) -> bool {
    matches!(text_member(task, "status").as_deref(), Some("completed" | "failed" | "cancelled"))
}
