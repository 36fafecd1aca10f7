//! The flow inspector's pages: from the reference of an error page to the step that failed and its likely fix.

use super::cookie_of;
use doorward_demo::TokenFault;
use doorward_testkit::app::TestApp;

#[tokio::test]
async fn the_reference_of_an_error_page_leads_an_administrator_to_the_step_that_failed() {
    let app = TestApp::start().await;
    let demo = app.demo().await;
    let gateway = app.register(&demo, "demo").await;
    let alice = app.user("alice").await;
    demo.authorization_server.faults().next_token_answer(TokenFault::RefusedSaying {
        status: 400,
        error: "invalid_scope".to_owned(),
        description: "<b>notes</b> is no scope".to_owned(),
    });
    let browser = app.browser(&alice).await;
    let began = browser.form("/connect/demo", &[]).await;
    let binding = cookie_of(&began, "doorward-authorization");
    let back = browser.consent(began.header("location"), &demo, "alice").await;
    let with = async |path: &str, cookie: &str| {
        let cookies = format!("{}; {cookie}", browser.cookie());
        let request = super::outsider().get(format!("{}{path}", app.origin)).header("cookie", cookies);
        browser.send(request).await
    };
    let landed = with(back.strip_prefix(&app.origin).unwrap(), &binding).await;
    let flash = cookie_of(&landed, "doorward-flash");
    let shown = with(landed.header("location"), &flash).await;
    let (_, rest) = shown.text.split_once("under the reference ").unwrap_or_else(|| panic!("{}", shown.text));
    let reference = rest.split('.').next().unwrap();

    let root = app.browser(app.administrator()).await;
    let found = root.get(&format!("/ui/attempts?reference={reference}")).await;
    assert_eq!(found.status, 303, "{found:?}");
    let page = root.get(found.header("location")).await.text;
    for words in ["alice@test.example at demo", "Likely fix", "invalid_scope", "No tokens came", reference] {
        assert!(page.contains(words), "{words}: {page}");
    }
    assert!(page.contains("&#60;b&#62;notes") && !page.contains("<b>notes"), "the provider's words are text");
    let of_gateway = root.get(&format!("/ui/gateways/{}", gateway.id)).await.text;
    assert!(of_gateway.contains(&format!("/ui/attempts?gateway={}", gateway.id)), "{of_gateway}");
    let audit = root.get("/ui/audit?action=authorization.refused").await.text;
    assert!(audit.contains(&format!("/ui/attempts?reference={reference}")), "{audit}");

    assert_eq!(browser.get(found.header("location")).await.status, 404, "it is for administrators");
    assert_eq!(browser.get("/ui/attempts").await.status, 403);
    let unknown = root.get("/ui/attempts?reference=nothing").await;
    assert!(unknown.status == 200 && unknown.text.contains("Nothing matches"));
    assert_eq!(root.get("/ui/attempts/nonsense").await.status, 404);
}
