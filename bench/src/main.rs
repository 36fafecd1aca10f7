//! `make bench`: what the gateway costs, as ratios against the direct upstream in the same run.
//!
//! Three rounds, each the direct upstream first and the gateway right after, so that both meet the same
//! machine. The gateway is the release binary in a process of its own; upstream and load share another.

mod cleanup;
mod crowd;
mod edges;
mod first_byte;
mod grants;
mod load;
mod prepare;
mod process;
mod revoke;
mod upstream;

use doorward_demo::{AuthorizationServer, AuthorizationServerOptions};
use http::{HeaderMap, HeaderValue, header};
use load::{Measured, Target};
use prepare::{AnyError, Prepared, prepare};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const BINARY: &str = "target/release/doorward";
const LISTEN: &str = "127.0.0.1:14444";
const ROUNDS: usize = 3;
const ROUND: Duration = Duration::from_secs(5);
const WARM_UP: Duration = Duration::from_secs(1);
const CONNECTIONS: [usize; 2] = [1, 32];

#[tokio::main]
async fn main() -> Result<(), AnyError> {
    let mut arguments = std::env::args().skip(1);
    match arguments.next().as_deref() {
        None => calls().await,
        Some("cleanup") => cleanup::run(arguments.next().map(|people| people.parse()).transpose()?).await,
        Some("edges") => edges::run().await,
        Some("grants") => grants::run(arguments.next().map(|people| people.parse()).transpose()?).await,
        Some(other) => Err(format!(
            "'{other}' is no bench: leave it out for calls, or say 'grants', 'cleanup' or 'edges'"
        )
        .into()),
    }
}

/// The cost of a call.
async fn calls() -> Result<(), AnyError> {
    let owner_only = std::fs::Permissions::from_mode(0o700);
    let directory = tempfile::Builder::new().permissions(owner_only).tempdir()?;
    let server =
        AuthorizationServer::start("127.0.0.1:0".parse()?, AuthorizationServerOptions::default()).await?;
    let upstream = format!("http://{}/mcp", upstream::start().await?);
    start_on_nothing().await?;
    let prepared = prepare(directory.path(), &server, &upstream).await?;
    let mut gateway = start(directory.path(), &prepared.key_ring).await?;
    let measured = measure(&upstream, &prepared, gateway.pid()).await;
    gateway.stop();
    measured?;
    revoke::run(&server, &upstream).await
}

async fn measure(upstream: &str, prepared: &Prepared, pid: u32) -> Result<(), AnyError> {
    let direct = target(upstream.to_owned(), "any-token")?;
    let through = target(format!("http://{LISTEN}/gateways/bench/mcp"), &prepared.api_token)?;
    let mut report = String::new();
    line(&mut report, format!("idle resident memory: {:.1} MiB", process::resident_mib(pid)));
    line(&mut report, "| connections | direct req/s | gateway req/s | ratio | gateway CPU µs/req | direct p50/p99 µs | gateway p50/p99 µs |".to_owned());
    line(&mut report, "|---|---|---|---|---|---|---|".to_owned());
    for connections in CONNECTIONS {
        load::run(&direct, connections, WARM_UP).await;
        load::run(&through, connections, WARM_UP).await;
        for _ in 0..ROUNDS {
            let alone = load::run(&direct, connections, ROUND).await;
            let before = process::cpu_seconds(pid);
            let gated = load::run(&through, connections, ROUND).await;
            let cpu = process::cpu_seconds(pid) - before;
            if alone.failures + gated.failures > 0 || gated.calls == 0 {
                return Err(
                    format!("{} direct and {} gateway calls failed", alone.failures, gated.failures).into()
                );
            }
            line(&mut report, row(connections, &alone, &gated, cpu));
        }
    }
    line(&mut report, format!("resident memory after load: {:.1} MiB", process::resident_mib(pid)));
    std::io::stdout().write_all(report.as_bytes())?;
    Ok(())
}

fn row(connections: usize, alone: &Measured, gated: &Measured, cpu: f64) -> String {
    format!(
        "| {connections} | {:.0} | {:.0} | {:.2} | {:.1} | {} / {} | {} / {} |",
        alone.rate(),
        gated.rate(),
        gated.rate() / alone.rate(),
        cpu * 1e6 / gated.calls as f64,
        alone.percentile_us(0.5),
        alone.percentile_us(0.99),
        gated.percentile_us(0.5),
        gated.percentile_us(0.99),
    )
}

fn line(report: &mut String, text: String) {
    report.push_str(&text);
    report.push('\n');
}

/// A stateless call of the newest revision: no session has to be opened first.
fn target(url: String, bearer: &str) -> Result<Target, AnyError> {
    let mut headers = HeaderMap::new();
    headers.insert(header::AUTHORIZATION, HeaderValue::from_str(&format!("Bearer {bearer}"))?);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
    headers.insert("mcp-protocol-version", HeaderValue::from_static("2026-07-28"));
    headers.insert("mcp-method", HeaderValue::from_static("tools/call"));
    headers.insert("mcp-name", HeaderValue::from_static("work"));
    Ok(Target { url, headers, pause: Duration::ZERO })
}

/// The gateway's process; it ends with this value.
struct Gateway(Child);

impl Gateway {
    fn pid(&self) -> u32 {
        self.0.id()
    }

    fn stop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The first start of all: database, keys and setup link are made.
async fn start_on_nothing() -> Result<(), AnyError> {
    let empty = tempfile::tempdir()?;
    let gateway = start(&empty.path().join("data"), "").await?;
    tokio::time::sleep(WARM_UP).await;
    let idle = process::resident_mib(gateway.pid());
    std::io::stdout().write_all(format!("on an empty directory; idle there: {idle:.1} MiB\n").as_bytes())?;
    Ok(())
}

async fn start(directory: &Path, key_ring: &str) -> Result<Gateway, AnyError> {
    let started = Instant::now();
    let mut command = Command::new(BINARY);
    if !key_ring.is_empty() {
        command.env("DOORWARD_KEY_RING", key_ring);
    }
    let child = command
        .arg("serve")
        .env("DOORWARD_DATA_DIR", directory)
        .env("DOORWARD_LISTEN", LISTEN)
        .env("DOORWARD_METRICS_LISTEN", "127.0.0.1:14445")
        .env("DOORWARD_PUBLIC_URL", "http://localhost:14444")
        .env("DOORWARD_ALLOW_PRIVATE_NETWORKS", "127.0.0.1/32")
        .env("DOORWARD_ALLOW_HTTP_HOSTS", "127.0.0.1")
        // One person is the whole load here.
        .env("DOORWARD_REQUESTS_PER_MINUTE_PER_USER", "1000000000")
        .env("DOORWARD_CALLS_PER_MINUTE_PER_GATEWAY", "1000000000")
        .env("RUST_LOG", "warn")
        .stdout(Stdio::null())
        .spawn()
        .map_err(|error| format!("{BINARY}: {error}; run `make bench`, which builds it"))?;
    let gateway = Gateway(child);
    let client = reqwest::Client::builder().build()?;
    while !client
        .get(format!("http://{LISTEN}/health"))
        .send()
        .await
        .is_ok_and(|answer| answer.status().is_success())
    {
        if started.elapsed() > Duration::from_secs(10) {
            return Err("the gateway does not answer".into());
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    std::io::stdout()
        .write_all(format!("answers /health after {} ms\n", started.elapsed().as_millis()).as_bytes())?;
    Ok(gateway)
}
