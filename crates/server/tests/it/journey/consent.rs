//! The main job, with nothing made up: npm `oidc-provider`, an OAuth-protected MCP server, Chromium, and
//! the official TypeScript client in each of the three ways of being asked.

use super::walk;
use doorward_demo::{McpServer, McpServerOptions};
use doorward_domain::{Audience, Clock};
use doorward_testkit::app::{PASSWORD, Person, TestApp, TestAppOptions};
use doorward_testkit::browser::Browser;
use doorward_testkit::mcp_client::{Elicitation, Era, SdkClient};
use doorward_testkit::oidc_provider;
use doorward_testkit::provider::Provider;
use serde_json::{Value, json};

const SLUG: &str = "github-mcp";

struct Stage {
    app: TestApp,
    provider: Provider,
    upstream: McpServer,
    browser: Browser,
}

/// The three methods that a token is for: S11.
fn calls() -> [(&'static str, Value); 3] {
    [
        ("tools/call", json!({ "name": "github-mcp-whoami" })),
        ("resources/read", json!({ "uri": "demo://repo-list" })),
        ("prompts/get", json!({ "name": "github-mcp-pr-summary", "arguments": { "repo": "keyring" } })),
    ]
}

impl Stage {
    async fn set() -> Self {
        let app = TestApp::with(TestAppOptions { clock: Some(Clock::System), ..Default::default() }).await;
        let provider = oidc_provider::start(&walk::redirect_uri(&app), 3600).await;
        let upstream = provider.mcp_server(McpServerOptions::default()).await;
        walk::register(&app, SLUG, &provider, &upstream).await;
        Self { app, provider, upstream, browser: Browser::start().await }
    }

    async fn client(&self, person: &Person, era: Era, elicitation: Elicitation) -> SdkClient {
        let bearer = self.app.api_token(person, Audience::Mcp).await;
        SdkClient::typescript(&format!("{}/mcp", self.app.origin), &bearer, era, elicitation).await
    }

    /// Signs in at Doorward, in whatever page asks for it.
    async fn sign_in(&mut self, person: &Person) {
        self.browser.fill("input[name=email]", &person.email).await;
        self.browser.fill("input[name=password]", PASSWORD).await;
        self.browser.click("button.primary").await;
    }

    /// A browser of this person's own, signed in beforehand.
    async fn browser_of(&mut self, person: &Person) {
        self.browser.forget_everything().await;
        self.browser.open(&format!("{}/ui/login", self.app.origin)).await;
        self.sign_in(person).await;
        self.browser.expect("Sign out").await;
    }

    /// From the connect page through the provider's own pages to the page that says it is done.
    async fn agree(&mut self, account: &str) {
        self.browser.expect("Connect github-mcp").await;
        let page = self.browser.text().await;
        let host = self.provider.authorization_url.host_str().unwrap();
        assert!(page.contains("doorward-rig") && page.contains(host) && page.contains("notes"), "{page}");
        assert_eq!(self.browser.problems().await, Vec::<Value>::new());
        self.browser.click("form[action^='/connect/'] button.primary").await;
        self.browser.expect_url(&self.provider.issuer).await;
        self.browser.fill("input[name=login]", account).await;
        self.browser.fill("input[name=password]", "any").await;
        self.browser.click("button:has-text('Sign-in')").await;
        self.browser.click("button:has-text('Continue')").await;
        self.browser.expect_url(&format!("{}/ui/connected/{SLUG}", self.app.origin)).await;
        self.browser.expect("github-mcp is connected").await;
        let done = self.browser.text().await;
        assert!(done.contains(&format!("You connected it as {account}")), "{done}");
    }

    fn is_link(&self, url: &Value) -> bool {
        let begin = format!("{}/connect/{SLUG}?request=", self.app.origin);
        url.as_str().is_some_and(|url| url.starts_with(&begin))
    }

    /// The same client gets tool, resource and prompt, and the upstream saw this account's token on all.
    /// (A resource that the client has read already may come from the client's own cache.)
    async fn gets_everything(&self, client: &mut SdkClient, account: &str) {
        let mut tokens = Vec::new();
        for (method, params) in calls() {
            let answer = client.call(method, params).await;
            is_answered(method, &answer, account);
            let seen = self.upstream.log().into_iter().rfind(|seen| seen.method.as_deref() == Some(method));
            tokens.push(seen.unwrap().bearer.unwrap());
        }
        for token in &tokens {
            assert!(!token.starts_with("dw_") && *token == tokens[0]);
            let found = self.provider.control().introspect(token).await;
            assert_eq!((found.active, found.account.as_deref()), (true, Some(account)));
        }
    }
}

fn is_answered(method: &str, answer: &Value, account: &str) {
    let result = &answer["result"];
    match method {
        "tools/call" => assert_eq!(result["content"][0]["text"], account, "{answer:#}"),
        "resources/read" => {
            let text = result["contents"][0]["text"].as_str().unwrap_or_default();
            assert!(text.contains(&format!(r#""account":"{account}""#)), "{answer:#}");
        }
        _ => {
            let text = result["messages"][0]["content"]["text"].as_str().unwrap_or_default();
            assert!(text.contains(&format!("account {account}: 5 are open")), "{answer:#}");
        }
    }
}

#[tokio::test]
async fn s11_a_2025_11_25_client_is_asked_on_its_stream_and_its_call_goes_through() {
    let mut stage = Stage::set().await;
    let alice = stage.app.user("alice").await;
    stage.browser_of(&alice).await;
    let mut client = stage.client(&alice, Era::V2025_11_25, Elicitation::Url).await;
    let (method, params) = calls()[0].clone();
    client.begin(method, &params).await;
    let asked = client.next_of_interest().await;
    assert_eq!(asked["elicitation"]["mode"], "url", "{asked:#}");
    assert!(stage.is_link(&asked["elicitation"]["url"]), "{asked:#}");
    assert!(
        stage.upstream.log().iter().all(|seen| seen.bearer.is_none()),
        "nothing was sent on anyone's behalf"
    );
    client.answer("accept").await;
    stage.browser.open(asked["elicitation"]["url"].as_str().unwrap()).await;
    stage.agree("alice").await;
    let complete = client.next_of_interest().await;
    assert_eq!(complete["elicitation_complete"], asked["elicitation"]["elicitation_id"], "{complete:#}");
    is_answered(method, &client.end().await, "alice");
    stage.gets_everything(&mut client, "alice").await;
}

#[tokio::test]
async fn s5_a_2026_07_28_client_reads_a_resource_after_it_was_asked() {
    let mut stage = Stage::set().await;
    let bob = stage.app.user("bob").await;
    stage.browser_of(&bob).await;
    let mut client = stage.client(&bob, Era::V2026_07_28, Elicitation::Url).await;
    let (method, params) = calls()[1].clone();
    client.begin(method, &params).await;
    let asked = client.next_of_interest().await;
    assert!(stage.is_link(&asked["elicitation"]["url"]), "{asked:#}");
    assert!(stage.upstream.log().iter().all(|seen| seen.bearer.is_none()));
    stage.browser.open(asked["elicitation"]["url"].as_str().unwrap()).await;
    stage.agree("bob").await;
    client.answer("accept").await;
    is_answered(method, &client.end().await, "bob");
    stage.gets_everything(&mut client, "bob").await;
}

#[tokio::test]
async fn s6_a_client_that_cannot_be_asked_is_told_in_words_and_then_gets_the_prompt() {
    let mut stage = Stage::set().await;
    let carol = stage.app.user("carol").await;
    let mut client = stage.client(&carol, Era::V2025_11_25, Elicitation::None).await;
    let mut links = Vec::new();
    for (method, params) in calls() {
        let told = client.call(method, params).await;
        let (sentence, url) = if method == "tools/call" {
            assert_eq!(told["result"]["isError"], true, "{told:#}");
            let facts = &told["result"]["_meta"]["doorward/authorization_required"];
            (&told["result"]["content"][0]["text"], &facts["authorization_url"])
        } else {
            (&told["error"]["message"], &told["error"]["data"]["authorization_url"])
        };
        assert!(stage.is_link(url), "{told:#}");
        assert!(sentence.as_str().unwrap().contains(url.as_str().unwrap()), "{told:#}");
        links.push(url.as_str().unwrap().to_owned());
    }
    assert!(links.iter().all(|link| *link == links[0]), "one pending request for one client: {links:?}");
    assert!(stage.upstream.log().iter().all(|seen| seen.bearer.is_none()));
    stage.browser.open(&links[0]).await;
    stage.sign_in(&carol).await;
    stage.agree("carol").await;
    stage.gets_everything(&mut client, "carol").await;
}

#[tokio::test]
async fn the_official_python_client_lists_and_calls_with_its_users_token() {
    let app = TestApp::with(TestAppOptions { clock: Some(Clock::System), ..Default::default() }).await;
    let provider = oidc_provider::start(&walk::redirect_uri(&app), 3600).await;
    let upstream = provider.mcp_server(McpServerOptions::default()).await;
    walk::register(&app, SLUG, &provider, &upstream).await;
    let alice = app.user("alice").await;
    let bearer = app.api_token(&alice, Audience::Mcp).await;
    let url = format!("{}/mcp", app.origin);
    for era in [Era::V2025_11_25, Era::V2026_07_28] {
        let mut client = SdkClient::python(&url, &bearer, era).await;
        if era == Era::V2025_11_25 {
            let told = client.call("tools/call", calls()[0].1.clone()).await;
            assert_eq!(told["result"]["isError"], true, "{told:#}");
            walk::connect(&app, &alice, SLUG, &provider, "alice").await;
        }
        let has = |items: Vec<Value>, name: &str, value: &str| items.iter().any(|item| item[name] == value);
        assert!(has(client.list("tools").await, "name", "github-mcp-whoami"));
        assert!(has(client.list("resources").await, "uri", "demo://repo-list"));
        assert!(has(client.list("resource_templates").await, "uriTemplate", "demo://repo/{name}"));
        assert!(has(client.list("prompts").await, "name", "github-mcp-pr-summary"));
        for (method, params) in calls() {
            is_answered(method, &client.call(method, params).await, "alice");
        }
    }
}
