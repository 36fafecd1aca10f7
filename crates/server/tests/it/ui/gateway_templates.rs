//! S9 and S10: a template fills the form of a gateway, with a script and without; Custom leaves it to the person.

use super::look_closely;
use doorward_testkit::app::{PASSWORD, TestApp};
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
