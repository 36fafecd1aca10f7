//! A gateway that names a provider template and gives a client, and nothing else: the template's file is its whole
//! configuration. Consent, refresh, revoke and a second consent, at the two real authorization servers and at the
//! emulations of five vendors.

use super::walk::{self, asked_link, come_back, modern, set_out, tool_text};
use doorward_demo::{
    McpServer, McpServerOptions, Revoking, Rotation, TokenCheck, VENDOR_CLIENT, Vendor, vendor_profile,
};
use doorward_domain::Clock;
use doorward_testkit::app::{Person, TestApp, TestAppOptions};
use doorward_testkit::client::Client;
use doorward_testkit::provider::{CLIENT_ID, CLIENT_SECRET, Provider};
use doorward_testkit::{glewlwyd, oidc_provider};
use futures_util::FutureExt;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use url::Url;

const LIFETIME: u64 = 3600;

/// The template of a server that is somebody else's, as its operator would write it.
fn own_template(path: [&str; 4], scopes: &str) -> String {
    let [base, authorize, token, revoke] = path;
    format!(
        r#"
version = 1
name = "Ours"
[inputs.host]
label = "Host"
example = "id.example.com"
kind = "host"
[oauth]
authorization_url = "http://{{host}}{base}{authorize}"
token_url = "http://{{host}}{base}{token}"
revocation_url = "http://{{host}}{base}{revoke}"
issuer = "http://{{host}}{base}"
scopes = [{scopes}]
token_endpoint_auth = "basic"
[facts]
refresh_rotation = "always_single_use"
request_only_scopes = ["openid"]
"#
    )
}

/// A Doorward whose operator has put one template into `DOORWARD_PROVIDERS_DIR`.
async fn app_with(file: &str, text: &str, clock: Clock) -> (TestApp, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join(file), text).unwrap();
    let providers = directory.path().to_owned();
    let adjust: doorward_testkit::app::Adjust =
        Box::new(move |settings| settings.providers_dir = Some(providers));
    let app =
        TestApp::with(TestAppOptions { clock: Some(clock), adjust: Some(adjust), ..Default::default() })
            .await;
    (app, directory)
}

/// Names a template and gives a client, over REST.
async fn register(admin: &Client, upstream: &Url, template: &str, inputs: Value, client: (&str, &str)) {
    let authorization = json!({
        "type": "oauth", "provider_template": template, "provider_inputs": inputs,
        "client_id": client.0, "client_secret": client.1,
    });
    let body =
        json!({ "url": upstream, "slug": "ours", "state": "published", "authorization": authorization });
    let made = admin.post("/gateways", &body).await;
    assert_eq!(made.status, 201, "{made:?}");
}

async fn whoami(client: &Client) -> Value {
    modern(client, "/mcp", "tools/call", &json!({ "name": "ours-whoami" })).await
}

/// Ends the one grant there is; gives its receipt once the provider has been told.
async fn revoke(app: &TestApp, admin: &Client) -> Value {
    let id = admin.get("/admin/oauth/tokens").await.json["items"][0]["id"].as_str().unwrap().to_owned();
    let ended = admin.delete(&format!("/admin/oauth/tokens/{id}?provider=there_too")).await;
    assert_eq!(ended.status, 200, "{ended:?}");
    app.app.broker().tell_providers().await.unwrap();
    admin.get(&format!("/admin/oauth/ended/{id}")).await.json["receipt"].clone()
}

