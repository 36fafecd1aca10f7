//! Who may come in: web pages of our own origin (2025-11-25, transports, security warning) and whoever
//! shows an API token. A cookie or a token in the URL opens nothing.

use crate::errors::ProtocolError;
use axum::extract::{ConnectInfo, Request};
use doorward_broker::{Broker, Caller};
use doorward_domain::{ApiTokenPlain, Audience};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header};
use std::net::SocketAddr;
use url::{Host, Url};

/// What the endpoints take.
pub(super) const METHODS: &str = "GET, POST, DELETE, OPTIONS";

/// Which web pages and host names are ours, by the public URL.
pub(super) struct Doors {
    public: Url,
    /// The public host and port as most clients name them.
    authority: String,
    /// On loopback every loopback name and port is the same machine's.
    loopback: bool,
}

impl Doors {
    pub(super) fn new(public: &Url) -> Self {
        let authority = public[url::Position::BeforeHost..url::Position::AfterPort].to_owned();
        Self { loopback: is_loopback(public), public: public.clone(), authority }
    }

    /// Refuses foreign web pages (CSRF) and foreign host names (DNS rebinding). Gives the page's origin.
    pub(super) fn check(&self, headers: &HeaderMap, uri: &Uri) -> Result<Option<HeaderValue>, ProtocolError> {
        let host = headers.get(header::HOST).map(|host| host.to_str().unwrap_or_default());
        let host = host.or_else(|| uri.authority().map(http::uri::Authority::as_str));
        if !host.is_none_or(|host| self.knows_host(host)) {
            return Err(ProtocolError::Host);
        }
        let mut origins = headers.get_all(header::ORIGIN).iter();
        match (origins.next(), origins.next()) {
            (None, _) => Ok(None),
            (Some(origin), None) if origin.to_str().is_ok_and(|origin| self.knows_origin(origin)) => {
                Ok(Some(origin.clone()))
            }
            _ => Err(ProtocolError::Origin),
        }
    }

    fn knows_origin(&self, origin: &str) -> bool {
        let Ok(url) = Url::parse(origin) else { return false };
        let is_web = matches!(url.scheme(), "http" | "https");
        is_web && (url.origin() == self.public.origin() || (self.loopback && is_loopback(&url)))
    }

    /// A rebound name is the attacker's own, so loopback names are safe: a proxy on this machine uses them.
    fn knows_host(&self, host: &str) -> bool {
        if host == self.authority {
            return true;
        }
        let Ok(url) = Url::parse(&format!("http://{host}/")) else { return false };
        url.host() == self.public.host() || is_loopback(&url)
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// A browser asks whether it may ask; that needs no token and tells nothing.
pub(super) fn is_preflight(request: &Request) -> bool {
    request.method() == Method::OPTIONS
        && request.headers().contains_key(header::ORIGIN)
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// Lets a page whose origin was checked read the answer.
pub(super) fn share_with(origin: &HeaderValue, headers: &mut HeaderMap) {
    const ALLOWED: &str = "authorization, content-type, accept, last-event-id, mcp-protocol-version, \
                           mcp-session-id, mcp-method, mcp-name, traceparent, tracestate, baggage";
    const EXPOSED: &str = "mcp-session-id, mcp-protocol-version, www-authenticate";
    let fixed: [(HeaderName, &'static str); 5] = [
        (header::ACCESS_CONTROL_ALLOW_METHODS, METHODS),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, ALLOWED),
        (header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED),
        (header::ACCESS_CONTROL_MAX_AGE, "600"),
        (header::VARY, "Origin"),
    ];
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

/// The caller behind the bearer token (RFC 6750 §2.1), which must be one for MCP.
pub(super) async fn authenticate(broker: &Broker, request: &Parts) -> Result<Caller, ProtocolError> {
    let token = bearer(&request.headers).ok_or(ProtocolError::Unauthorized { presented: false })?;
    let address = request.extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip().to_string());
    let caller = broker.caller_by_api_token(&token, address).await.map_err(ProtocolError::Broker)?;
    caller
        .filter(|caller| caller.audience() == Some(Audience::Mcp))
        .ok_or(ProtocolError::Unauthorized { presented: true })
}

fn bearer(headers: &HeaderMap) -> Option<ApiTokenPlain> {
    let mut all = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(only), None) = (all.next(), all.next()) else { return None };
    let (scheme, token) = only.to_str().ok()?.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then(|| ApiTokenPlain::new(token))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(public: &str, name: HeaderName, value: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_str(value).unwrap());
        Doors::new(&Url::parse(public).unwrap()).check(&headers, &Uri::from_static("/mcp")).is_ok()
    }

    #[test]
    fn trap_24_only_our_own_pages_may_ask() {
        for (public, origin, allowed) in [
            ("http://localhost:4444", "http://localhost:4444", true),
            ("http://localhost:4444", "http://127.0.0.1:6274", true),
            ("http://localhost:4444", "http://[::1]:1", true),
            ("http://localhost:4444", "http://evil.example", false),
            ("http://localhost:4444", "http://localhost.evil.example", false),
            ("http://localhost:4444", "null", false),
            ("http://localhost:4444", "file://localhost", false),
            ("https://gw.example.com", "https://gw.example.com", true),
            ("https://gw.example.com", "http://gw.example.com", false),
            ("https://gw.example.com", "https://gw.example.com:8443", false),
            ("https://gw.example.com", "http://localhost:4444", false),
        ] {
            assert_eq!(check(public, header::ORIGIN, origin), allowed, "{origin} at {public}");
        }
        let mut two = HeaderMap::new();
        two.append(header::ORIGIN, HeaderValue::from_static("http://localhost"));
        two.append(header::ORIGIN, HeaderValue::from_static("http://evil.example"));
        let doors = Doors::new(&Url::parse("http://localhost:4444").unwrap());
        assert!(doors.check(&two, &Uri::from_static("/mcp")).is_err());
        assert!(doors.check(&HeaderMap::new(), &Uri::from_static("/mcp")).unwrap().is_none());
    }

    #[test]
    fn trap_24_a_rebound_host_name_is_refused() {
        for (public, host, allowed) in [
            ("http://localhost:4444", "localhost:4444", true),
            ("http://localhost:4444", "127.0.0.1", true),
            ("http://localhost:4444", "evil.example:4444", false),
            ("https://gw.example.com", "gw.example.com", true),
            ("https://gw.example.com", "127.0.0.1:4444", true),
            ("https://gw.example.com", "evil.example", false),
            ("https://gw.example.com", "a b", false),
        ] {
            assert_eq!(check(public, header::HOST, host), allowed, "{host} at {public}");
        }
    }

    #[test]
    fn a_bearer_token_is_read_from_one_header_alone() {
        let with = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::AUTHORIZATION, HeaderValue::from_static(value));
            }
            bearer(&headers).is_some()
        };
        assert!(with(&["Bearer dw_x"]) && with(&["bearer  dw_x"]));
        assert!(!with(&[]) && !with(&["Basic x"]) && !with(&["Bearer "]) && !with(&["Bearer a", "Bearer b"]));
    }
}
