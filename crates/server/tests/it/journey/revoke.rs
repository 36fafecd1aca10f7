//! A revoke as those see it who are in the middle of something: running calls of either era, another replica,
//! and many callers at once.

use super::walk::{self, Process, modern, tool_text};
use doorward_broker::{AuthorizationInput, GatewayInput};
use doorward_demo::{Demo, McpFault};
use doorward_domain::{Audience, Gateway, GatewayState, GrantOwner};
use doorward_testkit::app::{Person, TestApp, TestAppOptions, oauth_input};
use doorward_testkit::client::Client;
use doorward_testkit::revoke_load::{Ground, revoke_under_load};
use reqwest::Method;
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::sync::Notify;

/// `AUTHORIZATION_ENDED` of docs/administrators.md.
const CUT: i64 = 4_012;

struct Stage {
    app: TestApp,
    demo: Demo,
    gateway: Arc<Gateway>,
    alice: Person,
}

impl Stage {
    async fn set(options: TestAppOptions) -> Self {
        let app = TestApp::with(options).await;
        let demo = app.demo().await;
        let gateway = app.register(&demo, "demo").await;
        let alice = app.user("alice").await;
        app.connect(&alice, "demo", &demo, "alice").await;
        Self { app, demo, gateway, alice }
    }

    async fn revoke(&self) -> Value {
        let owner = GrantOwner::User(self.alice.id);
        let grant = self.app.app.storage().grant_of(owner, self.gateway.id).await.unwrap().unwrap();
        let path = format!("/admin/oauth/tokens/{}", grant.id);
        let ended = self.app.admin_client().await.delete(&path).await;
        assert_eq!(ended.status, 200, "{ended:?}");
        ended.json
    }

    /// Makes the next call wait at the upstream, and gives what lets it go on.
    fn hold_next(&self) -> Arc<Notify> {
        let release = Arc::new(Notify::new());
        self.demo.mcp_server.clear_log();
        self.demo.mcp_server.faults().next_answer(McpFault::HeldUntil(Arc::clone(&release)));
        release
    }

    async fn until_upstream_has_the_call(&self) {
        while !self.demo.mcp_server.log().iter().any(|seen| seen.body.contains("tools/call")) {
            tokio::task::yield_now().await;
        }
    }
}

async fn whoami(client: &Client) -> Value {
    modern(client, "/mcp", "tools/call", &json!({ "name": "demo-whoami" })).await
}

/// A client of revision 2025-11-25 with a session; gives the text of its call's answer.
async fn legacy_call(client: &Client, session: &str) -> String {
    let body =
        json!({ "jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": { "name": "demo-whoami" } });
    let request = client
        .request(Method::POST, "/mcp")
        .header("accept", "application/json, text/event-stream")
        .header("mcp-protocol-version", "2025-11-25")
        .header("mcp-session-id", session);
    client.send(request.json(&body)).await.text
}

async fn legacy_session(client: &Client) -> String {
    let params = json!({ "protocolVersion": "2025-11-25", "capabilities": {},
        "clientInfo": { "name": "journey", "version": "1" } });
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params });
    let request =
        client.request(Method::POST, "/mcp").header("accept", "application/json, text/event-stream");
    let answer = client.send(request.json(&body)).await;
    answer.header("mcp-session-id").to_owned()
}

#[tokio::test]
async fn a_running_call_of_a_modern_client_is_cut_and_its_answer_is_never_delivered() {
    let stage = Stage::set(TestAppOptions::default()).await;
    let client = walk::mcp(&stage.app, &stage.alice).await;
    assert_eq!(tool_text(&whoami(&client).await), "alice");
    let release = stage.hold_next();
    let running = tokio::spawn({
        let client = client.clone();
        async move { whoami(&client).await }
    });
    stage.until_upstream_has_the_call().await;
    stage.revoke().await;
    // It ends although the upstream has not answered.
    let cut = running.await.unwrap();
    assert_eq!(cut["error"]["code"], CUT, "{cut:#}");
    assert!(cut["error"]["message"].as_str().unwrap().contains("was ended while this call ran"), "{cut:#}");
    release.notify_one();
    walk::asked_link(&whoami(&client).await);
}

#[tokio::test]
async fn a_running_call_of_a_legacy_client_is_cut_and_its_session_lives_on() {
    let stage = Stage::set(TestAppOptions::default()).await;
    let client = walk::mcp(&stage.app, &stage.alice).await;
    let session = legacy_session(&client).await;
    assert!(legacy_call(&client, &session).await.contains("alice"));
    let release = stage.hold_next();
    let running = tokio::spawn({
        let (client, session) = (client.clone(), session.clone());
        async move { legacy_call(&client, &session).await }
    });
    stage.until_upstream_has_the_call().await;
    stage.revoke().await;
    let cut = running.await.unwrap();
    assert!(cut.contains(&CUT.to_string()) && !cut.contains("\"text\":\"alice\""), "{cut}");
    release.notify_one();
    let asked = legacy_call(&client, &session).await;
    assert!(asked.contains("/connect/demo"), "{asked}");
}

#[tokio::test]
async fn r26_a_revoke_holds_on_every_replica_when_it_has_been_answered() {
    let stage = Stage::set(TestAppOptions { postgres: true, ..TestAppOptions::default() }).await;
    let other = Process::beside(&stage.app).await;
    let token = stage.app.api_token(&stage.alice, Audience::Mcp).await;
    let (here, there) = (stage.app.anonymous().with_bearer(&token), other.client.clone().with_bearer(&token));
    for _ in 0..3 {
        assert_eq!(tool_text(&whoami(&here).await), "alice");
        // Both have the token in memory now.
        assert_eq!(tool_text(&whoami(&there).await), "alice");
        stage.revoke().await;
        walk::asked_link(&whoami(&there).await);
        walk::asked_link(&whoami(&here).await);
        stage.app.connect(&stage.alice, "demo", &stage.demo, "alice").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn not_one_call_is_served_after_its_revoke_was_answered() {
    let app = TestApp::start().await;
    let demo = app.demo().await;
    let ground = Ground {
        broker: app.app.broker(),
        storage: app.app.storage(),
        vault: app.app.vault(),
        clock: &app.clock,
        server: &demo.authorization_server,
        admin: &app.administrator().caller,
    };
    let gateway = |slug: &str| GatewayInput {
        slug: Some(slug.to_owned()),
        name: Some(slug.to_owned()),
        url: Some(demo.mcp_server.url().to_string()),
        state: Some(GatewayState::Published),
        access: None,
        on_change: None,
        era: None,
        tool_access: None,
        catalog_sharing: None,
        client_certificate: Default::default(),
        authorization: Some(AuthorizationInput::OAuth(Box::new(oauth_input(&demo)))),
    };
    let grants = ground.grants(40, ["one", "two", "three", "four", "five"].map(gateway).into()).await;
    let admin = app.api_token(app.administrator(), Audience::Admin).await;
    let seen = revoke_under_load(&app.origin, &admin, "whoami", grants, (2, 6)).await;
    assert_eq!((seen.revokes, seen.served_after_answered), (200, 0), "{seen:?}");
    assert!(seen.served > 0 && seen.refused > 0, "{seen:?}");
}
