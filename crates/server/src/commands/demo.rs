//! `doorward demo`: a gateway, an authorization server and an MCP server on this machine, with one
//! gateway registered, so that the whole journey can be walked without an account elsewhere.

use super::run::{Listeners, until_stopped};
use super::terminal::say;
use super::{CommandError, open};
use crate::app::App;
use crate::settings::Settings;
use doorward_broker::{
    AuthorizationInput, BrokerError, Caller, Edit, GatewayInput, NewApiToken, NewPerson, NewUser, OAuthInput,
};
use doorward_demo::{AuthorizationServerOptions, Demo};
use doorward_domain::{Audience, ClientSecret, Entropy, GatewayState, Password, Role};
use doorward_outbound::EgressPolicy;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

const ADMINISTRATOR: &str = "admin@demo.example";
const USER: &str = "alice@demo.example";
const GATEWAY: &str = "demo";

/// Who can sign in, shown once at the start.
struct People {
    administrator_password: String,
    user_password: String,
    api_token: String,
}

pub(super) async fn demo(settings: Settings) -> Result<(), CommandError> {
    let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let providers = Demo::start(any_port, any_port, AuthorizationServerOptions::default()).await?;
    let settings = demo_settings(settings)?;
    let listeners = Listeners::bind(&settings).await?;
    let app = Arc::new(open(settings.clone()).await?);
    let people = furnish(&app, &providers).await?;
    say(&what_to_do(&settings, &providers, &people))?;
    let ended = until_stopped(&app, listeners).await;
    drop(app);
    // The passwords and tokens of a demo are made up anew at each start, so nothing of it is worth keeping.
    std::fs::remove_dir_all(&settings.data_dir)?;
    ended
}

/// A directory of its own, loopback only, and leave to call the two bundled servers.
fn demo_settings(mut settings: Settings) -> Result<Settings, CommandError> {
    let loopback = settings.listen.iter().all(|address| address.ip().is_loopback());
    if !loopback || settings.public_url.scheme() != "http" {
        return Err(CommandError::Refused("doorward demo serves on loopback only: leave DOORWARD_LISTEN and DOORWARD_PUBLIC_URL out, or name loopback addresses".to_owned()));
    }
    settings.demo = true;
    settings.database = crate::settings::DatabaseSetting::Sqlite;
    settings.key_ring = None;
    settings.administrator = None;
    settings.egress = EgressPolicy::parse("127.0.0.1", "127.0.0.1")
        .map_err(|error| CommandError::Refused(error.to_string()))?;
    let name: String = Entropy.token().chars().filter(char::is_ascii_alphanumeric).take(12).collect();
    settings.data_dir = std::env::temp_dir().join(format!("doorward-demo-{name}"));
    Ok(settings)
}

async fn furnish(app: &App, providers: &Demo) -> Result<People, CommandError> {
    let broker = app.broker();
    let administrator_password = Entropy.token();
    let person = NewPerson {
        email: ADMINISTRATOR.to_owned(),
        name: "Demo administrator".to_owned(),
        password: Password::new(administrator_password.clone()),
    };
    broker.create_first_administrator(person).await?;
    let administrator = caller(app, ADMINISTRATOR).await?;
    let user_password = Entropy.token();
    let user = NewUser {
        email: USER.to_owned(),
        name: "Alice".to_owned(),
        role: Role::User,
        password: Some(Password::new(user_password.clone())),
    };
    broker.create_user(&administrator, user).await?;
    broker.create_gateway(&administrator, gateway(providers)).await?;
    let token =
        NewApiToken { name: "demo".to_owned(), audience: Audience::Mcp, gateways: None, days: Some(7) };
    let made = broker.create_api_token(&caller(app, USER).await?, token).await?;
    let api_token = crate::reveal::api_token(&made.plain).to_owned();
    Ok(People { administrator_password, user_password, api_token })
}

async fn caller(app: &App, email: &str) -> Result<Caller, CommandError> {
    let found = app.broker().caller_on_command_line(email).await?;
    Ok(found.ok_or(BrokerError::NotFound { what: "person" })?)
}

fn gateway(providers: &Demo) -> GatewayInput {
    let server = &providers.authorization_server;
    GatewayInput {
        slug: Some(GATEWAY.to_owned()),
        name: Some("Demo".to_owned()),
        url: Some(providers.mcp_server.url().to_string()),
        state: Some(GatewayState::Published),
        access: None,
        on_change: None,
        era: None,
        tool_access: None,
        catalog_sharing: None,
        client_certificate: Default::default(),
        authorization: Some(AuthorizationInput::OAuth(Box::new(OAuthInput {
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
            resource: Some(providers.mcp_server.url().to_string()),
            scopes: ["openid", "notes", "repos"].map(str::to_owned).into(),
            scope_ceiling: None,
            authorize_params: BTreeMap::new(),
            client_id: server.client_id().to_owned(),
            client_secret: Edit::Set(ClientSecret::new(server.client_secret())),
            token_endpoint_auth: None,
            template: None,
        }))),
    }
}

/// The three things to do, ready to copy.
fn what_to_do(settings: &Settings, providers: &Demo, people: &People) -> String {
    let origin = settings.public_url.as_str().trim_end_matches('/');
    let People { administrator_password, user_password, api_token } = people;
    let mut accounts = String::new();
    for account in providers.authorization_server.accounts() {
        write!(accounts, "\n         {} / {}", account.name, account.password)
            .expect("a String takes all text");
    }
    format!(
        "Doorward demo, on this machine only. It ends, with all its data, on Ctrl-C.

  1. Open {origin}/ui and sign in
         {USER} / {user_password}
     (or as its administrator: {ADMINISTRATOR} / {administrator_password})

  2. Connect the MCP server '{GATEWAY}': {origin}/connect/{GATEWAY}
     At the bundled authorization server, log in as{accounts}

  3. Point an MCP client at {origin}/mcp, for instance

         claude mcp add --transport http doorward {origin}/mcp --header \"Authorization: Bearer {api_token}\"

     or call a tool by hand:

         curl -s {origin}/mcp -H 'Authorization: Bearer {api_token}' \\
           -H 'Content-Type: application/json' -H 'Accept: application/json, text/event-stream' \\
           -H 'MCP-Protocol-Version: 2026-07-28' -H 'Mcp-Method: tools/call' -H 'Mcp-Name: {GATEWAY}-whoami' \\
           -d '{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{{\"name\":\"{GATEWAY}-whoami\",\"arguments\":{{}},\
\"_meta\":{{\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\",\"io.modelcontextprotocol/clientCapabilities\":{{}}}}}}}}'

     Before step 2 the client is asked to authorize; after it, the answer is yours.
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Environment, RawSettings};

    #[test]
    fn a_demo_stays_on_loopback_and_away_from_real_data() {
        let checked = |raw: RawSettings| raw.check(&Environment::default()).unwrap();
        let settings = demo_settings(checked(RawSettings::default())).unwrap();
        assert!(settings.demo && settings.data_dir.to_string_lossy().contains("doorward-demo-"));
        let listen = Some("0.0.0.0:4444".to_owned());
        let open = checked(RawSettings { listen, ..RawSettings::default() });
        assert!(demo_settings(open).unwrap_err().to_string().contains("loopback only"));
    }
}
