//! Against real listeners on loopback, which answer well, badly or not at all.

use super::*;
use crate::resolver::FixedNames;
use http::Version;
use http::header::{CONNECTION, LOCATION};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto;
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const SHORT: Duration = Duration::from_millis(200);
const LONG: Duration = Duration::from_secs(3_600);
const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
const OK_AND_CLOSE: &str = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok";

/// Serves each connection with `serve`; counts them.
async fn listen<F>(serve: impl Fn(TcpStream) -> F + Send + 'static) -> (SocketAddr, Arc<AtomicUsize>)
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind((LOOPBACK, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let connections = Arc::new(AtomicUsize::new(0));
    let counter = connections.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counter.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(serve(stream));
        }
    });
    (address, connections)
}

/// Reads one request's head; none when the client has closed the connection.
async fn head(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        bytes.push(stream.read_u8().await.ok()?);
    }
    String::from_utf8(bytes).ok()
}

/// Answers each request on each connection with the same bytes.
async fn answering(answer: impl Into<String>) -> (SocketAddr, Arc<AtomicUsize>) {
    let answer: Arc<str> = answer.into().into();
    listen(move |mut stream| {
        let answer = answer.clone();
        async move {
            while head(&mut stream).await.is_some() {
                // The client may have stopped reading; that is what some tests want.
                let _ = stream.write_all(answer.as_bytes()).await;
                if answer.contains("close") {
                    return;
                }
            }
        }
    })
    .await
}

fn policy() -> EgressPolicy {
    EgressPolicy::parse("127.0.0.1,127.0.0.2", "127.0.0.1,named.example").unwrap()
}

fn outbound(limit: Duration) -> Outbound {
    Outbound::with_roots(policy(), limit, RootCertStore::empty()).unwrap()
}

/// A client for `named.example`, whose addresses the test sets.
fn named(roots: RootCertStore) -> (Outbound, FixedNames) {
    let names = FixedNames::default();
    let resolver = Resolver::Fixed(names.clone());
    (Outbound::with_roots_and_resolver(policy(), LONG, roots, resolver).unwrap(), names)
}

fn get(url: impl AsRef<str>) -> OutboundRequest {
    let url = url.as_ref().parse().unwrap();
    OutboundRequest { method: Method::GET, url, headers: HeaderMap::new(), body: Bytes::new() }
}

fn at(address: SocketAddr) -> OutboundRequest {
    get(format!("http://{address}/canary?canary"))
}

/// The error of a call; it must not tell anything of the URL but its host.
async fn failure(outbound: &Outbound, request: OutboundRequest) -> OutboundError {
    let error = outbound.call(request).await.unwrap_err();
    assert!(!error.to_string().contains("canary"), "{error}");
    error
}

/// Reads a stream to its end.
async fn streamed(outbound: &Outbound, request: OutboundRequest) -> Result<HeaderMap, OutboundError> {
    let (parts, body) = outbound.stream(request).await?.into_parts();
    body.collect().await.unwrap();
    Ok(parts.headers)
}

#[tokio::test]
async fn a_call_sends_what_it_was_given_and_reads_the_whole_answer() {
    let (seen_by_server, mut seen) = tokio::sync::mpsc::unbounded_channel();
    let (address, _) = listen(move |mut stream| {
        let seen_by_server = seen_by_server.clone();
        async move {
            let head = head(&mut stream).await.unwrap();
            let mut body = [0; 5];
            stream.read_exact(&mut body).await.unwrap();
            stream.write_all(OK.as_bytes()).await.unwrap();
            seen_by_server.send((head, body)).unwrap();
        }
    })
    .await;
    let mut request = at(address);
    request.method = Method::POST;
    request.body = Bytes::from_static(b"hello");
    request.headers.insert(AUTHORIZATION, HeaderValue::from_static("Bearer canary"));
    assert!(!format!("{request:?}").contains("canary"));
    let answer = outbound(LONG).call(request).await.unwrap();
    assert_eq!((answer.status, &answer.body[..]), (StatusCode::OK, &b"ok"[..]));
    assert_eq!(format!("{answer:?}"), "OutboundResponse(200 OK, 2 bytes)");
    let (head, body) = seen.recv().await.unwrap();
    assert!(head.starts_with("POST /canary?canary HTTP/1.1\r\n"), "{head}");
    for line in [
        "authorization: Bearer canary",
        "accept-encoding: identity",
        "content-length: 5",
        "user-agent: doorward/",
    ] {
        assert!(head.contains(line), "{line} in {head}");
    }
    assert_eq!(&body, b"hello");
}

