//! Where a request comes from: the peer, or what a trusted proxy says of it. Nobody else's word counts.

use crate::state::{AppState, Facts};
use axum::extract::FromRequestParts;
use http::request::Parts;
use http::{Extensions, HeaderMap};
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};

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
        let trusted = |address: IpAddr| facts.trusted_proxies.iter().any(|network| network.contains(&address));
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

impl FromRequestParts<AppState> for ClientAddress {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Infallible> {
        Ok(Self(Self::of(&parts.headers, &parts.extensions, &state.facts)))
    }
}
