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

/// What REST says of the gateway behind a page.
async fn stored(app: &TestApp, page: &str) -> serde_json::Value {
    app.admin_client().await.get(page.strip_prefix("/ui").unwrap()).await.json
}

#[tokio::test]
async fn a_client_of_ones_own_is_taken_where_the_server_is_asked_for_the_rest() {
    let app = TestApp::start().await;
    let demo = app.demo().await;
    let server = &demo.authorization_server;
    let browser = app.browser(app.administrator()).await;
    let url = demo.mcp_server.url().to_string();
    let asked = |more: &[(&'static str, &str)]| {
        let mut fields = vec![("url", url.clone()), ("authorization", "discover".to_owned())];
        fields.extend(more.iter().map(|(name, value)| (*name, (*value).to_owned())));
        fields
    };
    let press = async |path: &str, fields: Vec<(&'static str, String)>| {
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        browser.form(path, &fields).await
    };
    for (field, value) in [
        ("authorization.client_secret", SECRET),
        ("authorization.token_endpoint_auth", "basic"),
        ("authorization.assertion_kid", "k1"),
    ] {
        let lonely = press("/ui/gateways/new", asked(&[(field, value), ("do", "draft")])).await;
        assert_eq!(lonely.status, 400, "{field}");
        assert!(lonely.text.contains("id=\"authorization.client_id-problem\""), "{}", lonely.text);
        assert!(!lonely.text.contains(SECRET));
    }
    let own = [("authorization.client_id", server.client_id()), ("slug", "own"), ("do", "publish")];
    let own = [own.as_slice(), &[("authorization.client_secret", server.client_secret())]].concat();
    let more = [("authorization.scope_ceiling", "admin"), ("authorization.audience", "tools")];
    let made = press("/ui/gateways/new", asked(&[own.as_slice(), &more].concat())).await;
    let page = path(&made);
    let authorization = stored(&app, &page).await["authorization"].clone();
    assert_eq!(authorization["client_id"], server.client_id());
    assert_eq!(authorization["issuer"], server.issuer());
    assert_eq!(authorization["scope_ceiling"], serde_json::json!(["admin"]));
    assert_eq!(authorization["audience"], "tools");
    assert_eq!(server.log().registrations, 0, "nothing is registered beside it");
    let alice = app.user("alice").await;
    app.connect(&alice, "own", &demo, "alice").await;

    // Asked again, the client and its secret stay.
    let now = version(&browser, &page).await;
    let again = [("authorization.client_id", server.client_id()), ("version", &*now), ("do", "save")];
    let fields = asked(&[]).into_iter().chain(again.map(|(name, value)| (name, value.to_owned())));
    let saved = press(&page, fields.chain([("name", "Own".to_owned())]).collect()).await;
    assert_eq!(saved.status, 303, "{}", saved.text);
    assert_eq!(stored(&app, &page).await["authorization"]["has_client_secret"], true);

    // Nobody consents: the client itself is authorized.
    let own = [own.as_slice(), &[("authorization.grant_type", "client_credentials")]].concat();
    let own: Vec<_> = own
        .into_iter()
        .map(|(name, value)| if name == "slug" { (name, "service") } else { (name, value) })
        .collect();
    let made = press("/ui/gateways/new", asked(&own)).await;
    let authorization = stored(&app, &path(&made)).await["authorization"].clone();
    assert_eq!(authorization["grant_type"], "client_credentials");

    // Left empty, Doorward registers itself.
    let made = press("/ui/gateways/new", asked(&[("slug", "itself"), ("do", "draft")])).await;
    assert_ne!(stored(&app, &path(&made)).await["authorization"]["client_id"], server.client_id());
    assert_eq!(server.log().registrations, 1);
}

#[tokio::test]
async fn a_private_key_is_taken_where_the_server_is_asked_for_the_rest() {
    let app = TestApp::start().await;
    let demo = app.demo().await;
    let browser = app.browser(app.administrator()).await;
    let key = rcgen::KeyPair::generate().unwrap().serialize_pem();
    let mut fields = vec![
        ("url", demo.mcp_server.url().as_str()),
        ("slug", "keyed"),
        ("authorization", "discover"),
        ("authorization.client_id", "acme"),
        ("authorization.token_endpoint_auth", "private_key_jwt"),
        ("authorization.assertion_kid", "k1"),
        ("authorization.private_key", "no key"),
        ("do", "draft"),
    ];
    let refused = browser.form("/ui/gateways/new", &fields).await;
    assert_eq!(refused.status, 400);
    assert!(refused.text.contains("id=\"authorization.private_key-problem\""), "{}", refused.text);
    fields[6] = ("authorization.private_key", &key);
    let made = browser.form("/ui/gateways/new", &fields).await;
    let authorization = stored(&app, &path(&made)).await["authorization"].clone();
    assert_eq!(
        (&authorization["token_endpoint_auth"], &authorization["assertion_kid"]),
        (&serde_json::json!("private_key_jwt"), &serde_json::json!("k1"))
    );
    let shown = browser.get(&path(&made)).await.text;
    assert!(!shown.contains(key.lines().nth(1).unwrap()));
}

#[tokio::test]
async fn a_client_that_a_server_made_is_not_taken_to_another_one() {
    let app = TestApp::start().await;
    let (here, elsewhere) = (app.demo().await, app.demo().await);
    let admin = app.admin_client().await;
    let made = admin.post("/gateways", &serde_json::json!({ "url": here.mcp_server.url() })).await;
    let path = format!("/gateways/{}", made.json["id"].as_str().unwrap());
    let client = &made.json["authorization"]["client_id"];
    let moved = |more: serde_json::Value| {
        let mut authorization = serde_json::json!({ "type": "discover", "client_id": client, "client_secret": null, "token_endpoint_auth": "none" });
        authorization.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::json!({ "url": elsewhere.mcp_server.url(), "authorization": authorization })
    };
    let refused = admin.put(&path, &moved(serde_json::json!({}))).await;
    assert_eq!((refused.status, refused.problem().0), (400, Some("authorization.client_id")), "{refused:?}");
    assert!(refused.problem().1.contains("made this client"), "{refused:?}");
    let anew =
        serde_json::json!({ "url": elsewhere.mcp_server.url(), "authorization": { "type": "discover" } });
    let anew = admin.put(&path, &anew).await;
    assert_eq!(anew.json["authorization"]["issuer"], elsewhere.authorization_server.issuer(), "{anew:?}");
}
