//! Real proxies from Debian's packages, each in a directory of its own: nginx before a server, tinyproxy before the
//! outside. They end with their value.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long a proxy may take until it listens, on a loaded machine.
const UNTIL_UP: Duration = Duration::from_secs(30);

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a free port");
    listener.local_addr().expect("a bound listener has an address").port()
}

/// nginx with some `server { ... }` blocks.
#[derive(Debug)]
pub struct Nginx {
    process: Child,
    directory: TempDir,
}

impl Nginx {
    /// Starts it; `servers` is what stands in `http { ... }`, `port` is one that it listens on then.
    pub async fn start(servers: &str, port: u16) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let here = directory.path().display();
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {here}/{kind};"))
            .concat();
        let config = format!(
            "daemon off; pid {here}/pid; error_log {here}/error.log; worker_processes 1; events {{}}\n\
             http {{ access_log off; {temporary}\n{servers}\n}}"
        );
        write(directory.path(), "nginx.conf", &config);
        let mut command = Command::new("/usr/sbin/nginx");
        command.arg("-p").arg(directory.path()).arg("-c").arg(directory.path().join("nginx.conf"));
        let started = Self { process: spawn(command, "nginx"), directory };
        listens(port).await;
        started
    }

    /// Its directory, for certificates.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        end(&mut self.process);
    }
}

/// tinyproxy with a user name and password, which notes where it connects to.
#[derive(Debug)]
pub struct TinyProxy {
    process: Child,
    directory: TempDir,
    port: u16,
}

impl TinyProxy {
    /// The user name and password that it wants.
    pub const CREDENTIALS: &str = "gateway:canary-of-the-proxy";

    /// Starts it.
    pub async fn start() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let (port, here) = (free_port(), directory.path().display());
        let (user, password) = Self::CREDENTIALS.split_once(':').expect("both are there");
        let config = format!(
            "Port {port}\nListen 127.0.0.1\nLogFile \"{here}/log\"\nLogLevel Connect\nMaxClients 100\nAllow 127.0.0.1\n\
             BasicAuth {user} {password}\n"
        );
        write(directory.path(), "tinyproxy.conf", &config);
        let mut command = Command::new("/usr/bin/tinyproxy");
        command.arg("-d").arg("-c").arg(directory.path().join("tinyproxy.conf"));
        let started = Self { process: spawn(command, "tinyproxy"), directory, port };
        listens(port).await;
        started
    }

    /// Its address, with some user name and password.
    pub fn url(&self, credentials: &str) -> String {
        format!("http://{credentials}@127.0.0.1:{}", self.port)
    }

    /// Whether it has been asked for a tunnel to a place.
    pub fn was_asked_for(&self, place: SocketAddr) -> bool {
        let log = std::fs::read_to_string(self.directory.path().join("log")).unwrap_or_default();
        log.contains(&format!("CONNECT {place} "))
    }
}

impl Drop for TinyProxy {
    fn drop(&mut self) {
        end(&mut self.process);
    }
}

fn write(directory: &Path, name: &str, text: &str) {
    std::fs::write(directory.join(name), text).expect("a temporary directory can be written to");
}

fn spawn(mut command: Command, package: &str) -> Child {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().unwrap_or_else(|error| {
        panic!("{package} does not start ({error}): run scripts/install-tools, which says what is missing")
    })
}

async fn listens(port: u16) {
    let begun = Instant::now();
    while tokio::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_err() {
        assert!(begun.elapsed() < UNTIL_UP, "nothing listens on port {port}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// SIGTERM, so that nginx takes its worker along.
fn end(process: &mut Child) {
    let asked = Command::new("kill").arg(process.id().to_string()).status();
    if !asked.is_ok_and(|status| status.success()) {
        process.kill().ok();
    }
    process.wait().ok();
}
