//! Tokens got in exchange for what a person has at their company's identity provider: they sign in there once, and no
//! MCP server behind it asks them for anything. RFC 8693, and the ID-JAG profile, at the real `oidc-provider`.

use super::walk::{self, asked_link, modern, published, tool_text};
use doorward_broker::{Access, AuthorizationInput, Edit, OAuthInput};
use doorward_demo::{McpServer, McpServerOptions};
use doorward_domain::{Audience, ClientSecret, TokenEndpointAuth};
use doorward_testkit::app::{Person, TestApp, TestAppOptions};
use doorward_testkit::client::{Answer, Client};
use doorward_testkit::oidc_provider;
use doorward_testkit::provider::{CLIENT_ID, CLIENT_SECRET, Provider};
use serde_json::{Value, json};
use std::time::Duration;

const LIFETIME: u64 = 3600;

struct Stage {
    app: TestApp,
    provider: Provider,
    upstream: McpServer,
    admin: Client,
    company: String,
}

impl Stage {
    /// The company's sign-in is a gateway of its own.
    async fn set() -> Self {
        Self::set_for(None).await
    }

    /// With an authorization server that exchanges tokens only for this audience.
    async fn set_for(audience: Option<&str>) -> Self {
        let app = TestApp::start().await;
        let redirect_uri = walk::redirect_uri(&app);
        let provider = oidc_provider::start_for_audience(&redirect_uri, LIFETIME, audience).await;
        let upstream = provider.mcp_server(McpServerOptions::default()).await;
        let oauth = OAuthInput {
            grant_type: None,
            identity_provider: None,
            audience: None,
            authorization_url: provider.authorization_url.to_string(),
            token_url: provider.token_url.to_string(),
            revocation_url: None,
            facts: None,
            keep_alive: None,
            issuer: Some(provider.issuer.clone()),
            resource: None,
            scopes: vec!["openid".to_owned()],
            scope_ceiling: None,
            authorize_params: [].into(),
            client_id: CLIENT_ID.to_owned(),
            client_secret: Edit::Set(ClientSecret::new(CLIENT_SECRET)),
            token_endpoint_auth: Some(TokenEndpointAuth::Basic),
            assertion_kid: None,
            template: None,
        };
        let url = provider.issuer.parse().unwrap();
        let input = published("company", &url, AuthorizationInput::OAuth(Box::new(oauth)));
        let company = app.register_input(input).await.id.to_string();
        let admin = app.admin_client().await;
        Self { app, provider, upstream, admin, company }
    }

    /// The tools, whose tokens are got in exchange.
    async fn register(&self, grant_type: &str) -> String {
        let made = self.admin.post("/gateways", &self.tools(grant_type)).await;
        assert_eq!(made.status, 201, "{made:?}");
        assert_eq!(made.json["authorization"]["identity_provider"], self.company);
        made.json["id"].as_str().unwrap().to_owned()
    }

    fn tools(&self, grant_type: &str) -> Value {
        let authorization = json!({
            "type": "oauth", "grant_type": grant_type, "identity_provider": self.company,
            "authorization_url": self.provider.authorization_url, "token_url": self.provider.token_url,
            "issuer": self.provider.issuer, "resource": self.upstream.url(), "scopes": ["notes"],
            "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "token_endpoint_auth": "basic",
        });
        json!({
            "url": self.upstream.url(), "slug": "tools", "name": "Tools", "state": "published",
            "authorization": authorization,
        })
    }

    async fn call(&self, person: &Person) -> Value {
        let client = walk::mcp(&self.app, person).await;
        modern(&client, "/mcp", "tools/call", &json!({ "name": "tools-whoami" })).await
    }

    async fn grants(&self, kind: &str) -> u64 {
        let kind = format!("urn:ietf:params:oauth:grant-type:{kind}");
        self.provider.control().log().await.grants.get(&kind).copied().unwrap_or_default()
    }

    async fn own(&self, person: &Person, slug: &str) -> Value {
        let client = self.app.client(person, Audience::Own).await;
        let listed = client.get("/connections").await.json["items"].clone();
        listed.as_array().unwrap().iter().find(|one| one["slug"] == slug).unwrap().clone()
    }
}

