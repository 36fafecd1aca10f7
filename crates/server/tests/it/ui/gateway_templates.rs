//! S9 and S10: a template fills the form of a gateway, with a script and without; Custom leaves it to the person.

use super::look_closely;
use doorward_testkit::app::{PASSWORD, TestApp, TestAppOptions};
use doorward_testkit::browser::Browser;
use serde_json::Value;

const NEW: &str = "/ui/gateways/new";

#[tokio::test]
async fn s9_choosing_github_fills_the_form_without_a_script_and_saves_nothing() {
    let app = TestApp::start().await;
    let browser = app.browser(app.administrator()).await;
    let chosen =
        [("url", "http://127.0.0.1:9/mcp"), ("authorization.provider_template", "github"), ("do", "fill")];
    for filled in [browser.form(NEW, &chosen).await, browser.get(&format!("{NEW}?template=github")).await] {
        assert_eq!(filled.status, 200);
        for value in [
            "value=\"https://github.com/login/oauth/authorize\"",
            "value=\"https://github.com/login/oauth/access_token\"",
            "Filled in for GitHub",
            "https://github.com/settings/applications/new",
            "Not confirmed by the provider",
            "/oauth/callback",
            "data-copy=\"redirect-uri\"",
        ] {
            assert!(filled.text.contains(value), "{value}");
        }
    }
    assert!(browser.get("/ui/gateways").await.text.contains("No gateways yet"));
    let unknown = browser.form(NEW, &[("authorization.provider_template", "nobody"), ("do", "fill")]).await;
    assert!(unknown.status == 400 && unknown.text.contains("authorization.provider_template-problem"));
    let none = browser.form(NEW, &[("do", "fill")]).await;
    assert!(none.text.contains("Choose a provider first"));
}

#[tokio::test]
async fn s9_a_placeholder_is_asked_for_and_a_typo_is_named_at_its_field() {
    let app = TestApp::start().await;
    let browser = app.browser(app.administrator()).await;
    let domain = "authorization.provider_inputs.domain";
    let chosen = [("authorization.provider_template", "okta"), ("do", "fill")];
    let asked = browser.form(NEW, &chosen).await;
    assert_eq!(asked.status, 200);
    assert!(
        asked.text.contains(&format!("id=\"{domain}\""))
            && asked.text.contains("https://{domain}/oauth2/default")
    );
    let fields = |value: &'static str, press: &'static str| {
        vec![
            ("url", "http://127.0.0.1:9/mcp"),
            ("name", "Okta"),
            ("authorization", "oauth"),
            ("authorization.provider_template", "okta"),
            ("authorization.inputs_of", "okta"),
            (domain, value),
            ("authorization.client_id", "c"),
            ("authorization.authorization_url", "https://{domain}/oauth2/default/v1/authorize"),
            ("authorization.token_url", "https://{domain}/oauth2/default/v1/token"),
            ("authorization.facts", ""),
            ("do", press),
        ]
    };
    for typo in ["https://acme.okta.com", "acme.okta.com/", "acme@evil.example"] {
        for press in ["fill", "draft"] {
            let refused = browser.form(NEW, &fields(typo, press)).await;
            assert_eq!(refused.status, 400, "{typo} {press}");
            assert!(refused.text.contains(&format!("id=\"{domain}-problem\"")), "{}", refused.text);
        }
    }
    let missing = browser.form(NEW, &fields("", "draft")).await;
    assert!(missing.status == 400 && missing.text.contains(&format!("id=\"{domain}-problem\"")));
    let saved = browser.form(NEW, &fields("acme.okta.com", "draft")).await;
    let page = browser.get(saved.header("location").split('?').next().unwrap()).await;
    assert!(page.text.contains("value=\"https://acme.okta.com/oauth2/default/v1/token\""), "{}", page.text);
    assert!(page.text.contains("value=\"acme.okta.com\""), "what was given is kept");
}

/// A template of the operator's whose addresses stand at a server's.
fn same_as(server: &doorward_demo::AuthorizationServer) -> String {
    format!(
        "version = 1\nname = \"Ours\"\n[oauth]\nauthorization_url = \"{}\"\ntoken_url = \"{}\"\nissuer = \"{}\"\n",
        server.authorization_url(),
        server.token_url(),
        server.issuer()
    )
}

