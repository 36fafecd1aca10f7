//! A real PostgreSQL for tests: one server for all test processes of a run, one fresh database per test.
//!
//! The first test that needs it starts it, under a file lock: its own data directory and Unix socket in the
//! system's temporary directory, no TCP. A small supervisor stops it once nobody has asked for a database
//! for five minutes, so that nothing outlives a run for long and no test pays for the start alone. What measures
//! has a server of its own, which is set up as one would be that people rely on.
//! PostgreSQL refuses to run as root; then it runs as the user `postgres`, as Debian creates it.
//!
//! A machine without PostgreSQL fails these tests with a sentence that says what to install.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

/// The database user of the server.
const USER: &str = "doorward";

/// Durability is for production; connections are for many test processes at once.
const FOR_TESTS: &str = "-c listen_addresses='' -c fsync=off -c synchronous_commit=off \
     -c full_page_writes=off -c max_connections=400 -c shared_buffers=64MB";

/// What is committed survives a power cut, and the cache is what its documentation advises for a machine of 4 GiB.
const FOR_FIGURES: &str = "-c listen_addresses='' -c shared_buffers=1GB -c max_wal_size=4GB";

/// Stops the server when `last_use` is five minutes old. It takes the same lock as the tests.
const SUPERVISOR: &str = r#"cd "$1" && while sleep 15; do
    flock lock sh -c 'test -z "$(find last_use -mmin +5)" || { "$0/pg_ctl" -D data -m immediate stop; rm -rf data; exit 1; }' "$2" || exit 0
done"#;

/// A database of one test; it is dropped with this value.
#[derive(Debug)]
pub struct TestPostgres {
    server: Server,
    name: String,
    /// Of a server that nobody else is to use meanwhile, and that the supervisor is not to stop.
    _alone: Option<File>,
}

#[derive(Debug)]
struct Server {
    /// Where initdb, pg_ctl and psql are.
    programs: PathBuf,
    /// Where the data, the socket, the lock and the log are.
    home: PathBuf,
    options: &'static str,
}

impl TestPostgres {
    /// A fresh, empty database on the shared server, which is started if need be.
    ///
    /// # Panics
    /// When PostgreSQL is not installed or does not start: these tests never pass silently.
    pub fn new() -> Self {
        let server = Server { programs: programs(), home: home("doorward-postgres"), options: FOR_TESTS };
        drop(server.ensure_running());
        Self::on(server, None)
    }

    /// A fresh, empty database on a server that is set up as for work; no other has it meanwhile.
    ///
    /// # Panics
    /// As [`new`](Self::new) does.
    pub fn for_figures() -> Self {
        let home = home("doorward-postgres-figures");
        let server = Server { programs: programs(), home, options: FOR_FIGURES };
        let alone = server.ensure_running();
        Self::on(server, Some(alone))
    }

    fn on(server: Server, alone: Option<File>) -> Self {
        let name = fresh_name();
        server.sql(&format!("CREATE DATABASE {name}")).expect("a fresh database can be created");
        Self { server, name, _alone: alone }
    }

    /// The URL for `DATABASE_URL`.
    pub fn url(&self) -> String {
        format!("postgres://{USER}@localhost/{}?host={}", self.name, self.server.home.display())
    }

    /// Cuts every connection to the database and lets nobody in again.
    pub fn cut_off(&self) {
        let name = &self.name;
        let nobody = format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false");
        let cut = format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'");
        self.server.sql(&nobody).and_then(|()| self.server.sql(&cut)).expect("a database can be cut off");
    }
}

impl Default for TestPostgres {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for TestPostgres {
    fn drop(&mut self) {
        // A panic here would hide the failure of the test; what stays goes with the server.
        let _ = self.server.sql(&format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name));
    }
}

