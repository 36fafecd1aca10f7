//! Between proxies, real ones: nginx before Doorward, tinyproxy and a private authority between Doorward and the rest.

use doorward_broker::{AuthorizationInput, GatewayInput};
use doorward_domain::{Audience, GatewayState};
use doorward_outbound::{ExtraRoots, OutboundProxy};
use doorward_testkit::app::{PASSWORD, TestApp, TestAppOptions, oauth_input};
use doorward_testkit::certificates::Certificates;
use doorward_testkit::proxies::{Nginx, TinyProxy, free_port};
use reqwest::header::{COOKIE, SET_COOKIE};
use serde_json::json;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// nginx reaches Doorward from here, so that its word can be told from that of others on loopback.
const NGINX: &str = "127.0.0.2";

/// Somebody at an address of their own, behind nginx or not.
struct Visitor {
    http: reqwest::Client,
    origin: String,
}

impl Visitor {
    fn at(address: &str, origin: &str) -> Self {
        let address: IpAddr = address.parse().unwrap();
        let http =
            reqwest::Client::builder().local_address(address).redirect(reqwest::redirect::Policy::none());
        Self { http: http.build().unwrap(), origin: origin.to_owned() }
    }

    /// The status of a login as somebody, who also writes `X-Forwarded-For` themselves.
    async fn log_in(&self, email: &str, password: &str, spoofed: &str) -> u16 {
        let url = format!("{}/ui/login", self.origin);
        let page = self.http.get(&url).header("x-forwarded-for", spoofed).send().await.unwrap();
        let cookie = page.headers()[SET_COOKIE].to_str().unwrap().split(';').next().unwrap().to_owned();
        let html = page.text().await.unwrap();
        let csrf = html.split_once("name=\"csrf\" value=\"").unwrap().1.split('"').next().unwrap();
        let fields = [("csrf", csrf), ("email", email), ("password", password)];
        let post = self.http.post(&url).form(&fields).header(COOKIE, cookie);
        let post = post.header("sec-fetch-site", "same-origin").header("x-forwarded-for", spoofed);
        post.send().await.unwrap().status().as_u16()
    }
}

async fn behind_nginx() -> (TestApp, Nginx, String) {
    let adjust = |settings: &mut doorward_server::Settings| {
        settings.trusted_proxies = vec![format!("{NGINX}/32").parse().unwrap()];
    };
    let app =
        TestApp::with(TestAppOptions { adjust: Some(Box::new(adjust)), ..TestAppOptions::default() }).await;
    let port = free_port();
    let server = format!(
        "server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass {}; proxy_bind {NGINX}; proxy_http_version 1.1; \
         proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; proxy_buffering off; }} }}",
        app.origin
    );
    let nginx = Nginx::start(&server, port).await;
    (app, nginx, format!("http://127.0.0.1:{port}"))
}

/// The addresses of the events of an action.
async fn addresses(app: &TestApp, action: &str) -> Vec<String> {
    let events = app.admin_client().await.get(&format!("/admin/audit?action={action}&limit=200")).await;
    let items = events.json["items"].as_array().unwrap().clone();
    items.iter().map(|event| event["address"].as_str().unwrap_or_default().to_owned()).collect()
}

#[tokio::test]
async fn behind_nginx_throttling_and_audit_go_by_the_true_address_whatever_a_caller_writes_there() {
    let (app, _nginx, origin) = behind_nginx().await;
    let guesser = Visitor::at("127.0.0.9", &origin);
    let mut statuses = Vec::new();
    for attempt in 0..24 {
        // Another account and another made-up address each time: only the true address is left to go by.
        let (email, spoofed) = (format!("nobody{attempt}@test.example"), format!("203.0.113.{attempt}"));
        statuses.push(guesser.log_in(&email, "a wrong password", &spoofed).await);
    }
    assert!(statuses.contains(&429), "{statuses:?}");
    let seen = addresses(&app, "login.refused").await;
    assert!(!seen.is_empty() && seen.iter().all(|address| address == "127.0.0.9"), "{seen:?}");

    let alice = app.user("alice").await;
    let other = Visitor::at("127.0.0.10", &origin);
    assert_eq!(other.log_in(&alice.email, PASSWORD, "127.0.0.9").await, 303, "others are not made to wait");
    assert!(addresses(&app, "login").await.contains(&"127.0.0.10".to_owned()));
}