#[tokio::test]
async fn discover_says_where_the_server_differs_from_the_chosen_template_and_its_own_word_counts() {
    let providers = tempfile::tempdir().unwrap();
    let place = providers.path().to_owned();
    let clock = doorward_domain::Clock::mock(doorward_domain::Clock::System.now());
    let any = std::net::SocketAddr::from((std::net::Ipv4Addr::LOCALHOST, 0));
    let demo = doorward_demo::Demo::start(any, any, Default::default()).await.unwrap();
    let server = &demo.authorization_server;
    std::fs::write(place.join("ours.toml"), same_as(server)).unwrap();
    let adjust: doorward_testkit::app::Adjust =
        Box::new(move |settings| settings.providers_dir = Some(place));
    let options = TestAppOptions { clock: Some(clock), adjust: Some(adjust), ..Default::default() };
    let app = TestApp::with(options).await;
    let browser = app.browser(app.administrator()).await;
    let discovered = async |template: &'static str| {
        let fields = [
            ("url", demo.mcp_server.url().as_str()),
            ("authorization", "oauth"),
            ("authorization.client_id", "acme"),
            ("authorization.provider_template", template),
            ("authorization.inputs_of", template),
            ("do", "discover"),
        ];
        let shown = browser.form(NEW, &fields).await;
        assert!(shown.status == 200 && shown.text.contains("guards this server"), "{}", shown.text);
        shown.text
    };
    let differs = discovered("github").await;
    let note = differs.split("The template says otherwise (").nth(1).unwrap_or_else(|| panic!("{differs}"));
    let note = note.split("</p>").next().unwrap();
    for told in [
        "authorization URL https://github.com/login/oauth/authorize",
        "token URL https://github.com/login/oauth/access_token",
        "what the server says is filled in",
    ] {
        assert!(note.contains(told), "{told}: {note}");
    }
    for (name, value) in
        [("authorization_url", server.authorization_url()), ("token_url", server.token_url())]
    {
        let field = format!("name=\"authorization.{name}\" type=\"url\" class=\"mono\" value=\"{value}\"");
        assert!(differs.contains(&field), "{field}: {differs}");
    }
    for agrees in ["ours", "custom", ""] {
        let page = discovered(agrees).await;
        assert!(!page.contains("The template says otherwise"), "{agrees}: {page}");
    }
}

#[tokio::test]
async fn discover_asks_the_issuer_where_the_server_names_none_and_keeps_what_only_a_person_knows() {
    let app = TestApp::start().await;
    let demo = app.demo().await;
    let server = &demo.authorization_server;
    // It wants authorization, and does not say whose.
    let silent = axum::Router::new().fallback(|| async { axum::http::StatusCode::UNAUTHORIZED });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, silent).await.unwrap() });
    let browser = app.browser(app.administrator()).await;
    let ask = async |issuer: &str, template: &str| {
        let fields = [
            ("url", url.as_str()),
            ("authorization", "oauth"),
            ("authorization.provider_template", template),
            ("authorization.inputs_of", template),
            ("authorization.issuer", issuer),
            ("authorization.scopes", "notes"),
            ("authorization.resource", "https://tools.example/mcp"),
            ("do", "discover"),
        ];
        browser.form(NEW, &fields).await
    };
    let nameless = ask("", "").await;
    assert!(nameless.status == 400 && nameless.text.contains("id=\"url-problem\""), "{}", nameless.text);
    let wrong = ask("http://127.0.0.1:9", "").await;
    assert!(
        wrong.status == 400 && wrong.text.contains("id=\"authorization.issuer-problem\""),
        "{}",
        wrong.text
    );
    let filled = ask(server.issuer(), "github").await;
    assert!(filled.status == 200, "{}", filled.text);
    for told in [
        "names no authorization server",
        "The template says otherwise (authorization URL https://github.com/",
        &format!("value=\"{}\"", server.token_url()),
        &format!("value=\"{}\"", server.authorization_url()),
        ">notes</textarea>",
        "value=\"https://tools.example/mcp\"",
    ] {
        assert!(filled.text.contains(told), "{told}: {}", filled.text);
    }
    let admin = app.admin_client().await;
    let body = serde_json::json!({ "url": url, "issuer": server.issuer() });
    let found = admin.post("/gateways/discover", &body).await;
    assert_eq!(found.json["token_url"], server.token_url().as_str(), "{found:?}");
    assert_eq!((&found.json["can_register"], &found.json["resource"]), (&Value::Bool(false), &Value::Null));
    let body = serde_json::json!({ "url": url, "issuer": "nonsense" });
    let nonsense = admin.post("/gateways/discover", &body).await;
    assert_eq!((nonsense.status, nonsense.problem().0), (400, Some("issuer")), "{nonsense:?}");
}

