//! The real thing on a loopback port: its own database, a clock that tests move, people with ready
//! clients, and the bundled demo servers to connect.

use crate::client::Client;
use crate::postgres::TestPostgres;
use doorward_broker::{
    AuthorizationInput, Caller, Edit, GatewayInput, NewApiToken, NewPerson, NewUser, OAuthInput, SignIn,
};
use doorward_demo::{AuthorizationServerOptions, Demo};
use doorward_domain::{
    Audience, ClientSecret, Clock, Entropy, Gateway, GatewayState, Password, Policy, Role, UserId,
};
use doorward_outbound::{EgressPolicy, ExtraRoots};
use doorward_server::settings::{AdministratorSetting, DatabaseSetting, LogFormat, WebhookSetting};
use doorward_server::{App, Settings, listener};
use secrecy::{ExposeSecret, SecretString};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// The password of everybody in tests.
pub const PASSWORD: &str = "correct horse battery";
/// The key ring of tests that need one, as on PostgreSQL.
pub const KEY_RING: &str = "k1:MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";
/// The administrator's e-mail address.
pub const ADMINISTRATOR: &str = "root@test.example";

/// A running Doorward. It ends with this value.
pub struct TestApp {
    pub app: App,
    pub clock: Clock,
    /// `http://127.0.0.1:port`, which is also the public URL.
    pub origin: String,
    administrator: Option<Person>,
    stop: CancellationToken,
    directory: TempDir,
    postgres: Option<TestPostgres>,
}

/// An edit of a test app's settings.
pub type Adjust = Box<dyn FnOnce(&mut Settings) + Send>;

/// How a test app differs from the usual one.
#[derive(Default)]
pub struct TestAppOptions {
    /// None: a clock that stands at the machine's present time until it is advanced.
    pub clock: Option<Clock>,
    /// PostgreSQL instead of SQLite.
    pub postgres: bool,
    /// What is done is measured: PostgreSQL is set up as for work.
    pub measured: bool,
    /// Nobody administers it yet.
    pub without_administrator: bool,
    /// What outbound calls may reach; none: everything on 127.0.0.1.
    pub egress: Option<EgressPolicy>,
    /// How long things are kept.
    pub policy: Policy,
    /// Who is told what an administrator wants to hear of.
    pub webhook: Option<WebhookSetting>,
    /// None: generated on SQLite, [`KEY_RING`] on PostgreSQL.
    pub key_ring: Option<String>,
    /// Where the client ID metadata document is said to be; none: under the public URL.
    pub client_metadata_url: Option<url::Url>,
    /// What else differs; the last word.
    pub adjust: Option<Adjust>,
}

/// Somebody with an account, and the means to act as them without a network.
#[derive(Debug, Clone)]
pub struct Person {
    pub id: UserId,
    pub email: String,
    pub caller: Caller,
}

impl TestApp {
    /// On SQLite, with a mock clock and an administrator.
    pub async fn start() -> Self {
        Self::with(TestAppOptions::default()).await
    }

