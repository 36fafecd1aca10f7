//! The newcomer's way in a real browser: setup, a gateway by discovery, connect, done.

use doorward_testkit::app::{PASSWORD, TestApp, TestAppOptions};
use doorward_testkit::browser::Browser;
use serde_json::Value;

#[tokio::test(flavor = "multi_thread")]
async fn a_newcomer_gets_from_the_setup_link_to_a_connected_server() {
    let app = TestApp::with(TestAppOptions { without_administrator: true, ..Default::default() }).await;
    let demo = app.demo().await;
    let link = app.app.broker().create_setup_link().await.unwrap();
    let mut browser = Browser::start().await;
    browser.open(link.as_str()).await;
    browser.fill("[name=email]", "first@a.example").await;
    browser.fill("[name=password]", PASSWORD).await;
    browser.click("main button").await;
    browser.expect("First steps").await;

    browser.open(&format!("{}/ui/gateways/new", app.origin)).await;
    browser.fill("[name=url]", demo.mcp_server.url().as_str()).await;
    browser.click("button[value=discover]").await;
    browser.expect("guards this server").await;
    browser.fill("[name=name]", "Demo").await;
    browser.click("button[value=publish]").await;
    browser.expect("Saved and published").await;

    browser.open(&format!("{}/connect/demo", app.origin)).await;
    browser.click("main button.primary").await;
    let account = &demo.authorization_server.accounts()[0];
    browser.fill("[name=password]", &account.password).await;
    browser.click("button[value=allow]").await;
    browser.expect("Demo is connected").await;
    assert_eq!(browser.url().await, format!("{}/ui/connected/demo", app.origin));

    browser.open(&format!("{}/ui/connect-a-client", app.origin)).await;
    browser.fill("[name=name]", "Editor").await;
    browser.click("main form button.primary").await;
    browser.expect("Your new token").await;
    browser.open(&format!("{}/ui", app.origin)).await;
    browser.expect("You are all set").await;
    assert_eq!(browser.problems().await, Vec::<Value>::new(), "neither script errors nor policy violations");
}
