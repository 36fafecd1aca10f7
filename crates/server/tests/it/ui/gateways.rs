//! The pages of gateways: registering by discovery and by hand, editing, and what becomes of secrets.

use doorward_broker::GatewayInput;
use doorward_domain::GatewayState;
use doorward_testkit::app::{PASSWORD, TestApp};
use doorward_testkit::client::{Answer, Client};

const SECRET: &str = "canary-client-secret";

/// The fields of an OAuth gateway, typed by hand.
fn typed<'a>(url: &'a str, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut fields = vec![
        ("url", url),
        ("name", "Typed"),
        ("authorization", "oauth"),
        ("authorization.client_id", "acme"),
        ("authorization.authorization_url", "http://127.0.0.1:9/authorize"),
        ("authorization.token_url", "http://127.0.0.1:9/token"),
        ("authorization.scopes", "repo read:org"),
        ("authorization.authorize_params", "access_type=offline"),
    ];
    fields.extend(more);
    fields
}

fn path(answer: &Answer) -> String {
    let to = answer.header("location");
    assert!(to.starts_with("/ui/gateways/"), "{answer:?}");
    to.split('?').next().unwrap().to_owned()
}

async fn version(browser: &Client, path: &str) -> String {
    super::hidden(&browser.get(path).await.text, "version")
}

#[tokio::test]
async fn discovery_fills_the_form_and_saves_nothing() {
    let app = TestApp::start().await;
    let demo = app.demo().await;
    let browser = app.browser(app.administrator()).await;
    let url = demo.mcp_server.url().to_string();
    let shown = browser
        .form("/ui/gateways/new", &[("url", &url), ("authorization", "discover"), ("do", "discover")])
        .await;
    assert_eq!(shown.status, 200);
    assert!(
        shown.text.contains("guards this server")
            && shown.text.contains(demo.authorization_server.token_url().as_str())
    );
    assert!(browser.get("/ui/gateways").await.text.contains("No gateways yet"));

    let made = browser
        .form(
            "/ui/gateways/new",
            &[("url", &url), ("slug", "demo"), ("authorization", "discover"), ("do", "publish")],
        )
        .await;
    let page = browser.get(&path(&made)).await;
    assert!(page.text.contains("Published") && page.text.contains("/gateways/demo/mcp"), "{}", page.text);
    let list = browser.get("/ui/gateways").await;
    assert!(list.text.contains("OAuth, each their own"), "{}", list.text);
}

#[tokio::test]
async fn a_problem_stands_beside_its_field_and_what_was_typed_stays() {
    let app = TestApp::start().await;
    let browser = app.browser(app.administrator()).await;
    let refused = browser
        .form(
            "/ui/gateways/new",
            &typed("javascript:alert(1)", &[("authorization.client_secret", SECRET), ("do", "draft")]),
        )
        .await;
    assert_eq!(refused.status, 400);
    assert!(refused.text.contains("id=\"url-problem\"") && refused.text.contains("value=\"acme\""));
    assert!(!refused.text.contains(SECRET));
    let unreachable = browser
        .form(
            "/ui/gateways/new",
            &[("url", "http://127.0.0.1:9/mcp"), ("authorization", "discover"), ("do", "discover")],
        )
        .await;
    assert_eq!(unreachable.status, 400);
    let choice = browser
        .form("/ui/gateways/new", &[("url", "http://127.0.0.1:9/mcp"), ("authorization", "magic")])
        .await;
    assert!(choice.status == 400 && choice.text.contains("id=\"authorization-problem\""));
}

#[tokio::test]
async fn an_edit_keeps_the_secret_and_no_page_ever_shows_it() {
    let app = TestApp::start().await;
    let browser = app.browser(app.administrator()).await;
    let url = "http://127.0.0.1:9/mcp";
    let made = browser
        .form("/ui/gateways/new", &typed(url, &[("authorization.client_secret", SECRET), ("do", "draft")]))
        .await;
    let path = path(&made);
    let shown = browser.get(&path).await;
    assert!(shown.text.contains("One is set.") && !shown.text.contains(SECRET));

    let same = version(&browser, &path).await;
    let saved = browser.form(&path, &typed(url, &[("version", &same), ("do", "save")])).await;
    assert!(saved.header("location").ends_with("?note=saved&people=0"), "{saved:?}");
    assert!(browser.get(&path).await.text.contains("One is set."));

    let stale = browser.form(&path, &typed(url, &[("version", &same), ("do", "save")])).await;
    assert_eq!(stale.status, 412);
    assert!(stale.text.contains("changed in the meantime"));

    let now = version(&browser, &path).await;
    let moved =
        browser.form(&path, &typed("http://127.0.0.1:10/mcp", &[("version", &now), ("do", "save")])).await;
    assert_eq!(moved.status, 400);
    assert!(moved.text.contains("id=\"authorization.client_secret-problem\""), "{}", moved.text);
}

