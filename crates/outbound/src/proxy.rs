//! A company's forward proxy: what goes through it, and what may never.
//!
//! Through a proxy it is the proxy that resolves names, so no address can be checked here. IP literals are judged as
//! ever; a name that is private by its form is refused, unless it is listed to be reached directly, where its
//! address is checked.

use crate::check::Refusal;
use crate::connector::{ConnectError, connect_first, root_cause};
use crate::resolver::Resolver;
use http::Uri;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::proxy::matcher::Matcher;
use hyper_util::rt::TokioIo;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::net::TcpStream;
use tower::Service;
use url::Url;

/// The setting that names the proxy.
pub(crate) const PROXY_SETTING: &str = "DOORWARD_OUTBOUND_PROXY";
/// The setting that lists what is reached without it.
pub(crate) const NO_PROXY_SETTING: &str = "DOORWARD_NO_PROXY";

/// Endings of names that no public server has (RFC 6762 appendix G, RFC 8375, and the `internal` of ICANN).
const PRIVATE_ENDINGS: [&str; 9] =
    ["corp", "home", "home.arpa", "internal", "intranet", "lan", "local", "localhost", "private"];

/// Which calls go through a proxy, and through which. It does not print the proxy's user name and password.
#[derive(Clone)]
pub struct OutboundProxy {
    matcher: Arc<Matcher>,
    no_proxy: String,
    host: String,
}

/// Why a setting is no proxy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "give the proxy's address such as http://proxy.example.com:3128, perhaps with a user name and password"
)]
pub struct ProxyError;

impl OutboundProxy {
    /// `http://[user:password@]host[:port]`, and what is reached without it: hosts, domains with all below them,
    /// addresses and networks, separated by commas.
    pub fn parse(proxy: &str, no_proxy: &str) -> Result<Self, ProxyError> {
        let url: Url = proxy.parse().map_err(|_| ProxyError)?;
        let plain =
            url.scheme() == "http" && url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        let host = url.host_str().filter(|_| plain).ok_or(ProxyError)?.to_owned();
        let matcher = Matcher::builder().all(proxy.to_owned()).no(no_proxy.to_owned()).build();
        Ok(Self { matcher: Arc::new(matcher), no_proxy: no_proxy.to_owned(), host })
    }

    /// The proxy's host.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The tunnel to a target; none where the target is reached directly.
    pub(crate) fn tunnel(&self, target: &Uri, resolver: &Resolver) -> Option<Tunnel<ToProxy>> {
        let through = self.matcher.intercept(target)?;
        let tunnel = Tunnel::new(through.uri().clone(), ToProxy { resolver: resolver.clone() });
        Some(match through.basic_auth() {
            Some(credentials) => tunnel.with_auth(credentials.clone()),
            None => tunnel,
        })
    }

    /// Refuses a name that is private by its form.
    pub(crate) fn check_name(&self, host: &str) -> Result<(), Refusal> {
        let name = host.trim_end_matches('.').to_ascii_lowercase();
        let below = |ending: &&str| {
            name.strip_suffix(*ending).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        };
        if name.contains('.') && !PRIVATE_ENDINGS.iter().any(below) {
            return Ok(());
        }
        let listed = [self.no_proxy.as_str(), host].into_iter().filter(|part| !part.is_empty());
        let setting = format!("{NO_PROXY_SETTING}={}", listed.collect::<Vec<_>>().join(","));
        Err(Refusal::NameThroughProxy { host: host.to_owned(), setting })
    }
}

impl std::fmt::Debug for OutboundProxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "OutboundProxy({})", self.host)
    }
}

/// Why a tunnel does not stand, with the remedy where the proxy's answer tells it.
pub(crate) fn no_tunnel(error: &(dyn std::error::Error + 'static)) -> ConnectError {
    let why = match error.to_string() {
        text if text.contains("authorization required") => {
            format!("it wants a user name and password: put them into {PROXY_SETTING}")
        }
        // Some answer 401 or 403 to a wrong password; the library does not say which it was.
        text if text.contains("unsuccessful") => {
            format!("it refuses to connect there, or the user name and password in {PROXY_SETTING}")
        }
        _ => root_cause(error),
    };
    ConnectError::Proxy(why)
}

/// TCP to the proxy. The operator has named it, so its address is not judged.
#[derive(Debug, Clone)]
pub(crate) struct ToProxy {
    resolver: Resolver,
}

impl Service<Uri> for ToProxy {
    type Response = TokioIo<TcpStream>;
    type Error = std::io::Error;
    type Future = Pin<Box<dyn Future<Output = std::io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, proxy: Uri) -> Self::Future {
        let resolver = self.resolver.clone();
        Box::pin(async move {
            let host = proxy.host().unwrap_or_default();
            let port = proxy.port_u16().unwrap_or(80);
            let addresses = match host.trim_matches(['[', ']']).parse::<IpAddr>() {
                Ok(address) => vec![SocketAddr::new(address, port)],
                Err(_) => resolver.resolve(host, port).await?,
            };
            let stream = connect_first(&addresses).await?;
            stream.set_nodelay(true)?;
            Ok(TokioIo::new(stream))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_an_http_address_and_prints_no_password() {
        let proxy = OutboundProxy::parse("http://u:canary@proxy.example:3128", "").unwrap();
        assert_eq!(format!("{proxy:?}"), "OutboundProxy(proxy.example)");
        for bad in
            ["proxy.example:3128", "https://p.example", "socks5://p.example", "http://p.example/x", "x", ""]
        {
            assert_eq!(OutboundProxy::parse(bad, "").unwrap_err(), ProxyError, "{bad}");
        }
    }

    #[test]
    fn what_is_listed_is_reached_directly_and_all_else_through_the_proxy() {
        let proxy = OutboundProxy::parse("http://proxy.example:3128", "mcp.corp.example,10.0.0.0/8").unwrap();
        let through = |url: &str| proxy.tunnel(&url.parse().unwrap(), &Resolver::System).is_some();
        assert!(through("https://api.example/") && through("http://8.8.8.8/"));
        assert!(!through("https://mcp.corp.example/x") && !through("https://a.mcp.corp.example/"));
        assert!(!through("https://10.1.2.3/"));
    }

    #[test]
    fn a_name_that_is_private_by_its_form_never_goes_through_the_proxy() {
        let proxy = OutboundProxy::parse("http://proxy.example:3128", "a.lan").unwrap();
        for private in [
            "intranet",
            "wiki.corp",
            "metadata.google.internal",
            "printer.local.",
            "X.HOME.ARPA",
            "localhost",
        ] {
            let told = proxy.check_name(private).unwrap_err().to_string();
            assert!(told.ends_with(&format!("DOORWARD_NO_PROXY=a.lan,{private}")), "{told}");
        }
        for public in ["api.example", "internal.example", "mylocal.dev"] {
            assert_eq!(proxy.check_name(public), Ok(()), "{public}");
        }
    }
}
