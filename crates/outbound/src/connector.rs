//! The connector: resolves, checks every address, and connects only to one that passed. The address is
//! never looked up a second time between the check and the connection (no DNS rebinding). Through a forward proxy,
//! see `proxy.rs`.

use crate::check::Refusal;
use crate::policy::EgressPolicy;
use crate::proxy::{self, OutboundProxy};
use crate::resolver::Resolver;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use http::Uri;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use std::error::Error;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::TcpStream;
use tower::Service;

/// How long one address may stay silent before the next is tried beside it (RFC 8305 §5).
const NEXT_ADDRESS_AFTER: Duration = Duration::from_millis(250);

type Connecting<T> = Pin<Box<dyn Future<Output = Result<T, ConnectError>> + Send>>;

/// Why there is no connection. Nothing of the request has been sent then.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum ConnectError {
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error("the name could not be resolved: {0}")]
    Unresolved(String),
    #[error("the name has no address")]
    NoAddress,
    #[error("no connection: {0}")]
    Tcp(String),
    #[error("no way through the proxy: {0}")]
    Proxy(String),
    #[error("the TLS handshake failed: {0}")]
    Handshake(String),
    #[error("no connection in time")]
    TimedOut,
}

/// TCP to a checked address.
#[derive(Clone)]
struct GuardedTcp {
    policy: Arc<EgressPolicy>,
    resolver: Resolver,
    proxy: Option<OutboundProxy>,
}

/// TCP to a checked address, TLS over it for https, all within the time limit.
#[derive(Clone)]
pub(crate) struct Connector {
    https: HttpsConnector<GuardedTcp>,
    /// For resolving, connecting and the TLS handshake together.
    limit: Duration,
}

impl Connector {
    pub(crate) fn new(
        policy: Arc<EgressPolicy>,
        resolver: Resolver,
        proxy: Option<OutboundProxy>,
        tls: ClientConfig,
        limit: Duration,
    ) -> Self {
        let https = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_all_versions()
            .wrap_connector(GuardedTcp { policy, resolver, proxy });
        Self { https, limit }
    }
}

impl Service<Uri> for Connector {
    type Response = MaybeHttpsStream<TokioIo<TcpStream>>;
    type Error = ConnectError;
    type Future = Connecting<Self::Response>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, target: Uri) -> Self::Future {
        let connecting = tokio::time::timeout(self.limit, self.https.call(target));
        Box::pin(async move {
            connecting.await.map_err(|_| ConnectError::TimedOut)?.map_err(|error| match error.downcast() {
                Ok(own) => *own,
                Err(tls) => ConnectError::Handshake(root_cause(&*tls)),
            })
        })
    }
}

impl Service<Uri> for GuardedTcp {
    type Response = TokioIo<TcpStream>;
    type Error = ConnectError;
    type Future = Connecting<Self::Response>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, target: Uri) -> Self::Future {
        let guard = self.clone();
        Box::pin(async move {
            if let Some(proxy) = &guard.proxy
                && let Some(mut tunnel) = proxy.tunnel(&target, &guard.resolver)
            {
                guard.check_through(proxy, &target)?;
                return tunnel.call(target).await.map_err(|error| proxy::no_tunnel(&error));
            }
            let addresses = guard.checked_addresses(&target).await?;
            let stream =
                connect_first(&addresses).await.map_err(|error| ConnectError::Tcp(error.to_string()))?;
            // Small requests must not wait for the acknowledgement of earlier ones.
            stream.set_nodelay(true).map_err(|error| ConnectError::Tcp(error.to_string()))?;
            Ok(TokioIo::new(stream))
        })
    }
}

impl GuardedTcp {
    /// Judges a target that the proxy resolves: an address as ever, a name by its form.
    fn check_through(&self, proxy: &OutboundProxy, target: &Uri) -> Result<(), Refusal> {
        let host = target.host().unwrap_or_default();
        match host.trim_matches(['[', ']']).parse::<IpAddr>() {
            Ok(address) => self
                .policy
                .judge(address)
                .map_err(|forbidden| Refusal::of_address(&self.policy, host, forbidden)),
            Err(_) => proxy.check_name(host),
        }
    }

    /// The addresses of the target that may be connected to; at least one.
    async fn checked_addresses(&self, target: &Uri) -> Result<Vec<SocketAddr>, ConnectError> {
        let host = target.host().unwrap_or_default();
        let https = target.scheme() == Some(&http::uri::Scheme::HTTPS);
        let port = target.port_u16().unwrap_or(if https { 443 } else { 80 });
        let found = match host.trim_matches(['[', ']']).parse::<IpAddr>() {
            Ok(address) => vec![SocketAddr::new(address, port)],
            Err(_) => self.resolve(host, port).await?,
        };
        let mut checked = Vec::with_capacity(found.len());
        let mut first_forbidden = None;
        for address in found {
            match self.policy.judge(address.ip()) {
                Ok(()) => checked.push(address),
                Err(forbidden) => first_forbidden = first_forbidden.or(Some(forbidden)),
            }
        }
        match first_forbidden {
            Some(forbidden) if checked.is_empty() => {
                Err(Refusal::of_address(&self.policy, host, forbidden).into())
            }
            Some(_) | None => Ok(checked),
        }
    }

    async fn resolve(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, ConnectError> {
        let found = self.resolver.resolve(host, port).await;
        let found = found.map_err(|error| ConnectError::Unresolved(error.to_string()))?;
        if found.is_empty() { Err(ConnectError::NoAddress) } else { Ok(found) }
    }
}

/// The first connection that stands. Addresses are tried in order, each a moment after the one before
/// (RFC 8305 §5), so that a dead IPv6 route does not cost the whole time limit.
pub(crate) async fn connect_first(addresses: &[SocketAddr]) -> std::io::Result<TcpStream> {
    let mut waiting = addresses.iter();
    let mut trying = FuturesUnordered::new();
    loop {
        trying.extend(waiting.next().map(|address| TcpStream::connect(*address)));
        let more = waiting.len() > 0;
        tokio::select! {
            Some(tried) = trying.next() => match tried {
                Err(_) if more || !trying.is_empty() => {}
                connected_or_last => return connected_or_last,
            },
            () = tokio::time::sleep(NEXT_ADDRESS_AFTER), if more => {}
        }
    }
}

/// What lies at the bottom of an error: the part that says something.
pub(crate) fn root_cause(error: &(dyn Error + 'static)) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}