/// A real authorization server, with its template.
async fn a_real_server_holds(app: TestApp, mut provider: Provider) {
    // A template does not know which MCP server it will be used for, so no resource is asked for.
    provider.binds_resources = false;
    let upstream = provider.mcp_server(McpServerOptions::default()).await;
    let admin = app.admin_client().await;
    let issuer: Url = provider.issuer.parse().unwrap();
    let host = format!("{}:{}", issuer.host_str().unwrap(), issuer.port().unwrap());
    register(&admin, upstream.url(), "ours", json!({ "host": host }), (CLIENT_ID, CLIENT_SECRET)).await;
    let alice = app.user("alice").await;
    let client = walk::mcp(&app, &alice).await;
    asked_link(&whoami(&client).await);
    walk::connect(&app, &alice, "ours", &provider, "alice").await;
    assert_eq!(tool_text(&whoami(&client).await), "alice");

    app.clock.advance(Duration::from_secs(LIFETIME + 1));
    assert_eq!(tool_text(&whoami(&client).await), "alice");
    assert_eq!(provider.control().log().await.refreshes(), 1);

    walk::connect(&app, &alice, "ours", &provider, "alice").await;
    assert_eq!(tool_text(&whoami(&client).await), "alice", "after a second consent");
    let token = upstream.log().last().unwrap().bearer.clone().unwrap();
    assert!(provider.control().introspect(&token).await.active);

    assert_eq!(revoke(&app, &admin).await, "ended_at_provider");
    assert!(!provider.control().introspect(&token).await.active);
    asked_link(&whoami(&client).await);
    walk::connect(&app, &alice, "ours", &provider, "alice").await;
    assert_eq!(tool_text(&whoami(&client).await), "alice", "after the end");
}

