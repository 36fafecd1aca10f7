//! "OAuth tokens": the list, the details, and ending one or many, as an administrator does it in a browser.

use crate::journey::walk;
use crate::ui::{hidden, outsider};
use doorward_broker::{AuthorizationInput, GatewayInput};
use doorward_demo::{AuthorizationServerOptions, Demo};
use doorward_domain::{GatewayState, GrantOwner};
use doorward_testkit::app::{Person, TestApp, oauth_input};
use doorward_testkit::client::Client;
use serde_json::json;

/// In every token, code and registered secret of the provider.
const CANARY: &str = "canary-of-the-pages";

const LIST: &str = "/ui/oauth-tokens";

struct Stage {
    app: TestApp,
    demo: Demo,
    /// The administrator's.
    browser: Client,
    people: Vec<(Person, String)>,
}

impl Stage {
    /// Alice and Bob, each with a grant at `hub`.
    async fn set() -> Self {
        let app = TestApp::start().await;
        let options = AuthorizationServerOptions {
            client_secret: format!("{CANARY}-secret"),
            clock: app.clock.clone(),
            ..Default::default()
        };
        let demo = app.demo_with(options).await;
        demo.authorization_server.faults().canary(CANARY);
        let mut settings = oauth_input(&demo);
        settings.scopes = vec!["openid".into(), "notes".into()];
        let gateway = app
            .register_input(GatewayInput {
                slug: Some("hub".into()),
                name: Some("Hub".into()),
                url: Some(demo.mcp_server.url().to_string()),
                state: Some(GatewayState::Published),
                access: None,
                on_change: None,
                era: None,
                tool_access: None,
                catalog_sharing: None,
                client_certificate: Default::default(),
                authorization: Some(AuthorizationInput::OAuth(Box::new(settings))),
            })
            .await;
        let mut people = Vec::new();
        for name in ["alice", "bob"] {
            let person = app.user(name).await;
            app.connect(&person, "hub", &demo, name).await;
            let owner = GrantOwner::User(person.id);
            let grant = app.app.storage().grant_of(owner, gateway.id).await.unwrap().unwrap();
            people.push((person, grant.id.to_string()));
        }
        let browser = app.browser(app.administrator()).await;
        Self { app, demo, browser, people }
    }

    fn grant(&self, number: usize) -> &str {
        &self.people[number].1
    }

    /// What a call of one of them is answered.
    async fn call(&self, number: usize) -> String {
        let client = walk::mcp(&self.app, &self.people[number].0).await;
        let answer = walk::modern(&client, "/mcp", "tools/call", &json!({ "name": "hub-whoami" })).await;
        walk::tool_text(&answer).to_owned()
    }

    async fn page(&self, path: &str) -> String {
        let shown = self.browser.get(path).await;
        assert_eq!(shown.status, 200, "{path}: {}", shown.text);
        shown.text
    }
}

/// The rows of a list's page, as the addresses in them.
fn shown(html: &str) -> Vec<&'static str> {
    let table = html.split_once("<tbody>").map_or("", |(_, rest)| rest);
    ["alice@test.example", "bob@test.example"].into_iter().filter(|email| table.contains(email)).collect()
}

#[tokio::test]
async fn s1_s4_the_page_lists_every_authorization_with_scopes_and_health() {
    let stage = Stage::set().await;
    let list = stage.page(LIST).await;
    assert_eq!(shown(&list), ["alice@test.example", "bob@test.example"]);
    let table = list.split_once("<tbody>").unwrap().1;
    for words in ["hub", "<code>openid</code>", "Valid</span>", "renews itself", "data-relative", "never"] {
        assert!(table.contains(words), "{words}: {table}");
    }
    assert!(list.contains("<strong>2</strong>"), "the counts: {list}");
    assert!(list.contains("href=\"/ui/oauth-tokens\" aria-current=\"page\""), "the navigation: {list}");
}

