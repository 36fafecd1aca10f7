//! A data directory with one user who has authorized one gateway, made through the use cases, before the
//! binary under test starts on it.

use doorward_broker::{
    AuthorizationInput, Broker, BrokerParts, Callback, Caller, Edit, Finished, GatewayInput, NewApiToken,
    NewPerson, OAuthInput,
};
use doorward_demo::AuthorizationServer;
use doorward_domain::{
    Audience, AuthorizationCode, ClientSecret, Clock, Entropy, GatewayState, Password, Policy, StateToken,
};
use doorward_oauth::{OAuthClient, ProviderTemplates};
use doorward_outbound::{EgressPolicy, Outbound};
use doorward_storage::Storage;
use doorward_vault::{KeyRing, Vault};
use secrecy::ExposeSecret;
use std::collections::HashMap;
use std::error::Error;
use std::path::Path;
use std::time::Duration;
use url::Url;

pub type AnyError = Box<dyn Error + Send + Sync>;

/// What the binary and the load generator need to know.
pub struct Prepared {
    pub key_ring: String,
    pub api_token: String,
}

const EMAIL: &str = "bench@example.com";

/// Makes the database in `directory`.
pub async fn prepare(
    directory: &Path,
    server: &AuthorizationServer,
    upstream: &str,
) -> Result<Prepared, AnyError> {
    let key_ring = KeyRing::generate(Entropy, "bench").to_text().expose_secret().to_owned();
    let storage = Storage::open_sqlite(&directory.join("doorward.db"), Clock::System).await?;
    let broker = broker(&storage, &key_ring)?;
    let caller = administrator(&broker).await?;
    let gateway = broker.create_gateway(&caller, gateway(server, upstream, "bench")).await?;
    authorize(&broker, &caller, server, gateway.slug.as_str()).await?;
    let token = NewApiToken { name: "bench".to_owned(), audience: Audience::Mcp, gateways: None, days: None };
    let made = broker.create_api_token(&caller, token).await?;
    storage.close().await;
    Ok(Prepared { key_ring, api_token: made.plain.expose_secret().to_owned() })
}

/// A broker over a database, as the binary has it.
pub fn broker(storage: &Storage, key_ring: &str) -> Result<Broker, AnyError> {
    let policy = EgressPolicy::parse("127.0.0.1/32", "127.0.0.1")?;
    Ok(Broker::new(BrokerParts {
        storage: storage.clone(),
        vault: Vault::new(KeyRing::parse(key_ring)?),
        ring_file: None,
        oauth: OAuthClient::new(Outbound::new(policy, Duration::from_secs(5))?),
        templates: ProviderTemplates::shipped(),
        clock: Clock::System,
        entropy: Entropy,
        policy: Policy::default(),
        public_url: "http://localhost:4444".parse()?,
        client_metadata_url: None,
    }))
}

/// The first administrator.
pub async fn administrator(broker: &Broker) -> Result<Caller, AnyError> {
    let password = Password::new(Entropy.token());
    let person = NewPerson { email: EMAIL.to_owned(), name: "Bench".to_owned(), password };
    broker.create_first_administrator(person).await?;
    Ok(broker.caller_on_command_line(EMAIL).await?.ok_or("the administrator is there")?)
}

/// A gateway in front of the bare upstream.
pub fn gateway(server: &AuthorizationServer, upstream: &str, slug: &str) -> GatewayInput {
    let settings = OAuthInput {
        grant_type: None,
        identity_provider: None,
        audience: None,
        assertion_kid: None,
        authorization_url: server.authorization_url().to_string(),
        token_url: server.token_url().to_string(),
        revocation_url: Some(server.revocation_url().to_string()),
        facts: None,
        keep_alive: None,
        issuer: Some(server.issuer().to_owned()),
        resource: None,
        scopes: vec!["notes".to_owned()],
        scope_ceiling: None,
        authorize_params: std::collections::BTreeMap::new(),
        client_id: server.client_id().to_owned(),
        client_secret: Edit::Set(ClientSecret::new(server.client_secret())),
        token_endpoint_auth: None,
        template: None,
    };
    GatewayInput {
        slug: Some(slug.to_owned()),
        name: Some("Bench".to_owned()),
        url: Some(upstream.to_owned()),
        state: Some(GatewayState::Published),
        access: None,
        on_change: None,
        era: None,
        tool_access: None,
        catalog_sharing: None,
        client_certificate: Default::default(),
        authorization: Some(AuthorizationInput::OAuth(Box::new(settings))),
    }
}

/// The browser's part, without a browser: log in, allow, come back.
async fn authorize(
    broker: &Broker,
    caller: &Caller,
    server: &AuthorizationServer,
    slug: &str,
) -> Result<(), AnyError> {
    let began = broker.begin_authorization(caller, slug, None).await?;
    let account = server.accounts().first().ok_or("the provider has an account")?;
    let form = [("username", &*account.name), ("password", &*account.password), ("decision", "allow")];
    let browser = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build()?;
    let answer = browser.post(began.redirect.clone()).form(&form).send().await?;
    let location = answer.headers().get("location").ok_or("the provider redirects")?.to_str()?;
    let mut query: HashMap<String, String> = Url::parse(location)?.query_pairs().into_owned().collect();
    let callback = Callback {
        state: query.remove("state").map(StateToken::new),
        code: query.remove("code").map(AuthorizationCode::new),
        error: query.remove("error"),
        error_description: query.remove("error_description"),
        iss: query.remove("iss"),
    };
    match broker.finish_authorization(caller, callback, Some(began.cookie)).await? {
        Finished::Connected { .. } => Ok(()),
        other => Err(format!("{other:?}").into()),
    }
}
