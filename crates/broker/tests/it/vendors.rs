//! Every provider template against an emulation of its vendor: consent, account, refresh, a lost answer, a second
//! consent, the end. The template's file is the only configuration, and none of its values can be spared.

use crate::world::{World, bearer, broker_of};
use doorward_broker::{
    Access, AuthorizationInput, BeganAuthorization, Broker, Callback, Caller, ConnectPage, Edit, Finished,
    GatewayInput, OAuthInput, TemplateChoice,
};
use doorward_demo::{Revoking, Rotation, VENDOR_CLIENT, Vendor, VendorProfile, vendor_profile};
use doorward_domain::{
    AuthorizationCode, ClientSecret, EndedGrant, Gateway, GatewayState, Grant, GrantOwner, GrantType, Policy,
    ProviderEnd, ProviderFacts, Receipt, StateToken,
};
use doorward_oauth::{FilledTemplate, ProviderTemplate, ProviderTemplates};
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// What Doorward reads tolerantly for everybody, and what is only said. Unit tests hold these.
const SPARED: [&str; 4] =
    ["refresh_rotation", "token_response_format", "error_in_200", "scope_separator_response"];

/// Parameters that change a page of the vendor and nothing that a client sees.
const HARMLESS: [(&str, &str); 5] = [
    ("atlassian", "prompt"),
    ("discord", "prompt"),
    ("linear", "prompt"),
    ("microsoft", "response_mode"),
    ("salesforce", "prompt"),
];

/// Vendors whose lost answers may be asked for again.
const RECOVERS: [&str; 5] = ["asana", "dropbox", "google", "hubspot", "microsoft"];

/// After so many idle days the vendor ends a grant.
const IDLE_DAYS: [(&str, u64); 8] = [
    ("atlassian", 90),
    ("box", 60),
    ("github", 365),
    ("github-enterprise", 365),
    ("google", 180),
    ("keycloak", 30),
    ("microsoft", 90),
    ("zoom", 90),
];

/// Vendors where a person can end it by hand, at an address that is known.
const APPS: [&str; 10] = [
    "atlassian",
    "bitbucket",
    "dropbox",
    "github",
    "github-enterprise",
    "gitlab",
    "google",
    "keycloak",
    "linear",
    "microsoft",
];

pub struct Stage {
    pub world: World,
    pub broker: Broker,
    pub vendor: Vendor,
    template: Arc<ProviderTemplate>,
}

impl Stage {
    pub async fn of(id: &str) -> Self {
        let world = World::start().await;
        let vendor = Vendor::start(profile(id), world.clock.clone()).await.unwrap();
        let file = format!("{id}.toml");
        let path = format!("{}/../../providers/{file}", env!("CARGO_MANIFEST_DIR"));
        let text = vendor.moved(&std::fs::read_to_string(path).unwrap());
        let templates = ProviderTemplates::with(&[(file, text)]).unwrap();
        let template = Arc::clone(templates.get(id).unwrap());
        let broker = broker_of(&world.storage, &world.clock, &world.ring, Policy::default(), templates);
        Self { world, broker, vendor, template }
    }

    pub fn filled(&self) -> FilledTemplate {
        let examples = self.template.inputs.iter().map(|(name, input)| (name.clone(), input.example.clone()));
        self.template.fill(&examples.collect()).unwrap()
    }

    pub fn input(&self, filled: FilledTemplate) -> OAuthInput {
        let FilledTemplate { used, oauth, facts } = filled;
        let mut scopes = oauth.scopes;
        if !scopes.is_empty() {
            scopes.push("extra".to_owned());
        }
        OAuthInput {
            grant_type: None,
            identity_provider: None,
            audience: oauth.audience,
            assertion_kid: None,
            authorization_url: oauth.authorization_url.unwrap(),
            token_url: oauth.token_url.unwrap(),
            revocation_url: oauth.revocation_url,
            facts: Some(facts),
            keep_alive: None,
            issuer: oauth.issuer,
            resource: Some("http://127.0.0.1:9/mcp".to_owned()),
            scopes,
            scope_ceiling: None,
            authorize_params: oauth.authorize_params,
            client_id: VENDOR_CLIENT.0.to_owned(),
            client_secret: Edit::Set(ClientSecret::new(VENDOR_CLIENT.1)),
            token_endpoint_auth: oauth.token_endpoint_auth,
            template: Some(TemplateChoice { id: used.id, version: None, inputs: used.inputs }),
        }
    }