#[tokio::test]
async fn publishing_disabling_and_deleting_come_after_a_question() {
    let app = TestApp::start().await;
    let browser = app.browser(app.administrator()).await;
    let made = browser
        .form(
            "/ui/gateways/new",
            &[
                ("url", "http://127.0.0.1:9/mcp"),
                ("slug", "nine"),
                ("authorization", "none"),
                ("do", "draft"),
            ],
        )
        .await;
    let path = path(&made);
    for (verb, then) in [("publish", "Published"), ("disable", "Disabled")] {
        let asked = browser.get(&format!("{path}/{verb}")).await;
        let version = super::hidden(&asked.text, "version");
        let done = browser.form(&format!("{path}/{verb}"), &[("version", &version)]).await;
        assert_eq!(done.status, 303);
        assert!(browser.get(done.header("location")).await.text.contains(then));
    }
    assert_eq!(browser.get(&format!("{path}/explode")).await.status, 404);
    assert_eq!(
        browser.form(&format!("{path}/delete"), &[]).await.status,
        412,
        "without the version that was shown"
    );
    let version = super::hidden(&browser.get(&format!("{path}/delete")).await.text, "version");
    let gone = browser.form(&format!("{path}/delete"), &[("version", &version)]).await;
    assert_eq!(gone.header("location"), "/ui/gateways?note=deleted");
    assert_eq!(browser.get(&path).await.status, 404);
}

#[tokio::test]
async fn a_header_for_everyone_is_write_only_too() {
    let app = TestApp::start().await;
    let browser = app.browser(app.administrator()).await;
    let fields = [
        ("url", "http://127.0.0.1:9/mcp"),
        ("authorization", "static_header"),
        ("authorization.name", "X-Api-Key"),
        ("authorization.value", SECRET),
        ("shared", "yes"),
        ("do", "publish"),
    ];
    let path = path(&browser.form("/ui/gateways/new", &fields).await);
    let shown = browser.get(&path).await;
    assert!(
        shown.text.contains("x-api-key")
            && shown.text.contains("One is set.")
            && !shown.text.contains(SECRET)
    );
    assert!(browser.get("/ui/gateways").await.text.contains("One header for everyone"));
}

#[tokio::test]
async fn the_pages_of_gateways_are_for_those_who_manage_them() {
    let app = TestApp::start().await;
    let gateway = GatewayInput {
        slug: Some("nine".into()),
        url: Some("http://127.0.0.1:9/mcp".into()),
        state: Some(GatewayState::Published),
        authorization: Some(doorward_broker::AuthorizationInput::None),
        ..GatewayInput::default()
    };
    let gateway = app.register_input(gateway).await;
    let browser = app.browser(&app.user("alice").await).await;
    let changed =
        browser.form("/ui/gateways/new", &typed("http://127.0.0.1:9/mcp", &[("do", "publish")])).await;
    assert_eq!(changed.status, 403);
    for path in [
        "/ui/gateways",
        "/ui/gateways/new",
        &format!("/ui/gateways/{}", gateway.id),
        &format!("/ui/gateways/{}/delete", gateway.id),
    ] {
        let answer = browser.get(path).await;
        assert_eq!(answer.status, 403, "{path}");
        assert!(answer.text.contains("This is for administrators"));
    }
}

#[tokio::test]
async fn a_secret_is_changed_by_a_fresh_login_alone_and_nothing_else_that_was_typed_is_lost() {
    let app = TestApp::start().await;
    let browser = app.browser(app.administrator()).await;
    let url = "http://127.0.0.1:9/mcp";
    let secret = ("authorization.client_secret", SECRET);
    let path = path(&browser.form("/ui/gateways/new", &typed(url, &[secret, ("do", "draft")])).await);
    app.clock.advance(std::time::Duration::from_secs(11 * 60));
    let now = version(&browser, &path).await;
    let with_secret = typed(url, &[secret, ("version", &now), ("do", "save")]);
    let refused = browser.form(&path, &with_secret).await;
    assert!(refused.status == 403 && refused.text.contains("Show that it is you"), "{}", refused.text);
    assert!(refused.text.contains(&format!("value=\"{url}\"")) && !refused.text.contains(SECRET));
    let saved = browser.form(&path, &typed(url, &[("version", &now), ("do", "save")])).await;
    assert_eq!(saved.status, 303, "without a secret it is saved: {}", saved.text);
    browser.form("/ui/sign-in-again", &[("password", PASSWORD), ("next", "/ui")]).await;
    let now = version(&browser, &path).await;
    let saved = browser.form(&path, &typed(url, &[secret, ("version", &now), ("do", "save")])).await;
    assert_eq!(saved.status, 303, "{}", saved.text);
}