    /// As the options say.
    pub async fn with(options: TestAppOptions) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let postgres = options.postgres.then(match options.measured {
            true => TestPostgres::for_figures,
            false => TestPostgres::new,
        });
        let clock = options.clock.unwrap_or_else(|| Clock::mock(Clock::System.now()));
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let listening = listener::bind(address).await.expect("a loopback port is free");
        let origin = format!("http://{}", listening.local_addr().expect("a bound listener has an address"));
        let mut settings = settings(&directory, &origin);
        settings.administrator = (!options.without_administrator).then(administrator);
        settings.egress = options.egress.unwrap_or(settings.egress);
        settings.policy = options.policy;
        settings.webhook = options.webhook;
        settings.client_metadata_url = options.client_metadata_url;
        if let Some(postgres) = &postgres {
            settings.database = DatabaseSetting::Postgres(SecretString::from(postgres.url()));
            settings.key_ring = Some(SecretString::from(KEY_RING));
        }
        settings.key_ring = options.key_ring.map(SecretString::from).or(settings.key_ring);
        if let Some(adjust) = options.adjust {
            adjust(&mut settings);
        }
        let app = App::build(settings, clock.clone(), Entropy).await.expect("the app starts");
        let stop = CancellationToken::new();
        drop(listener::serve(listening, app.router(), stop.clone()));
        let mut started = Self { app, clock, origin, administrator: None, stop, directory, postgres };
        if !options.without_administrator {
            started.administrator = Some(started.person(ADMINISTRATOR).await);
        }
        started
    }

    /// The PostgreSQL that it runs on.
    pub fn postgres(&self) -> &TestPostgres {
        self.postgres.as_ref().expect("this app was started on PostgreSQL")
    }

    /// Where its files are.
    pub fn directory(&self) -> &std::path::Path {
        self.directory.path()
    }

    /// The administrator.
    pub fn administrator(&self) -> &Person {
        self.administrator.as_ref().expect("this app was started with an administrator")
    }

    /// A new ordinary user, `name@test.example`.
    pub async fn user(&self, name: &str) -> Person {
        self.person_as(name, Role::User).await
    }

    /// A new person of a role, `name@test.example`.
    pub async fn person_as(&self, name: &str, role: Role) -> Person {
        let email = format!("{name}@test.example");
        let new = NewUser {
            email: email.clone(),
            name: name.to_owned(),
            role,
            password: Some(Password::new(PASSWORD)),
        };
        let caller = &self.administrator().caller;
        self.app.broker().create_user(caller, new).await.expect("a user can be created");
        self.person(&email).await
    }

    /// Somebody who has an account.
    pub async fn person(&self, email: &str) -> Person {
        let found = self.app.broker().caller_on_command_line(email).await.expect("the database answers");
        let caller = found.expect("the person exists");
        Person { id: caller.user.id, email: email.to_owned(), caller }
    }

    /// A fresh API token of a person.
    pub async fn api_token(&self, person: &Person, audience: Audience) -> String {
        let new = NewApiToken { name: "test".to_owned(), audience, gateways: None, days: None };
        // As they are now: their role may have changed.
        let person = self.person(&person.email).await;
        let made = self.app.broker().create_api_token(&person.caller, new).await;
        let made = made.expect("a token can be made");
        made.plain.expose_secret().to_owned()
    }

    /// A client without any credential.
    pub fn anonymous(&self) -> Client {
        Client::new(&self.origin)
    }

    /// A client with an API token of a person.
    pub async fn client(&self, person: &Person, audience: Audience) -> Client {
        self.anonymous().with_bearer(&self.api_token(person, audience).await)
    }

    /// The administrator's client, with an API token of the audience `admin`.
    pub async fn admin_client(&self) -> Client {
        self.client(self.administrator(), Audience::Admin).await
    }

    /// A browser in which a person has signed in: it keeps cookies and follows no redirect.
    pub async fn browser(&self, person: &Person) -> Client {
        let broker = self.app.broker();
        let signed_in = broker.log_in(&person.email, &Password::new(PASSWORD), None).await;
        let SignIn::Done(login) = signed_in.expect("the password is right") else {
            panic!("a code is asked for: sign in over HTTP")
        };
        let cookie = format!("doorward-session={}", login.session.expose_secret());
        self.anonymous().with_session(&cookie).await
    }

    /// The bundled authorization server and MCP server, on this app's clock.
    pub async fn demo(&self) -> Demo {
        let options = AuthorizationServerOptions { clock: self.clock.clone(), ..Default::default() };
        self.demo_with(options).await
    }

    /// The bundled servers, set up as the options say.
    pub async fn demo_with(&self, options: AuthorizationServerOptions) -> Demo {
        let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Demo::start(any_port, any_port, options).await.expect("loopback ports are free")
    }

    /// Registers and publishes the demo's MCP server under a slug.
    pub async fn register(&self, demo: &Demo, slug: &str) -> Arc<Gateway> {
        self.register_asking_for(demo, slug, &[]).await
    }

    /// The same, asking for scopes; with `openid`, an ID token says whose account it is.
    pub async fn register_asking_for(&self, demo: &Demo, slug: &str, scopes: &[&str]) -> Arc<Gateway> {
        let scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        let oauth = OAuthInput { scopes, ..oauth_input(demo) };
        self.register_input(GatewayInput {
            slug: Some(slug.to_owned()),
            name: Some(slug.to_owned()),
            url: Some(demo.mcp_server.url().to_string()),
            state: Some(GatewayState::Published),
            access: None,
            on_change: None,
            era: None,
            tool_access: None,
            catalog_sharing: None,
            client_certificate: Default::default(),
            authorization: Some(AuthorizationInput::OAuth(Box::new(oauth))),
        })
        .await
    }

    /// Registers a gateway as the administrator.
    pub async fn register_input(&self, input: GatewayInput) -> Arc<Gateway> {
        let caller = &self.administrator().caller;
        self.app.broker().create_gateway(caller, input).await.expect("the gateway can be registered")
    }

    /// Walks a person through the whole authorization, over HTTP, as one of the demo's accounts.
    pub async fn connect(&self, person: &Person, slug: &str, demo: &Demo, account: &str) {
        let browser = self.browser(person).await;
        let (status, landed) = browser.authorize(slug, demo, account).await;
        assert_eq!((status, landed.as_str()), (303, format!("/ui/connected/{slug}").as_str()));
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// The settings of an OAuth gateway in front of the demo's MCP server.
pub fn oauth_input(demo: &Demo) -> OAuthInput {
    let server = &demo.authorization_server;
    OAuthInput {
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
        resource: Some(demo.mcp_server.url().to_string()),
        scopes: Vec::new(),
        scope_ceiling: None,
        authorize_params: BTreeMap::new(),
        client_id: server.client_id().to_owned(),
        client_secret: Edit::Set(ClientSecret::new(server.client_secret())),
        token_endpoint_auth: None,
        template: None,
    }
}

/// The first administrator, as a person would type it.
pub fn new_administrator() -> NewPerson {
    let AdministratorSetting { email, password } = administrator();
    NewPerson { email, name: "Root".to_owned(), password }
}

fn administrator() -> AdministratorSetting {
    AdministratorSetting { email: ADMINISTRATOR.to_owned(), password: Password::new(PASSWORD) }
}

/// The settings of a test app in a directory.
pub fn settings(directory: &TempDir, origin: &str) -> Settings {
    let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    Settings {
        listen: vec![loopback],
        public_url: origin.parse().expect("an origin is a URL"),
        data_dir: directory.path().join("data"),
        database: DatabaseSetting::Sqlite,
        key_ring: None,
        administrator: None,
        egress: EgressPolicy::parse("127.0.0.1", "127.0.0.1").expect("these settings are right"),
        proxy: None,
        extra_roots: ExtraRoots::default(),
        trusted_proxies: Vec::new(),
        tls: None,
        providers_dir: None,
        client_metadata_url: None,
        metrics_listen: loopback,
        request_timeout: Duration::from_secs(5),
        policy: Policy::default(),
        audit_checkpoint_file: None,
        webhook: None,
        log_format: LogFormat::Text,
        log_filter: "off".to_owned(),
        demo: false,
    }
}