#[tokio::test]
async fn the_whole_view_stands_in_the_url() {
    let stage = Stage::set().await;
    let both = ["alice@test.example", "bob@test.example"];
    let user = format!("user={}", stage.people[0].0.id);
    let issuer = stage.demo.authorization_server.issuer();
    let provider = serde_urlencoded::to_string([("provider", issuer)]).unwrap();
    let cases: [(&str, &[&str]); 9] = [
        ("q=ali", &both[..1]),
        ("q=hub", &both),
        ("q=nobody", &[]),
        (&user, &both[..1]),
        (&provider, &both),
        ("provider=https%3A%2F%2Felsewhere.example", &[]),
        ("health=valid&access_token_status=valid&sort=-expires_at", &both),
        ("health=orphaned", &[]),
        ("health=boredom", &both),
    ];
    for (query, people) in cases {
        assert_eq!(shown(&stage.page(&format!("{LIST}?{query}")).await), people, "{query}");
    }
    assert!(stage.page(&format!("{LIST}?q=nobody")).await.contains("Nothing matches"));
    let filtered = stage.page(&format!("{LIST}?q=ali&health=valid&sort=expires_at")).await;
    assert!(
        filtered.contains("name=\"q\" value=\"ali\"") && filtered.contains("name=\"health\" value=\"valid\"")
    );
    assert!(filtered.contains("health=expired&#38;sort=expires_at"), "a count keeps the rest: {filtered}");
    let export = "/admin/oauth/tokens/export?q=ali&health=valid&format=csv";
    assert!(filtered.contains(&export.replace('&', "&#38;")), "{filtered}");
    let file = stage.browser.get(export).await;
    assert!(file.status == 200 && file.text.contains("alice@test.example"), "{file:?}");
    assert_eq!(stage.browser.get(&format!("{LIST}?cursor=x")).await.status, 400);
}

#[tokio::test]
async fn s2_the_details_tell_all_but_the_value_of_the_token() {
    let stage = Stage::set().await;
    assert!(stage.call(0).await.contains("alice"));
    let path = format!("{LIST}/{}", stage.grant(0));
    let details = stage.page(&path).await;
    for words in [
        "Created",
        "Last used",
        "<code>openid</code>",
        "Access token",
        "by a refresh token",
        stage.demo.authorization_server.client_id(),
        "Authorized in the browser",
        "alice@test.example",
    ] {
        assert!(details.contains(words), "{words}: {details}");
    }
    let refreshed = stage.browser.form(&format!("{path}/refresh"), &[]).await;
    assert_eq!(refreshed.status, 303, "{refreshed:?}");
    let after = stage.page(refreshed.header("location")).await;
    assert!(after.contains("there is a fresh token") && after.contains("Refreshed by hand"), "{after}");
    let beside = format!("{LIST}?q=ali&selected={}", stage.grant(0));
    let list = stage.page(&beside).await;
    assert!(shown(&list) == ["alice@test.example"] && list.contains("Refreshed by hand"), "{list}");
    let view = beside.split_once('?').unwrap().1;
    let again = stage.browser.form(&format!("{path}/refresh"), &[("view", view)]).await;
    assert_eq!(again.header("location"), format!("{beside}&note=refreshed"), "it leads back to the view");
    let cancel =
        stage.page(&format!("{path}/revoke?view={}", view.replace('=', "%3D").replace('&', "%26"))).await;
    assert!(cancel.contains(&format!("href=\"{}\"", beside.replace('&', "&#38;"))), "{cancel}");
    let gone = stage.page(&format!("{LIST}?selected=0190f5d2-7c1e-7000-8000-000000000001")).await;
    assert!(gone.contains("not in force any more") && shown(&gone).len() == 2, "{gone}");
    for page in [LIST, &path, &beside, &format!("{path}/revoke"), "/ui/oauth-tokens/ended"] {
        assert!(!stage.page(page).await.contains(CANARY), "{page}");
    }
    assert_eq!(stage.browser.get(&format!("{LIST}/0190f5d2-7c1e-7000-8000-000000000001")).await.status, 404);
    assert_eq!(stage.browser.get(&format!("{LIST}/nonsense")).await.status, 404);
}

#[tokio::test]
async fn s3_one_is_revoked_after_a_question_and_the_next_call_of_its_user_asks_again() {
    let stage = Stage::set().await;
    assert!(stage.call(0).await.contains("alice"));
    let path = format!("{LIST}/{}/revoke", stage.grant(0));
    let question = stage.page(&path).await;
    assert!(question.contains("alice@test.example") && question.contains("at hub?"), "{question}");
    assert!(question.contains("is told right afterwards"), "what the provider will be told: {question}");
    assert!(stage.call(0).await.contains("alice"), "looking at the question ends nothing");

    let long = "x".repeat(501);
    let refused = stage.browser.form(&path, &[("reason", &long)]).await;
    assert!(refused.status == 400 && refused.text.contains("id=\"reason-problem\""), "{refused:?}");
    let done =
        stage.browser.form(&path, &[("reason", "left the team"), ("at_provider", "unless_wide")]).await;
    let receipt = done.header("location").to_owned();
    assert_eq!((done.status, receipt.as_str()), (303, &*format!("{LIST}/ended/{}", stage.grant(0))));
    let pending = stage.page(&receipt).await;
    assert!(
        pending.contains("Blocked here now") && pending.contains("it has not confirmed yet"),
        "{pending}"
    );
    assert!(pending.contains("left the team") && pending.contains("data-reload"), "{pending}");
    assert!(!pending.contains("badge ok"), "no success before a confirmation: {pending}");
    assert!(stage.call(0).await.contains("/connect/hub"), "the next call asks again");
    assert!(stage.call(1).await.contains("bob"), "nobody else's is touched");

    stage.app.app.broker().tell_providers().await.unwrap();
    let confirmed = stage.page(&receipt).await;
    assert!(confirmed.contains("has confirmed that it ended there too"), "{confirmed}");
    assert!(confirmed.contains("badge ok") && !confirmed.contains("data-reload"), "{confirmed}");
    let ended = stage.page("/ui/oauth-tokens/ended?cause=revoked&receipt=ended_at_provider").await;
    assert_eq!(shown(&ended), ["alice@test.example"]);
    assert!(ended.contains("by root@test.example") && ended.contains("Ended there too"), "{ended}");
    assert!(shown(&stage.page("/ui/oauth-tokens/ended?receipt=gave_up").await).is_empty());
    assert_eq!(stage.browser.form(&path, &[]).await.status, 404, "it is gone");
}

