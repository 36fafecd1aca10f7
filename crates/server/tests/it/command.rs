//! The binary itself: what it prints, what it refuses, and that it stops when told to.

use crate::program::{Running, command, finish, run};
use doorward_testkit::app::PASSWORD;
use std::os::unix::fs::PermissionsExt;

#[tokio::test]
async fn serve_says_where_to_go_and_keeps_the_setup_link_out_of_the_log() {
    let directory = tempfile::tempdir().unwrap();
    let mut running = Running::start(&directory, "serve");
    assert!(running.line().ends_with(&format!("serves at {}/", running.public)));
    assert!(running.line().contains("setup-link"));
    let file = directory.path().join("data/setup-link");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let link = std::fs::read_to_string(&file).unwrap();
    assert!(link.starts_with(&format!("{}/ui/setup?token=", running.public)), "{link}");
    let client = doorward_testkit::client::Client::new(&running.public);
    assert_eq!(client.get("/ready").await.json["status"], "ready");

    let second =
        run(&directory, &["serve", "--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0"], "");
    assert!(!second.success && second.err.contains("is used by another doorward"), "{}", second.err);
    let beside = run(&directory, &["token", "list", "--email", "a@b"], "");
    assert_eq!(beside.err, "doorward: there is no such person\n", "the server did it");
    assert!(running.stop().0, "it ends well when told to");
    let again = run(&directory, &["keys", "list"], "");
    assert_eq!(again.out, "k1\tseals and opens\t0 rows\n", "{}", again.err);
}

#[test]
fn people_and_tokens_are_made_on_the_machine() {
    let directory = tempfile::tempdir().unwrap();
    let link = run(&directory, &["admin", "setup-link"], "");
    assert!(link.out.starts_with("http://localhost:4444/ui/setup?token="), "{}", link.err);
    let short = run(&directory, &["admin", "create", "--email", "a@test.example"], "short\n");
    assert!(!short.success && short.err.contains("password"), "{}", short.err);
    let password = format!("{PASSWORD}\n");
    let first = run(&directory, &["admin", "create", "--email", "a@test.example"], &password);
    assert_eq!(first.out, "a@test.example is the first administrator\n", "{}", first.err);
    let second = run(&directory, &["admin", "create", "--email", "b@test.example", "--name", "B"], &password);
    assert_eq!(second.out, "b@test.example is an administrator\n", "{}", second.err);
    assert!(!run(&directory, &["admin", "setup-link"], "").success);
    let reset = run(&directory, &["admin", "reset-password", "--email", "a@test.example"], "");
    assert!(reset.out.contains("/ui/reset?token="), "{}", reset.err);

    let email = ["--email", "a@test.example"];
    let made = run(
        &directory,
        &[&["token", "create", "--name", "laptop", "--audience", "self"][..], &email].concat(),
        "",
    );
    assert!(made.out.starts_with("dw_") && made.out.lines().count() == 1, "{}", made.err);
    let listed = run(&directory, &[&["token", "list"][..], &email].concat(), "");
    assert!(listed.out.contains("\tself\tuntil ") && !listed.out.contains(made.out.trim()), "{}", listed.out);
    let id = listed.out.split('\t').next().unwrap();
    let ended = run(&directory, &[&["token", "revoke", "--id", id][..], &email].concat(), "");
    assert_eq!(ended.out, "ended\n", "{}", ended.err);
    assert!(run(&directory, &[&["token", "list"][..], &email].concat(), "").out.contains("\tended "));
    let nobody = run(&directory, &["token", "list", "--email", "nobody@test.example"], "");
    assert_eq!(nobody.err, "doorward: there is no such person\n");
}

