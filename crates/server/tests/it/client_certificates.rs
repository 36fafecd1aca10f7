//! Mutual TLS: servers that let nobody in without a client certificate (a real nginx), and one gateway's certificate
//! that is shown to them, to nobody else, and by no other gateway.

use doorward_domain::{Audience, Timestamp};
use doorward_outbound::ExtraRoots;
use doorward_testkit::app::{TestApp, TestAppOptions, oauth_input};
use doorward_testkit::certificates::Certificates;
use doorward_testkit::client::Client;
use doorward_testkit::proxies::{Nginx, free_port};
use serde_json::{Value, json};
use std::time::Duration;

const DAY: u64 = 86_400;

struct Stage {
    app: TestApp,
    demo: doorward_demo::Demo,
    certificates: Certificates,
    /// The authorization server, the demo's MCP server, and one that says of itself what it is.
    ports: (u16, u16, u16),
    _nginx: Nginx,
}

impl Stage {
    /// The demo's servers behind an nginx that wants a client certificate of the authority.
    async fn set() -> Self {
        let certificates = Certificates::make();
        let roots = ExtraRoots::read(&certificates.authority()).unwrap();
        let adjust = |settings: &mut doorward_server::Settings| settings.extra_roots = roots;
        let options = TestAppOptions { adjust: Some(Box::new(adjust)), ..TestAppOptions::default() };
        let app = TestApp::with(options).await;
        let demo = app.demo().await;
        let ports = (free_port(), free_port(), free_port());
        let server = |port: u16, locations: &str| {
            format!(
                "server {{ listen 127.0.0.1:{port} ssl; ssl_certificate {}; ssl_certificate_key {}; \
                 ssl_client_certificate {}; ssl_verify_client on; {locations} }}\n",
                certificates.certificate().display(),
                certificates.key().display(),
                certificates.authority().display(),
            )
        };
        let to =
            |url: &url::Url| format!("location / {{ proxy_pass {}; }}", url.origin().ascii_serialization());
        let servers = server(ports.0, &to(demo.authorization_server.token_url()))
            + &server(ports.1, &to(demo.mcp_server.url()))
            + &server(ports.2, &self_description(ports.2, demo.authorization_server.issuer()));
        let nginx = Nginx::start(&servers, ports.1).await;
        Self { app, demo, certificates, ports, _nginx: nginx }
    }

    /// The MCP server that says of itself what it is, and one at the same address that is open.
    fn described(&self, path: &str) -> String {
        format!("https://127.0.0.1:{}/{path}", self.ports.2)
    }

    fn body(&self, slug: &str, certificate: Value) -> Value {
        let input = oauth_input(&self.demo);
        let (token, mcp) = (self.demo.authorization_server.token_url(), self.demo.mcp_server.url());
        json!({
            "slug": slug,
            "url": format!("https://127.0.0.1:{}{}", self.ports.1, mcp.path()),
            "state": "published",
            "client_certificate": certificate,
            "authorization": {
                "type": "oauth",
                "authorization_url": input.authorization_url,
                "token_url": format!("https://127.0.0.1:{}{}", self.ports.0, token.path()),
                "revocation_url": format!(
                    "https://127.0.0.1:{}{}", self.ports.0, self.demo.authorization_server.revocation_url().path()
                ),
                "resource": mcp,
                "client_id": input.client_id,
                "client_secret": self.demo.authorization_server.client_secret(),
            }
        })
    }

    fn certificate(&self) -> Value {
        let (certificate, key) = self.certificates.client();
        json!({ "certificate": certificate, "key": key })
    }
}