#[tokio::test]
async fn selected_rows_are_revoked_after_a_preview_with_a_reason() {
    let stage = Stage::set().await;
    let many = format!("{LIST}/many?do=revoke&id={}&id={}", stage.grant(0), stage.grant(1));
    let preview = stage.page(&format!("{many}&view=q%3Dhub")).await;
    assert!(preview.contains("Revoke 2 OAuth tokens?") && preview.contains("bob@test.example"), "{preview}");
    assert!(preview.contains("href=\"/ui/oauth-tokens?q=hub\""), "it leads back: {preview}");
    assert_eq!(hidden(&preview, "expected"), "2");
    let ids = [("do", "revoke"), ("id", stage.grant(0)), ("id", stage.grant(1)), ("expected", "2")];
    let silent = stage.browser.form(&format!("{LIST}/many"), &ids).await;
    assert!(silent.status == 400 && silent.text.contains("id=\"reason-problem\""), "{silent:?}");
    assert!(stage.call(0).await.contains("alice"), "nothing has happened");

    let order = [&ids[..], &[("reason", "stolen laptop"), ("at_provider", "here_only")]].concat();
    let job = stage.browser.form(&format!("{LIST}/many"), &order).await;
    assert_eq!(job.status, 303, "{job:?}");
    let job = stage.page(job.header("location")).await;
    assert!(job.contains("stolen laptop") && job.contains("Not told"), "{job}");
    assert_eq!(shown(&job), ["alice@test.example", "bob@test.example"]);
    assert!(stage.call(0).await.contains("/connect/hub") && stage.call(1).await.contains("/connect/hub"));
    let gone = stage.page(&many).await;
    assert!(gone.contains("None of them is there any more"), "{gone}");
    let nothing = stage.browser.get(&format!("{LIST}/many?do=revoke")).await;
    assert_eq!(nothing.header("location"), "/ui/oauth-tokens?note=none-selected");
}

#[tokio::test]
async fn all_that_a_filter_matches_are_asked_again_only_if_the_number_is_still_right() {
    let stage = Stage::set().await;
    let many = format!("{LIST}/many?do=reauthorize&all=yes&health=valid&q=hub");
    let preview = stage.page(&many).await;
    assert!(preview.contains("Ask for 2 new authorizations?") && preview.contains("alice@test.example"));
    assert_eq!((hidden(&preview, "health"), hidden(&preview, "all")), ("valid".into(), "yes".into()));
    let order = |expected| {
        [
            ("do", "reauthorize"),
            ("all", "yes"),
            ("health", "valid"),
            ("q", "hub"),
            ("expected", expected),
            ("reason", "new scopes"),
        ]
    };
    let wrong = stage.browser.form(&format!("{LIST}/many"), &order("3")).await;
    assert_eq!(wrong.status, 409);
    assert!(wrong.text.contains("2 OAuth tokens are meant, not 3"), "{}", wrong.text);
    assert_eq!(hidden(&wrong.text, "expected"), "2", "the page that is shown again has the right number");
    assert!(stage.call(0).await.contains("alice"), "nothing has happened");
    let everybody = [("do", "revoke"), ("all", "yes"), ("expected", "2"), ("reason", "x")];
    assert_eq!(
        stage.browser.form(&format!("{LIST}/many"), &everybody).await.status,
        400,
        "no filter, no order"
    );
    let unproven = [&order("21")[..], &[("typed", "20")]].concat();
    let unproven = stage.browser.form(&format!("{LIST}/many"), &unproven).await;
    assert_eq!(unproven.status, 400, "above twenty the number is typed: {}", unproven.text);

    let job = stage.browser.form(&format!("{LIST}/many"), &order("2")).await;
    assert_eq!(job.status, 303, "{job:?}");
    assert!(stage.page(job.header("location")).await.contains("Will be asked"));
    assert!(stage.call(0).await.contains("/connect/hub"));
    let list = stage.page(&format!("{LIST}?health=needs_authorization")).await;
    assert_eq!(shown(&list).len(), 2);
    assert!(list.contains("an administrator asks"), "{list}");
}