#[tokio::test]
async fn nothing_arrives_where_nobody_listens() {
    let listener = TcpListener::bind((LOOPBACK, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = failure(&outbound(LONG), at(address)).await;
    assert!(!error.request_may_have_arrived());
    assert!(error.to_string().starts_with("127.0.0.1 cannot be reached: no connection:"), "{error}");
}

#[tokio::test]
async fn a_server_that_closes_without_an_answer_may_have_got_the_request() {
    let (address, _) = listen(|mut stream| async move {
        head(&mut stream).await.unwrap();
    })
    .await;
    let error = failure(&outbound(LONG), at(address)).await;
    assert!(matches!(error, OutboundError::Broken { .. }), "{error}");
    assert!(error.request_may_have_arrived());
}

#[tokio::test]
async fn an_answer_that_is_cut_off_or_no_http_or_compressed_is_broken() {
    for answer in [
        "HTTP/1.1 200 OK\r\ncontent-length: 9\r\nx: close\r\n\r\ncanary",
        "SSH-2.0-canary close\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 6\r\n\r\ncanary",
    ] {
        let (address, _) = answering(answer).await;
        let error = failure(&outbound(LONG), at(address)).await;
        assert!(matches!(error, OutboundError::Broken { .. }), "{error}");
        assert!(error.request_may_have_arrived());
    }
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_not_read() {
    let endless =
        format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n200000\r\n{}", "x".repeat(0x20_0000));
    let announced = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", BODY_LIMIT + 1);
    for answer in [endless, announced + &"x".repeat(BODY_LIMIT + 1)] {
        let (address, _) = answering(answer).await;
        let error = failure(&outbound(LONG), at(address)).await;
        assert_eq!(error, OutboundError::TooLarge { host: "127.0.0.1".into(), limit: BODY_LIMIT });
        assert!(error.request_may_have_arrived());
    }
    let fits = format!("HTTP/1.1 200 OK\r\ncontent-length: {BODY_LIMIT}\r\n\r\n{}", "x".repeat(BODY_LIMIT));
    let (address, _) = answering(fits).await;
    assert_eq!(outbound(LONG).call(at(address)).await.unwrap().body.len(), BODY_LIMIT);
}

#[tokio::test]
async fn an_answer_that_trickles_hits_the_time_limit() {
    let (address, _) = listen(|mut stream| async move {
        head(&mut stream).await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n").await.unwrap();
        let mut drops = tokio::time::interval(Duration::from_millis(20));
        while stream.write_all(b"x").await.is_ok() {
            drops.tick().await;
        }
    })
    .await;
    let error = failure(&outbound(SHORT), at(address)).await;
    assert_eq!(error, OutboundError::TimedOut { host: "127.0.0.1".into(), sent: true });
    assert!(error.request_may_have_arrived());
}

#[tokio::test]
async fn a_handshake_that_hangs_is_given_up_and_nothing_was_sent() {
    let (address, _) = listen(|stream| async move {
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await;
    let making = Making {
        roots: RootCertStore::empty(),
        resolver: Resolver::System,
        proxy: None,
        connect_within: SHORT,
    };
    let impatient = Outbound::over(Arc::new(policy()), LONG, making).unwrap();
    let error = failure(&impatient, get(format!("https://{address}/canary"))).await;
    assert_eq!(error, OutboundError::TimedOut { host: "127.0.0.1".into(), sent: false });
    assert!(!error.request_may_have_arrived());
    let error = failure(&outbound(SHORT), get(format!("https://{address}/canary"))).await;
    assert!(!error.request_may_have_arrived(), "the whole call's limit came first");
}

#[tokio::test]
async fn r38_a_redirect_is_an_answer_and_is_not_followed() {
    let (trap, trapped) = answering(OK).await;
    let moved = format!("HTTP/1.1 307 Moved\r\nlocation: http://{trap}/\r\ncontent-length: 0\r\n\r\n");
    let (address, _) = answering(moved).await;
    let answer = outbound(LONG).call(at(address)).await.unwrap();
    assert_eq!(answer.status, StatusCode::TEMPORARY_REDIRECT);
    assert_eq!(answer.headers[LOCATION], format!("http://{trap}/"));
    assert_eq!(trapped.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn what_the_rules_forbid_is_refused_before_anything_is_sent() {
    let outbound = outbound(LONG);
    for (url, word) in [
        ("http://other.example/canary", "DOORWARD_ALLOW_HTTP_HOSTS=127.0.0.1,named.example,other.example"),
        ("https://10.0.0.1/canary", "DOORWARD_ALLOW_PRIVATE_NETWORKS=127.0.0.1/32,127.0.0.2/32,10.0.0.1/32"),
        ("ftp://a.example/canary", "use https"),
        (&format!("https://a.example/canary{}", "x".repeat(70_000)), "too long"),
    ] {
        let error = failure(&outbound, get(url)).await;
        assert!(matches!(error, OutboundError::Refused(_)), "{error}");
        assert!(error.to_string().contains(word), "{error}");
        assert!(!error.request_may_have_arrived());
    }
    assert!(outbound.check_url(&"https://10.0.0.1/".parse().unwrap()).is_err());
    assert!(outbound.stream(get("https://10.0.0.1/")).await.is_err());
    assert!(format!("{outbound:?}").contains("127.0.0.2/32"));
}

#[tokio::test]
async fn an_address_literal_in_brackets_is_not_resolved() {
    let policy = EgressPolicy::parse("::1", "[::1]").unwrap();
    let outbound = Outbound::with_roots(policy, LONG, RootCertStore::empty()).unwrap();
    let listener = TcpListener::bind((LOOPBACK, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let error = failure(&outbound, get(format!("http://[::1]:{port}/"))).await;
    assert!(error.to_string().starts_with("[::1] cannot be reached: no connection:"), "{error}");
}

#[tokio::test]
async fn a_name_without_addresses_is_unreachable() {
    let (outbound, _) = named(RootCertStore::empty());
    let error = failure(&outbound, get("http://named.example/canary")).await;
    assert_eq!(error.to_string(), "named.example cannot be reached: the name has no address");
    // A label of 64 characters cannot be asked for, so this needs no name server (RFC 1035 §2.3.4).
    let impossible = format!("{}.invalid", "x".repeat(64));
    let policy = EgressPolicy::parse("", &impossible).unwrap();
    let outbound = Outbound::new(policy, LONG).unwrap();
    let error = failure(&outbound, get(format!("http://{impossible}/canary"))).await;
    assert!(error.to_string().contains("could not be resolved"), "{error}");
    assert!(!error.request_may_have_arrived());
}

#[tokio::test]
async fn r38_a_name_that_turns_private_is_refused_and_an_open_connection_stays_where_it_is() {
    let answers = Arc::new(AtomicUsize::new(0));
    let (address, connections) = listen(move |mut stream| {
        let answers = answers.clone();
        async move {
            while head(&mut stream).await.is_some() {
                let last = answers.fetch_add(1, Ordering::SeqCst) == 1;
                stream.write_all(if last { OK_AND_CLOSE } else { OK }.as_bytes()).await.unwrap();
            }
        }
    })
    .await;
    let (outbound, names) = named(RootCertStore::empty());
    let request = || get(format!("http://named.example:{}/canary", address.port()));
    names.set("named.example", &[LOOPBACK]);
    streamed(&outbound, request()).await.unwrap();
    names.set("named.example", &["10.0.0.1".parse().unwrap()]);
    let pinned = streamed(&outbound, request()).await.unwrap();
    assert_eq!(pinned[CONNECTION], "close");
    for error in [streamed(&outbound, request()).await.unwrap_err(), failure(&outbound, request()).await] {
        assert!(
            error.to_string().starts_with("named.example leads to 10.0.0.1, a private address;"),
            "{error}"
        );
    }
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn of_several_addresses_only_allowed_ones_are_tried_and_a_dead_one_is_passed_over() {
    let (address, _) = answering(OK_AND_CLOSE).await;
    let (outbound, names) = named(RootCertStore::empty());
    let request = || get(format!("http://named.example:{}/", address.port()));
    let (private, dead) = ("10.0.0.1".parse().unwrap(), "127.0.0.2".parse().unwrap());
    for addresses in [vec![private, LOOPBACK], vec![dead, LOOPBACK], vec![LOOPBACK, private, dead]] {
        names.set("named.example", &addresses);
        assert!(outbound.call(request()).await.is_ok(), "{addresses:?}");
    }
    names.set("named.example", &[dead, dead]);
    assert!(matches!(failure(&outbound, request()).await, OutboundError::Unreachable { .. }));
    names.set("named.example", &["169.254.169.254".parse().unwrap(), private]);
    let error = failure(&outbound, request()).await;
    assert!(error.to_string().contains("169.254.169.254, a cloud metadata address;"), "{error}");
}

#[tokio::test]
async fn a_connection_that_went_stale_in_the_pool_is_replaced_unnoticed() {
    let (tell, mut client_left) = tokio::sync::mpsc::unbounded_channel();
    let (address, connections) = listen(move |mut stream| {
        let tell = tell.clone();
        async move {
            head(&mut stream).await.unwrap();
            stream.write_all(OK.as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
            assert!(head(&mut stream).await.is_none());
            tell.send(()).unwrap();
        }
    })
    .await;
    let outbound = outbound(LONG);
    streamed(&outbound, at(address)).await.unwrap();
    client_left.recv().await.unwrap();
    streamed(&outbound, at(address)).await.unwrap();
    assert_eq!(connections.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn each_call_has_a_connection_of_its_own() {
    let (address, connections) = answering(OK).await;
    let outbound = outbound(LONG);
    for expected in 1..=3 {
        outbound.call(at(address)).await.unwrap();
        assert_eq!(connections.load(Ordering::SeqCst), expected);
    }
}

#[tokio::test]
async fn a_stream_hands_over_each_piece_as_it_comes() {
    let go_on = Arc::new(tokio::sync::Notify::new());
    let server_side = go_on.clone();
    let (address, _) = listen(move |mut stream| {
        let go_on = server_side.clone();
        async move {
            head(&mut stream).await.unwrap();
            let head =
                "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
            stream.write_all(head.as_bytes()).await.unwrap();
            for piece in ["5\r\nfirst\r\n", "6\r\nsecond\r\n", "0\r\n\r\n"] {
                stream.write_all(piece.as_bytes()).await.unwrap();
                go_on.notified().await;
            }
        }
    })
    .await;
    let mut body = outbound(SHORT).stream(at(address)).await.unwrap().into_body();
    for expected in ["first", "second"] {
        let piece = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(piece, expected);
        go_on.notify_one();
    }
    assert!(body.frame().await.is_none());
}

#[tokio::test]
async fn a_stream_without_headers_in_time_may_have_arrived_and_one_without_connection_has_not() {
    let (address, _) = listen(|mut stream| async move {
        head(&mut stream).await.unwrap();
        std::future::pending::<()>().await;
    })
    .await;
    let outbound = outbound(LONG);
    let error = outbound.stream_within(at(address), SHORT).await.unwrap_err();
    assert!(error.request_may_have_arrived());
    let (silent, _) = listen(|stream| async move {
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await;
    let error = outbound.stream_within(get(format!("https://{silent}/")), SHORT).await.unwrap_err();
    assert!(!error.request_may_have_arrived());
}

/// A TLS server for `name` that speaks both versions of HTTP, and the roots that trust it.
async fn tls_server(name: &str) -> (SocketAddr, RootCertStore) {
    let own = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(own.cert.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![own.cert.der().clone()],
            PrivateKeyDer::try_from(own.signing_key.serialize_der()).unwrap(),
        )
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let (address, _) = listen(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(stream) = acceptor.accept(stream).await else { return };
            let hello =
                service_fn(|_| async { Ok::<_, hyper::Error>(Response::new(Full::new(Bytes::from("ok")))) });
            let _ =
                auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), hello).await;
        }
    })
    .await;
    (address, roots)
}

#[tokio::test]
async fn https_to_a_trusted_name_works_and_uses_http2_where_offered() {
    let (address, roots) = tls_server("named.example").await;
    let (outbound, names) = named(roots);
    names.set("named.example", &[LOOPBACK]);
    let request = || get(format!("https://named.example:{}/", address.port()));
    let answer = outbound.stream(request()).await.unwrap();
    assert_eq!(answer.version(), Version::HTTP_2);
    assert_eq!(outbound.call(request()).await.unwrap().body, "ok");
}

#[tokio::test]
async fn an_untrusted_certificate_or_one_for_another_name_gets_nothing() {
    let (address, roots) = tls_server("other.example").await;
    for roots in [roots, RootCertStore::empty()] {
        let (outbound, names) = named(roots);
        names.set("named.example", &[LOOPBACK]);
        let error = failure(&outbound, get(format!("https://named.example:{}/canary", address.port()))).await;
        assert!(error.to_string().contains("the TLS handshake failed: invalid peer certificate"), "{error}");
        assert!(!error.request_may_have_arrived());
    }
}