#[tokio::test]
async fn past_nginx_the_header_counts_for_nothing() {
    let (app, _nginx, _) = behind_nginx().await;
    let direct = Visitor::at("127.0.0.11", &app.origin);
    assert_eq!(direct.log_in("nobody@test.example", "a wrong password", "203.0.113.5").await, 400);
    assert_eq!(addresses(&app, "login.refused").await, ["127.0.0.11"]);
}

#[tokio::test]
async fn oauth_and_mcp_go_through_the_forward_proxy_and_trust_the_private_authority() {
    let certificates = Certificates::make();
    let proxy = TinyProxy::start().await;
    let through = OutboundProxy::parse(&proxy.url(TinyProxy::CREDENTIALS), "").unwrap();
    let roots = ExtraRoots::read(&certificates.authority()).unwrap();
    let adjust = |settings: &mut doorward_server::Settings| {
        settings.proxy = Some(through);
        settings.extra_roots = roots;
    };
    let app =
        TestApp::with(TestAppOptions { adjust: Some(Box::new(adjust)), ..TestAppOptions::default() }).await;
    let demo = app.demo().await;
    let (oauth, mcp) = (free_port(), free_port());
    let (certificate, key) = (certificates.certificate(), certificates.key());
    let server = |port: u16, to: &str| {
        format!(
            "server {{ listen 127.0.0.1:{port} ssl; ssl_certificate {}; ssl_certificate_key {}; \
             location / {{ proxy_pass {to}; }} }}\n",
            certificate.display(),
            key.display()
        )
    };
    let origin = |url: &url::Url| url.origin().ascii_serialization();
    let token_url = demo.authorization_server.token_url();
    let servers = server(oauth, &origin(token_url)) + &server(mcp, &origin(demo.mcp_server.url()));
    let _nginx = Nginx::start(&servers, mcp).await;

    let mut input = oauth_input(&demo);
    input.token_url = format!("https://127.0.0.1:{oauth}{}", token_url.path());
    input.revocation_url = None;
    let alice = app.user("alice").await;
    app.register_input(GatewayInput {
        slug: Some("demo".to_owned()),
        name: Some("demo".to_owned()),
        url: Some(format!("https://127.0.0.1:{mcp}{}", demo.mcp_server.url().path())),
        state: Some(GatewayState::Published),
        access: None,
        on_change: None,
        era: None,
        tool_access: None,
        catalog_sharing: None,
        client_certificate: Default::default(),
        authorization: Some(AuthorizationInput::OAuth(Box::new(input))),
    })
    .await;
    app.connect(&alice, "demo", &demo, "alice").await;
    let client = app.client(&alice, Audience::Own).await;
    assert_eq!(client.get("/connections").await.json["items"][0]["status"], "connected");
    let tools = client.get("/tools").await;
    assert!(tools.text.contains("whoami"), "{}", tools.text);
    for port in [oauth, mcp] {
        assert!(proxy.was_asked_for(SocketAddr::from((Ipv4Addr::LOCALHOST, port))), "{port}");
    }
}

#[tokio::test]
async fn a_proxy_that_wants_another_password_is_told_of_without_showing_ours() {
    let proxy = TinyProxy::start().await;
    let through = OutboundProxy::parse(&proxy.url("gateway:canary-that-is-wrong"), "").unwrap();
    let adjust = |settings: &mut doorward_server::Settings| settings.proxy = Some(through);
    let app =
        TestApp::with(TestAppOptions { adjust: Some(Box::new(adjust)), ..TestAppOptions::default() }).await;
    let administrator = app.admin_client().await;
    let refused = administrator.post("/gateways/discover", &json!({"url": "http://127.0.0.1:9/mcp"})).await;
    assert!(refused.text.contains("DOORWARD_OUTBOUND_PROXY"), "{}", refused.text);
    let private = administrator.post("/gateways/discover", &json!({"url": "https://wiki.corp/mcp"})).await;
    assert!(private.text.contains("DOORWARD_NO_PROXY=wiki.corp"), "{}", private.text);
    assert!(!refused.text.contains("canary") && !private.text.contains("canary"));
}
