//! The first words: `initialize` of legacy clients, `server/discover` of modern ones. On `/mcp` they are
//! ours alone; on one gateway's endpoint capabilities and instructions are the upstream's, where it can
//! be asked in time.

use super::Front;
use super::answer::{self, OwnResult, Reply, object, server_info};
use super::era::{MAX_CAPABILITIES, client_words};
use super::request::{ClientRequest, Endpoint};
use crate::envelope::{self, Envelope, edit, json_string, member, member_at, text_member};
use crate::errors::ProtocolError;
use crate::revision::{Revision, wire};
use crate::tasks;
use crate::upstream::{ClientFacts, ServerFacts};
use axum::response::Response;
use doorward_broker::Caller;
use doorward_domain::Gateway;
use http::{HeaderName, HeaderValue, StatusCode};
use serde_json::value::RawValue;
use std::sync::Arc;
use std::time::Duration;

/// A slow upstream must not keep its clients from beginning.
const UPSTREAM_WITHIN: Duration = Duration::from_secs(5);

const INSTRUCTIONS: &str = "Doorward stands in front of several MCP servers. The names of tools and prompts \
    begin with the name of their server. A server that the user has not connected answers with a link for \
    the user to open; the tool doorward-connections lists all servers and these links.";

/// Answers `initialize` and opens a session.
pub(super) async fn initialize(
    front: &Front,
    caller: &Caller,
    endpoint: &Endpoint,
    message: &Envelope<'_>,
) -> Result<Response, ProtocolError> {
    let facts = legacy_facts(message)?;
    let most = front.broker.policy().limits.sessions_per_user;
    let session = front.sessions.open(caller, &endpoint.path(), &facts, most).await?;
    let session = session.ok_or(ProtocolError::Unauthorized { presented: true })?;
    let spoken = spoken(front, caller, endpoint, &facts).await;
    let mut members = vec![
        ("protocolVersion", json_string(facts.revision.as_str())),
        ("capabilities", spoken.capabilities),
        ("serverInfo", server_info()),
    ];
    members.extend(spoken.instructions.map(|text| ("instructions", json_string(&text))));
    let (id, result) = (message.id.map_or("null", RawValue::get), object(&members));
    let body = format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{result}}}");
    let mut response = answer::message(StatusCode::OK, body);
    if let Ok(session) = HeaderValue::from_str(&session) {
        response.headers_mut().insert(HeaderName::from_static(wire::HEADER_SESSION), session);
    }
    Ok(response)
}

/// Answers `server/discover`.
pub(super) async fn discover(front: &Front, request: &ClientRequest) -> Reply {
    let spoken = spoken(front, &request.caller, &request.endpoint, &request.facts).await;
    let versions = Revision::OFFERED.map(|offered| json_string(offered.as_str())).join(",");
    let mut result = OwnResult::to(request)
        .with("supportedVersions", format!("[{versions}]"))
        .with("capabilities", spoken.capabilities);
    if let Some(text) = &spoken.instructions {
        result = result.with("instructions", json_string(text));
    }
    result.cacheable().reply()
}

/// Version negotiation (2025-11-25, lifecycle): the client's own version if we offer it, else our newest.
fn legacy_facts(message: &Envelope<'_>) -> Result<ClientFacts, ProtocolError> {
    let param = |name| message.params.and_then(|params| member(params, name));
    let version = message.params.and_then(|params| text_member(params, "protocolVersion"));
    let version = version
        .ok_or_else(|| ProtocolError::InvalidParams("`params.protocolVersion` must be a string".into()))?;
    let offered = |revision: &Revision| !revision.is_modern() && Revision::OFFERED.contains(revision);
    let revision = Revision::parse(&version).filter(offered).unwrap_or(Revision::LATEST_LEGACY);
    let capabilities = match param("capabilities") {
        None => envelope::raw("{}".to_owned()),
        Some(all) if all.get().starts_with('{') && all.get().len() <= MAX_CAPABILITIES => {
            Some(all.to_owned())
        }
        Some(_) => None,
    };
    let capabilities = capabilities.ok_or_else(|| {
        ProtocolError::InvalidParams(format!(
            "`params.capabilities` must be an object of at most {MAX_CAPABILITIES} bytes"
        ))
    })?;
    let (name, version) = client_words(param("clientInfo"));
    Ok(ClientFacts { revision, name, version, capabilities, log_level: None })
}

/// What we say we can.
struct Spoken {
    capabilities: String,
    instructions: Option<String>,
}

async fn spoken(front: &Front, caller: &Caller, endpoint: &Endpoint, facts: &ClientFacts) -> Spoken {
    let Endpoint::One(gateway) = endpoint else {
        return Spoken {
            capabilities: everything(facts.revision),
            instructions: Some(INSTRUCTIONS.to_owned()),
        };
    };
    let asked = tokio::time::timeout(UPSTREAM_WITHIN, front.upstreams.server(caller, gateway, facts)).await;
    let server: Option<Arc<ServerFacts>> = asked.ok().and_then(Result::ok);
    let capabilities =
        server.as_ref().and_then(|server| carried(server.capabilities.as_deref()?, facts.revision, gateway));
    Spoken {
        capabilities: capabilities.unwrap_or_else(|| everything(facts.revision)),
        instructions: server.and_then(|server| server.instructions.clone()),
    }
}