#[test]
fn cleanup_runs_on_the_machine() {
    let directory = tempfile::tempdir().unwrap();
    let dry = run(&directory, &["cleanup", "--dry-run"], "");
    assert!(dry.success && dry.out.starts_with("stale_grants\t0\twould go\n"), "{}", dry.err);
    let real = run(&directory, &["cleanup"], "");
    assert!(real.success && real.out.starts_with("stale_grants\t0\tgone\n"), "{}", real.err);
    let told = run(&directory, &["cleanup", "--confirm-held", "3"], "");
    assert!(!told.success && told.err.contains("confirm_held: nothing is held"), "{}", told.err);
}

#[tokio::test]
async fn the_demo_prints_three_things_to_do_and_leaves_nothing_behind() {
    let directory = tempfile::tempdir().unwrap();
    let mut running = Running::start(&directory, "demo");
    let mut printed = String::new();
    while !printed.contains("Before step 2") {
        let line = running.line();
        assert!(running.child.try_wait().unwrap().is_none(), "the demo runs: {printed}");
        printed.push_str(&line);
        printed.push('\n');
    }
    for part in ["1. Open", "2. Connect", "3. Point", "claude mcp add", "Authorization: Bearer dw_"] {
        assert!(printed.contains(part), "{part} in {printed}");
    }
    let token = printed.split("Bearer ").nth(1).unwrap().split('"').next().unwrap();
    let client = doorward_testkit::client::Client::new(&running.public).with_bearer(token);
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"demo-whoami","arguments":{},"_meta":{
        "io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}"#;
    let call = client.request(reqwest::Method::POST, "/mcp").header("content-type", "application/json");
    let call = call
        .header("accept", "application/json, text/event-stream")
        .header("mcp-protocol-version", "2026-07-28");
    let call = call.header("mcp-method", "tools/call").header("mcp-name", "demo-whoami").body(body);
    let asked = client.send(call).await;
    assert!(asked.text.contains(&format!("{}/connect/demo?request=", running.public)), "{asked:?}");
    assert!(running.stop().0);
    assert!(!directory.path().join("data").exists(), "the demo has a directory of its own");
}

#[test]
fn a_wrong_setting_or_a_wrong_ring_stops_the_start_with_one_sentence() {
    let directory = tempfile::tempdir().unwrap();
    let refused = |name: &str, value: &str| {
        let mut command = command(directory.path(), &["keys", "list"]);
        command.env(name, value);
        let said = finish(command, "");
        assert!(!said.success && said.err.lines().count() == 1, "{name}: {}", said.err);
        said.err
    };
    assert_eq!(
        refused("DOORWARD_PUBLIC_URL", "http://a.example"),
        "doorward: DOORWARD_PUBLIC_URL: plain http is for loopback only: use https\n"
    );
    assert!(refused("DOORWARD_LISTN", "x").contains("did you mean DOORWARD_LISTEN?"));
    assert!(refused("DOORWARD_KEY_RING", "nonsense").starts_with("doorward: DOORWARD_KEY_RING: "));
    assert!(
        refused("DATABASE_URL", "postgres://localhost/x")
            .contains("DOORWARD_KEY_RING is required on PostgreSQL")
    );
    assert!(refused("RUST_LOG", "=nonsense=").starts_with("doorward: RUST_LOG: "));

    assert!(run(&directory, &["keys", "list"], "").success);
    let other = "k1:MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";
    assert!(
        refused("DOORWARD_KEY_RING", other).contains("key 'k1' of the key ring is not the key of that name")
    );
    assert!(
        refused("DOORWARD_KEY_RING", &other.replace("k1", "k9"))
            .contains("lacks key 'k1', with which Doorward seals")
    );
    std::fs::remove_file(directory.path().join("data/key-ring")).unwrap();
    let lost = run(&directory, &["keys", "list"], "");
    assert!(lost.err.contains("has a database but no key ring"), "{}", lost.err);
}

#[test]
fn the_document_is_printed_without_a_server() {
    let directory = tempfile::tempdir().unwrap();
    let said = run(&directory, &["openapi"], "");
    let document: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(document["openapi"], "3.1.0");
    assert!(!directory.path().join("data").exists());
}
