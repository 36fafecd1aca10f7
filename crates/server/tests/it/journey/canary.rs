//! Recognizable secrets, planted in every answer of a provider and in everything an administrator types:
//! they are in no log line, no REST answer, no page, no error, and not in the database file.

use super::walk::{asked_link, come_back, modern, published, set_out, tool_text};
use doorward_broker::{AuthorizationInput, Edit};
use doorward_demo::{AuthorizationServerOptions, Demo, McpFault, TokenFault};
use doorward_domain::{Audience, DepositPolicy, Gateway, HeaderSecret, Policy};
use doorward_testkit::app::{Person, TestApp, TestAppOptions};
use doorward_testkit::client::{Answer, Client};
use serde_json::json;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tracing_subscriber::fmt::MakeWriter;

/// In every code, token and registered secret, and in what the provider says of its errors.
const PROVIDER: &str = "canary-of-the-provider";
const CLIENT_SECRET: &str = "canary-client-secret";
const STATIC_HEADER: &str = "canary-static-header";

/// Everything that is logged, at trace level.
#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl io::Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Captured {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Captured {
    fn start() -> Self {
        let captured = Self::default();
        let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_ansi(false);
        subscriber.with_writer(captured.clone()).init();
        captured
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}

struct Stage {
    app: TestApp,
    demo: Demo,
    gateways: Vec<Arc<Gateway>>,
    alice: Person,
    /// What must not be anywhere: the canaries, and what Doorward made itself on the way.
    secrets: Vec<String>,
    /// Everything that people and clients were shown.
    shown: Vec<String>,
}

impl Stage {
    async fn set() -> Self {
        let policy = Policy { deposit: DepositPolicy::Ask, ..Policy::default() };
        let app = TestApp::with(TestAppOptions { policy, ..Default::default() }).await;
        let client_secret = CLIENT_SECRET.to_owned();
        let options =
            AuthorizationServerOptions { client_secret, clock: app.clock.clone(), ..Default::default() };
        let demo = app.demo_with(options).await;
        demo.authorization_server.faults().canary(PROVIDER);
        let typed = app.register(&demo, "typed").await;
        let url = demo.mcp_server.url();
        let discovered = app
            .register_input(published("discovered", url, AuthorizationInput::Discover(Box::default())))
            .await;
        let value = Edit::Set(HeaderSecret::new(STATIC_HEADER));
        let header = AuthorizationInput::StaticHeader { name: "x-key".to_owned(), value };
        let fixed = app.register_input(published("fixed", url, header)).await;
        let alice = app.user("alice").await;
        let secrets = [PROVIDER, CLIENT_SECRET, STATIC_HEADER].map(str::to_owned).into();
        Self { app, demo, gateways: vec![typed, discovered, fixed], alice, secrets, shown: Vec::new() }
    }

    fn saw(&mut self, answer: &Answer) {
        self.shown.push(format!("{:?}\n{}", answer.headers, answer.text));
    }

    /// The whole round trip, with the page it ends on.
    async fn connect(&mut self, slug: &str) {
        let browser = self.app.browser(&self.alice).await;
        let page = browser.get(&format!("/connect/{slug}")).await;
        self.saw(&page);
        let out = set_out(&browser, slug, None).await;
        let state = out.url.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
        self.secrets.push(state);
        let location = browser.consent(out.url.as_str(), &self.demo, "alice").await.parse().unwrap();
        let (answer, place) = come_back(&browser, &location, &out.binding).await;
        self.saw(&answer);
        let page = browser.get(&place).await;
        self.saw(&page);
    }

    async fn call(&mut self, client: &Client, slug: &str) -> serde_json::Value {
        let answer = modern(client, "/mcp", "tools/call", &json!({ "name": format!("{slug}-whoami") })).await;
        self.shown.push(answer.to_string());
        answer
    }

    /// Somebody else's tokens, stored by the administrator; and tokens that are refused.
    async fn deposit(&mut self) {
        let bob = self.app.user("bob").await;
        let given = self.demo.authorization_server.hand_out("alice", self.demo.mcp_server.url().as_str());
        assert!(given.access_token.contains(PROVIDER) && given.refresh_token.contains(PROVIDER));
        let body = json!({
            "user_id": bob.id, "gateway_id": self.gateways[0].id,
            "access_token": given.access_token, "refresh_token": given.refresh_token,
        });
        let admin = self.app.admin_client().await;
        for status in [201, 409] {
            let answer = admin.post("/admin/oauth/tokens", &body).await;
            assert_eq!(answer.status, status, "{answer:?}");
            self.saw(&answer);
        }
    }

    /// Every way in which the token endpoint was seen to misbehave, at a refresh and at an exchange.
    async fn let_the_provider_misbehave(&mut self, client: &Client) {
        let refused = |error: &str| TokenFault::RefusedSaying {
            status: 400,
            error: error.to_owned(),
            description: format!("{PROVIDER} is what it says"),
        };
        let faults = [
            TokenFault::Unavailable { retry_after_seconds: 1 },
            TokenFault::FormEncoded,
            refused("temporarily_unavailable"),
            TokenFault::OkWithError { error: "invalid_client".to_owned() },
            refused("invalid_grant"),
            TokenFault::Malformed,
            TokenFault::Huge { bytes: 3_000_000 },
            TokenFault::AnswerLost,
        ];
        for fault in faults {
            self.app.clock.advance(Duration::from_secs(4_000));
            self.demo.authorization_server.faults().next_token_answer(fault.clone());
            self.call(client, "typed").await;
            self.demo.authorization_server.faults().next_token_answer(fault);
            self.connect("typed").await;
            self.connect("typed").await;
        }
        for fault in [McpFault::Unauthorized, McpFault::ServerError] {
            self.demo.mcp_server.faults().next_answer(fault);
            self.call(client, "typed").await;
        }
        let browser = self.app.browser(&self.alice).await;
        let out = set_out(&browser, "typed", None).await;
        let state = out.url.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
        // What it was sent, and what looks like a code of somebody.
        let said = format!("{state}+and+eyJ0{PROVIDER}4711+are+what+it+says");
        let query = format!("state={state}&error=server_error&error_description={said}");
        let location = format!("{}/oauth/callback?{query}", self.app.origin).parse().unwrap();
        let (answer, place) = come_back(&browser, &location, &out.binding).await;
        self.saw(&answer);
        let page = browser.get(&place).await;
        self.saw(&page);
    }

