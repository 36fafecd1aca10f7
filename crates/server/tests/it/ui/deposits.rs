//! Depositing by the page, and accepting and declining in "My connections", by forms that need no script.

use super::look_closely;
use doorward_demo::Demo;
use doorward_domain::{DepositPolicy, Policy, Role, Timestamp};
use doorward_testkit::app::{ADMINISTRATOR, PASSWORD, Person, TestApp, TestAppOptions};
use doorward_testkit::browser::Browser;
use doorward_testkit::client::{Answer, Client};
use serde_json::json;
use std::time::Duration;

/// The value of the first hidden field `version` of a page.
fn version(page: &str) -> &str {
    page.split("name=\"version\" value=\"").nth(1).unwrap().split('"').next().unwrap()
}

async fn deposit(app: &TestApp, demo: &Demo, gateway: &str, person: &Person) {
    let given = demo.authorization_server.hand_out("alice", demo.mcp_server.url().as_str());
    let body = json!({ "user_id": person.id, "gateway_id": gateway, "access_token": given.access_token });
    assert_eq!(app.admin_client().await.post("/admin/oauth/tokens", &body).await.status, 201);
}

async fn connections(browser: &Client) -> String {
    browser.get("/ui/connections").await.text
}

#[tokio::test]
async fn a_person_sees_who_deposited_what_and_accepts_or_declines_it() {
    let policy = Policy { deposit: DepositPolicy::Ask, ..Policy::default() };
    let app = TestApp::with(TestAppOptions { policy, ..Default::default() }).await;
    let demo = app.demo().await;
    let gateway = app.register(&demo, "demo").await.id.to_string();
    let alice = app.user("alice").await;
    let browser = app.browser(&alice).await;
    deposit(&app, &demo, &gateway, &alice).await;
    let page = connections(&browser).await;
    assert!(page.contains(&format!("deposited by {ADMINISTRATOR}")) && page.contains("waits for your word"));
    let ask = browser.get("/connect/demo").await.text;
    assert!(ask.contains(&format!("{ADMINISTRATOR} has deposited a key for you")), "{ask}");

    let declined = browser.form("/ui/connections/demo/decline", &[("version", version(&page))]).await;
    assert_eq!(declined.status, 303);
    assert!(declined.header("location").starts_with("/ui/disconnected/"), "{declined:?}");
    assert!(!connections(&browser).await.contains("deposited by"));

    deposit(&app, &demo, &gateway, &alice).await;
    let page = connections(&browser).await;
    let wrong = browser.form("/ui/connections/demo/accept", &[("version", "nonsense")]).await;
    assert_eq!(wrong.status, 404);
    let accepted = browser.form("/ui/connections/demo/accept", &[("version", version(&page))]).await;
    assert_eq!((accepted.status, accepted.header("location")), (303, "/ui/connections"));
    let page = connections(&browser).await;
    assert!(
        page.contains("Disconnect…") && page.contains("deposited by") && !page.contains("name=\"version\"")
    );
    let list = app.browser(app.administrator()).await.get("/ui/oauth-tokens").await.text;
    assert!(list.contains(&format!("deposited by {ADMINISTRATOR}")));
}

const NEW: &str = "/ui/oauth-tokens/deposit";

async fn app_with(deposit: DepositPolicy) -> TestApp {
    let policy = Policy { deposit, ..Policy::default() };
    TestApp::with(TestAppOptions { policy, ..Default::default() }).await
}

/// The fields of the form: tokens of the provider's, for somebody.
fn typed(demo: &Demo, gateway: &str, email: &str, until: Timestamp) -> Vec<(&'static str, String)> {
    let given = demo.authorization_server.hand_out("alice", demo.mcp_server.url().as_str());
    vec![
        ("user_id", email.to_owned()),
        ("gateway_id", gateway.to_owned()),
        ("access_token", given.access_token),
        ("refresh_token", given.refresh_token),
        ("expires_at", until.to_string()),
        ("scopes", "notes".to_owned()),
    ]
}

