//! Plays one scenario the way people would: an administrator registers the suite's server over REST, a user's MCP
//! client calls a tool, and the user opens the links that come back and consents.

use crate::journey::walk::{come_back, modern, set_out};
use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use doorward_domain::{Audience, Clock, DepositPolicy, Policy};
use doorward_outbound::EgressPolicy;
use doorward_testkit::app::{Person, TestApp, TestAppOptions};
use doorward_testkit::client::Client;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use url::Url;

/// The client id that the suite expects where metadata documents are taken. It opens it nowhere.
const CLIENT_METADATA_URL: &str = "https://conformance-test.local/client-metadata.json";

/// How often the user's client tries at most.
const ROUNDS: usize = 8;

/// A Doorward that plays scenarios for whoever asks at `control`.
pub(super) struct House {
    pub(super) control: String,
    players: Arc<Players>,
}

pub(super) struct Players {
    pub(super) app: TestApp,
    pub(super) user: Person,
    pub(super) browser: Client,
    pub(super) administrator: Client,
    /// What happened, by scenario.
    log: Mutex<BTreeMap<String, Vec<String>>>,
}

/// One scenario, as the suite's environment describes it.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Scenario {
    pub(super) name: String,
    pub(super) revision: String,
    pub(super) url: String,
    pub(super) context: Value,
}

impl House {
    pub(super) async fn start() -> Self {
        let options = TestAppOptions {
            // The suite looks at the times in assertions.
            clock: Some(Clock::System),
            egress: Some(EgressPolicy::parse("127.0.0.1,::1", "127.0.0.1,localhost").unwrap()),
            client_metadata_url: Some(CLIENT_METADATA_URL.parse().unwrap()),
            policy: Policy { deposit: DepositPolicy::Trust, ..Policy::default() },
            ..TestAppOptions::default()
        };
        let app = TestApp::with(options).await;
        let (user, administrator) = (app.user("wanda").await, app.admin_client().await);
        let browser = app.browser(&user).await;
        let players = Arc::new(Players { app, user, browser, administrator, log: Mutex::default() });
        let router = Router::new().route("/", post(play)).with_state(Arc::clone(&players));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let control = format!("http://{}/", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { control, players }
    }

    /// An upstream that moved to another authorization server is shown to administrators, and in the audit trail.
    pub(super) async fn shows_that_an_issuer_changed(&self, slug: &str) {
        let administrator = &self.players.administrator;
        let listed = administrator.get("/gateways?limit=200").await;
        let gateways = listed.json["items"].as_array().unwrap();
        let moved = gateways.iter().find(|gateway| gateway["slug"] == slug).unwrap();
        let (before, now) = (&moved["former_issuer"], &moved["authorization"]["issuer"]);
        assert!(before.is_string() && now.is_string() && before != now, "{moved:#}");
        let trail = administrator.get("/admin/audit?action=gateway.issuer_changed").await;
        assert_eq!(trail.json["items"][0]["detail"]["issuer"], *now, "{trail:?}");
    }

    /// What happened in a scenario, for a failing test's message.
    pub(super) fn played(&self, name: &str) -> String {
        self.players.log.lock().unwrap().get(name).map(|lines| lines.join("\n  ")).unwrap_or_default()
    }
}

async fn play(State(players): State<Arc<Players>>, Json(scenario): Json<Scenario>) -> String {
    if scenario.name.starts_with("auth/") {
        players.play(&scenario).await;
    } else {
        players.play_plain(&scenario).await;
    }
    "played".to_owned()
}

impl Players {
    async fn play(&self, scenario: &Scenario) {
        let slug: String = scenario.name.trim_start_matches("auth/").chars().take(32).collect();
        let mut registration = registration(&slug, scenario);
        if scenario.context["idp_id_token"].is_string() {
            registration["authorization"]["grant_type"] = "identity_assertion".into();
            registration["authorization"]["identity_provider"] =
                self.identity_provider(scenario).await.into();
        }
        let registered = self.administrator.post("/gateways", &registration).await;
        if registered.status == 201 && scenario.context["idp_id_token"].is_string() {
            self.signed_in(scenario, &registration["authorization"]["identity_provider"]).await;
        }
        self.note(scenario, format!("registered: {} {}", registered.status, registered.text));
        if registered.status != 201 {
            return;
        }
        let id = registered.json["id"].as_str().unwrap();
        let client = self.app.client(&self.user, Audience::Mcp).await;
        let mut served = 0;
        for _ in 0..ROUNDS {
            let Some(answer) = call_first_tool(&client, &slug).await else {
                // A loaded machine may not have read the list in time: it is read while we wait.
                let read = self.browser.post(&format!("/gateways/{id}/refresh"), &json!({})).await;
                self.note(scenario, format!("nothing was listed; read again: {} {}", read.status, read.text));
                continue;
            };
            self.note(scenario, format!("called: {answer}"));
            if let Some(link) = link_of(&answer) {
                self.consent(scenario, &slug, &link).await;
            } else if answer["result"]["isError"] != true && answer.get("error").is_none() {
                served += 1;
            }
            if served == 2 {
                return;
            }
        }
    }

