//! A closed loop of connections that each send a call, wait for the answer, and send the next.

use bytes::Bytes;
use http::{HeaderMap, Method, Request};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

/// What to send, over and over.
#[derive(Clone)]
pub struct Target {
    pub url: String,
    pub headers: HeaderMap,
    /// How long a connection rests between two calls.
    pub pause: Duration,
}

/// What was seen.
pub struct Measured {
    pub calls: usize,
    pub failures: usize,
    pub seconds: f64,
    latencies_us: Vec<u64>,
}

impl Measured {
    /// Calls per second.
    pub fn rate(&self) -> f64 {
        self.calls as f64 / self.seconds
    }

    /// The latency, in microseconds, that a share of the calls stayed under.
    pub fn percentile_us(&self, share: f64) -> u64 {
        let at = (self.latencies_us.len() as f64 * share) as usize;
        self.latencies_us.get(at.min(self.latencies_us.len().saturating_sub(1))).copied().unwrap_or(0)
    }
}

/// Loops that run until they are stopped.
pub struct Running {
    going: Arc<AtomicBool>,
    loops: Vec<JoinHandle<(Vec<u64>, usize)>>,
    begun: Instant,
}

/// Runs `connections` loops for a time.
pub async fn run(target: &Target, connections: usize, time: Duration) -> Measured {
    let running = start(target, connections);
    tokio::time::sleep(time).await;
    running.stop().await
}

/// Starts `connections` loops.
pub fn start(target: &Target, connections: usize) -> Running {
    let going = Arc::new(AtomicBool::new(true));
    let one = || tokio::spawn(one_loop(target.clone(), Arc::clone(&going)));
    let loops = (0..connections).map(|_| one()).collect();
    Running { going, loops, begun: Instant::now() }
}

impl Running {
    /// Lets each loop finish its call.
    pub async fn stop(self) -> Measured {
        self.going.store(false, Ordering::Relaxed);
        let mut measured = Measured { calls: 0, failures: 0, seconds: 0.0, latencies_us: Vec::new() };
        for one in self.loops {
            if let Ok((latencies, failures)) = one.await {
                measured.calls += latencies.len();
                measured.failures += failures;
                measured.latencies_us.extend(latencies);
            }
        }
        measured.seconds = self.begun.elapsed().as_secs_f64();
        measured.latencies_us.sort_unstable();
        measured
    }
}

async fn one_loop(target: Target, going: Arc<AtomicBool>) -> (Vec<u64>, usize) {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build(connector);
    let mut latencies = Vec::new();
    let mut failures = 0;
    let mut id = 0_u64;
    while going.load(Ordering::Relaxed) {
        id += 1;
        let sent = Instant::now();
        match one_call(&client, &target, id).await {
            true => latencies.push(u64::try_from(sent.elapsed().as_micros()).unwrap_or(u64::MAX)),
            false => failures += 1,
        }
        if !target.pause.is_zero() {
            tokio::time::sleep(target.pause).await;
        }
    }
    (latencies, failures)
}

async fn one_call(client: &Client<HttpConnector, Full<Bytes>>, target: &Target, id: u64) -> bool {
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"work","arguments":{{"text":"{}"}},"_meta":{{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{{}}}}}}}}"#,
        "y".repeat(120)
    );
    let mut request = Request::new(Full::new(Bytes::from(body)));
    *request.method_mut() = Method::POST;
    let Ok(uri) = target.url.parse() else { return false };
    *request.uri_mut() = uri;
    *request.headers_mut() = target.headers.clone();
    let Ok(response) = client.request(request).await else { return false };
    let ok = response.status().is_success();
    let Ok(body) = response.into_body().collect().await else { return false };
    ok && String::from_utf8_lossy(&body.to_bytes()).contains(r#""isError":false"#)
}