fn with(fields: &[(&'static str, String)], name: &str, value: &str) -> Vec<(&'static str, String)> {
    let field = |(found, typed): &(&'static str, String)| {
        (*found, if *found == name { value.to_owned() } else { typed.clone() })
    };
    fields.iter().map(field).collect()
}

async fn send(browser: &Client, fields: &[(&'static str, String)]) -> Answer {
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    browser.form(NEW, &fields).await
}

#[tokio::test]
async fn an_administrator_deposits_by_the_page_and_no_answer_holds_what_was_typed() {
    let app = app_with(DepositPolicy::Ask).await;
    let demo = app.demo().await;
    let gateway = app.register(&demo, "demo").await.id.to_string();
    let alice = app.user("alice").await;
    let root = app.browser(app.administrator()).await;
    let list = root.get(&format!("/ui/oauth-tokens?gateway={gateway}")).await.text;
    assert!(list.contains(&format!("href=\"{NEW}?gateway={gateway}\"")), "{list}");
    let page = root.get(&format!("{NEW}?gateway={gateway}")).await.text;
    assert!(page.contains(&format!("value=\"{gateway}\" selected")) && !page.contains("name=\"id_token\""));

    let until = app.clock.now().plus(Duration::from_secs(3_600));
    let fields = typed(&demo, &gateway, &alice.email, until);
    let secrets = [fields[2].1.clone(), fields[3].1.clone()];
    for (field, wrong) in [
        ("user_id", "nobody@test.example"),
        ("user_id", ""),
        ("gateway_id", ""),
        ("gateway_id", "0190f5d2-7c1e-7000-8000-000000000001"),
        ("access_token", ""),
        ("access_token", "two words"),
        ("refresh_token", "zwölf"),
        ("expires_at", "tomorrow"),
        ("scopes", "a\"b"),
    ] {
        let refused = send(&root, &with(&fields, field, wrong)).await;
        assert_eq!(refused.status, 400, "{field}={wrong}: {}", refused.text);
        assert!(
            refused.text.contains(&format!("id=\"{field}-problem\"")),
            "{field}={wrong}: {}",
            refused.text
        );
        assert!(secrets.iter().all(|secret| !refused.text.contains(secret)), "{field}={wrong}");
        if field != "scopes" {
            assert!(refused.text.contains(">notes</textarea>"), "what is no secret stays: {}", refused.text);
        }
    }
    let over = app.clock.now().minus(Duration::from_secs(1)).to_string();
    let ended = with(&with(&fields, "expires_at", &over), "refresh_token", "");
    assert!(send(&root, &ended).await.text.contains("id=\"expires_at-problem\""));

    let made = send(&root, &fields).await;
    assert_eq!(made.status, 303, "{}", made.text);
    let place = made.header("location");
    assert!(place.starts_with("/ui/oauth-tokens/") && place.ends_with("?note=deposited"), "{place}");
    let shown = root.get(place).await.text;
    for told in [
        "It waits for the person",
        "Deposited for its user",
        &format!("deposited by {ADMINISTRATOR}"),
        "notes",
    ] {
        assert!(shown.contains(told), "{told}: {shown}");
    }
    assert!(secrets.iter().all(|secret| !shown.contains(secret)));
    let events = app.admin_client().await.get("/admin/audit?action=grant.deposit").await;
    assert_eq!(events.json["items"].as_array().unwrap().len(), 1, "{events:?}");
    assert!(secrets.iter().all(|secret| !events.text.contains(secret)));

    // It waits for its person, and stands in the way of another deposit.
    let again = send(&root, &fields).await;
    assert!(again.status == 409 && again.text.contains("id=\"user_id-problem\""), "{}", again.text);
    let browser = app.browser(&alice).await;
    let page = connections(&browser).await;
    assert!(page.contains("waits for your word"), "{page}");
    browser.form("/ui/connections/demo/accept", &[("version", version(&page))]).await;
    let own = send(&root, &fields).await;
    assert!(own.status == 409 && own.text.contains("a grant of their own"), "{}", own.text);
}

#[tokio::test]
async fn where_the_settings_trust_deposits_the_page_says_that_calls_carry_it_at_once() {
    let app = app_with(DepositPolicy::Trust).await;
    let demo = app.demo().await;
    let gateway = app.register(&demo, "demo").await.id.to_string();
    let alice = app.user("alice").await;
    let root = app.browser(app.administrator()).await;
    assert!(root.get(NEW).await.text.contains("used at once"));
    let until = app.clock.now().plus(Duration::from_secs(3_600));
    let made = send(&root, &typed(&demo, &gateway, &alice.email, until)).await;
    let shown = root.get(made.header("location")).await.text;
    assert!(shown.contains("calls carry it from now on") && shown.contains("deposited by"), "{shown}");
    let own = connections(&app.browser(&alice).await).await;
    assert!(own.contains("deposited by") && !own.contains("waits for your word"), "{own}");
}

#[tokio::test]
async fn the_page_of_a_deposit_is_there_only_where_it_is_allowed_for_those_who_may_after_a_fresh_login() {
    let off = app_with(DepositPolicy::Off).await;
    let root = off.browser(off.administrator()).await;
    assert!(!root.get("/ui/oauth-tokens").await.text.contains(NEW));
    let refused = root.get(NEW).await;
    assert!(refused.status == 409 && refused.text.contains("OAUTH_TOKEN_DEPOSIT"), "{}", refused.text);
    assert_eq!(root.form(NEW, &[("user_id", "x")]).await.status, 409);

    let app = app_with(DepositPolicy::Ask).await;
    for (name, role, status) in [
        ("admin", Role::Administrator, 200),
        ("operator", Role::Operator, 403),
        ("auditor", Role::Auditor, 403),
        ("user", Role::User, 403),
    ] {
        let browser = app.browser(&app.person_as(name, role).await).await;
        assert_eq!(browser.get(NEW).await.status, status, "{name}");
        let sent = browser.form(NEW, &[("user_id", "nobody@test.example")]).await;
        assert_eq!(sent.status, if status == 200 { 400 } else { 403 }, "{name}");
        let list = browser.get("/ui/oauth-tokens").await.text;
        assert_eq!(list.contains(NEW), status == 200, "{name}");
    }
    let root = app.browser(app.administrator()).await;
    let unasked = root.request(reqwest::Method::POST, NEW).form(&[("user_id", "x")]);
    assert_eq!(root.send(unasked).await.status, 403, "without the token of the form");
    app.clock.advance(Duration::from_secs(11 * 60));
    let stale = root.get(NEW).await;
    assert!(stale.header("location").starts_with("/ui/sign-in-again?next="), "{stale:?}");
    let fields =
        [("user_id", &*app.administrator().email), ("gateway_id", "0190f5d2-7c1e-7000-8000-000000000001")];
    let stale = root.form(NEW, &fields).await;
    assert!(stale.status == 403 && stale.text.contains("Show that it is you"), "{}", stale.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deposit_is_typed_in_a_browser_and_its_person_accepts_it_there() {
    let app = app_with(DepositPolicy::Ask).await;
    let demo = app.demo().await;
    let gateway = app.register(&demo, "demo").await.id.to_string();
    let alice = app.user("alice").await;
    let given = demo.authorization_server.hand_out("alice", demo.mcp_server.url().as_str());
    let mut browser = Browser::start().await;
    let sign_in = async |browser: &mut Browser, email: &str| {
        browser.open(&format!("{}/ui/login", app.origin)).await;
        browser.fill("[name=email]", email).await;
        browser.fill("[name=password]", PASSWORD).await;
        browser.click("main button").await;
        browser.expect("Overview").await;
    };
    sign_in(&mut browser, ADMINISTRATOR).await;
    browser.open(&format!("{}/ui/oauth-tokens", app.origin)).await;
    browser.click(&format!("a[href='{NEW}']")).await;
    browser.expect("Deposit a grant").await;
    browser.fill("[name=user_id]", "nobody@test.example").await;
    browser.select("[name=gateway_id]", &gateway).await;
    browser.fill("[name=access_token]", &given.access_token).await;
    browser.fill("[name=refresh_token]", &given.refresh_token).await;
    browser.click("main form .button.primary").await;
    browser.expect("Must be an active person").await;
    look_closely(&mut browser, "deposit-refused").await;
    assert_eq!(browser.axe().await, Vec::<serde_json::Value>::new());
    browser.fill("[name=user_id]", &alice.email).await;
    browser.fill("[name=access_token]", &given.access_token).await;
    browser.fill("[name=refresh_token]", &given.refresh_token).await;
    browser.click("main form .button.primary").await;
    browser.expect("It waits for the person").await;
    look_closely(&mut browser, "deposit-made").await;

    browser.forget_everything().await;
    sign_in(&mut browser, &alice.email).await;
    browser.open(&format!("{}/ui/connections", app.origin)).await;
    browser.expect("waits for your word").await;
    browser.click("form[action='/ui/connections/demo/accept'] button").await;
    browser.expect("Disconnect…").await;
    assert_eq!(
        browser.leaks(&[&given.access_token, &given.refresh_token]).await,
        Vec::<serde_json::Value>::new()
    );
}
