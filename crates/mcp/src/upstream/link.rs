//! A link: what was agreed with an upstream, and for a legacy one the session that a user's clients of
//! one kind share. Sessions are per user, gateway, revision and capabilities, so that nobody's calls
//! meet another's, and what is declared upstream is exactly what the client declared.

use super::answer::{CallError, ClientFacts};
use super::body::broken;
use super::exchange::Exchange;
use super::line::Line;
use super::{Inner, probe, wire};
use crate::revision::Revision;
use aws_lc_rs::digest::{SHA256, digest};
use doorward_domain::{EraChoice, Gateway, GatewayId, GrantId, UserId};
use http::HeaderMap;
use moka::ops::compute::Op;
use serde_json::value::RawValue;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use url::Url;

/// How long one step of opening a link may take.
pub(super) const STEP_WITHIN: Duration = Duration::from_secs(30);

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

/// Where messages go, and the headers of each of them, a session id included.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
}

impl Place {
    /// A gateway's own URL.
    pub(super) fn of(gateway: &Gateway, headers: HeaderMap) -> Self {
        Self { url: gateway.url.clone(), headers }
    }
}

/// An agreement with an upstream.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) facts: Arc<ServerFacts>,
    pub(super) place: Arc<Place>,
    /// What a legacy server says beside its answers.
    pub(super) line: Line,
    /// It has a session that can end.
    pub(super) has_session: bool,
    /// The weight of log lines that a legacy session was set to.
    pub(super) log_level: Mutex<Option<usize>>,
}

/// How a legacy upstream is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LegacyTransport {
    StreamableHttp,
    /// The one of 2024-11-05.
    HttpSse,
}

/// Which era an upstream speaks, as one user's probe found it.
#[derive(Debug)]
pub(super) enum Era {
    Modern(ServerFacts),
    Legacy,
}

impl Link {
    fn transport(&self) -> LegacyTransport {
        if self.line.is_everything() { LegacyTransport::HttpSse } else { LegacyTransport::StreamableHttp }
    }
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
            if !link.line.is_broken() {
                return Ok(link);
            }
            self.drop_link(exchange, client, &link).await;
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
        let transport = match exchange.gateway.era {
            EraChoice::Automatic | EraChoice::Modern => self.legacy.get(&known),
            EraChoice::Legacy => Some(LegacyTransport::StreamableHttp),
            EraChoice::HttpSse => Some(LegacyTransport::HttpSse),
        };
        // A modern upstream is asked for every link: what it tells one user is not another's to read.
        if transport.is_none() {
            match probe::era(self, exchange, client).await? {
                Era::Modern(facts) => return Ok(Arc::new(modern_link(exchange.gateway, facts))),
                Era::Legacy if exchange.gateway.era == EraChoice::Modern => {
                    let pinned =
                        "it does not speak 2026-07-28, to which an administrator has set this gateway";
                    return Err(broken(exchange.gateway, pinned));
                }
                Era::Legacy => {}
            }
        }
        let opened = self.open_legacy(exchange, client, transport).await;
        match &opened {
            // Only what has worked is remembered: a bad moment must not fix an upstream's era.
            Ok(link) => self.legacy.insert(known, link.transport()),
            Err(_) => self.legacy.invalidate(&known),
        }
        opened
    }

    /// Opens a session; over HTTP with SSE where there is no Streamable HTTP (2025-11-25, backwards compatibility).
    async fn open_legacy(
        &self,
        exchange: &mut Exchange<'_>,
        client: &ClientFacts,
        transport: Option<LegacyTransport>,
    ) -> Result<Arc<Link>, CallError> {
        let refused = match transport {
            Some(LegacyTransport::HttpSse) => None,
            Some(LegacyTransport::StreamableHttp) => return self.initialize(exchange, client).await,
            None => match self.initialize(exchange, client).await {
                Err(error) if may_be_http_sse(&error) => Some(error),
                done => return done,
            },
        };
        let opened = self.open_http_sse(exchange, client).await?;
        let none =
            || broken(exchange.gateway, "it opens no event stream that begins with the event `endpoint`");
        opened.ok_or_else(|| refused.unwrap_or_else(none))
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
}

fn modern_link(gateway: &Gateway, facts: ServerFacts) -> Link {
    let headers = wire::headers_of(wire::version_header(facts.revision));
    Link {
        place: Arc::new(Place::of(gateway, headers)),
        facts: Arc::new(facts),
        line: Line::default(),
        has_session: false,
        log_level: Mutex::default(),
    }
}

/// Whether a refusal of `initialize` is how a server answers that knows the older transport alone.
fn may_be_http_sse(error: &CallError) -> bool {
    let CallError::Upstream { status, .. } = error else { return false };
    (400..500).contains(status) && !matches!(status, 401 | 403 | 408 | 429)
}
