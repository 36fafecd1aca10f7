//! Listening, serving and stopping: HTTP/1.1 and HTTP/2 on every address, with or without TLS, each request with its peer,
//! a time limit for slow headers, and an end that lets answers finish.

use crate::extract::Peer;
use axum::Router;
use axum::body::Body;
use doorward_domain::Limits;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

/// How long a client may take to send its headers.
const HEADERS_WITHIN: Duration = Duration::from_secs(15);
/// How long answers may take to finish after the order to stop.
const STOP_WITHIN: Duration = Duration::from_secs(10);
/// After an accept failed for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Binds an address; the error names it.
///
/// # Errors
/// When it is taken, or not an address of this machine.
pub async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .map_err(|error| io::Error::new(error.kind(), format!("cannot listen on {address}: {error}")))
}

/// How requests come in.
#[derive(Clone)]
pub struct Ingress {
    /// Over TLS, where there is an acceptor.
    pub tls: Option<TlsAcceptor>,
    /// The largest head of a request.
    pub header_kib: u32,
}

impl Default for Ingress {
    fn default() -> Self {
        Self { tls: None, header_kib: Limits::default().header_kib }
    }
}

impl Ingress {
    fn header_bytes(&self) -> u32 {
        self.header_kib.saturating_mul(1_024)
    }
}

/// Serves on one listener until `stop`, without TLS, then lets answers finish for a while.
pub fn serve(listener: TcpListener, router: Router, stop: CancellationToken) -> JoinHandle<()> {
    serve_with(listener, Ingress::default(), router, stop)
}

/// As [`serve`], as it is said.
pub fn serve_with(
    listener: TcpListener,
    ingress: Ingress,
    router: Router,
    stop: CancellationToken,
) -> JoinHandle<()> {
    tokio::spawn(async move {
        let connections = GracefulShutdown::new();
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => break,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    connection(stream, peer, ingress.clone(), router.clone(), connections.watcher());
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        drop(listener);
        let finished = tokio::time::timeout(STOP_WITHIN, connections.shutdown()).await;
        if finished.is_err() {
            tracing::info!("some answers were cut off by the stop");
        }
    })
}

fn connection(stream: TcpStream, peer: SocketAddr, ingress: Ingress, router: Router, watcher: Watcher) {
    // Answers are small and wait for nothing: without this, Nagle's algorithm would delay them.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot switch off delays on a connection");
    }
    tokio::spawn(async move {
        let head = ingress.header_bytes();
        let Some(tls) = ingress.tls else { return requests(stream, peer, head, router, watcher).await };
        match tokio::time::timeout(HEADERS_WITHIN, tls.accept(stream)).await {
            Ok(Ok(stream)) => requests(stream, peer, head, router, watcher).await,
            Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
            Err(_) => tracing::debug!("a TLS handshake took too long"),
        }
    });
}

async fn requests<S>(stream: S, peer: SocketAddr, head: u32, router: Router, watcher: Watcher)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = hyper::service::service_fn(move |mut request: http::Request<Incoming>| {
        request.extensions_mut().insert(Peer(peer));
        router.clone().oneshot(request.map(Body::new))
    });
    let mut builder = Builder::new(TokioExecutor::new());
    // Larger ones are answered with 431 (RFC 6585 §5).
    let buffer = usize::try_from(head).unwrap_or(usize::MAX);
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADERS_WITHIN).max_buf_size(buffer);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(Duration::from_secs(30))
        .max_header_list_size(head);
    let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service).into_owned();
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(%error, "a connection broke");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn trap_23_headers_of_sixteen_kilobytes_are_taken_and_more_than_the_setting_allows_refused() {
        let router =
            Router::new().fallback(|headers: http::HeaderMap| async move { headers.len().to_string() });
        let params: String = (0..30).map(|n| format!("mcp-param-p{n}: value\r\n")).collect();
        let usual = Ingress::default().header_kib;
        for (header_kib, bytes, status) in
            [(usual, 16 << 10, "200"), (usual, 64 << 10, "431"), (256, 64 << 10, "200"), (8, 16 << 10, "431")]
        {
            let listener = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
            let address = listener.local_addr().unwrap();
            let ingress = Ingress { header_kib, ..Ingress::default() };
            let _serving = serve_with(listener, ingress, router.clone(), CancellationToken::new());
            let bearer = "x".repeat(bytes);
            let head = format!(
                "GET / HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {bearer}\r\n{params}connection: close\r\n\r\n"
            );
            let mut stream = TcpStream::connect(address).await.unwrap();
            // A refusal may come before all has been sent.
            let _ = stream.write_all(head.as_bytes()).await;
            let mut answer = [0; 12];
            stream.read_exact(&mut answer).await.unwrap();
            assert_eq!(std::str::from_utf8(&answer).unwrap(), format!("HTTP/1.1 {status}"), "{header_kib}");
        }
    }

    #[tokio::test]
    async fn a_taken_address_is_named() {
        let first = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let taken = first.local_addr().unwrap();
        let told = bind(taken).await.unwrap_err().to_string();
        assert!(told.starts_with(&format!("cannot listen on {taken}")), "{told}");
    }

    #[tokio::test]
    async fn after_the_stop_nothing_is_accepted() {
        let listener = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let serving = serve(listener, Router::new(), stop.clone());
        assert!(TcpStream::connect(address).await.is_ok());
        stop.cancel();
        serving.await.unwrap();
        assert!(TcpStream::connect(address).await.is_err());
    }
}
