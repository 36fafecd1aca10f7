//! Every page of the product in a real browser: people of every kind, gateways of every state and grants of
//! every health, in light and dark, wide and narrow. axe-core finds nothing serious, nothing scrolls sideways,
//! nothing complains, nothing comes from elsewhere, and no secret crosses the wire.

use super::routes;
use crate::journey::walk;
use doorward_broker::{AuthorizationInput, Edit, GatewayInput};
use doorward_demo::{AuthorizationServerOptions, Demo, TokenFault};
use doorward_domain::{Clock, DepositPolicy, GatewayState, GrantOwner, HeaderSecret, Policy};
use doorward_testkit::app::{ADMINISTRATOR, PASSWORD, Person, TestApp, TestAppOptions, oauth_input};
use doorward_testkit::browser::Browser;
use serde_json::{Value, json};
use std::time::Duration;

/// In every code, token and secret that a provider hands out, and in what an administrator typed.
const CANARIES: [&str; 3] = ["canary-of-the-pages", "canary-client-secret", "canary-static-header"];

struct Stage {
    app: TestApp,
    /// Paths to visit, by a name for their pictures.
    pages: Vec<(&'static str, String)>,
    _demos: Vec<Demo>,
}

async fn demo(clock: &Clock, access_token_seconds: u64, refresh_tokens: bool) -> Demo {
    let options = AuthorizationServerOptions {
        access_token_seconds,
        refresh_tokens,
        client_secret: CANARIES[1].to_owned(),
        clock: clock.clone(),
        ..Default::default()
    };
    let any_port = std::net::SocketAddr::from((std::net::Ipv4Addr::LOCALHOST, 0));
    let demo = Demo::start(any_port, any_port, options).await.unwrap();
    demo.authorization_server.faults().canary(CANARIES[0]);
    demo
}

async fn register(
    app: &TestApp,
    demo: &Demo,
    slug: &str,
    name: &str,
    authorization: AuthorizationInput,
) -> String {
    let gateway = app.register_input(GatewayInput {
        slug: Some(slug.to_owned()),
        name: Some(name.to_owned()),
        url: Some(demo.mcp_server.url().to_string()),
        state: Some(GatewayState::Published),
        access: None,
        on_change: None,
        era: None,
        tool_access: None,
        catalog_sharing: None,
        client_certificate: Default::default(),
        authorization: Some(authorization),
    });
    gateway.await.id.to_string()
}

fn oauth(demo: &Demo) -> AuthorizationInput {
    AuthorizationInput::OAuth(Box::new(oauth_input(demo)))
}

async fn grant_of(app: &TestApp, person: &Person, gateway: &str) -> String {
    let grant = app.app.storage().grant_of(GrantOwner::User(person.id), gateway.parse().unwrap()).await;
    grant.unwrap().unwrap().id.to_string()
}

/// A grant that refreshes now, and meets a fault.
async fn refresh_badly(app: &TestApp, person: &Person, gateway: &str, demo: &Demo, fault: TokenFault) {
    let grant = grant_of(app, person, gateway).await;
    demo.authorization_server.faults().next_token_answer(fault);
    app.admin_client().await.post(&format!("/admin/oauth/tokens/{grant}/refresh"), &Value::Null).await;
}

/// An authorization that went well, and one that the provider refuses in its own words.
async fn attempts(app: &TestApp, person: &Person, demo: &Demo) -> (String, String) {
    demo.authorization_server.faults().next_token_answer(TokenFault::RefusedSaying {
        status: 401,
        error: "invalid_client".to_owned(),
        description: "Client authentication failed: the secret has been rotated".to_owned(),
    });
    let (_, landed) = app.browser(person).await.authorize("reports", demo, "alice").await;
    assert_eq!(landed, "/ui/connect-problem?code=exchange_failed");
    let admin = app.admin_client().await;
    let newest = async |state: &str| {
        let found = admin.get(&format!("/admin/oauth/attempts?state={state}&limit=1")).await;
        found.json["items"][0]["id"].as_str().expect("there is one").to_owned()
    };
    (newest("connected").await, newest("refused").await)
}

/// Calls in several hours, so that there is something to plot.
async fn use_some(app: &TestApp, person: &Person) {
    let client = walk::mcp(app, person).await;
    for (tool, often) in [("notes-add", 7), ("tickets-add", 3)] {
        for number in 0..often {
            let sum = json!({ "name": tool, "arguments": { "a": number, "b": 1 } });
            walk::modern(&client, "/mcp", "tools/call", &sum).await;
        }
    }
    app.app.broker().flush_tallies().await.unwrap();
}

impl Stage {
    async fn set() -> Self {
        let policy = Policy { deposit: DepositPolicy::Ask, ..Policy::default() };
        let app = TestApp::with(TestAppOptions { policy, ..Default::default() }).await;
        let renewing = demo(&app.clock, 3_600, true).await;
        let short = demo(&app.clock, 3_600, false).await;
        let longer = demo(&app.clock, 7_200, false).await;
        let notes = register(&app, &renewing, "notes", "Notes", oauth(&renewing)).await;
        let tickets = register(&app, &renewing, "tickets", "Tickets and incidents", oauth(&renewing)).await;
        let paused = register(&app, &renewing, "paused", "Paused server", oauth(&renewing)).await;
        register(&app, &short, "reports", "Reports", oauth(&short)).await;
        register(&app, &longer, "calendar", "Calendar", oauth(&longer)).await;
        let value = Edit::Set(HeaderSecret::new(CANARIES[2]));
        let header = AuthorizationInput::StaticHeader { name: "x-key".to_owned(), value };
        register(&app, &renewing, "search", "Company search", header).await;
        register(&app, &renewing, "open", "Open data", AuthorizationInput::None).await;
        let (alice, bob) = (app.user("alice").await, app.user("bob").await);
        let gone = app.user("a.very.long.name.of.somebody.who.has.left").await;
        for (person, slug, demo, account) in [
            (&alice, "notes", &renewing, "alice"),
            (&alice, "tickets", &renewing, "alice"),
            (&alice, "paused", &renewing, "alice"),
            (&alice, "reports", &short, "alice"),
            (&bob, "notes", &renewing, "bob"),
            (&bob, "calendar", &longer, "bob"),
            (&bob, "tickets", &renewing, "bob"),
            (app.administrator(), "notes", &renewing, "alice"),
            (app.administrator(), "tickets", &renewing, "alice"),
        ] {
            app.connect(person, slug, demo, account).await;
        }
        refresh_badly(&app, &bob, &notes, &renewing, refused("invalid_grant")).await;
        refresh_badly(&app, app.administrator(), &tickets, &renewing, refused("invalid_grant")).await;
        refresh_badly(&app, &alice, &tickets, &renewing, TokenFault::AnswerLost).await;
        // Reports have expired, and the calendar is about to.
        app.clock.advance(Duration::from_secs(6_600));
        let root = app.browser(app.administrator()).await;
        let act = async |path: &str| {
            let version = super::hidden(&root.get(path).await.text, "version");
            assert_eq!(root.form(path, &[("version", &version)]).await.status, 303, "{path}");
        };
        act(&format!("/ui/gateways/{paused}/disable")).await;
        act(&format!("/ui/people/{}/disable", gone.id)).await;
        app.app.broker().settle_grants().await.unwrap();
        let run = root.form("/ui/cleanup/dry-run", &[]).await.header("location").to_owned();
        root.form("/ui/tokens/new", &[("name", "Laptop editor"), ("audience", "mcp"), ("days", "90")]).await;
        let token = root.get("/ui/tokens").await.text;
        let token = token.split("/ui/tokens/").find(|rest| rest.contains("/end\"")).map(str::to_owned);
        let token =
            token.and_then(|rest| rest.split_once("/end").map(|(id, _)| id.to_owned())).unwrap_or_default();
        let gone_grant = grant_of(&app, app.administrator(), &tickets).await;
        let order = [
            ("do", "revoke"),
            ("id", &*grant_of(&app, &bob, &tickets).await),
            ("expected", "1"),
            ("reason", "left the team"),
            ("provider", "here_only"),
        ];
        let job = root.form("/ui/oauth-tokens/many", &order).await.header("location").to_owned();
        assert!(job.starts_with("/ui/oauth-tokens/jobs/"), "{job}");
        let ended = root.form("/ui/connections/tickets/disconnect", &[]).await.header("location").to_owned();
        let setup =
            app.app.broker().create_reset_link(&app.administrator().caller, alice.id, false).await.unwrap();
        let setup = format!("{}?{}", setup.path(), setup.query().unwrap());
        let permissions =
            vec![doorward_domain::Permission::UseGateways, doorward_domain::Permission::ReadGrants];
        app.app.broker().create_role(&app.administrator().caller, "support", permissions).await.unwrap();
        let group =
            app.app.broker().create_group(&app.administrator().caller, "Operations").await.unwrap().id;
        app.app.broker().join_group(&app.administrator().caller, group, alice.id).await.unwrap();
        let item = |name: &str| serde_json::json!({"kind": "tool", "gateway_id": notes, "name": name});
        let server = serde_json::json!({"name": "Support", "items": [item("whoami"), item("add")]});
        let server = app.admin_client().await.post("/servers", &server).await.json["id"].clone();
        let server = server.as_str().unwrap().to_owned();
        let grant = grant_of(&app, &alice, &notes).await;
        let sessions = root.get("/sessions").await.json["items"].clone();
        let session = sessions[0]["id"].as_str().expect("root is signed in").to_owned();
        let (attempt, refused_attempt) = attempts(&app, &alice, &short).await;
        use_some(&app, app.administrator()).await;
        let every_health =
            ["valid", "expiring_soon", "expired", "needs_authorization", "uncertain", "orphaned"];
        for health in every_health {
            let list = app.admin_client().await.get(&format!("/admin/oauth/tokens?health={health}")).await;
            assert!(list.json["items"].as_array().is_some_and(|rows| !rows.is_empty()), "{health}: {list:?}");
        }
        let pages = [
            ("overview", "/ui".to_owned()),
            ("connections", "/ui/connections".into()),
            ("disconnect", "/ui/connections/notes/disconnect".into()),
            ("disconnected", ended.clone()),
            ("api-tokens", "/ui/tokens".into()),
            ("api-token-new", "/ui/tokens/new".into()),
            ("api-token-end", format!("/ui/tokens/{token}/end")),
            ("connect-a-client", "/ui/connect-a-client?gateway=notes".into()),
            ("try", "/ui/try".into()),
            ("try-tool", "/ui/try/notes?tool=add".into()),
            ("sessions", "/ui/sessions".into()),
            ("roles", "/ui/roles".into()),
            ("role-new", "/ui/roles/new".into()),
            ("role", "/ui/roles/support".into()),
            ("role-delete", "/ui/roles/support/delete".into()),
            ("second-factor", "/ui/second-factor".into()),
            ("second-factor-set-up", "/ui/second-factor/set-up".into()),
            ("second-factor-confirm", "/ui/second-factor/confirm".into()),
            ("second-factor-codes", "/ui/second-factor/recovery-codes".into()),
            ("second-factor-remove", "/ui/second-factor/remove".into()),
            ("login-code", "/ui/login/code".into()),
            ("sign-in-again", "/ui/sign-in-again?next=/ui/keys".into()),
            ("session-end", format!("/ui/sessions/{session}/end")),
            ("sessions-of", format!("/ui/people/{}/sessions", alice.id)),
            ("people", "/ui/people".into()),
            ("person-new", "/ui/people/new".into()),
            ("person-disable", format!("/ui/people/{}/disable", alice.id)),
            ("person-role", format!("/ui/people/{}/role", alice.id)),
            ("groups", "/ui/groups".into()),
            ("group-new", "/ui/groups/new".into()),
            ("group", format!("/ui/groups/{group}")),
            ("group-delete", format!("/ui/groups/{group}/delete")),
            ("group-remove", format!("/ui/groups/{group}/members/{}/remove", alice.id)),
            ("gateway-access", format!("/ui/gateways/{notes}/access")),
            ("gateways", "/ui/gateways".into()),
            ("gateway-tools", format!("/ui/gateways/{notes}/tools")),
            ("gateway-tool-access", format!("/ui/gateways/{notes}/tools/access?tool=add")),
            ("gateway-changes", format!("/ui/gateways/{notes}/changes")),
            ("servers", "/ui/servers".into()),
            ("server-new", "/ui/servers/new".into()),
            ("server", format!("/ui/servers/{server}")),
            ("server-items", format!("/ui/servers/{server}/items")),
            ("server-access", format!("/ui/servers/{server}/access")),
            ("server-delete", format!("/ui/servers/{server}/delete")),
            ("gateway-new", "/ui/gateways/new".into()),
            ("gateway", format!("/ui/gateways/{notes}")),
            ("gateway-disable", format!("/ui/gateways/{notes}/disable")),
            ("gateway-template", "/ui/gateways/new?template=github".into()),
            ("gateway-check", format!("/ui/gateways/{notes}/check")),
            ("gateway-test", format!("/ui/gateways/{notes}/test")),
            ("gateway-tested", format!("/ui/gateways/{notes}/tested")),
            ("connect", "/connect/tickets".into()),
            ("connected", "/ui/connected/notes".into()),
            ("connect-problem", "/ui/connect-problem?code=expired".into()),
            ("cleanup", "/ui/cleanup".into()),
            ("cleanup-ask", "/ui/cleanup/run".into()),
            ("cleanup-run", run),
            ("attempts", "/ui/attempts".into()),
            ("attempt", format!("/ui/attempts/{attempt}")),
            ("attempt-refused", format!("/ui/attempts/{refused_attempt}")),
            ("audit", "/ui/audit".into()),
            ("keys", "/ui/keys".into()),
            ("keys-rotate", "/ui/keys/rotate".into()),
            ("key-retire", "/ui/keys/k1/retire".into()),
            ("not-found", "/ui/no/such/page".into()),
            ("home", "/".into()),
            ("home-slash", "/ui/".into()),
            ("setup", "/ui/setup?token=x".into()),
            ("reset", setup),
            ("login", "/ui/login".into()),
            ("oauth-tokens", "/ui/oauth-tokens".into()),
            ("oauth-tokens-details", format!("/ui/oauth-tokens?q=a&selected={grant}")),
            ("oauth-token", format!("/ui/oauth-tokens/{grant}")),
            ("oauth-token-revoke", format!("/ui/oauth-tokens/{grant}/revoke")),
            ("oauth-tokens-many", format!("/ui/oauth-tokens/many?do=revoke&id={grant}")),
            ("deposit-new", "/ui/oauth-tokens/deposit".into()),
            ("oauth-tokens-ended", "/ui/oauth-tokens/ended".into()),
            ("oauth-token-ended", format!("/ui/oauth-tokens/ended/{gone_grant}")),
            ("oauth-tokens-job", job),
        ];
        Self { app, pages: pages.into(), _demos: vec![renewing, short, longer] }
    }
}

fn refused(error: &str) -> TokenFault {
    TokenFault::Refused { status: 400, error: error.to_owned() }
}

async fn sign_in(app: &TestApp, browser: &mut Browser) {
    browser.open(&format!("{}/ui/login", app.origin)).await;
    browser.fill("[name=email]", ADMINISTRATOR).await;
    browser.fill("[name=password]", PASSWORD).await;
    browser.click("main button").await;
    browser.expect("Overview").await;
}

/// What is wrong with the page that is open, in one scheme and width.
async fn problems_of(browser: &mut Browser, scheme: &str, width: u32) -> Vec<String> {
    browser.scheme(scheme).await;
    browser.size(width, 900).await;
    let wide = browser.overflow().await;
    let mut problems: Vec<String> = browser.axe().await.iter().map(|found| format!("{found:#}")).collect();
    if wide > 0 {
        problems.push(format!("{wide} px wider than the window"));
    }
    problems
}

/// Visits every page in a window of this width, in light and dark.
async fn every_page_is_good_at(width: u32) {
    let stage = Stage::set().await;
    let known: Vec<_> = routes::all().into_iter().filter(|route| route.get).collect();
    let not_a_page = ["/oauth/callback", "/ui/static/{hash}/{name}"];
    for route in known.iter().filter(|route| !not_a_page.contains(&route.path.as_str())) {
        let visited =
            route.path.contains("{*") || stage.pages.iter().any(|(_, path)| routes::fits(&route.path, path));
        assert!(visited, "{} is a page that this test does not visit: add it to `pages`", route.path);
    }
    let mut browser = Browser::start().await;
    sign_in(&stage.app, &mut browser).await;
    let mut wrong = Vec::new();
    for (name, path) in &stage.pages {
        if !known.iter().any(|route| routes::fits(&route.path, path)) && *name != "not-found" {
            continue;
        }
        browser.open(&format!("{}{path}", stage.app.origin)).await;
        for scheme in ["light", "dark"] {
            let problems = problems_of(&mut browser, scheme, width).await;
            browser.picture(&format!("{name}-{scheme}-{width}")).await;
            wrong.extend(problems.iter().map(|problem| format!("{path} ({scheme}, {width}): {problem}")));
        }
        wrong.extend(browser.problems().await.iter().map(|problem| format!("{path}: {problem}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(browser.leaks(&CANARIES).await, Vec::<Value>::new());
    let requests = browser.requests().await;
    assert!(requests.len() > stage.pages.len());
    let elsewhere =
        requests.iter().filter(|url| !url.as_str().unwrap_or_default().starts_with(&stage.app.origin));
    assert_eq!(elsewhere.collect::<Vec<_>>(), Vec::<&Value>::new(), "pages ask nobody but us");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_is_readable_by_everybody_and_tells_no_secret_on_a_wide_screen() {
    Box::pin(every_page_is_good_at(1_440)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_is_readable_by_everybody_and_tells_no_secret_at_400_pixels() {
    Box::pin(every_page_is_good_at(400)).await;
}