#[tokio::test]
async fn a_template_alone_configures_a_gateway_at_oidc_provider() {
    let text = own_template(["", "/auth", "/token", "/token/revocation"], r#""openid", "notes""#);
    let (app, _templates) = app_with("ours.toml", &text, Clock::mock(Clock::System.now())).await;
    let provider = oidc_provider::start(&walk::redirect_uri(&app), LIFETIME).await;
    a_real_server_holds(app, provider).await;
}

#[tokio::test]
async fn a_template_alone_configures_a_gateway_at_glewlwyd() {
    let text = own_template(["/api/oidc", "/auth", "/token", "/revoke"], r#""notes""#);
    let (app, _templates) = app_with("ours.toml", &text, Clock::mock(Clock::System.now())).await;
    let provider = glewlwyd::start(&walk::redirect_uri(&app), LIFETIME).await;
    a_real_server_holds(app, provider).await;
}

/// An emulated vendor, an MCP server that believes it, and a gateway that names the vendor's shipped template.
struct Stage {
    app: TestApp,
    vendor: Arc<Vendor>,
    admin: Client,
    client: Client,
    alice: Person,
    _upstream: McpServer,
    _templates: TempDir,
}

impl Stage {
    async fn of(id: &str) -> Self {
        let clock = Clock::mock(Clock::System.now());
        let vendor = Vendor::start(vendor_profile(id).unwrap(), clock.clone()).await.unwrap();
        let file = format!("{id}.toml");
        let shipped = format!("{}/../../providers/{file}", env!("CARGO_MANIFEST_DIR"));
        let text = vendor.moved(&std::fs::read_to_string(shipped).unwrap());
        let (app, templates) = app_with(&file, &text, clock).await;
        let vendor = Arc::new(vendor);
        let options = McpServerOptions::default();
        let any = "127.0.0.1:0".parse().unwrap();
        let upstream = McpServer::start_trusting(any, vendor.base(), check(&vendor), options).await.unwrap();
        let admin = app.admin_client().await;
        let template = admin.get(&format!("/admin/oauth/providers/{id}")).await.json;
        let inputs: Map<String, Value> = template["inputs"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, input)| (name.clone(), input["example"].clone()))
            .collect();
        register(&admin, upstream.url(), id, Value::Object(inputs), VENDOR_CLIENT).await;
        let alice = app.user("alice").await;
        let client = walk::mcp(&app, &alice).await;
        Self { app, vendor, admin, client, alice, _upstream: upstream, _templates: templates }
    }

    async fn connect(&self) {
        let browser = self.app.browser(&self.alice).await;
        let out = set_out(&browser, "ours", None).await;
        let vendor = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        let answer = vendor.get(out.url).send().await.unwrap();
        let location: Url = answer.headers()["location"].to_str().unwrap().parse().unwrap();
        let (_, place) = come_back(&browser, &location, &out.binding).await;
        assert_eq!(place, "/ui/connected/ours", "{location} is refused");
    }

    async fn works(&self, when: &str) {
        let answer = whoami(&self.client).await;
        assert_eq!(answer["result"]["content"][0]["text"], "octo", "{when}: {answer:#}");
    }

    fn refreshes(&self) -> usize {
        self.vendor.log().iter().filter(|line| *line == "refresh_token").count()
    }
}

/// Whoever shows a token that opens the vendor's API is the vendor's one account.
fn check(vendor: &Arc<Vendor>) -> TokenCheck {
    let vendor = Arc::clone(vendor);
    Arc::new(move |token, _| {
        let account = vendor.opens(&token).then(|| "octo".to_owned());
        std::future::ready(account).boxed()
    })
}

/// The whole life of a connection.
async fn a_vendor_holds(id: &str) {
    let stage = Stage::of(id).await;
    let profile = vendor_profile(id).unwrap();
    asked_link(&whoami(&stage.client).await);
    stage.connect().await;
    stage.works("at first").await;
    let listed = stage.admin.get("/admin/oauth/tokens").await.json["items"][0].clone();
    assert_eq!(listed["account"], json!({ "subject": "17", "name": "octo" }));

    stage.app.clock.advance(Duration::from_secs(LIFETIME + 1));
    stage.works("after an hour").await;
    let renews = profile.rotation != Rotation::NoRefreshTokens;
    assert_eq!(stage.refreshes(), usize::from(renews));

    stage.connect().await;
    stage.app.clock.advance(Duration::from_secs(LIFETIME + 1));
    stage.works("an hour after a second consent").await;

    let receipt = if profile.revoking == Revoking::Nowhere { "no_such_call" } else { "ended_at_provider" };
    assert_eq!(revoke(&stage.app, &stage.admin).await, receipt);
    asked_link(&whoami(&stage.client).await);
    stage.connect().await;
    stage.works("after the end").await;
}

#[tokio::test]
async fn the_template_alone_configures_a_gateway_at_an_emulated_github() {
    a_vendor_holds("github").await;
}

#[tokio::test]
async fn the_template_alone_configures_a_gateway_at_an_emulated_google() {
    a_vendor_holds("google").await;
}

#[tokio::test]
async fn the_template_alone_configures_a_gateway_at_an_emulated_microsoft() {
    a_vendor_holds("microsoft").await;
}

#[tokio::test]
async fn the_template_alone_configures_a_gateway_at_an_emulated_okta() {
    a_vendor_holds("okta").await;
}

#[tokio::test]
async fn the_template_alone_configures_a_gateway_at_an_emulated_auth0() {
    a_vendor_holds("auth0").await;
}

#[tokio::test]
async fn oktas_leeway_is_never_leant_on_so_a_lost_answer_asks_the_user_and_kills_no_family() {
    let stage = Stage::of("okta").await;
    stage.connect().await;
    stage.works("at first").await;
    stage.app.clock.advance(Duration::from_secs(LIFETIME + 1));
    stage.vendor.lose_answers(1);
    asked_link(&whoami(&stage.client).await);
    // Inside the leeway and after it: the spent token is not shown again, else the second would end the family.
    for _ in 0..3 {
        stage.app.clock.advance(Duration::from_secs(20));
        stage.app.app.broker().refresh_due().await.unwrap();
        asked_link(&whoami(&stage.client).await);
    }
    assert_eq!(stage.refreshes(), 1);
    stage.connect().await;
    stage.works("after a new consent").await;
}

#[tokio::test]
async fn auth0s_absolute_lifetime_ends_a_grant_that_was_renewed_and_its_user_is_asked_once() {
    let stage = Stage::of("auth0").await;
    stage.connect().await;
    for _ in 0..29 {
        stage.app.clock.advance(Duration::from_secs(86_400));
        stage.works("inside the thirty days").await;
    }
    stage.app.clock.advance(Duration::from_secs(86_400 + 1));
    let before = stage.refreshes();
    asked_link(&whoami(&stage.client).await);
    asked_link(&whoami(&stage.client).await);
    assert_eq!(stage.refreshes(), before + 1, "what is parked is left alone");
    let listed = stage.admin.get("/admin/oauth/tokens").await.json["items"][0].clone();
    assert_eq!(listed["health"], "needs_authorization");
    assert!(listed["health_reason"].as_str().unwrap().contains("no longer accepts"), "{listed:#}");
    stage.connect().await;
    stage.works("with a new consent, which begins anew").await;
}