#[tokio::test]
async fn all_that_a_filter_matches_are_revoked_with_every_field_of_the_page() {
    let stage = Stage::set().await;
    let issuer = stage.demo.authorization_server.issuer();
    let provider = serde_urlencoded::to_string([("provider", issuer)]).unwrap();
    let preview = stage.page(&format!("{LIST}/many?do=revoke&all=yes&{provider}&q=ali")).await;
    assert!(preview.contains("Revoke 1 OAuth token?"), "{preview}");
    assert_eq!(hidden(&preview, "provider"), issuer);
    let order = [
        ("do", "revoke"),
        ("all", "yes"),
        ("q", "ali"),
        ("provider", issuer),
        ("expected", "1"),
        ("at_provider", "unless_wide"),
        ("reason", "stolen laptop"),
    ];
    let job = stage.browser.form(&format!("{LIST}/many"), &order).await;
    assert_eq!(job.status, 303, "{}", job.text);
    assert!(stage.page(job.header("location")).await.contains("Being told"));
    assert!(stage.call(0).await.contains("/connect/hub") && stage.call(1).await.contains("bob"));
}

#[tokio::test]
async fn one_is_asked_to_authorize_again_and_the_other_lives_on() {
    let stage = Stage::set().await;
    let path = format!("{LIST}/{}/reauthorize", stage.grant(0));
    assert!(stage.page(&path).await.contains("Nothing ends at the provider"));
    let done = stage.browser.form(&path, &[("reason", "")]).await;
    let after = stage.page(done.header("location")).await;
    assert!(after.contains("Needs authorization") && after.contains("the next use asks them"), "{after}");
    assert!(stage.call(0).await.contains("/connect/hub") && stage.call(1).await.contains("bob"));
    let hopeless = stage.browser.form(&format!("{LIST}/{}/refresh", stage.grant(0)), &[]).await;
    assert_eq!(hopeless.status, 409);
    assert!(hopeless.text.contains("a refresh cannot help"), "{}", hopeless.text);
    assert_eq!(stage.browser.get(&format!("{LIST}/{}/forget", stage.grant(1))).await.status, 404);
}

#[tokio::test]
async fn an_ordinary_user_finds_no_page_and_no_row_of_others() {
    let stage = Stage::set().await;
    let alice = stage.app.browser(&stage.people[0].0).await;
    assert!(!alice.get("/ui").await.text.contains(LIST), "the navigation does not lead there");
    for path in [LIST.to_owned(), format!("{LIST}/ended"), format!("{LIST}/many?do=revoke&all=yes&q=a")] {
        assert_eq!(alice.get(&path).await.status, 403, "{path}");
    }
    for number in [0, 1] {
        let row = format!("{LIST}/{}", stage.grant(number));
        for path in [row.clone(), format!("{row}/revoke"), format!("{row}/reauthorize")] {
            assert_eq!(alice.get(&path).await.status, 404, "{path}");
        }
        for verb in ["revoke", "reauthorize", "refresh"] {
            assert_eq!(alice.form(&format!("{row}/{verb}"), &[]).await.status, 404, "{verb}");
        }
        assert_eq!(alice.get(&format!("{LIST}/ended/{}", stage.grant(number))).await.status, 404);
    }
    let order = [("do", "revoke"), ("id", stage.grant(1)), ("expected", "1"), ("reason", "x")];
    assert_eq!(alice.form(&format!("{LIST}/many"), &order).await.status, 403);
    assert!(stage.call(0).await.contains("alice") && stage.call(1).await.contains("bob"));
}

#[tokio::test]
async fn a_forged_order_ends_nothing() {
    let stage = Stage::set().await;
    let one = format!("{LIST}/{}/revoke", stage.grant(0));
    let others = stage.app.browser(&stage.people[0].0).await.csrf().to_owned();
    let own = stage.browser.csrf().to_owned();
    for path in [one, format!("{LIST}/many"), format!("{LIST}/{}/refresh", stage.grant(0))] {
        for (site, csrf) in [("same-origin", ""), ("same-origin", &*others), ("cross-site", &*own)] {
            let order = [
                ("do", "revoke"),
                ("id", stage.grant(0)),
                ("expected", "1"),
                ("reason", "x"),
                ("csrf", csrf),
            ];
            let request = outsider().post(format!("{}{path}", stage.app.origin)).form(&order);
            let request = request.header("cookie", stage.browser.cookie()).header("sec-fetch-site", site);
            assert_eq!(request.send().await.unwrap().status(), 403, "{path} {site} {csrf}");
        }
    }
    assert!(stage.call(0).await.contains("alice"));
}
