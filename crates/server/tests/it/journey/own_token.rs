//! Whose token it is: the caller's own, at this gateway, and nobody else's.

use super::walk::{self, modern, tool_text};
use doorward_broker::AuthorizationInput;
use doorward_demo::{Account, AuthorizationServerOptions, Demo, McpServer, McpServerOptions, SeenRequest};
use doorward_domain::{Audience, Entropy, GrantOwner};
use doorward_testkit::app::{Person, TestApp, oauth_input};
use doorward_testkit::client::Client;
use futures_util::future::join_all;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};
use std::time::Duration;

const NAMES: [&str; 3] = ["alice", "bob", "carol"];
const SLUGS: [&str; 3] = ["one", "two", "three"];

/// Three users with grants at three gateways.
struct Crowd {
    app: TestApp,
    demo: Demo,
    others: Vec<McpServer>,
    clients: Vec<Client>,
}

/// Which of the three methods, through which of the two endpoints.
#[derive(Debug, Clone, Copy)]
enum What {
    Tool,
    ToolOfOne,
    Resource,
    Prompt,
}

#[derive(Debug, Clone)]
struct Call {
    user: usize,
    gateway: usize,
    what: What,
}

impl Crowd {
    async fn gather() -> Self {
        let app = TestApp::start().await;
        let accounts = NAMES.map(|name| Account::with_random_password(name, Entropy)).into();
        let options = AuthorizationServerOptions { accounts, clock: app.clock.clone(), ..Default::default() };
        let demo = app.demo_with(options).await;
        let mut others = Vec::new();
        for _ in 1..SLUGS.len() {
            let any = "127.0.0.1:0".parse().unwrap();
            let options = McpServerOptions::default();
            others.push(McpServer::start(any, Some(&demo.authorization_server), options).await.unwrap());
        }
        let mut crowd = Self { app, demo, others, clients: Vec::new() };
        for (index, slug) in SLUGS.into_iter().enumerate() {
            let url = crowd.upstream(index).url().clone();
            let mut settings = oauth_input(&crowd.demo);
            settings.resource = Some(url.to_string());
            let authorization = AuthorizationInput::OAuth(Box::new(settings));
            crowd.app.register_input(walk::published(slug, &url, authorization)).await;
        }
        for name in NAMES {
            let person = crowd.app.user(name).await;
            for slug in SLUGS {
                crowd.app.connect(&person, slug, &crowd.demo, name).await;
            }
            crowd.clients.push(crowd.app.client(&person, Audience::Mcp).await);
        }
        crowd
    }

    fn upstream(&self, index: usize) -> &McpServer {
        if index == 0 { &self.demo.mcp_server } else { &self.others[index - 1] }
    }

    /// Makes a call and gives its caller's name and the text of the answer.
    async fn make(&self, call: &Call) -> (&'static str, String) {
        let slug = SLUGS[call.gateway];
        let own = format!("/gateways/{slug}/mcp");
        let (path, method, params) = match call.what {
            What::Tool => ("/mcp", "tools/call", json!({ "name": format!("{slug}-whoami") })),
            What::ToolOfOne => (own.as_str(), "tools/call", json!({ "name": "whoami" })),
            What::Resource => (own.as_str(), "resources/read", json!({ "uri": "demo://repo/doormat" })),
            What::Prompt => {
                let name = format!("{slug}-pr-summary");
                ("/mcp", "prompts/get", json!({ "name": name, "arguments": { "repo": "doormat" } }))
            }
        };
        let answer = modern(&self.clients[call.user], path, method, &params).await;
        assert!(answer.get("result").is_some(), "{call:?}: {answer:#}");
        (NAMES[call.user], answer["result"].to_string())
    }