/// An MCP server at `/mcp` that wants tokens of an issuer, and one at `/open` that wants none and lists its revisions.
fn self_description(port: u16, issuer: &str) -> String {
    let metadata = "/.well-known/oauth-protected-resource/mcp";
    let resource =
        json!({ "resource": format!("https://127.0.0.1:{port}/mcp"), "authorization_servers": [issuer] });
    let open = json!({ "jsonrpc": "2.0", "id": 1, "result": { "supportedVersions": ["2026-07-28"] } });
    format!(
        "default_type application/json; \
         location = {metadata} {{ return 200 '{resource}'; }} \
         location = /open {{ return 200 '{open}'; }} \
         location = /mcp {{ add_header WWW-Authenticate \
         'Bearer resource_metadata=\"https://127.0.0.1:{port}{metadata}\"' always; return 401; }}"
    )
}

async fn refreshes(client: &Client, id: &str) -> u16 {
    client.post(&format!("/gateways/{id}/refresh"), &json!({})).await.status
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_shows_its_own_certificate_and_no_other_gateway_shows_it() {
    let stage = Stage::set().await;
    let (app, admin) = (&stage.app, stage.app.admin_client().await);
    let with = admin.post("/gateways", &stage.body("with", stage.certificate())).await;
    assert_eq!(with.status, 201, "{with:?}");
    assert_eq!(with.json["client_certificate"]["subject"], "CN=doorward at test");
    assert_eq!(with.json["client_certificate"]["ends_at"], "2100-01-01T00:00:00Z");
    let without = admin.post("/gateways", &stage.body("without", Value::Null)).await;
    assert_eq!((without.status, &without.json["client_certificate"]), (201, &Value::Null), "{without:?}");

    let alice = app.user("alice").await;
    app.connect(&alice, "with", &stage.demo, "alice").await;
    let browser = app.browser(&alice).await;
    let (_, landed) = browser.authorize("without", &stage.demo, "alice").await;
    assert!(landed.starts_with("/ui/connect-problem"), "without a certificate no token is got: {landed}");
    let client = app.client(&alice, Audience::Own).await;
    let tools = client.get("/tools").await;
    assert!(tools.text.contains("with-whoami"), "{}", tools.text);
    let id = with.json["id"].as_str().unwrap();
    assert_eq!(refreshes(&client, id).await, 200);
    let check = admin.post(&format!("/gateways/{id}/check"), &json!({})).await;
    assert!(check.text.contains("The client certificate (CN=doorward at test) ends at"), "{}", check.text);

    // A refresh and a revocation show it, too; and a new key seals it.
    app.app.broker().rotate_keys(&app.administrator().caller).await.unwrap();
    app.app.broker().reseal(&mut |_| {}).await.unwrap();
    app.clock.advance(Duration::from_secs(2 * 3_600));
    assert_eq!(refreshes(&client, id).await, 200, "after a refresh");
    let (_, key) = stage.certificates.client();
    let secret = key.lines().nth(1).unwrap();
    for path in [format!("/gateways/{id}"), format!("/ui/gateways/{id}")] {
        let shown = if path.starts_with("/ui") {
            app.browser(app.administrator()).await.get(&path).await
        } else {
            admin.get(&path).await
        };
        assert!(shown.status == 200 && !shown.text.contains(secret), "{path}: {shown:?}");
    }
    assert_eq!(client.delete(&format!("/connections/{id}")).await.status, 200);
    app.app.broker().tell_providers().await.unwrap();
    let ended = admin.get("/admin/oauth/ended").await;
    assert_eq!(ended.json["items"][0]["receipt"], "ended_at_provider", "{ended:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_is_kept_replaced_removed_and_asked_for_again_where_the_gateway_moves() {
    let stage = Stage::set().await;
    let (app, admin) = (&stage.app, stage.app.admin_client().await);
    let mut open = stage.body("open", stage.certificate());
    open["authorization"] = json!({"type": "none"});
    let made = admin.post("/gateways", &open).await;
    assert_eq!(made.status, 201, "{made:?}");
    let id = made.json["id"].as_str().unwrap();
    let path = format!("/gateways/{id}");
    let renamed = admin.put(&path, &json!({"name": "Another name"})).await;
    assert_eq!(renamed.json["client_certificate"]["subject"], "CN=doorward at test", "left out, it stays");
    let moved = admin.put(&path, &json!({"url": "https://127.0.0.1:9/mcp"})).await;
    assert_eq!((moved.status, moved.problem().0), (400, Some("client_certificate.key")), "{moved:?}");

    let (certificate, key) = stage.certificates.client();
    let other = Certificates::make().client().1;
    for (given, field) in [
        (json!({"certificate": certificate, "key": other}), "client_certificate.key"),
        (json!({"certificate": "x", "key": key}), "client_certificate.certificate"),
        (json!({"certificate": certificate, "key": "x"}), "client_certificate.key"),
        (json!({"certificate": format!("{certificate}{key}"), "key": key}), "client_certificate.certificate"),
        (json!({"certificate": certificate}), "client_certificate.key"),
        (json!({"certificate": certificate, "key": key, "x": 1}), "client_certificate.x"),
    ] {
        let refused = admin.put(&path, &json!({ "client_certificate": given })).await;
        assert_eq!((refused.status, refused.problem().0), (400, Some(field)), "{refused:?}");
        assert!(!refused.text.contains(key.lines().nth(1).unwrap()), "{refused:?}");
    }

    let root = app.browser(app.administrator()).await;
    assert!(root.get(&format!("/ui/gateways/{id}")).await.text.contains("CN=doorward at test"));
    let cleared = admin.put(&path, &json!({"client_certificate": null})).await;
    assert_eq!(cleared.json["client_certificate"], Value::Null);
    // Behind its nginx the demo's server wants a token, which an open gateway does not send: by that it is known.
    let client = app.client(app.administrator(), Audience::Own).await;
    let reached = async || {
        let answer = client.post(&format!("{path}/refresh"), &json!({})).await;
        answer.text.contains("it asks for an authorization")
    };
    assert!(!reached().await, "the connections that showed it are not used any more");
    let given = admin.put(&path, &json!({"client_certificate": stage.certificate()})).await;
    assert_eq!(given.status, 200, "{given:?}");
    assert!(reached().await);

    let end: Timestamp = "2100-01-01T00:00:00Z".parse().unwrap();
    app.clock.advance(app.clock.now().until(end) - Duration::from_secs(10 * DAY));
    let admin = app.admin_client().await;
    let near = admin.post(&format!("{path}/check"), &json!({})).await;
    assert!(near.text.contains("give another before"), "{}", near.text);
    app.clock.advance(Duration::from_secs(11 * DAY));
    let over = admin.post(&format!("{path}/check"), &json!({})).await;
    assert!(over.text.contains("it is over"), "{}", over.text);
    let ended = admin.put(&path, &json!({"client_certificate": stage.certificate()})).await;
    assert_eq!(ended.problem().0, Some("client_certificate.certificate"), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_wants_a_certificate_is_asked_with_the_one_that_is_given_or_that_the_gateway_has() {
    let stage = Stage::set().await;
    let (app, admin) = (&stage.app, stage.app.admin_client().await);
    let url = stage.described("mcp");
    let issuer = stage.demo.authorization_server.issuer();
    let ask = async |more: Value| {
        let mut body = json!({ "url": url });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        admin.post("/gateways/discover", &body).await
    };
    let turned_away = ask(json!({})).await;
    assert_eq!((turned_away.status, turned_away.problem().0), (400, Some("url")), "{turned_away:?}");
    assert!(turned_away.problem().1.contains("client certificate, give one"), "{turned_away:?}");
    let found = ask(json!({ "client_certificate": stage.certificate() })).await;
    assert_eq!((found.status, &found.json["issuer"]), (200, &json!(issuer)), "{found:?}");
    let (certificate, key) = stage.certificates.client();
    let half = ask(json!({ "client_certificate": { "certificate": certificate, "key": "x" } })).await;
    assert_eq!(half.problem().0, Some("client_certificate.key"), "{half:?}");
    let nobody = ask(json!({ "gateway_id": "0190f5d2-7c1e-7000-8000-000000000001" })).await;
    assert_eq!((nobody.status, nobody.problem().0), (400, Some("gateway_id")), "{nobody:?}");

    // A new gateway is registered by asking; from then on its own certificate is shown.
    let new = |certificate: Value| json!({ "url": url, "slug": "described", "state": "published", "client_certificate": certificate });
    let without = admin.post("/gateways", &new(Value::Null)).await;
    assert_eq!((without.status, without.problem().0), (400, Some("url")), "{without:?}");
    let made = admin.post("/gateways", &new(stage.certificate())).await;
    assert_eq!((made.status, &made.json["authorization"]["issuer"]), (201, &json!(issuer)), "{made:?}");
    let id = made.json["id"].as_str().unwrap();
    assert_eq!(ask(json!({ "gateway_id": id })).await.status, 200);
    assert_eq!(ask(json!({ "gateway_id": id, "client_certificate": null })).await.status, 400);
    let elsewhere = json!({ "url": format!("https://127.0.0.1:{}/mcp", stage.ports.1), "gateway_id": id });
    let elsewhere = admin.post("/gateways/discover", &elsewhere).await;
    assert_eq!(elsewhere.status, 400, "it is shown where it was given for alone: {elsewhere:?}");
    let anew = json!({ "authorization": { "type": "discover" } });
    assert_eq!(admin.put(&format!("/gateways/{id}"), &anew).await.status, 200);

    // The same in the form; the key does not come back.
    let root = app.browser(app.administrator()).await;
    let secret = key.lines().nth(1).unwrap();
    let mut fields = vec![
        ("url", url.as_str()),
        ("name", "Described"),
        ("slug", "by-hand"),
        ("authorization", "discover"),
        ("client_certificate.certificate", &certificate),
        ("client_certificate.key", &key),
        ("do", "discover"),
    ];
    let shown = root.form("/ui/gateways/new", &fields).await;
    assert!(shown.status == 200 && shown.text.contains("guards this server"), "{}", shown.text);
    assert!(shown.text.contains("Give the secrets again") && !shown.text.contains(secret), "{}", shown.text);
    fields[6] = ("do", "draft");
    assert_eq!(root.form("/ui/gateways/new", &fields).await.status, 303);
    let page = format!("/ui/gateways/{id}");
    let own = [("url", url.as_str()), ("authorization", "discover"), ("do", "discover")];
    let shown = root.form(&page, &own).await;
    assert!(shown.status == 200 && shown.text.contains("guards this server"), "{}", shown.text);
    let none = root.form("/ui/gateways/new", &own).await;
    assert!(none.status == 400 && none.text.contains("client certificate, give one"), "{}", none.text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_doctor_shows_the_certificate_when_it_asks_for_the_revisions() {
    let stage = Stage::set().await;
    let admin = stage.app.admin_client().await;
    for (slug, certificate, verdict, says) in [
        ("with", stage.certificate(), "good", "speaks 2026-07-28"),
        ("without", Value::Null, "advice", "shows with the first token"),
    ] {
        let body = json!({
            "url": stage.described("open"), "slug": slug, "client_certificate": certificate,
            "authorization": { "type": "none" },
        });
        let made = admin.post("/gateways", &body).await;
        let id = made.json["id"].as_str().unwrap_or_else(|| panic!("{made:?}"));
        let check = admin.post(&format!("/gateways/{id}/check"), &json!({})).await.json;
        let findings = check["findings"].as_array().unwrap();
        let found = |subject: &str| findings.iter().find(|found| found["subject"] == subject).unwrap();
        let protocol = found("protocol");
        assert_eq!(protocol["verdict"], verdict, "{check:#}");
        assert!(protocol["text"].as_str().unwrap().contains(says), "{check:#}");
        let server = found("mcp_server");
        let passes = server["verdict"] == "good";
        assert_eq!(passes, slug == "with", "{check:#}");
        assert_eq!(server["text"].as_str().unwrap().contains("give one"), !passes, "{check:#}");
    }
}