impl Server {
    /// Gives the lock under which it was started.
    fn ensure_running(&self) -> File {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.home).expect("a directory can be made");
        let lock = self.file("lock");
        lock.lock().expect("the lock of the test server can be taken");
        self.file("last_use").set_modified(now()).expect("a file of ours can be touched");
        if UnixStream::connect(self.home.join(".s.PGSQL.5432")).is_err() {
            self.start();
        }
        lock
    }

    fn file(&self, name: &str) -> File {
        let path = self.home.join(name);
        OpenOptions::new().create(true).append(true).open(path).expect("a file of ours can be opened")
    }

    fn start(&self) {
        let data = self.home.join("data");
        let _ = fs::remove_dir_all(&data);
        if is_root() {
            must(Command::new("chown").arg("-R").arg("postgres").arg(&self.home));
        }
        must(self.as_server_user("initdb").arg("--pgdata").arg(&data).args([
            "--username",
            USER,
            "--auth=trust",
            "--no-sync",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
        ]));
        let options = format!("{} -c unix_socket_directories='{}'", self.options, self.home.display());
        must(
            self.as_server_user("pg_ctl")
                .arg("--pgdata")
                .arg(&data)
                .args(["--wait", "--silent", "--options", &options, "--log"])
                .arg(self.home.join("log"))
                .arg("start"),
        );
        self.supervise();
    }

    /// In a session of its own, so that it lives on when the test that started it ends or is killed.
    fn supervise(&self) {
        let mut supervisor = Command::new("setsid");
        supervisor.arg("--fork");
        if is_root() {
            supervisor.args(["runuser", "-u", "postgres", "--"]);
        }
        supervisor.args(["sh", "-c", SUPERVISOR, "supervisor"]).args([&self.home, &self.programs]);
        supervisor.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        supervisor.status().expect("setsid of util-linux starts the supervisor");
    }

    fn as_server_user(&self, program: &str) -> Command {
        let program = self.programs.join(program);
        let mut command = if is_root() {
            let mut runuser = Command::new("runuser");
            runuser.args(["-u", "postgres", "--"]).arg(program);
            runuser
        } else {
            Command::new(program)
        };
        command.current_dir(&self.home);
        command
    }

    fn sql(&self, statement: &str) -> Result<(), String> {
        run(Command::new(self.programs.join("psql"))
            .args(["--quiet", "--no-psqlrc", "--username", USER, "--dbname", "postgres", "--host"])
            .arg(&self.home)
            .args(["--command", statement]))
    }
}

fn must(command: &mut Command) {
    run(command).unwrap_or_else(|problem| panic!("{problem}"));
}

fn run(command: &mut Command) -> Result<(), String> {
    // No pipe on stdout: a server that starts here would hold it open for ever.
    let done = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).output();
    let output = done.map_err(|error| format!("{command:?}: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    output.status.success().then_some(()).ok_or_else(|| format!("{command:?}: {said}"))
}

/// The newest PostgreSQL of the machine: Debian's directories, else whatever is in the PATH.
fn programs() -> PathBuf {
    let mut versions: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .filter(|(_, programs)| programs.join("initdb").exists())
        .collect();
    versions.sort();
    versions.pop().map(|(_, programs)| programs).or_else(programs_of_pg_config).unwrap_or_else(|| {
        panic!(
            "these tests need a PostgreSQL server: install it, for example with `apt-get install postgresql`"
        )
    })
}

fn programs_of_pg_config() -> Option<PathBuf> {
    let output = Command::new("pg_config").arg("--bindir").output().ok()?;
    let programs = Path::new(String::from_utf8(output.stdout).ok()?.trim()).to_owned();
    programs.join("initdb").exists().then_some(programs)
}

/// One server of a name per user of the machine.
fn home(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("{name}-{}", own_uid()))
}

fn is_root() -> bool {
    own_uid() == 0
}

fn own_uid() -> u32 {
    fs::metadata("/proc/self").expect("/proc is mounted").uid()
}

/// Unlike any other test's: by process, and within the process.
fn fresh_name() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let started = now().duration_since(std::time::UNIX_EPOCH).map_or(0, |age| age.as_nanos());
    format!("test_{}_{started}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

#[expect(clippy::disallowed_methods, reason = "file times are the machine's, not the tests'")]
fn now() -> std::time::SystemTime {
    std::time::SystemTime::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_databases_stand_side_by_side() {
        let (one, other) = (TestPostgres::new(), TestPostgres::new());
        assert_ne!(one.url(), other.url());
        assert!(one.url().starts_with("postgres://doorward@localhost/test_"), "{}", one.url());
    }
}