    pub async fn gateway(&self, slug: &str, oauth: OAuthInput) -> Result<Arc<Gateway>, String> {
        let input = GatewayInput {
            slug: Some(slug.to_owned()),
            name: Some("Vendor".to_owned()),
            url: Some("http://127.0.0.1:9/mcp".to_owned()),
            state: Some(GatewayState::Published),
            access: None,
            on_change: None,
            era: None,
            tool_access: None,
            catalog_sharing: None,
            client_certificate: Default::default(),
            authorization: Some(AuthorizationInput::OAuth(Box::new(oauth))),
        };
        self.broker.create_gateway(&self.world.admin, input).await.map_err(|error| error.to_string())
    }

    pub async fn consent(&self, gateway: &Gateway) -> Result<Grant, String> {
        let began =
            self.broker.begin_authorization(&self.world.alice, gateway.slug.as_str(), None).await.unwrap();
        match self.finish(began).await? {
            Finished::Connected { .. } => Ok(self.grant(gateway).await),
            other => Err(format!("consent: {other:?}")),
        }
    }

    /// Alice's way to the vendor and back.
    pub async fn finish(&self, began: BeganAuthorization) -> Result<Finished, String> {
        self.finish_as(&self.world.alice, began).await
    }

    /// Somebody's way to the vendor and back.
    pub async fn finish_as(&self, caller: &Caller, began: BeganAuthorization) -> Result<Finished, String> {
        let query = self.answered(&began).await?;
        self.come_back(caller, began, query).await
    }

    /// What the vendor sends the browser back with.
    async fn answered(&self, began: &BeganAuthorization) -> Result<HashMap<String, String>, String> {
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        let answer = client.get(began.redirect.clone()).send().await.unwrap();
        let location = answer.headers().get("location").ok_or("the vendor sends nobody back")?;
        let location: Url = location.to_str().unwrap().parse().unwrap();
        Ok(location.query_pairs().into_owned().collect())
    }

    async fn come_back(
        &self,
        caller: &Caller,
        began: BeganAuthorization,
        mut query: HashMap<String, String>,
    ) -> Result<Finished, String> {
        let callback = Callback {
            state: query.remove("state").map(StateToken::new),
            code: query.remove("code").map(AuthorizationCode::new),
            error: query.remove("error"),
            error_description: query.remove("error_description"),
            iss: query.remove("iss"),
        };
        Ok(self.broker.finish_authorization(caller, callback, Some(began.cookie)).await.unwrap())
    }

    pub async fn grant(&self, gateway: &Gateway) -> Grant {
        let owner = GrantOwner::User(self.world.alice.user.id);
        self.world.storage.grant_of(owner, gateway.id).await.unwrap().unwrap()
    }

    /// A call: its token has to open the vendor's API.
    pub async fn call(&self, gateway: &Arc<Gateway>, when: &str) -> Result<String, String> {
        match self.broker.access(&self.world.alice, gateway).await.unwrap() {
            Access::Header(header) => {
                let token = bearer(&Access::Header(header)).trim_start_matches("Bearer ").to_owned();
                let opens = self.vendor.opens(&token);
                opens.then_some(token).ok_or_else(|| format!("{when}: the token opens nothing"))
            }
            other => Err(format!("{when}: {other:?}")),
        }
    }