/// The whole life: asked once at the company, then served, renewed and kept apart from others.
async fn one_sign_in_opens_the_tools(grant_type: &str, kind: &str) {
    let stage = Stage::set().await;
    stage.register(grant_type).await;
    let (alice, bob) = (stage.app.user("alice").await, stage.app.user("bob").await);
    let link = asked_link(&stage.call(&alice).await);
    assert!(link.contains("/connect/company?request="), "{link}");
    walk::connect(&stage.app, &alice, "company", &stage.provider, "alice").await;
    assert_eq!(tool_text(&stage.call(&alice).await), "alice");
    assert_eq!(stage.grants(kind).await, 1);
    // The token is for this MCP server, and no other than its owner's.
    let token = stage.upstream.log().last().unwrap().bearer.clone().unwrap();
    let found = stage.provider.control().introspect(&token).await;
    assert!(found.active && found.account.as_deref() == Some("alice") && found.is_for(stage.upstream.url()));
    assert!(asked_link(&stage.call(&bob).await).contains("/connect/company"));
    walk::connect(&stage.app, &bob, "company", &stage.provider, "bob").await;
    assert_eq!(tool_text(&stage.call(&bob).await), "bob");

    // Kept until it ends, then got in exchange again; nobody is asked, and nothing looks like it were dying.
    tool_text(&stage.call(&alice).await);
    assert_eq!(stage.grants(kind).await, 2);
    let shown = stage.own(&alice, "tools").await;
    assert_eq!((&shown["status"], &shown["health"]), (&json!("connected"), &json!("valid")), "{shown:#}");
    stage.app.clock.advance(Duration::from_secs(LIFETIME + 1));
    assert_eq!(tool_text(&stage.call(&alice).await), "alice");
    assert_eq!(stage.grants(kind).await, 3);

    // What is revoked here is got anew while the company still vouches; without the company's grant it is not.
    for slug in ["tools", "company"] {
        let listed = stage.admin.get("/admin/oauth/tokens?q=alice").await.json;
        let of = |one: &&Value| one["gateway"]["slug"] == slug;
        let id =
            listed["items"].as_array().unwrap().iter().find(of).unwrap()["id"].as_str().unwrap().to_owned();
        stage.admin.delete(&format!("/admin/oauth/tokens/{id}")).await;
        if slug == "tools" {
            assert_eq!(tool_text(&stage.call(&alice).await), "alice");
        }
    }
    stage.app.clock.advance(Duration::from_secs(LIFETIME + 1));
    assert!(asked_link(&stage.call(&alice).await).contains("/connect/company"));
}

#[tokio::test]
async fn an_access_token_at_the_identity_provider_is_exchanged_rfc_8693() {
    one_sign_in_opens_the_tools("token_exchange", "token-exchange").await;
}

#[tokio::test]
async fn an_exchange_names_the_audience_that_the_gateway_states_and_none_where_it_states_none_rfc_8693() {
    let stage = Stage::set_for(Some("the-tools")).await;
    let tools = stage.register("token_exchange").await;
    let path = format!("/gateways/{tools}");
    let alice = stage.app.user("alice").await;
    walk::connect(&stage.app, &alice, "company", &stage.provider, "alice").await;
    stage.call(&alice).await;
    assert_eq!(stage.grants("token-exchange").await, 0, "none is sent");
    walk::connect(&stage.app, stage.app.administrator(), "company", &stage.provider, "alice").await;
    let check = async || stage.admin.post(&format!("{path}/check"), &json!({})).await.text;
    let checked = check().await;
    assert!(
        checked.contains("gives no token in exchange") && checked.contains("invalid_target"),
        "{checked}"
    );

    let with = |audience: Value| {
        let mut authorization = stage.tools("token_exchange")["authorization"].clone();
        authorization["audience"] = audience;
        json!({ "authorization": authorization })
    };
    for wrong in [json!(""), json!("a\nb"), json!("x".repeat(501))] {
        let answer = stage.admin.put(&path, &with(wrong)).await;
        assert_eq!((answer.status, answer.problem().0), (400, Some("authorization.audience")), "{answer:?}");
    }
    let stated = stage.admin.put(&path, &with(json!("the-tools"))).await;
    assert_eq!((stated.status, &stated.json["authorization"]["audience"]), (200, &json!("the-tools")));
    // A refusal is not asked again at once.
    stage.app.clock.advance(Duration::from_secs(61));
    let own = stage.app.client(&alice, Audience::Own).await;
    assert_eq!(own.post(&format!("{path}/refresh"), &json!({})).await.status, 200);
    assert_eq!(tool_text(&stage.call(&alice).await), "alice");
    assert!(check().await.contains("is exchanged for a token here"));

    // The page shows it, and saves it like any other field.
    let root = stage.app.browser(stage.app.administrator()).await;
    let page = root.get(&format!("/ui{path}")).await.text;
    assert!(page.contains("name=\"authorization.audience\"") && page.contains("value=\"the-tools\""));
    let none = stage.admin.put(&path, &with(Value::Null)).await;
    assert_eq!(none.json["authorization"]["audience"], Value::Null);
}