const LIST: &str = "{\"listChanged\":true}";
const RESOURCES: &str = "{\"subscribe\":true,\"listChanged\":true}";

/// What a gateway that is connected later brings can not be declared later, so all is declared now.
fn everything(client: Revision) -> String {
    let logging = if client.is_modern() { "" } else { ",\"logging\":{}" };
    let tasks = match client {
        Revision::V2026_07_28 => format!(",\"extensions\":{{\"{}\":{{}}}}", tasks::EXTENSION),
        Revision::V2025_11_25 => format!(",\"tasks\":{}", tasks::LEGACY_CAPABILITY),
        Revision::V2025_06_18 | Revision::V2025_03_26 => String::new(),
    };
    format!(
        "{{\"tools\":{LIST},\"resources\":{RESOURCES},\"prompts\":{LIST},\"completions\":{{}}{logging}{tasks}}}"
    )
}

/// An upstream's capabilities, without what means nothing to the client, or cannot be carried.
fn carried(upstream: &RawValue, client: Revision, gateway: &Gateway) -> Option<String> {
    let mut edits: Vec<(&str, Option<&str>)> = Vec::new();
    let tasks = member(upstream, "tasks").filter(|_| client == Revision::V2025_11_25);
    let listed = tasks.filter(|_| tasks::tells_users_apart(gateway)).map(|tasks| tasks.get().to_owned());
    let tasks = listed.or_else(|| edit(tasks?.get(), &[("list", None)]));
    if member(upstream, "tasks").is_some() {
        edits.push(("tasks", tasks.as_deref()));
    }
    let subscribes = member_at(upstream, &["resources", "subscribe"]).is_some_and(|is| is.get() == "true");
    // Doorward itself tells of changed lists: a gateway may be edited, or connected.
    for (name, ours) in
        [("tools", LIST), ("resources", if subscribes { RESOURCES } else { LIST }), ("prompts", LIST)]
    {
        if member(upstream, name).is_some() {
            edits.push((name, Some(ours)));
        }
    }
    // Legacy clients set a level for the session; modern ones with each request.
    if !client.is_modern() {
        edits.push(("logging", Some("{}")));
    }
    let makes_tasks = member_at(upstream, &["tasks", "requests", "tools", "call"]).is_some();
    let extensions = match (member(upstream, "extensions"), client.is_modern()) {
        (Some(extensions), false) => edit(extensions.get(), &[(tasks::EXTENSION, None)]),
        // An older server's tasks come in the newer words.
        (extensions, true) if makes_tasks => {
            edit(extensions.map_or("{}", RawValue::get), &[(tasks::EXTENSION, Some("{}"))])
        }
        _ => None,
    };
    if let Some(extensions) = &extensions {
        edits.push(("extensions", Some(extensions)));
    }
    edit(upstream.get(), &edits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(params: &str) -> Result<ClientFacts, ProtocolError> {
        let text = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"initialize","params":{params}}}"#);
        legacy_facts(&Envelope::parse(text.as_bytes()).unwrap())
    }

    #[test]
    fn a_clients_version_is_taken_if_it_is_offered() {
        for (asked, answered) in [
            ("2025-06-18", "2025-06-18"),
            ("2025-11-25", "2025-11-25"),
            ("2025-03-26", "2025-03-26"),
            ("2024-11-05", "2025-11-25"),
            ("2026-07-28", "2025-11-25"),
            ("2030-01-01", "2025-11-25"),
        ] {
            let facts = facts(&format!(r#"{{"protocolVersion":"{asked}"}}"#)).unwrap();
            assert_eq!(facts.revision.as_str(), answered, "{asked}");
            assert_eq!(facts.capabilities.get(), "{}");
        }
        assert!(facts("{}").is_err());
        assert!(facts(r#"{"protocolVersion":"2025-11-25","capabilities":[]}"#).is_err());
    }

    #[test]
    fn an_upstreams_capabilities_lose_what_is_not_carried() {
        let open = crate::upstream::tests::gateway_at("http://127.0.0.1/mcp");
        let upstream = envelope::raw(
            r#"{"tools":{"listChanged":true},"resources":{"subscribe":true},"tasks":{"list":{},"cancel":{}},"vendor":{"x":1.10},"extensions":{"io.modelcontextprotocol/tasks":{},"v/u":{}}}"#.into(),
        )
        .unwrap();
        assert_eq!(
            carried(&upstream, Revision::V2026_07_28, &open).unwrap(),
            r#"{"tools":{"listChanged":true},"resources":{"subscribe":true,"listChanged":true},"vendor":{"x":1.10},"extensions":{"io.modelcontextprotocol/tasks":{},"v/u":{}}}"#
        );
        let legacy = carried(&upstream, Revision::V2025_06_18, &open).unwrap();
        assert!(legacy.contains(r#""resources":{"subscribe":true"#) && legacy.contains(r#""logging":{}"#));
        assert!(legacy.contains(r#""extensions":{"v/u":{}}"#) && !legacy.contains("tasks"), "{legacy}");
        let newer = carried(&upstream, Revision::V2025_11_25, &open).unwrap();
        assert!(newer.contains(r#""tasks":{"cancel":{}}"#), "it cannot tell users apart: {newer}");
        let (legacy, modern) = (everything(Revision::V2025_11_25), everything(Revision::V2026_07_28));
        assert!(legacy.contains("logging") && !modern.contains("logging"));
    }
}