    pub async fn end(&self, gateway: &Gateway, how: ProviderEnd) -> EndedGrant {
        let id = self.grant(gateway).await.id;
        self.broker.revoke(&self.world.admin, id, None, how).await.unwrap();
        self.broker.tell_providers().await.unwrap();
        self.broker.ended_grant(&self.world.admin, id).await.unwrap()
    }

    /// The whole life of a connection with these settings.
    async fn walk(&self, slug: &str, oauth: OAuthInput) -> Result<(), String> {
        let gateway = self.gateway(slug, oauth).await?;
        let grant = self.consent(&gateway).await?;
        self.check_consent(&gateway, &grant).await?;
        if profile(&self.template.id).rotation != Rotation::NoRefreshTokens {
            self.check_refresh(&gateway, &grant).await?;
        }
        self.consent(&gateway).await?;
        self.call(&gateway, "after a second consent").await?;
        let again = self.grant(&gateway).await;
        must(again.tokens.refresh_token.is_some() == grant.tokens.refresh_token.is_some(), "second consent")?;
        self.check_end(&gateway).await?;
        self.check_issuer(&gateway).await
    }

    /// Where the template names an issuer, an answer of another is not taken (RFC 9207 §2.4).
    async fn check_issuer(&self, gateway: &Gateway) -> Result<(), String> {
        if self.template.oauth.issuer.is_none() {
            return Ok(());
        }
        let began =
            self.broker.begin_authorization(&self.world.alice, gateway.slug.as_str(), None).await.unwrap();
        let mut query = self.answered(&began).await?;
        query.insert("iss".to_owned(), "https://another.example".to_owned());
        let finished = self.come_back(&self.world.alice, began, query).await?;
        must(!matches!(finished, Finished::Connected { .. }), "an answer of another issuer was taken")
    }

    async fn check_consent(&self, gateway: &Arc<Gateway>, grant: &Grant) -> Result<(), String> {
        let id = self.template.id.as_str();
        let account =
            grant.account.as_ref().map(|account| (account.subject.as_str(), account.name.as_deref()));
        let known = profile(id).whoami.is_some();
        must(account == known.then_some(("17", Some("octo"))), "account")?;
        let idle = IDLE_DAYS.iter().find(|(vendor, _)| *vendor == id);
        let dies = idle.map(|(_, days)| grant.issued_at.plus(Duration::from_secs(days * 86_400)));
        must(grant.ends_at == dies, "forecast")?;
        let page = self.broker.connect_page(&self.world.alice, gateway.slug.as_str(), None).await.unwrap();
        let ConnectPage::Ask(ask) = page else { return Err("no connect page".to_owned()) };
        must(ask.new_scopes.is_empty(), "scopes are missed")?;
        let before = self.refreshes();
        self.call(gateway, "at first").await?;
        must(self.refreshes() == before, "refreshed at once")
    }

    async fn check_refresh(&self, gateway: &Arc<Gateway>, grant: &Grant) -> Result<(), String> {
        must(grant.tokens.refresh_token.is_some(), "no refresh token")?;
        for when in ["after an hour", "after two hours"] {
            self.world.advance(3_601);
            self.call(gateway, when).await?;
        }
        if RECOVERS.contains(&self.template.id.as_str()) {
            self.world.advance(3_601);
            self.vendor.lose_answers(1);
            self.call(gateway, "lost").await.unwrap_err();
            self.world.advance(61);
            self.call(gateway, "after a lost answer").await?;
        }
        Ok(())
    }