#[tokio::test]
async fn a_template_states_the_audience_of_an_exchange() {
    const TEMPLATE: &str = r#"
version = 1
name = "Ours"
[inputs.name]
label = "Name"
example = "the-tools"
kind = "segment"
[oauth]
audience = "{name}"
"#;
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("ours.toml"), TEMPLATE).unwrap();
    let providers = directory.path().to_owned();
    let adjust: doorward_testkit::app::Adjust =
        Box::new(move |settings| settings.providers_dir = Some(providers));
    let app = TestApp::with(TestAppOptions { adjust: Some(adjust), ..Default::default() }).await;
    let admin = app.admin_client().await;
    let shown = admin.get("/admin/oauth/providers/ours").await;
    assert_eq!(shown.json["audience"], "{name}", "{shown:?}");
    let by_template = |more: Value| {
        let mut authorization = json!({
            "type": "oauth", "provider_template": "ours", "provider_inputs": { "name": "the-tools" },
            "grant_type": "client_credentials", "token_url": "http://127.0.0.1:9/token",
            "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET,
        });
        authorization.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({ "url": "http://127.0.0.1:9/mcp", "authorization": authorization })
    };
    for (number, (more, audience)) in [
        (json!({}), json!("the-tools")),
        (json!({ "audience": "others" }), json!("others")),
        (json!({ "audience": null }), Value::Null),
    ]
    .into_iter()
    .enumerate()
    {
        let mut body = by_template(more);
        body["slug"] = json!(format!("tools-{number}"));
        let made = admin.post("/gateways", &body).await;
        assert_eq!((made.status, &made.json["authorization"]["audience"]), (201, &audience), "{made:?}");
    }
    let root = app.browser(app.administrator()).await;
    let fields = [
        ("authorization.provider_template", "ours"),
        ("authorization.inputs_of", "ours"),
        ("authorization.provider_inputs.name", "the-tools"),
        ("do", "fill"),
    ];
    let filled = root.form("/ui/gateways/new", &fields).await;
    assert!(filled.text.contains("value=\"{name}\"") || filled.text.contains("value=\"the-tools\""));
}

#[tokio::test]
async fn what_the_identity_provider_says_of_a_person_is_redeemed_id_jag() {
    one_sign_in_opens_the_tools("identity_assertion", "jwt-bearer").await;
}

#[tokio::test]
async fn an_id_token_that_has_ended_is_renewed_first_and_never_shown() {
    let stage = Stage::set().await;
    stage.register("identity_assertion").await;
    let alice = stage.app.user("alice").await;
    walk::connect(&stage.app, &alice, "company", &stage.provider, "alice").await;
    tool_text(&stage.call(&alice).await);
    // The clock is Doorward's: it believes that the ID token has ended, and the fresh one, too.
    stage.app.clock.advance(Duration::from_secs(2 * 86_400));
    let said = stage.grants("token-exchange").await;
    assert!(asked_link(&stage.call(&alice).await).contains("/connect/company"));
    assert_eq!(stage.provider.control().log().await.refreshes(), 1, "it was renewed");
    assert_eq!(stage.grants("token-exchange").await, said, "and not shown");
}

#[tokio::test]
async fn an_id_token_is_kept_only_where_it_is_exchanged() {
    let stage = Stage::set().await;
    let alice = stage.app.user("alice").await;
    walk::connect(&stage.app, &alice, "company", &stage.provider, "alice").await;
    let gateway = stage.company.parse().unwrap();
    let owner = doorward_domain::GrantOwner::User(alice.id);
    let kept = async || {
        let grant = stage.app.app.storage().grant_of(owner, gateway).await.unwrap().unwrap();
        grant.tokens.id_token.is_some()
    };
    assert!(!kept().await);
    stage.register("identity_assertion").await;
    // From now on there is a use for it: a refresh brings one, and nobody is asked again.
    assert_eq!(tool_text(&stage.call(&alice).await), "alice");
    assert!(kept().await);
    assert_eq!(stage.provider.control().log().await.refreshes(), 1);
}

