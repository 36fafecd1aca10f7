//! What journeys share: the round trip of a browser in single steps, gateways in front of real
//! authorization servers, and MCP calls by hand.

use doorward_broker::{AuthorizationInput, Edit, GatewayInput, OAuthInput};
use doorward_demo::McpServer;
use doorward_domain::{Audience, ClientSecret, Entropy, Gateway, GatewayState, TokenEndpointAuth};
use doorward_server::settings::DatabaseSetting;
use doorward_server::{App, listener};
use doorward_testkit::app::{KEY_RING, Person, TestApp, settings};
use doorward_testkit::client::{Answer, Client};
use doorward_testkit::provider::{CLIENT_ID, CLIENT_SECRET, Provider};
use reqwest::Method;
use reqwest::header::{COOKIE, SET_COOKIE};
use secrecy::SecretString;
use serde_json::{Value, json};
use std::sync::Arc;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use url::{Position, Url};

/// Where providers send browsers back to.
pub fn redirect_uri(app: &TestApp) -> Url {
    format!("{}/oauth/callback", app.origin).parse().unwrap()
}

/// A gateway that anyone may use, in front of an MCP server that believes a real authorization server.
pub async fn register(app: &TestApp, slug: &str, provider: &Provider, upstream: &McpServer) -> Arc<Gateway> {
    let oauth = OAuthInput {
        grant_type: None,
        identity_provider: None,
        audience: None,
        assertion_kid: None,
        authorization_url: provider.authorization_url.to_string(),
        token_url: provider.token_url.to_string(),
        revocation_url: None,
        facts: None,
        keep_alive: None,
        issuer: Some(provider.issuer.clone()),
        resource: provider.binds_resources.then(|| upstream.url().to_string()),
        scopes: provider.scopes.iter().map(|scope| (*scope).to_owned()).collect(),
        scope_ceiling: None,
        authorize_params: [].into(),
        client_id: CLIENT_ID.to_owned(),
        client_secret: Edit::Set(ClientSecret::new(CLIENT_SECRET)),
        token_endpoint_auth: Some(TokenEndpointAuth::Basic),
        template: None,
    };
    let authorization = AuthorizationInput::OAuth(Box::new(oauth));
    app.register_input(published(slug, upstream.url(), authorization)).await
}

/// A published gateway.
pub fn published(slug: &str, url: &Url, authorization: AuthorizationInput) -> GatewayInput {
    GatewayInput {
        slug: Some(slug.to_owned()),
        name: Some(slug.to_owned()),
        url: Some(url.to_string()),
        state: Some(GatewayState::Published),
        access: None,
        on_change: None,
        era: None,
        tool_access: None,
        catalog_sharing: None,
        client_certificate: Default::default(),
        authorization: Some(authorization),
    }
}

/// A browser that has set out for the provider.
#[derive(Debug, Clone)]
pub struct SetOut {
    /// The provider's page.
    pub url: Url,
    /// The cookie that binds the round trip to the browser, `name=value`.
    pub binding: String,
}

/// Submits the connect page, perhaps of a client's link.
pub async fn set_out(browser: &Client, slug: &str, request: Option<&str>) -> SetOut {
    let fields: Vec<_> = request.map(|id| ("request", id)).into_iter().collect();
    let began = browser.form(&format!("/connect/{slug}"), &fields).await;
    assert_eq!(began.status, 303, "{began:?}");
    let cookie = began.headers[SET_COOKIE].to_str().unwrap();
    let binding = cookie.split(';').next().unwrap().to_owned();
    SetOut { url: began.header("location").parse().unwrap(), binding }
}

/// Follows the provider's redirect back to us with one more cookie; gives the answer and its place.
pub async fn come_back(browser: &Client, location: &Url, binding: &str) -> (Answer, String) {
    let request = browser.request(Method::GET, &location[Position::BeforePath..]).header(COOKIE, binding);
    let answer = browser.send(request).await;
    let place = answer.header("location").to_owned();
    (answer, place)
}

