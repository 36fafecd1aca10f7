//! Virtual servers, for administrators.

use doorward_testkit::app::TestApp;

#[tokio::test]
async fn a_virtual_server_is_made_filled_named_restricted_and_deleted_by_hand() {
    let app = TestApp::start().await;
    let demo = app.demo().await;
    let gateway = app.register(&demo, "demo").await.id;
    app.connect(app.administrator(), "demo", &demo, "alice").await;
    let browser = app.browser(app.administrator()).await;
    assert!(browser.get("/ui/servers").await.text.contains("No virtual servers yet"));
    assert_eq!(browser.form("/ui/servers/new", &[("name", "")]).await.status, 400);
    let made = browser.form("/ui/servers/new", &[("name", "Desk")]).await;
    let choose = made.header("location").split('?').next().unwrap().to_owned();
    let page = choose.trim_end_matches("/items").to_owned();
    let boxes = browser.get(&choose).await.text;
    let value = format!("{gateway} tool add");
    assert!(boxes.contains(&format!("value=\"{value}\">")), "{boxes}");
    let version = super::hidden(&boxes, "version");
    let ticked = [("items", &*value), ("version", &*version)];
    assert_eq!(browser.form(&choose, &[("items", "x"), ("version", &*version)]).await.status, 400);
    assert_eq!(browser.form(&choose, &ticked).await.status, 303);
    assert!(browser.get(&choose).await.text.contains(&format!("value=\"{value}\" checked")));

    let shown = browser.get(&page).await.text;
    assert!(shown.contains("/servers/desk/mcp") && shown.contains("<code>add</code>"), "{shown}");
    let version = super::hidden(&shown, "version");
    let wrong = [("name", "Desk"), ("as.0", "a b"), ("version", &*version)];
    assert_eq!(browser.form(&page, &wrong).await.status, 400);
    let named = [("name", "Desk"), ("as.0", "sum"), ("version", &*version)];
    assert_eq!(browser.form(&page, &named).await.status, 303);
    // Ticking again keeps the name that was given.
    let version = super::hidden(&browser.get(&choose).await.text, "version");
    assert_eq!(browser.form(&choose, &[("items", &*value), ("version", &*version)]).await.status, 303);
    assert!(browser.get(&page).await.text.contains("value=\"sum\""));

    let access = format!("{page}/access");
    let version = super::hidden(&browser.get(&access).await.text, "version");
    let fields = [("access", "listed"), ("access.users", ""), ("version", &*version)];
    assert_eq!(browser.form(&access, &fields).await.status, 303);
    assert!(browser.get(&page).await.text.contains("Nobody but administrators"));
    let delete = format!("{page}/delete");
    let version = super::hidden(&browser.get(&delete).await.text, "version");
    let deleted = browser.form(&delete, &[("version", &version)]).await;
    assert_eq!(deleted.header("location"), "/ui/servers?note=deleted");
    let eve = app.browser(&app.user("eve").await).await;
    assert_eq!((eve.get("/ui/servers").await.status, eve.get(&page).await.status), (403, 403));
}