    /// Each upstream saw tokens of its own only, and no client's own bearer; gives how many requests carried
    /// a token.
    fn nothing_foreign_arrived(&self) -> usize {
        let mut with_token = 0;
        let issuer = &self.demo.authorization_server;
        for index in 0..SLUGS.len() {
            for seen in self.upstream(index).log() {
                // A reading in the background may arrive when its token has just ended; it is for this
                // very upstream all the same.
                let issued_for = seen.bearer.as_deref().map(|token| issuer.resource_of(token).unwrap());
                assert!(issued_for.is_none_or(|resource| resource == self.upstream(index).url().as_str()));
                assert!(!everything(&seen).contains("dw_"));
                with_token += usize::from(seen.bearer.is_some());
            }
            self.upstream(index).clear_log();
        }
        with_token
    }
}

fn everything(seen: &SeenRequest) -> String {
    format!("{:?}{}", seen.headers, seen.body)
}

fn calls() -> impl Strategy<Value = (u64, Vec<Call>)> {
    let what = prop_oneof![Just(What::Tool), Just(What::ToolOfOne), Just(What::Resource), Just(What::Prompt)];
    let call =
        (0..NAMES.len(), 0..SLUGS.len(), what).prop_map(|(user, gateway, what)| Call { user, gateway, what });
    (0_u64..4_000, proptest::collection::vec(call, 1..12))
}

#[test]
fn an_upstream_sees_the_callers_own_token_whoever_calls_what_at_the_same_time() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let crowd = runtime.block_on(Crowd::gather());
    let mut runner = TestRunner::new(Config { cases: 24, failure_persistence: None, ..Config::default() });
    let tested = runner.run(&calls(), |(pause, calls)| {
        // Some tokens end between two rounds, so that refreshes mix with calls.
        crowd.app.clock.advance(Duration::from_secs(pause));
        let answers = runtime.block_on(join_all(calls.iter().map(|call| crowd.make(call))));
        for (name, answer) in answers {
            let others = NAMES.iter().filter(|other| **other != name);
            prop_assert!(answer.contains(name), "{name} got {answer}");
            prop_assert!(others.clone().all(|other| !answer.contains(other)), "{name} got {answer}");
        }
        prop_assert!(crowd.nothing_foreign_arrived() >= calls.len());
        Ok(())
    });
    tested.unwrap();
    let refreshes = crowd.demo.authorization_server.log().refreshes;
    assert!(refreshes > 0, "the rounds went over the end of tokens");
    drop(runtime.enter());
}

async fn connections(app: &TestApp, person: &Person) -> Value {
    app.client(person, Audience::Own).await.get("/connections").await.json["items"].clone()
}

#[tokio::test]
async fn s13_a_token_belongs_to_one_user_and_shows_the_account_at_the_provider() {
    let app = TestApp::start().await;
    let demo = app.demo().await;
    let mut settings = oauth_input(&demo);
    settings.scopes = vec!["openid".to_owned(), "notes".to_owned()];
    let authorization = AuthorizationInput::OAuth(Box::new(settings));
    let gateway =
        app.register_input(walk::published("github-mcp", demo.mcp_server.url(), authorization)).await;
    let (alice, bob, carol) = (app.user("alice").await, app.user("bob").await, app.user("carol").await);
    // The account is the provider's, whatever the person is called here.
    app.connect(&alice, "github-mcp", &demo, "bob").await;
    app.connect(&bob, "github-mcp", &demo, "alice").await;
    for (person, account) in [(&alice, "bob"), (&bob, "alice")] {
        let grant =
            app.app.storage().grant_of(GrantOwner::User(person.id), gateway.id).await.unwrap().unwrap();
        assert_eq!(
            (grant.owner, grant.account.unwrap().subject.as_str()),
            (GrantOwner::User(person.id), account)
        );
        let shown = connections(&app, person).await;
        assert_eq!(shown[0]["status"], "connected");
        assert!(shown[0]["account"].as_str().unwrap().starts_with(account), "{shown:#}");
        let page = app.browser(person).await.get("/ui/connections").await.text;
        assert!(page.contains(&format!("as {}", shown[0]["account"].as_str().unwrap())), "{page}");
        let client = walk::mcp(&app, person).await;
        let whoami = modern(&client, "/mcp", "tools/call", &json!({ "name": "github-mcp-whoami" })).await;
        assert_eq!(tool_text(&whoami), account);
    }
    assert_eq!(connections(&app, &carol).await[0]["status"], "not_connected");
}