/// One person's whole way through a real provider, without a browser.
pub async fn connect(app: &TestApp, person: &Person, slug: &str, provider: &Provider, account: &str) {
    let browser = app.browser(person).await;
    let out = set_out(&browser, slug, None).await;
    let location = provider.control().authorize(&out.url, account).await;
    let (_, place) = come_back(&browser, &location, &out.binding).await;
    assert_eq!(place, format!("/ui/connected/{slug}"), "{location} is refused");
}

/// One more process on the PostgreSQL database of an app, under the same public URL; it ends with this value.
pub struct Process {
    /// A client of it without any credential.
    pub client: Client,
    pub app: App,
    stop: CancellationToken,
    _directory: TempDir,
}

impl Process {
    pub async fn beside(app: &TestApp) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut settings = settings(&directory, &app.origin);
        settings.database = DatabaseSetting::Postgres(SecretString::from(app.postgres().url()));
        settings.key_ring = Some(SecretString::from(KEY_RING));
        let process = App::build(settings, app.clock.clone(), Entropy).await.unwrap();
        let listening = listener::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let client = Client::new(&format!("http://{}", listening.local_addr().unwrap()));
        let stop = CancellationToken::new();
        drop(listener::serve(listening, process.router(), stop.clone()));
        Self { client, app: process, stop, _directory: directory }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// An MCP client of a person, by hand.
pub async fn mcp(app: &TestApp, person: &Person) -> Client {
    app.client(person, Audience::Mcp).await
}

/// One request of a client of revision 2026-07-28, without the means to open a URL; gives the message that
/// answers it.
pub async fn modern(client: &Client, path: &str, method: &str, params: &Value) -> Value {
    modern_that_can(&json!({}), client, path, method, params).await
}

/// The same of a client that declares capabilities.
pub async fn modern_that_can(
    capabilities: &Value,
    client: &Client,
    path: &str,
    method: &str,
    params: &Value,
) -> Value {
    let mut params = params.clone();
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": capabilities,
        "io.modelcontextprotocol/clientInfo": { "name": "journey", "version": "1" },
    });
    let mut request = client.request(Method::POST, path);
    for (name, value) in [
        ("accept", "application/json, text/event-stream"),
        ("mcp-protocol-version", "2026-07-28"),
        ("mcp-method", method),
    ] {
        request = request.header(name, value);
    }
    if let Some(name) = params.get("name").or_else(|| params.get("uri")).and_then(Value::as_str) {
        request = request.header("mcp-name", name);
    }
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
    let answer = client.send(request.json(&body)).await;
    message(&answer)
}

/// The last message of a JSON or SSE answer.
fn message(answer: &Answer) -> Value {
    if !answer.header("content-type").starts_with("text/event-stream") {
        assert!(answer.json.is_object(), "{answer:?}");
        return answer.json.clone();
    }
    let mut data = answer.text.lines().filter_map(|line| line.strip_prefix("data:"));
    serde_json::from_str(data.next_back().unwrap()).unwrap()
}

/// The text of a tool's answer.
pub fn tool_text(message: &Value) -> &str {
    message["result"]["content"][0]["text"]
        .as_str()
        .unwrap_or_else(|| panic!("no tool's answer: {message:#}"))
}

/// The link of a tool's answer that asks to authorize.
pub fn asked_link(message: &Value) -> String {
    assert_eq!(message["result"]["isError"], true, "{message:#}");
    let link = &message["result"]["_meta"]["doorward/authorization_required"]["authorization_url"];
    link.as_str().unwrap_or_else(|| panic!("no link: {message:#}")).to_owned()
}

/// Events of the audit trail whose action begins so, newest first.
pub async fn audited(app: &TestApp, action: &str) -> Vec<Value> {
    let answer = app.admin_client().await.get(&format!("/admin/audit?action={action}")).await;
    answer.json["items"].as_array().unwrap_or_else(|| panic!("{answer:?}")).clone()
}
