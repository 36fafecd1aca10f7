//! Commands beside a running server: the server does them, so that what they change holds at once.

use crate::program::{Running, Said, run};
use doorward_testkit::app::PASSWORD;
use doorward_testkit::client::Client;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tempfile::TempDir;

const EMAIL: [&str; 2] = ["--email", "a@test.example"];

/// Runs a command that must succeed; what it printed.
fn done(directory: &TempDir, arguments: &[&str], input: &str) -> String {
    let Said { success, out, err } = run(directory, arguments, input);
    assert!(success, "{arguments:?}: {err}");
    out
}

fn make_administrator(directory: &TempDir) {
    done(directory, &[&["admin", "create"][..], &EMAIL].concat(), &format!("{PASSWORD}\n"));
}

fn make_token(directory: &TempDir) -> String {
    let create = ["token", "create", "--name", "laptop", "--audience", "self"];
    done(directory, &[&create[..], &EMAIL].concat(), "").trim_end().to_owned()
}

fn first_token_id(directory: &TempDir) -> String {
    let listed = done(directory, &[&["token", "list"][..], &EMAIL].concat(), "");
    listed.split('\t').next().unwrap().to_owned()
}

/// Every command there is, by its words, as the program's own help tells.
fn commands_below(directory: &TempDir, words: &[&str]) -> BTreeSet<String> {
    let help = done(directory, &[words, &["--help"]].concat(), "");
    let Some((_, list)) = help.split_once("Commands:\n") else { return [words.join(" ")].into() };
    let names =
        list.lines().take_while(|line| !line.is_empty()).filter_map(|line| line.split_whitespace().next());
    names
        .filter(|name| *name != "help")
        .flat_map(|name| commands_below(directory, &[words, &[name]].concat()))
        .collect()
}

/// What is done without a server, or is the server.
const NOT_BESIDE: [&str; 4] = ["serve", "demo", "openapi", "restore"];

