//! A call that its client wants to become a task (2025-11-25: `params.task`).

use crate::envelope::member_at;
use crate::errors::ProtocolError;
use crate::front::{ClientRequest, Endpoint, Front, Method};
use crate::revision::Revision;
use crate::upstream::ServerFacts;
use doorward_domain::Gateway;
use std::sync::Arc;

/// Refuses a task where the call's server can make none. At a gateway's own endpoint nothing has been declared in its
/// name then, and what was not declared is ignored by the server (2025-11-25, tasks).
pub(crate) async fn check(
    front: &Front,
    request: &ClientRequest,
    method: Method,
    gateway: &Arc<Gateway>,
) -> Result<(), ProtocolError> {
    if method != Method::CallTool || !wants_task(request) || matches!(request.endpoint, Endpoint::One(_)) {
        return Ok(());
    }
    // Why it cannot be asked, the call itself will tell.
    let Ok(server) = front.upstreams.server(&request.caller, gateway, &request.facts).await else {
        return Ok(());
    };
    if makes_tasks(&server) {
        return Ok(());
    }
    Err(ProtocolError::NoTasks { gateway: gateway.slug.to_string() })
}

/// Whether a client of 2025-11-25 asks for a task.
pub(super) fn wants_task(request: &ClientRequest) -> bool {
    request.facts.revision == Revision::V2025_11_25
        && request.param("task").is_some_and(|task| task.get().starts_with('{'))
}

fn makes_tasks(server: &ServerFacts) -> bool {
    declares(server, &["tasks", "requests", "tools", "call"])
}

/// Whether a server of 2025-11-25 has declared something of tasks.
pub(super) fn declares(server: &ServerFacts, path: &[&str]) -> bool {
    let declared = server.capabilities.as_deref().and_then(|all| member_at(all, path));
    server.revision == Revision::V2025_11_25 && declared.is_some_and(|found| found.get().starts_with('{'))
}
