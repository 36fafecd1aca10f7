//! A tool that somebody tries from a page: the call goes through the same door as a client's, with the same
//! grant, and a "must authorize" comes back to the page instead of being asked of a client.

use crate::envelope::{json_string, raw};
use crate::front::{Attempt, ClientRequest, Endpoint, Front, Method, attempt, object};
use crate::revision::{Revision, wire};
use crate::upstream::ClientFacts;
use bytes::Bytes;
use doorward_broker::Caller;
use doorward_domain::Gateway;
use http::HeaderMap;
use std::sync::Arc;

/// As gateways are told who asks.
const NAME: &str = "Doorward (a person at the page)";

/// Tries tools. Cheap to clone.
#[derive(Clone)]
pub struct ToolTrial {
    front: Arc<Front>,
}

/// What came of it.
#[derive(Debug)]
pub enum Tried {
    /// The response (JSON-RPC), as the gateway gave it.
    Answered(Bytes),
    /// The person has to authorize the gateway first; nothing was sent.
    MustAuthorize,
    /// There is no answer, and this is why.
    Failed(String),
}

impl ToolTrial {
    pub(crate) fn new(front: Arc<Front>) -> Self {
        Self { front }
    }

    #[cfg(test)]
    pub(crate) fn front(&self) -> &Arc<Front> {
        &self.front
    }

    /// Calls a tool of a gateway, by its own name, as the caller. `arguments` is a JSON object.
    pub async fn call(&self, caller: &Caller, gateway: &Arc<Gateway>, tool: &str, arguments: &str) -> Tried {
        let request = Arc::new(request(caller, gateway, tool, arguments));
        let answered = match attempt(&self.front, &request, Method::CallTool).await {
            Ok(Attempt::Done(reply)) => reply.response().await,
            Ok(Attempt::Needs(_)) => return Tried::MustAuthorize,
            Err(error) => Err(error),
        };
        answered.map_or_else(
            |error| {
                error.log("tools/call");
                Tried::Failed(error.to_string())
            },
            Tried::Answered,
        )
    }
}

fn request(caller: &Caller, gateway: &Arc<Gateway>, tool: &str, arguments: &str) -> ClientRequest {
    let (none, version) = ("{}".to_owned(), env!("CARGO_PKG_VERSION"));
    let client = object(&[("name", json_string(NAME)), ("version", json_string(version))]);
    let meta = object(&[
        (wire::META_VERSION, json_string(Revision::LATEST.as_str())),
        (wire::META_CAPABILITIES, none.clone()),
        (wire::META_CLIENT_INFO, client),
    ]);
    let params = object(&[("name", json_string(tool)), ("arguments", arguments.to_owned()), ("_meta", meta)]);
    let facts = ClientFacts {
        revision: Revision::LATEST,
        name: NAME.to_owned(),
        version: version.to_owned(),
        capabilities: raw(none).unwrap_or_default(),
        log_level: None,
    };
    ClientRequest {
        caller: caller.clone(),
        endpoint: Endpoint::One(Arc::clone(gateway)),
        facts,
        session: None,
        headers: HeaderMap::new(),
        accept_sse: false,
        id: raw("1".to_owned()).unwrap_or_default(),
        method: "tools/call".to_owned(),
        params: raw(params),
    }
}