#[tokio::test]
async fn s10_custom_lets_every_field_be_typed() {
    let app = TestApp::start().await;
    let browser = app.browser(app.administrator()).await;
    let mut fields = vec![
        ("url", "http://127.0.0.1:9/mcp"),
        ("name", "Ours"),
        ("authorization", "oauth"),
        ("authorization.provider_template", "custom"),
        ("authorization.client_id", "c"),
        ("authorization.authorization_url", "http://127.0.0.1:9/a"),
        ("authorization.token_url", "http://127.0.0.1:9/t"),
        ("authorization.facts", "token_body = \"json\"\nidle_death_days = 9"),
        ("do", "fill"),
    ];
    let kept = browser.form(NEW, &fields).await;
    assert!(kept.text.contains("Every field is yours to type") && kept.text.contains("http://127.0.0.1:9/t"));
    fields.pop();
    fields.push(("do", "draft"));
    let saved = browser.form(NEW, &fields).await;
    let page = browser.get(saved.header("location").split('?').next().unwrap()).await;
    assert!(
        page.text.contains("idle_death_days = 9") && page.text.contains("token_body = &#34;json&#34;"),
        "{}",
        page.text
    );
    fields[7] = ("authorization.facts", "colour = \"red\"");
    let refused = browser.form(NEW, &fields).await;
    assert!(refused.status == 400 && refused.text.contains("id=\"authorization.facts-problem\""));
    fields[7] = ("authorization.facts", "refresh_url = \"https://evil.example/\"");
    let refused = browser.form(NEW, &fields).await;
    assert!(
        refused.text.contains("id=\"authorization.facts-problem\"") && refused.text.contains("refresh_url")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn s9_s10_choosing_a_provider_fills_the_form_in_a_browser_and_custom_leaves_it_to_the_person() {
    let app = TestApp::start().await;
    let mut browser = Browser::start().await;
    browser.open(&format!("{}/ui/gateways/new", app.origin)).await;
    browser.fill("[name=email]", &app.administrator().email).await;
    browser.fill("[name=password]", PASSWORD).await;
    browser.click("main button").await;
    browser.open(&format!("{}/ui/gateways/new", app.origin)).await;
    browser.fill("[name=url]", "http://127.0.0.1:9/mcp").await;
    look_closely(&mut browser, "gateway-ask").await;
    browser.check("[name=authorization][value=oauth]").await;
    browser.select("[name='authorization.provider_template']", "github").await;
    browser.expect("Filled in for GitHub").await;
    let url = "[name='authorization.authorization_url']";
    let filled = (browser.value(url).await, browser.value("[name='authorization.token_url']").await);
    assert_eq!(filled.0, "https://github.com/login/oauth/authorize");
    assert_eq!(filled.1, "https://github.com/login/oauth/access_token");
    look_closely(&mut browser, "story-s9").await;
    browser.fill("[name='authorization.client_id']", "acme").await;
    browser.fill("[name='authorization.client_secret']", "canary-of-s9-and-s10").await;
    browser.click("button[value=draft]").await;
    browser.expect("Address for clients").await;

    browser.open(&format!("{}/ui/gateways/new", app.origin)).await;
    browser.fill("[name=url]", "http://127.0.0.1:9/mcp").await;
    browser.check("[name=authorization][value=oauth]").await;
    browser.select("[name='authorization.provider_template']", "custom").await;
    browser.expect("Every field is yours to type").await;
    assert_eq!(browser.value(url).await, "", "nothing is filled in");
    for (field, value) in [
        ("name", "Our own"),
        ("authorization.client_id", "acme"),
        ("authorization.client_secret", "canary-of-s9-and-s10"),
        ("authorization.authorization_url", "http://127.0.0.1:9/authorize"),
        ("authorization.token_url", "http://127.0.0.1:9/token"),
    ] {
        browser.fill(&format!("[name='{field}']"), value).await;
    }
    look_closely(&mut browser, "story-s10").await;
    browser.click("button[value=draft]").await;
    browser.expect("Address for clients").await;
    assert!(browser.text().await.contains("Our own"));
    assert_eq!(browser.leaks(&["canary-of-s9-and-s10"]).await, Vec::<Value>::new());
    assert_eq!(browser.problems().await, Vec::<Value>::new());
}
