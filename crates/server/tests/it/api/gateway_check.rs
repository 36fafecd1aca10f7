//! `POST /gateways/{id}/check`, the button, and `doorward doctor --gateway`: the same look, three ways.

use doorward_domain::Audience;
use doorward_testkit::app::TestApp;
use serde_json::{Value, json};

async fn gateway(app: &TestApp) -> (String, doorward_demo::Demo) {
    let demo = app.demo().await;
    let body = json!({"url": demo.mcp_server.url(), "slug": "demo", "authorization": {"type": "discover"}});
    let made = app.admin_client().await.post("/gateways", &body).await;
    assert_eq!(made.status, 201, "{made:?}");
    (made.json["id"].as_str().unwrap().to_owned(), demo)
}

fn finding<'a>(answer: &'a Value, subject: &str) -> &'a Value {
    let findings = answer["findings"].as_array().unwrap();
    findings.iter().find(|found| found["subject"] == subject).unwrap_or_else(|| panic!("{answer:#}"))
}

#[tokio::test]
async fn m11_an_administrator_has_a_gateway_examined_and_nobody_else_has() {
    let app = TestApp::start().await;
    let (id, demo) = gateway(&app).await;
    let path = format!("/gateways/{id}/check");
    let checked = app.admin_client().await.post(&path, &json!(null)).await;
    assert_eq!((checked.status, &checked.json["passes"]), (200, &json!(true)), "{checked:?}");
    assert_eq!(finding(&checked.json, "client_authentication")["verdict"], "good");
    assert_eq!(demo.authorization_server.log().consents, 0);
    let alice = app.client(&app.user("alice").await, Audience::Admin).await;
    assert_eq!(alice.post(&path, &json!(null)).await.status, 403);
}

#[tokio::test]
async fn m11_the_page_says_beforehand_what_it_does_and_then_what_it_found() {
    let app = TestApp::start().await;
    let (id, demo) = gateway(&app).await;
    let browser = app.browser(app.administrator()).await;
    let path = format!("/ui/gateways/{id}/check");
    assert!(browser.get(&format!("/ui/gateways/{id}")).await.text.contains(&path));
    let asked = browser.get(&path).await;
    assert!(
        asked.text.contains("Nobody logs in") && demo.authorization_server.log().token_requests.is_empty()
    );
    let found = browser.form(&path, &[]).await;
    assert!(
        found.status == 200 && found.text.contains("Nothing is wrong that could be seen"),
        "{}",
        found.text
    );
    let test = browser.get(&format!("/ui/gateways/{id}/test")).await;
    assert!(test.text.contains("You sign in at the provider as a user would"), "{}", test.text);
    let none = browser.get(&format!("/ui/gateways/{id}/tested")).await;
    assert_eq!(none.header("location"), format!("/ui/gateways/{id}"));
}

#[tokio::test]
async fn m11_a_test_login_leads_to_what_it_brought() {
    let app = TestApp::start().await;
    let (id, demo) = gateway(&app).await;
    let browser = app.browser(app.administrator()).await;
    let began = browser.form(&format!("/ui/gateways/{id}/test"), &[]).await;
    assert_eq!(began.status, 303, "{began:?}");
    let back = browser.consent(began.header("location"), &demo, "alice").await;
    let cookie = began.header("set-cookie").split(';').next().unwrap().to_owned();
    let back = back.strip_prefix(&app.origin).unwrap();
    let request = |path: &str, more: &str| browser.request(http::Method::GET, path).header("cookie", more);
    let returned = browser.send(request(back, &cookie)).await;
    assert_eq!(returned.header("location"), format!("/ui/gateways/{id}/tested"), "{returned:?}");
    let result = returned.headers.get_all("set-cookie").iter();
    let mut result = result.map(|value| value.to_str().unwrap().split(';').next().unwrap().to_owned());
    let result = result.find(|cookie| cookie.starts_with("doorward-test-result=")).unwrap();
    let shown = browser.send(request(&format!("/ui/gateways/{id}/tested"), &result)).await;
    assert!(shown.text.contains("A refresh token came with it"), "{}", shown.text);
    assert!(
        app.admin_client().await.get("/admin/oauth/tokens").await.json["items"]
            .as_array()
            .unwrap()
            .is_empty()
    );
}
