//! Accepting and declining in "My connections", by forms that need no script.

use doorward_domain::{DepositPolicy, Policy};
use doorward_testkit::app::{ADMINISTRATOR, Person, TestApp, TestAppOptions};
use doorward_testkit::client::Client;
use serde_json::json;

/// The value of the first hidden field `version` of a page.
fn version(page: &str) -> &str {
    page.split("name=\"version\" value=\"").nth(1).unwrap().split('"').next().unwrap()
}

async fn deposit(app: &TestApp, demo: &doorward_demo::Demo, gateway: &str, person: &Person) {
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