#[test]
fn every_command_works_beside_a_running_server_and_after_it_was_killed() {
    let directory = tempfile::tempdir().unwrap();
    let mut running = Running::start(&directory, "serve");
    running.line();
    let mut tried = BTreeSet::new();
    let mut tried_with = |arguments: &[&str], input: &str| {
        let words = arguments.iter().take_while(|word| !word.starts_with(['-', '/']));
        tried.insert(words.copied().collect::<Vec<_>>().join(" "));
        done(&directory, arguments, input)
    };
    assert!(tried_with(&["admin", "setup-link"], "").starts_with(&running.public));
    let password = format!("{PASSWORD}\n");
    let first = tried_with(&[&["admin", "create"][..], &EMAIL].concat(), &password);
    assert_eq!(first, "a@test.example is the first administrator\n");
    assert!(
        tried_with(&[&["admin", "reset-password"][..], &EMAIL].concat(), "").contains("/ui/reset?token=")
    );
    let made = tried_with(&[&["token", "create", "--name", "laptop"][..], &EMAIL].concat(), "");
    assert!(made.starts_with("dw_") && made.lines().count() == 1, "{made}");
    let listed = tried_with(&[&["token", "list"][..], &EMAIL].concat(), "");
    let id = listed.split('\t').next().unwrap();
    assert_eq!(tried_with(&[&["token", "revoke", "--id", id][..], &EMAIL].concat(), ""), "ended\n");
    assert!(tried_with(&["keys", "list"], "").starts_with("k1\tseals"));
    assert!(tried_with(&["audit", "checkpoint"], "").starts_with(r#"{"seq":"#));
    assert!(tried_with(&["audit", "verify"], "").starts_with("the audit trail holds: "));
    let rotated = tried_with(&["keys", "rotate"], "");
    assert!(rotated.starts_with("k2 seals from now on"), "{rotated}");
    let listed = tried_with(&["keys", "list"], "");
    assert_eq!(listed, "k2\tseals and opens\t0 rows\nk1\topens\t0 rows\n");

    assert!(tried_with(&["cleanup", "--dry-run"], "").contains("would go"));
    let file = directory.path().join("backup.db");
    assert!(tried_with(&["backup", file.to_str().unwrap()], "").contains("holds the database"));
    assert!(tried_with(&["doctor"], "").contains("good\tthe database answers"));
    // Beside the server as without it, a minute must pass before an old key goes.
    let early = run(&directory, &["keys", "retire", "k1"], "");
    assert!(early.err.contains("'k2' took over"), "{}", early.err);
    tried.insert("keys retire".to_owned());
    let all: BTreeSet<String> = commands_below(&directory, &[]);
    let beside: BTreeSet<String> =
        all.into_iter().filter(|command| !NOT_BESIDE.contains(&command.as_str())).collect();
    assert_eq!(tried, beside, "each command is tried here");
    let refused =
        run(&directory, &[&["token", "revoke", "--id", id][..], &["--email", "b@test.example"]].concat(), "");
    assert_eq!(
        refused.err, "doorward: there is no such person\n",
        "an error is told as it is without a server"
    );
    drop(running);
    assert!(directory.path().join("data/control.sock").exists(), "a killed server leaves its socket behind");
    assert!(done(&directory, &["keys", "list"], "").starts_with("k2\tseals"), "without a server");
    let mut again = Running::start(&directory, "serve");
    again.line();
    assert!(done(&directory, &["keys", "list"], "").starts_with("k2\tseals"), "beside the next server");
    assert!(again.stop().0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_revoked_beside_a_server_under_load_opens_nothing_from_the_next_call_on() {
    let directory = Arc::new(tempfile::tempdir().unwrap());
    let mut running = Running::start(&directory, "serve");
    running.line();
    make_administrator(&directory);
    let client = Client::new(&running.public).with_bearer(&make_token(&directory));
    let (stop, served) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let load = tokio::spawn({
        let (client, stop, served) = (client.clone(), Arc::clone(&stop), Arc::clone(&served));
        async move {
            while !stop.load(Ordering::SeqCst) {
                if client.get("/me").await.status == 200 {
                    served.fetch_add(1, Ordering::SeqCst);
                }
            }
        }
    });
    while served.load(Ordering::SeqCst) < 50 {
        tokio::task::yield_now().await;
    }
    let revoke = tokio::task::spawn_blocking({
        let directory = Arc::clone(&directory);
        move || {
            let id = first_token_id(&directory);
            done(&directory, &[&["token", "revoke", "--id", &id][..], &EMAIL].concat(), "")
        }
    });
    assert_eq!(revoke.await.unwrap(), "ended\n");
    assert_eq!(client.get("/me").await.status, 401);
    let at_the_answer = served.load(Ordering::SeqCst);
    for _ in 0..20 {
        assert_eq!(client.get("/me").await.status, 401);
    }
    stop.store(true, Ordering::SeqCst);
    load.await.unwrap();
    // One call of the load may have been answered before the command was, and been counted after it.
    assert!(served.load(Ordering::SeqCst) <= at_the_answer + 1);
    assert!(running.stop().0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m11_the_doctor_examines_one_gateway_beside_a_server_and_without_one() {
    let directory = tempfile::tempdir().unwrap();
    let mut running = Running::start(&directory, "serve");
    running.line();
    make_administrator(&directory);
    let create = ["token", "create", "--name", "setup", "--audience", "admin"];
    let token = done(&directory, &[&create[..], &EMAIL].concat(), "");
    let client = Client::new(&running.public).with_bearer(token.trim_end());
    let body = serde_json::json!({"url": "https://mcp.invalid/mcp", "slug": "gone", "authorization": {"type": "none"}});
    assert_eq!(client.post("/gateways", &body).await.status, 201);
    let examine = || run(&directory, &["doctor", "--gateway", "gone"], "");
    let beside = examine();
    assert!(!beside.success && beside.out.starts_with("WRONG\tmcp server: "), "{}", beside.out);
    assert_eq!(beside.err, "doorward: one thing is wrong\n");
    let unknown = run(&directory, &["doctor", "--gateway", "nobody"], "");
    assert_eq!(unknown.err, "doorward: there is no such gateway\n");
    assert!(running.stop().0);
    assert_eq!(examine().out, beside.out, "the same without a server");
}
