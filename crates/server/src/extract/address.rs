//! Where a request comes from: the peer, or what a trusted proxy says of it. Nobody else's word counts.

use crate::state::{AppState, Facts};
use axum::extract::{FromRequestParts, Request};
use http::request::Parts;
use http::{Extensions, HeaderMap};
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, PoisonError};

/// The other end of the connection; the listener puts it into every request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// The address that throttling and the audit trail go by; none where there is no connection (tests).
#[derive(Debug, Clone)]
pub(crate) struct ClientAddress(pub(crate) Option<String>);

impl ClientAddress {
    /// Walks `X-Forwarded-For` from our end for as long as trusted proxies have written it.
    pub(crate) fn of(headers: &HeaderMap, extensions: &Extensions, facts: &Facts) -> Option<String> {
        let Peer(peer) = extensions.get::<Peer>().copied()?;
        let mut address = peer.ip().to_canonical();
        let forwarded: Vec<&str> = headers
            .get_all("x-forwarded-for")
            .iter()
            .filter_map(|line| line.to_str().ok())
            .flat_map(|line| line.split(','))
            .map(str::trim)
            .collect();
        let trusted =
            |address: IpAddr| facts.trusted_proxies.iter().any(|network| network.contains(&address));
        for said in forwarded.iter().rev() {
            if !trusted(address) {
                break;
            }
            let Ok(before) = said.parse::<IpAddr>() else { break };
            address = before.to_canonical();
        }
        Some(address.to_string())
    }
}

/// Forwarding headers from peers that are no trusted proxies: the last such peer, and how many requests there were. The
/// doctor tells of them, because behind a proxy that nobody trusts everybody seems to be the proxy.
#[derive(Debug, Default)]
pub(crate) struct ForwardedWatch(Mutex<Option<(IpAddr, u64)>>);

/// What proxies write (RFC 7239, and what was there before it).
const FORWARDING: [&str; 4] = ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"];

impl ForwardedWatch {
    pub(crate) fn seen(&self) -> Option<(IpAddr, u64)> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, peer: IpAddr) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = seen.map_or(0, |(_, count)| count);
        *seen = Some((peer, count.saturating_add(1)));
    }
}

/// Notes a request of a stranger that has forwarding headers.
pub(crate) fn watch_forwarding(request: &Request, facts: &Facts) {
    if FORWARDING.iter().any(|name| request.headers().contains_key(*name))
        && let Some(Peer(peer)) = request.extensions().get::<Peer>()
    {
        let peer = peer.ip().to_canonical();
        if !facts.trusted_proxies.iter().any(|network| network.contains(&peer)) {
            facts.forwarded.note(peer);
        }
    }
}

impl FromRequestParts<AppState> for ClientAddress {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Infallible> {
        Ok(Self(Self::of(&parts.headers, &parts.extensions, &state.facts)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cookies::Cookies;

    fn seen(peer: &str, forwarded: &[&'static str], trusted: &[&str]) -> Option<String> {
        let facts = Facts {
            public_url: "http://localhost".parse().unwrap(),
            public_origin: "http://localhost".into(),
            cookies: Cookies::new(false),
            trusted_proxies: trusted.iter().map(|network| network.parse().unwrap()).collect(),
            forwarded: ForwardedWatch::default(),
            demo: false,
        };
        let mut headers = HeaderMap::new();
        for line in forwarded {
            headers.append("x-forwarded-for", http::HeaderValue::from_static(line));
        }
        let mut extensions = Extensions::new();
        extensions.insert(Peer(peer.parse().unwrap()));
        ClientAddress::of(&headers, &extensions, &facts)
    }

    #[test]
    fn only_a_trusted_proxy_speaks_for_others() {
        let said = |trusted: &[&str]| seen("10.0.0.1:9", &["6.6.6.6, 203.0.113.7", "10.0.0.2"], trusted);
        assert_eq!(said(&[]).as_deref(), Some("10.0.0.1"));
        assert_eq!(said(&["10.0.0.1/32"]).as_deref(), Some("10.0.0.2"));
        assert_eq!(said(&["10.0.0.0/8"]).as_deref(), Some("203.0.113.7"), "what stands before is hearsay");
        assert_eq!(seen("[::ffff:10.0.0.1]:9", &["nonsense"], &["10.0.0.0/8"]).as_deref(), Some("10.0.0.1"));
        assert_eq!(seen("[2001:db8::1]:9", &[], &[]).as_deref(), Some("2001:db8::1"));
    }

    #[test]
    fn without_a_connection_there_is_no_address() {
        let facts = Facts {
            public_url: "http://localhost".parse().unwrap(),
            public_origin: String::new(),
            cookies: Cookies::new(false),
            trusted_proxies: Vec::new(),
            forwarded: ForwardedWatch::default(),
            demo: false,
        };
        assert_eq!(ClientAddress::of(&HeaderMap::new(), &Extensions::new(), &facts), None);
    }
}
