//! The page of the audit trail: sentences, filters that the address keeps, and the way to the export.

use doorward_testkit::app::TestApp;

#[tokio::test]
async fn events_read_as_sentences_with_all_their_facts() {
    let app = TestApp::start().await;
    let demo = app.demo().await;
    app.register(&demo, "demo").await;
    app.user("alice").await;
    let browser = app.browser(app.administrator()).await;
    let page = browser.get("/ui/audit").await;
    for said in
        ["Created a person", "Registered a gateway", "root@test.example", "Hash before", "Newest event:"]
    {
        assert!(page.text.contains(said), "{said}: {}", page.text);
    }
    let narrow = browser.get("/ui/audit?action=gateway.").await;
    assert!(narrow.text.contains("Registered a gateway") && !narrow.text.contains("Created a person"));
    assert!(
        narrow.text.contains("/admin/audit/export?format=csv&amp;action=gateway.")
            || narrow.text.contains("/admin/audit/export?format=csv&#38;action=gateway.")
    );
    assert!(!narrow.text.contains("Newest event:"), "a filtered list does not begin at the head");
    let export = browser.get("/admin/audit/export?format=csv&action=gateway.").await;
    assert!(export.status == 200 && export.text.contains("gateway.create"));
}

#[tokio::test]
async fn a_person_is_found_by_address_and_a_slip_is_said() {
    let app = TestApp::start().await;
    let alice = app.user("alice").await;
    let browser = app.browser(app.administrator()).await;
    for who in ["alice@test.example", &alice.id.to_string()] {
        let page = browser.get(&format!("/ui/audit?person={who}")).await;
        assert!(page.text.contains("Created a person") && page.status == 200, "{who}");
    }
    let nobody = browser.get("/ui/audit?person=nobody@test.example").await;
    assert!(nobody.status == 400 && nobody.text.contains("Nobody has this e-mail address or id."));
    let never = browser.get("/ui/audit?from=1999-01-01&to=1999-12-31").await;
    assert!(never.status == 200 && never.text.contains("No such event"));
    let slip = browser.get("/ui/audit?from=yesterday").await;
    assert!(slip.status == 400 && slip.text.contains("Choose a day."));
    assert_eq!(browser.get("/ui/audit?actor=system&subject=x&reference=y&address=z").await.status, 200);
}

#[tokio::test]
async fn a_long_trail_comes_in_pages_that_keep_the_filter() {
    let app = TestApp::start().await;
    let browser = app.browser(app.administrator()).await;
    for number in 0..51 {
        app.user(&format!("person{number}")).await;
    }
    let first = browser.get("/ui/audit?action=user.").await;
    let (_, rest) = first.text.split_once("href=\"/ui/audit?action=user.").expect("there is an older page");
    let older = rest.split('"').next().unwrap().replace("&amp;", "&").replace("&#38;", "&");
    let second = browser.get(&format!("/ui/audit?action=user.{older}")).await;
    assert!(second.text.contains("Created a person") && !second.text.contains("Older →"), "{}", second.text);
}

#[tokio::test]
async fn the_pages_of_operation_are_not_for_users() {
    let app = TestApp::start().await;
    let alice = app.user("alice").await;
    let browser = app.browser(&alice).await;
    for path in
        ["/ui/audit", "/ui/cleanup", "/ui/cleanup/run", "/ui/keys", "/ui/keys/rotate", "/ui/keys/k1/retire"]
    {
        assert_eq!(browser.get(path).await.status, 403, "{path}");
    }
    for path in [
        "/ui/cleanup/run",
        "/ui/cleanup/dry-run",
        "/ui/cleanup/held",
        "/ui/keys/rotate",
        "/ui/keys/k1/retire",
    ] {
        assert_eq!(browser.form(path, &[("expected_count", "1")]).await.status, 403, "{path}");
    }
    let overview = browser.get("/ui").await.text;
    assert!(!overview.contains("href=\"/ui/audit\"") && !overview.contains("href=\"/ui/keys\""));
}