    async fn check_end(&self, gateway: &Arc<Gateway>) -> Result<(), String> {
        let id = self.template.id.as_str();
        let mut token = self.call(gateway, "before the end").await?;
        if id == "google" {
            let ended = self.end(gateway, ProviderEnd::UnlessWide).await;
            must(ended.receipt == Receipt::NotTold, "more was ended than the grant")?;
            self.consent(gateway).await?;
            token = self.call(gateway, "once more").await?;
        }
        let ended = self.end(gateway, ProviderEnd::ThereToo).await;
        must(ended.user_apps_url.is_some() == APPS.contains(&id), "where to end it by hand")?;
        if profile(id).revoking == Revoking::Nowhere {
            return must(ended.receipt == Receipt::NoSuchCall, "told whom?");
        }
        let gone = ended.receipt == Receipt::EndedAtProvider && !self.vendor.opens(&token);
        must(gone, &format!("the end: {:?} {:?}", ended.receipt, ended.receipt_detail))
    }

    fn refreshes(&self) -> usize {
        self.vendor.log().iter().filter(|line| *line == "refresh_token").count()
    }

    /// The settings with one value of the template left out, each under its name.
    fn lacking(&self) -> Vec<(String, OAuthInput)> {
        let (id, whole) = (self.template.id.as_str(), self.filled());
        let mut lacking = Vec::new();
        for name in self.template.facts.keys() {
            let facts = without(&whole.facts, name);
            let not_told = name == "revocation_method" && whole.oauth.revocation_url.is_none();
            if facts != whole.facts && !SPARED.contains(&name.as_str()) && !not_told {
                lacking.push((name.clone(), self.input(FilledTemplate { facts, ..whole.clone() })));
            }
        }
        for name in whole.oauth.authorize_params.keys().filter(|name| !HARMLESS.contains(&(id, name))) {
            let mut input = self.input(whole.clone());
            input.authorize_params.remove(name);
            lacking.push((name.clone(), input));
        }
        let lacks = |name: &str, change: &dyn Fn(&mut OAuthInput)| {
            let mut input = self.input(whole.clone());
            change(&mut input);
            (name.to_owned(), input)
        };
        lacking.push(lacks("authorization_url", &|input| input.authorization_url.clear()));
        lacking.push(lacks("token_url", &|input| input.token_url.clear()));
        if whole.oauth.revocation_url.is_some() {
            lacking.push(lacks("revocation_url", &|input| input.revocation_url = None));
        }
        if whole.oauth.issuer.is_some() {
            lacking.push(lacks("issuer", &|input| input.issuer = None));
        }
        if whole.oauth.token_endpoint_auth == Some(doorward_domain::TokenEndpointAuth::Basic) {
            let input = OAuthInput { token_endpoint_auth: None, ..self.input(whole.clone()) };
            lacking.push(("token_endpoint_auth".to_owned(), input));
        }
        if profile(id).offline_scope.is_some() {
            lacking.push(("scopes".to_owned(), OAuthInput { scopes: vec![], ..self.input(whole) }));
        }
        lacking
    }
}

fn must(holds: bool, what: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what.to_owned()) }
}

fn profile(id: &str) -> VendorProfile {
    vendor_profile(id).unwrap_or_else(|| panic!("no profile of {id}: a template has to be tried against one"))
}

fn without(facts: &ProviderFacts, name: &str) -> ProviderFacts {
    let mut members: Map<String, Value> =
        serde_json::from_value(serde_json::to_value(facts).unwrap()).unwrap();
    members.remove(name);
    serde_json::from_value(Value::Object(members)).unwrap()
}

/// The template carries the whole walk, and fails it when any value is left out.
async fn holds(id: &str) {
    let stage = Stage::of(id).await;
    let whole = stage.input(stage.filled());
    stage.walk("whole", whole).await.unwrap_or_else(|failed| panic!("{id}: {failed}"));
    for (number, (name, input)) in stage.lacking().into_iter().enumerate() {
        let walked = stage.walk(&format!("without-{number}"), input).await;
        assert!(walked.is_err(), "{id} without {name} walks all the same");
    }
}

#[tokio::test]
async fn the_template_of_asana_holds_and_none_of_its_values_can_be_spared() {
    holds("asana").await;
}

#[tokio::test]
async fn the_template_of_atlassian_holds_and_none_of_its_values_can_be_spared() {
    holds("atlassian").await;
}