    /// Registers the company's identity provider, where the user signs in. Gives its id.
    async fn identity_provider(&self, scenario: &Scenario) -> String {
        let context = &scenario.context;
        let issuer = context["idp_issuer"].as_str().unwrap();
        let authorization = json!({
            "type": "oauth", "issuer": issuer, "client_id": context["idp_client_id"], "scopes": ["openid"],
            "authorization_url": format!("{issuer}/authorize"), "token_url": context["idp_token_endpoint"],
        });
        let body = json!({
            "slug": "identity-provider", "name": "Company", "url": issuer, "state": "published",
            "authorization": authorization,
        });
        let registered = self.administrator.post("/gateways", &body).await;
        self.note(scenario, format!("identity provider: {} {}", registered.status, registered.text));
        registered.json["id"].as_str().unwrap().to_owned()
    }

    /// The suite's identity provider has no login, but hands out what a login would have brought.
    async fn signed_in(&self, scenario: &Scenario, provider: &Value) {
        let body = json!({
            "user_id": self.user.id, "gateway_id": provider, "access_token": "not-used-by-the-scenario",
            "id_token": scenario.context["idp_id_token"],
        });
        let deposited = self.administrator.post("/admin/oauth/tokens", &body).await;
        self.note(scenario, format!("deposited: {} {}", deposited.status, deposited.text));
    }

    /// Opens the link, agrees, follows the authorization server's redirects, and comes back.
    async fn consent(&self, scenario: &Scenario, slug: &str, link: &Url) {
        let request = link.query_pairs().find(|(name, _)| name == "request").map(|(_, id)| id.into_owned());
        let out = set_out(&self.browser, slug, request.as_deref()).await;
        let no_redirects = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
        let at_provider = no_redirects.build().unwrap().get(out.url.clone()).send().await.unwrap();
        let Some(location) = at_provider.headers().get("location") else {
            return self.note(scenario, format!("stopped at {}: {}", out.url, at_provider.status()));
        };
        let location: Url = location.to_str().unwrap().parse().unwrap();
        let (_, landed) = come_back(&self.browser, &location, &out.binding).await;
        self.note(scenario, format!("came back from {} to {landed}", out.url));
    }

    pub(super) fn note(&self, scenario: &Scenario, line: String) {
        self.log.lock().unwrap().entry(scenario.name.clone()).or_default().push(line);
    }
}

/// What the administrator types: the address, and what the suite gave of a client.
fn registration(slug: &str, scenario: &Scenario) -> Value {
    // The scopes that tools ask for later are the user's to decide here, not the administrator's.
    let mut authorization = json!({ "type": "discover", "scope_ceiling": ["*"] });
    if scenario.name.starts_with("auth/client-credentials-") {
        authorization["grant_type"] = "client_credentials".into();
    }
    if let Some(key) = scenario.context.get("private_key_pem") {
        authorization["client_secret"] = key.clone();
        authorization["token_endpoint_auth"] = "private_key_jwt".into();
    }
    for member in ["client_id", "client_secret"] {
        if let Some(value) = scenario.context.get(member) {
            authorization[member] = value.clone();
        }
    }
    json!({ "slug": slug, "name": slug, "url": scenario.url, "state": "published", "authorization": authorization })
}

/// Lists the tools of one gateway and calls the first; none where nothing was listed.
async fn call_first_tool(client: &Client, slug: &str) -> Option<Value> {
    let path = format!("/gateways/{slug}/mcp");
    let listed = modern(client, &path, "tools/list", &json!({})).await;
    if listed.get("error").is_some() {
        return Some(listed);
    }
    let name = listed["result"]["tools"][0]["name"].as_str()?;
    Some(modern(client, &path, "tools/call", &json!({ "name": name, "arguments": {} })).await)
}

/// The link of an answer that asks to authorize, as a tool's answer or as an error.
fn link_of(answer: &Value) -> Option<Url> {
    let asked = &answer["result"]["_meta"]["doorward/authorization_required"]["authorization_url"];
    let link = asked.as_str().or(answer["error"]["data"]["authorization_url"].as_str())?;
    link.parse().ok()
}