    /// Everything that can be looked at, by the administrator and by alice.
    async fn look_everywhere(&mut self) {
        let (admin, own) = (self.app.admin_client().await, self.app.client(&self.alice, Audience::Own).await);
        let boss = self.app.browser(self.app.administrator()).await;
        let hers = self.app.browser(&self.alice).await;
        let mut paths: Vec<String> = [
            "/gateways",
            "/connections",
            "/tools",
            "/resources",
            "/prompts",
            "/me",
            "/api-tokens",
            "/admin/users",
            "/admin/audit?limit=200",
            "/openapi.json",
            "/health",
            "/ready",
            "/ui",
            "/ui/gateways",
            "/ui/connections",
            "/ui/tokens",
            "/ui/connect-a-client",
            "/ui/people",
            "/ui/oauth-tokens",
            "/admin/oauth/tokens?limit=200",
            "/ui/attempts",
            "/admin/oauth/attempts?limit=200",
            "/nowhere",
        ]
        .map(str::to_owned)
        .into();
        for gateway in &self.gateways {
            let id = gateway.id;
            paths.extend([
                format!("/gateways/{id}"),
                format!("/oauth/status/{id}"),
                format!("/ui/gateways/{id}"),
            ]);
            paths.push(format!("/connect/{}", gateway.slug));
        }
        let attempts = admin.get("/admin/oauth/attempts?limit=200").await.json["items"].clone();
        for attempt in attempts.as_array().unwrap() {
            let id = attempt["id"].as_str().unwrap();
            paths.extend([format!("/admin/oauth/attempts/{id}"), format!("/ui/attempts/{id}")]);
        }
        for path in paths {
            for client in [&admin, &own, &boss, &hers] {
                let answer = client.get(&path).await;
                assert!(answer.status < 500, "{path}: {answer:?}");
                self.saw(&answer);
            }
        }
        for gateway in self.gateways.clone() {
            let at = format!("/gateways/{}", gateway.id);
            let refused = admin.put(&at, &json!({ "url": "http://127.0.0.1:9/elsewhere" })).await;
            self.saw(&refused);
            let check = admin.post(&format!("{at}/refresh"), &json!({})).await;
            self.saw(&check);
        }
    }

    fn is_clean(&self, what: &str, text: &str) {
        for secret in &self.secrets {
            let found = text.find(secret.as_str()).map(|at| {
                let (from, to) = (text.floor_char_boundary(at.saturating_sub(200)), at + secret.len());
                text[from..to].to_owned()
            });
            assert_eq!(found, None, "{what} holds a secret");
        }
    }
}

/// Every byte of every file below.
fn files(directory: &Path, found: &mut Vec<(String, Vec<u8>)>) {
    for entry in std::fs::read_dir(directory).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push((path.display().to_string(), std::fs::read(&path).unwrap()));
        }
    }
}

#[tokio::test]
async fn planted_secrets_are_in_no_log_no_answer_no_page_and_not_in_the_database() {
    let captured = Captured::start();
    let mut stage = Stage::set().await;
    let token = stage.app.api_token(&stage.alice, Audience::Mcp).await;
    let client = stage.app.anonymous().with_bearer(&token);
    asked_link(&stage.call(&client, "typed").await);
    for slug in ["typed", "discovered"] {
        stage.connect(slug).await;
        assert_eq!(tool_text(&stage.call(&client, slug).await), "alice");
    }
    let sent = stage.demo.mcp_server.log();
    assert!(sent.iter().any(|seen| seen.bearer.as_deref().is_some_and(|token| token.contains(PROVIDER))));
    stage.call(&client, "fixed").await;
    stage.deposit().await;
    stage.let_the_provider_misbehave(&client).await;
    stage.look_everywhere().await;
    stage.secrets.push(token);
    for request in stage.demo.authorization_server.log().token_requests {
        stage.secrets.extend(request.form.get("code_verifier").cloned());
    }
    for shown in &stage.shown {
        stage.is_clean("something that was shown", shown);
    }
    let mut found = Vec::new();
    files(stage.app.directory(), &mut found);
    assert!(
        found.iter().any(|(name, _)| name.ends_with("-wal")),
        "{:?}",
        found.iter().map(|(name, _)| name).collect::<Vec<_>>()
    );
    for (name, bytes) in &found {
        stage.is_clean(name, &String::from_utf8_lossy(bytes));
    }
    // The password of everybody in tests was typed and hashed, too.
    stage.secrets.push(doorward_testkit::app::PASSWORD.to_owned());
    let log = captured.text();
    for part in ["TRACE", "DEBUG", "doorward", "sqlx", "/oauth/callback"] {
        assert!(log.contains(part), "the log was captured at trace level: {part}");
    }
    stage.is_clean("the log", &log);
}