#[tokio::test]
async fn the_template_of_auth0_holds_and_none_of_its_values_can_be_spared() {
    holds("auth0").await;
}

#[tokio::test]
async fn the_template_of_auth0_states_the_audience_without_which_a_gateway_itself_gets_no_token() {
    let stage = Stage::of("auth0").await;
    let itself = |audience: Option<String>| OAuthInput {
        grant_type: Some(GrantType::ClientCredentials),
        audience,
        ..stage.input(stage.filled())
    };
    let stated = stage.filled().oauth.audience;
    assert!(stated.is_some());
    let gateway = stage.gateway("itself", itself(stated)).await.unwrap();
    stage.call(&gateway, "with the audience").await.unwrap();
    let gateway = stage.gateway("nameless", itself(None)).await.unwrap();
    let refused = stage.broker.access(&stage.world.alice, &gateway).await;
    assert!(!matches!(refused, Ok(Access::Header(_))), "{refused:?}");
}

#[tokio::test]
async fn the_template_of_bitbucket_holds_and_none_of_its_values_can_be_spared() {
    holds("bitbucket").await;
}

#[tokio::test]
async fn the_template_of_box_holds_and_none_of_its_values_can_be_spared() {
    holds("box").await;
}

#[tokio::test]
async fn the_template_of_discord_holds_and_none_of_its_values_can_be_spared() {
    holds("discord").await;
}

#[tokio::test]
async fn the_template_of_dropbox_holds_and_none_of_its_values_can_be_spared() {
    holds("dropbox").await;
}

#[tokio::test]
async fn the_template_of_figma_holds_and_none_of_its_values_can_be_spared() {
    holds("figma").await;
}

#[tokio::test]
async fn the_template_of_github_holds_and_none_of_its_values_can_be_spared() {
    holds("github").await;
}

#[tokio::test]
async fn the_template_of_github_enterprise_holds_and_none_of_its_values_can_be_spared() {
    holds("github-enterprise").await;
}

#[tokio::test]
async fn the_template_of_gitlab_holds_and_none_of_its_values_can_be_spared() {
    holds("gitlab").await;
}

#[tokio::test]
async fn the_template_of_google_holds_and_none_of_its_values_can_be_spared() {
    holds("google").await;
}

#[tokio::test]
async fn the_template_of_hubspot_holds_and_none_of_its_values_can_be_spared() {
    holds("hubspot").await;
}

#[tokio::test]
async fn the_template_of_keycloak_holds_and_none_of_its_values_can_be_spared() {
    holds("keycloak").await;
}

#[tokio::test]
async fn the_template_of_linear_holds_and_none_of_its_values_can_be_spared() {
    holds("linear").await;
}

#[tokio::test]
async fn the_template_of_microsoft_holds_and_none_of_its_values_can_be_spared() {
    holds("microsoft").await;
}

#[tokio::test]
async fn the_template_of_notion_holds_and_none_of_its_values_can_be_spared() {
    holds("notion").await;
}

#[tokio::test]
async fn the_template_of_okta_holds_and_none_of_its_values_can_be_spared() {
    holds("okta").await;
}

#[tokio::test]
async fn the_template_of_salesforce_holds_and_none_of_its_values_can_be_spared() {
    holds("salesforce").await;
}

#[tokio::test]
async fn the_template_of_slack_holds_and_none_of_its_values_can_be_spared() {
    holds("slack").await;
}

#[tokio::test]
async fn the_template_of_zoom_holds_and_none_of_its_values_can_be_spared() {
    holds("zoom").await;
}

#[test]
fn every_shipped_template_is_tried() {
    let here = include_str!("vendors.rs");
    for template in ProviderTemplates::shipped().all() {
        let tried = format!("holds(\"{}\")", template.id);
        assert!(template.id == "custom" || here.contains(&tried), "{} is not tried", template.id);
    }
}