#[tokio::test]
async fn the_identity_provider_serves_no_tools_and_is_not_taken_away_from_under_others() {
    let stage = Stage::set().await;
    let tools = stage.register("identity_assertion").await;
    let alice = stage.app.user("alice").await;
    walk::connect(&stage.app, &alice, "company", &stage.provider, "alice").await;
    tool_text(&stage.call(&alice).await);
    let client = walk::mcp(&stage.app, &alice).await;
    let listed = modern(&client, "/mcp", "tools/list", &json!({})).await;
    assert!(
        listed.to_string().contains("tools-whoami") && !listed.to_string().contains("company-"),
        "{listed:#}"
    );

    let refused = |answer: &Answer, field: &str| {
        let (named, problem) = answer.problem();
        assert!(answer.status == 400 && named == Some(field), "{answer:?}");
        problem.to_owned()
    };
    let path = format!("/gateways/{}", stage.company);
    let deleted = stage.admin.delete(&path).await;
    assert_eq!(deleted.status, 409, "{deleted:?}");
    assert!(deleted.problem().1.contains("identity provider of tools"), "{deleted:?}");
    let none = stage.admin.put(&path, &json!({ "authorization": { "type": "none" } })).await;
    refused(&none, "authorization.grant_type");

    let with = |provider: Value| {
        let mut body = stage.tools("token_exchange");
        body["authorization"]["identity_provider"] = provider;
        body["slug"] = json!("other");
        body
    };
    for wrong in [Value::Null, json!("0190f5d2-7c1e-7000-8000-000000000001"), json!(tools)] {
        let answer = stage.admin.post("/gateways", &with(wrong)).await;
        refused(&answer, "authorization.identity_provider");
    }
    let mut left_over = with(json!(stage.company));
    left_over["authorization"]["grant_type"] = json!("authorization_code");
    let answer = stage.admin.post("/gateways", &left_over).await;
    assert!(refused(&answer, "authorization.identity_provider").contains("leave it out"));
    let itself = stage.tools("token_exchange");
    let mut itself = json!({ "authorization": itself["authorization"] });
    itself["authorization"]["identity_provider"] = json!(tools);
    refused(
        &stage.admin.put(&format!("/gateways/{tools}"), &itself).await,
        "authorization.identity_provider",
    );
    assert_eq!(stage.admin.delete(&format!("/gateways/{tools}")).await.status, 204);
    assert_eq!(stage.admin.delete(&path).await.status, 204);
}

#[tokio::test]
async fn the_doctor_says_whether_what_the_administrator_has_is_exchanged() {
    let stage = Stage::set().await;
    let tools = stage.register("identity_assertion").await;
    let check = async || {
        let check = stage.admin.post(&format!("/gateways/{tools}/check"), &json!({})).await.json;
        let findings = check["findings"].as_array().unwrap().clone();
        findings
            .into_iter()
            .find(|found| found["subject"] == "exchange")
            .unwrap_or_else(|| panic!("{check:#}"))
    };
    let before = check().await;
    assert!(before["text"].as_str().unwrap().contains("You have not authorized company"), "{before:#}");
    walk::connect(&stage.app, stage.app.administrator(), "company", &stage.provider, "alice").await;
    let after = check().await;
    assert_eq!(after["verdict"], "good", "{after:#}");
}

#[tokio::test]
async fn who_is_refused_is_told_so_and_stands_in_nobodys_way() {
    let stage = Stage::set().await;
    let mut body = stage.tools("identity_assertion");
    // The identity provider speaks of a resource that the server's side then finds to be another.
    body["authorization"]["resource"] = json!("https://elsewhere.example/mcp");
    body["authorization"]["facts"] = json!({ "send_resource": "never" });
    let made = stage.admin.post("/gateways", &body).await;
    assert_eq!(made.status, 201, "{made:?}");
    let alice = stage.app.user("alice").await;
    walk::connect(&stage.app, &alice, "company", &stage.provider, "alice").await;
    let id = made.json["id"].as_str().unwrap().parse().unwrap();
    let broker = stage.app.app.broker();
    let gateway = broker.gateway(&alice.caller, id).await.unwrap();
    let access = async || match broker.access(&alice.caller, &gateway).await.unwrap() {
        Access::Unavailable { problem, .. } => problem,
        other => panic!("{other:?}"),
    };
    let told = access().await;
    assert!(told.contains("does not let you in") && told.contains("invalid_grant"), "{told}");
    let asked = stage.grants("token-exchange").await;
    assert_eq!(access().await, told);
    assert_eq!(stage.grants("token-exchange").await, asked, "nobody is asked again at once");
    let shown = stage.admin.get(&format!("/gateways/{}", made.json["id"].as_str().unwrap())).await;
    assert_eq!(shown.json["registration_problem"], Value::Null, "the client itself was not refused");
}
