//! A link: what was agreed with an upstream, and for a legacy one the session that a user's clients of
//! one kind share. Sessions are per user, gateway, revision and capabilities, so that nobody's calls
//! meet another's, and what is declared upstream is exactly what the client declared.

use super::answer::{CallError, ClientFacts};
use super::body::{broken, read_whole};
use super::exchange::Exchange;
use super::{Inner, probe, wire};
use crate::bridge::client_info;
use crate::envelope::{Envelope, json_string, member, text_member};
use crate::revision::{Revision, wire as names};
use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;
use doorward_domain::{Gateway, GatewayId, GrantId, UserId};
use http::{HeaderMap, HeaderValue, StatusCode};
use moka::ops::compute::Op;
use serde_json::value::RawValue;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How long one step of opening a link may take.
const STEP_WITHIN: Duration = Duration::from_secs(30);

/// Who shares a link.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct LinkKey {
    pub(super) user: UserId,
    pub(super) gateway: GatewayId,
    /// An edited gateway gets new links: it may point elsewhere now.
    gateway_version: i64,
    /// A session that was opened under one grant serves no other: the account behind it may be another.
    grant: Option<GrantId>,
    offered: Revision,
    /// SHA-256 of the capabilities: they come from clients, and a key is to stay small.
    capabilities: [u8; 32],
}

impl LinkKey {
    pub(super) fn of(exchange: &Exchange<'_>, client: &ClientFacts) -> Self {
        Self {
            user: exchange.caller.user.id,
            gateway: exchange.gateway.id,
            gateway_version: exchange.gateway.version,
            grant: exchange.header.as_ref().and_then(|header| header.used).map(|used| used.grant()),
            offered: client.revision,
            capabilities: sha256(client.capabilities.get()),
        }
    }
}

fn sha256(text: &str) -> [u8; 32] {
    let digest = digest(&SHA256, text.as_bytes());
    digest.as_ref().try_into().expect("a SHA-256 digest has 32 bytes")
}

/// What an upstream said about itself, to one user: it may name their account.
#[derive(Debug)]
pub struct ServerFacts {
    pub revision: Revision,
    /// Its capabilities object; none where it has not said.
    pub capabilities: Option<Box<RawValue>>,
    pub instructions: Option<String>,
}

/// An agreement with an upstream.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) facts: Arc<ServerFacts>,
    /// The headers of every request on this link, a session id included.
    pub(super) headers: HeaderMap,
    /// It has a session that can end.
    pub(super) has_session: bool,
    /// The weight of log lines that a legacy session was set to.
    pub(super) log_level: Mutex<Option<usize>>,
}

/// Which era an upstream speaks, as one user's probe found it.
#[derive(Debug)]
pub(super) enum Era {
    Modern(ServerFacts),
    Legacy,
}

impl Inner {
    /// The link for this caller and client; opened once, however many ask at the same time.
    pub(super) async fn link(
        &self,
        exchange: &mut Exchange<'_>,
        client: &ClientFacts,
    ) -> Result<Arc<Link>, CallError> {
        let key = LinkKey::of(exchange, client);
        if let Some(link) = self.links.get(&key).await {
            return Ok(link);
        }
        let open = Box::pin(self.open_link(exchange, client));
        self.links.try_get_with(key, open).await.map_err(|error| (*error).clone())
    }

    async fn open_link(
        &self,
        exchange: &mut Exchange<'_>,
        client: &ClientFacts,
    ) -> Result<Arc<Link>, CallError> {
        let known = (exchange.gateway.id, exchange.gateway.version);
        // A modern upstream is asked for every link: what it tells one user is not another's to read.
        if !self.legacy.contains_key(&known)
            && let Era::Modern(facts) = probe::era(self, exchange, client).await?
        {
            return Ok(Arc::new(modern_link(facts)));
        }
        let opened = self.initialize(exchange, client).await;
        match &opened {
            // Only what has worked is remembered: a bad moment must not fix an upstream's era.
            Ok(_) => self.legacy.insert(known, ()),
            Err(_) => self.legacy.invalidate(&known),
        }
        opened
    }

    /// Drops a link that turned out to be stale, unless somebody has replaced it already.
    pub(super) async fn drop_link(&self, exchange: &Exchange<'_>, client: &ClientFacts, stale: &Arc<Link>) {
        let key = LinkKey::of(exchange, client);
        self.links
            .entry(key)
            .and_compute_with(|found| {
                let same = found.is_some_and(|found| Arc::ptr_eq(found.value(), stale));
                std::future::ready(if same { Op::Remove } else { Op::Nop })
            })
            .await;
    }

    pub(super) fn forget_era(&self, gateway: &Gateway) {
        self.legacy.invalidate(&(gateway.id, gateway.version));
    }

    /// The legacy handshake: `initialize`, then `notifications/initialized` (2025-11-25, lifecycle).
    pub(super) async fn initialize(
        &self,
        exchange: &mut Exchange<'_>,
        client: &ClientFacts,
    ) -> Result<Arc<Link>, CallError> {
        let id = self.next_id();
        let body = wire::request(id, "initialize", Some(&initialize_params(client)));
        let response = exchange.post(&wire::base_headers(), body, STEP_WITHIN).await?;
        let session = response.headers().get(names::HEADER_SESSION).cloned();
        let whole = read_whole(exchange.gateway, response, id, STEP_WITHIN).await?;
        let link = legacy_link(exchange.gateway, whole.status, whole.message.as_ref(), session)?;
        let initialized = Bytes::from_static(br#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
        let accepted = exchange.post(&link.headers, initialized, STEP_WITHIN).await?;
        if !accepted.status().is_success() {
            let (gateway, status) = (&exchange.gateway.slug, accepted.status());
            tracing::debug!(%gateway, %status, "an upstream did not accept notifications/initialized");
        }
        Ok(Arc::new(link))
    }
}

fn modern_link(facts: ServerFacts) -> Link {
    Link {
        headers: wire::headers_of(wire::version_header(facts.revision)),
        facts: Arc::new(facts),
        has_session: false,
        log_level: Mutex::default(),
    }
}

/// A legacy client's own revision is offered, so that it meets no newer words; a modern client's call is
/// bridged from the newest legacy one.
fn initialize_params(client: &ClientFacts) -> String {
    let offered = if client.revision.is_modern() { Revision::LATEST_LEGACY } else { client.revision };
    format!(
        "{{\"protocolVersion\":{},\"capabilities\":{},\"clientInfo\":{}}}",
        json_string(offered.as_str()),
        client.capabilities.get(),
        client_info(client),
    )
}

fn legacy_link(
    gateway: &Gateway,
    status: StatusCode,
    message: Option<&Bytes>,
    session: Option<HeaderValue>,
) -> Result<Link, CallError> {
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
    let version =
        HeaderValue::from_str(&version).map_err(|_| broken(gateway, "its revision is no header value"))?;
    let mut headers = wire::headers_of(version);
    let has_session = session.is_some();
    if let Some(mut session) = session {
        session.set_sensitive(true);
        headers.insert(names::HEADER_SESSION, session);
    }
    let facts = Arc::new(server_facts(revision, result));
    Ok(Link { facts, headers, has_session, log_level: Mutex::default() })
}

fn no_handshake(gateway: &Gateway, status: StatusCode) -> CallError {
    if status.is_success() {
        return broken(gateway, "it did not answer `initialize` with a result");
    }
    let problem = match status.as_u16() {
        400 | 404 | 405 => {
            "there is no MCP server with Streamable HTTP at this URL (HTTP+SSE is not supported)"
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
