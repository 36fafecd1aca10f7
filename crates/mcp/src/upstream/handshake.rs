//! The legacy handshake with an upstream (2025-11-25, lifecycle), and what it says about itself in either era's first
//! answer.

use super::answer::{CallError, ClientFacts};
use super::body::{broken, read_whole};
use super::exchange::Exchange;
use super::line::Line;
use super::link::{Link, Place, STEP_WITHIN, ServerFacts};
use super::{Inner, wire};
use crate::bridge::client_info;
use crate::envelope::{Envelope, edit, json_string, member, text_member};
use crate::revision::{Revision, wire as names};
use bytes::Bytes;
use doorward_domain::Gateway;
use http::{HeaderValue, StatusCode};
use serde_json::value::RawValue;
use std::sync::{Arc, Mutex};

impl Inner {
    /// The legacy handshake: `initialize`, then `notifications/initialized` (2025-11-25, lifecycle).
    pub(super) async fn initialize(
        &self,
        exchange: &mut Exchange<'_>,
        client: &ClientFacts,
    ) -> Result<Arc<Link>, CallError> {
        let id = self.next_id();
        let body = wire::request(id, "initialize", Some(&initialize_params(client)));
        let response =
            exchange.post(&Place::of(exchange.gateway, wire::base_headers()), body, STEP_WITHIN).await?;
        let session = response.headers().get(names::HEADER_SESSION).cloned();
        let whole = read_whole(exchange.gateway, response, id, STEP_WITHIN).await?;
        let link = legacy_link(exchange.gateway, whole.status, whole.message.as_ref(), session)?;
        let initialized = Bytes::from_static(wire::INITIALIZED);
        let accepted = exchange.post(&link.place, initialized, STEP_WITHIN).await?;
        if !accepted.status().is_success() {
            let (gateway, status) = (&exchange.gateway.slug, accepted.status());
            tracing::debug!(%gateway, %status, "an upstream did not accept notifications/initialized");
        }
        Ok(Arc::new(link))
    }
}

/// A legacy client's own revision is offered, so that it meets no newer words; a modern client's call is
/// bridged from the newest legacy one.
pub(super) fn initialize_params(client: &ClientFacts) -> String {
    let offered = if client.revision.is_modern() { Revision::LATEST_LEGACY } else { client.revision };
    let capabilities = client.capabilities.get();
    // A server's tasks at its client (2025-11-25) are not carried.
    let edited = member(&client.capabilities, "tasks").and_then(|_| edit(capabilities, &[("tasks", None)]));
    format!(
        "{{\"protocolVersion\":{},\"capabilities\":{},\"clientInfo\":{}}}",
        json_string(offered.as_str()),
        edited.as_deref().unwrap_or(capabilities),
        client_info(client),
    )
}

fn legacy_link(
    gateway: &Gateway,
    status: StatusCode,
    message: Option<&Bytes>,
    session: Option<HeaderValue>,
) -> Result<Link, CallError> {
    let (facts, version) = agreed(gateway, status, message)?;
    let mut headers = wire::headers_of(version);
    let has_session = session.is_some();
    if let Some(mut session) = session {
        session.set_sensitive(true);
        headers.insert(names::HEADER_SESSION, session);
    }
    let (place, line) = (Arc::new(Place::of(gateway, headers)), Line::default());
    Ok(Link { facts: Arc::new(facts), place, line, has_session, log_level: Mutex::default() })
}

/// What an answer to `initialize` says, and the version that it names.
pub(super) fn agreed(
    gateway: &Gateway,
    status: StatusCode,
    message: Option<&Bytes>,
) -> Result<(ServerFacts, HeaderValue), CallError> {
    let answer = message.and_then(|bytes| Envelope::parse(bytes).ok());
    let Some(result) = answer.and_then(|answer| answer.result).filter(|_| status.is_success()) else {
        return Err(no_handshake(gateway, status));
    };
    let version = text_member(result, "protocolVersion").unwrap_or_default();
    let Some(revision) = legacy_revision(&version) else {
        let spoken: String =
            version.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(20).collect();
        return Err(broken(
            gateway,
            format!("it wants to speak revision '{spoken}', which is not known here"),
        ));
    };
    let header =
        HeaderValue::from_str(&version).map_err(|_| broken(gateway, "its revision is no header value"))?;
    Ok((server_facts(revision, result), header))
}

fn no_handshake(gateway: &Gateway, status: StatusCode) -> CallError {
    if status.is_success() {
        return broken(gateway, "it did not answer `initialize` with a result");
    }
    let problem = match status.as_u16() {
        400 | 404 | 405 => {
            "there is no MCP server at this URL, neither with Streamable HTTP nor with HTTP+SSE"
        }
        403 => "it forbids this user the access",
        429 => "it asks for fewer requests",
        _ => "it did not accept `initialize`",
    };
    CallError::Upstream {
        gateway: gateway.slug.to_string(),
        status: status.as_u16(),
        problem: problem.to_owned(),
    }
}

/// What an upstream said about itself in its `initialize` or `server/discover` result.
pub(super) fn server_facts(revision: Revision, result: &RawValue) -> ServerFacts {
    ServerFacts {
        revision,
        capabilities: member(result, "capabilities").map(ToOwned::to_owned),
        instructions: text_member(result, "instructions").map(std::borrow::Cow::into_owned),
    }
}

/// The known revision that an upstream's version belongs to. The years before 2026-07-28 are a range,
/// so that no server vanishes for a date that is not in our list.
fn legacy_revision(version: &str) -> Option<Revision> {
    let is_date = version.len() == 10
        && version
            .bytes()
            .enumerate()
            .all(|(at, byte)| if at == 4 || at == 7 { byte == b'-' } else { byte.is_ascii_digit() });
    if !is_date || version >= Revision::V2026_07_28.as_str() {
        return None;
    }
    let newest_first = [Revision::V2025_11_25, Revision::V2025_06_18, Revision::V2025_03_26];
    let known = newest_first.into_iter().find(|known| known.as_str() <= version);
    Some(known.unwrap_or(Revision::V2025_03_26))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn legacy_revisions_are_a_range() {
        for (version, expected) in [
            ("2025-11-25", Some(Revision::V2025_11_25)),
            ("2026-01-01", Some(Revision::V2025_11_25)),
            ("2025-06-18", Some(Revision::V2025_06_18)),
            ("2025-03-26", Some(Revision::V2025_03_26)),
            ("2024-11-05", Some(Revision::V2025_03_26)),
            ("2026-07-28", None),
            ("2030-01-01", None),
            ("2025-6-18", None),
            ("draft", None),
            ("", None),
        ] {
            assert_eq!(legacy_revision(version), expected, "{version}");
        }
    }
}
