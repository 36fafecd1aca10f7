//! The tools that are Doorward's own: `doorward-connections` lists what the user has connected, and
//! `{slug}-connect` stands for a gateway whose offer nobody has read. Neither shows a secret.

use crate::ask::Ask;
use crate::catalog::CatalogState;
use crate::envelope::json_string;
use crate::errors::ProtocolError;
use crate::front::{ClientRequest, Front, OwnResult, Reply, object};
use doorward_broker::{Connection, ConnectionStatus};
use doorward_domain::{CatalogKind, Gateway, Health};

/// The standing tool. No gateway's tool can have this name: the slug `doorward` is reserved.
pub(crate) const CONNECTIONS: &str = "doorward-connections";

/// The name of a gateway's tool to connect it.
pub(crate) fn connect_name(gateway: &Gateway) -> String {
    format!("{}-connect", gateway.slug)
}

/// The standing tool, as lists show it.
pub(crate) fn descriptor() -> String {
    tool(
        CONNECTIONS,
        "Connections",
        "Lists the MCP servers behind Doorward with the state of the user's connection to each, and a link \
         for the user to open where one has to be connected.",
    )
}

/// A gateway's tool to connect it, as lists show it.
pub(crate) fn connect_descriptor(gateway: &Gateway) -> String {
    let name = &gateway.name;
    tool(
        &connect_name(gateway),
        &format!("Connect {name}"),
        &format!(
            "{name} is not connected yet, so its tools are not known. Gives a link for the user to open."
        ),
    )
}

fn tool(name: &str, title: &str, description: &str) -> String {
    object(&[
        ("name", json_string(name)),
        ("title", json_string(title)),
        ("description", json_string(description)),
        ("inputSchema", "{\"type\":\"object\",\"properties\":{}}".to_owned()),
        ("annotations", "{\"readOnlyHint\":true,\"openWorldHint\":false}".to_owned()),
    ])
}

/// A tool's result of our own words.
pub(crate) fn told<'a>(request: &'a ClientRequest, sentence: &str, is_error: bool) -> OwnResult<'a> {
    let text = json_string(sentence);
    let result = OwnResult::to(request).with("content", format!("[{{\"type\":\"text\",\"text\":{text}}}]"));
    if is_error { result.with("isError", "true".to_owned()) } else { result }
}

/// Answers `{slug}-connect` for a gateway that is connected: its offer is read, so that lists show it.
pub(crate) async fn connected(
    front: &Front,
    request: &ClientRequest,
    gateway: &std::sync::Arc<Gateway>,
) -> Reply {
    let name = &gateway.name;
    let sentence = match front.catalogs.of(&request.caller, gateway).await {
        CatalogState::Known(catalog) => {
            let tools = catalog.of_kind(CatalogKind::Tool).count();
            format!("{name} is connected. It offers {tools} tools; list the tools again to see them.")
        }
        CatalogState::MustAuthorize => format!("{name} refused the connection; call this tool again."),
        CatalogState::Unreachable(_) => format!("{name} is connected, but it cannot be reached just now."),
    };
    told(request, &sentence, false).reply()
}

/// Answers `doorward-connections`.
pub(crate) async fn list(front: &Front, request: &ClientRequest) -> Result<Reply, ProtocolError> {
    let mut lines = Vec::new();
    let mut rows = Vec::new();
    for connection in front.broker.connections(&request.caller).await? {
        let link = match needs_link(&connection) {
            true => Some(Ask::new(front, request, &connection.gateway).await?.url),
            false => None,
        };
        let (line, row) = entry(&connection, link.as_ref().map(url::Url::as_str));
        lines.push(line);
        rows.push(row);
    }
    if lines.is_empty() {
        lines.push("There are no MCP servers behind Doorward that you may use.".to_owned());
    }
    let structured = format!("{{\"connections\":[{}]}}", rows.join(","));
    Ok(told(request, &lines.join("\n"), false).with("structuredContent", structured).reply())
}

fn needs_link(connection: &Connection) -> bool {
    match connection.status {
        ConnectionStatus::NotConnected => true,
        ConnectionStatus::Connected(health) => matches!(health, Health::Expired | Health::NeedsAuthorization),
        ConnectionStatus::NotNeeded => false,
    }
}

fn entry(connection: &Connection, link: Option<&str>) -> (String, String) {
    let (word, says) = match connection.status {
        ConnectionStatus::NotNeeded => ("not_needed", "needs no connection"),
        ConnectionStatus::NotConnected => ("not_connected", "is not connected"),
        ConnectionStatus::Connected(health) => match health {
            Health::Valid => ("valid", "is connected"),
            Health::ExpiringSoon => ("expiring_soon", "is connected, but not for long"),
            Health::Expired => ("expired", "is no longer connected"),
            Health::NeedsAuthorization => ("needs_authorization", "has to be connected again"),
            Health::Uncertain => ("uncertain", "is connected, but its last renewal got no answer"),
            Health::Orphaned => ("orphaned", "is not available to you at present"),
        },
    };
    let gateway = &connection.gateway;
    let mut line = format!("{} ({}) {says}.", gateway.name, gateway.slug);
    let mut row = vec![
        ("gateway", json_string(gateway.slug.as_str())),
        ("name", json_string(&gateway.name)),
        ("health", json_string(word)),
    ];
    if let Some(link) = link {
        line.push_str(&format!(" To connect it, the user opens {link}"));
        row.push(("authorization_url", json_string(link)));
    }
    (line, object(&row))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::tests::gateway_at;
    use std::sync::Arc;

    #[test]
    fn every_state_of_a_connection_has_a_line_and_only_some_a_link() {
        let gateway = Arc::new(gateway_at("http://127.0.0.1/mcp"));
        let healths = [
            Health::Valid,
            Health::ExpiringSoon,
            Health::Expired,
            Health::NeedsAuthorization,
            Health::Uncertain,
            Health::Orphaned,
        ];
        let mut statuses = vec![ConnectionStatus::NotNeeded, ConnectionStatus::NotConnected];
        statuses.extend(healths.map(ConnectionStatus::Connected));
        let mut links = 0;
        for status in statuses {
            let connection = Connection { gateway: Arc::clone(&gateway), status, grant: None, removal: None };
            links += usize::from(needs_link(&connection));
            let (line, row) = entry(&connection, Some("http://localhost/x"));
            assert!(line.ends_with("opens http://localhost/x"));
            serde_json::from_str::<serde_json::Value>(&row).unwrap();
        }
        assert_eq!(links, 3);
    }
}
