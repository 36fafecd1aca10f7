//! Groups, and who may use a gateway, for administrators.

use doorward_testkit::app::TestApp;

#[tokio::test]
async fn a_group_is_made_filled_renamed_and_deleted_by_hand() {
    let app = TestApp::start().await;
    let alice = app.user("alice").await;
    let browser = app.browser(app.administrator()).await;
    assert!(browser.get("/ui/groups").await.text.contains("No groups yet"));
    assert_eq!(browser.form("/ui/groups/new", &[("name", " ")]).await.status, 400);
    let made = browser.form("/ui/groups/new", &[("name", "Ops")]).await;
    let group = made.header("location").split('?').next().unwrap().to_owned();
    assert!(made.status == 303 && group.starts_with("/ui/groups/"), "{made:?}");
    assert_eq!(browser.form("/ui/groups/new", &[("name", "ops")]).await.status, 409);

    let unknown = browser.form(&group, &[("do", "join"), ("email", "nobody@test.example")]).await;
    assert!(unknown.status == 400 && unknown.text.contains("Nobody has the e-mail address"), "{unknown:?}");
    assert_eq!(browser.form(&group, &[("do", "join"), ("email", &alice.email)]).await.status, 303);
    let shown = browser.get(&group).await.text;
    assert!(shown.contains(&alice.email) && shown.contains("1 person in it"), "{shown}");

    let version = super::hidden(&shown, "version");
    let rename = [("do", "rename"), ("name", "Operations"), ("version", &*version)];
    assert_eq!(browser.form(&group, &rename).await.status, 303);
    assert_eq!(browser.form(&group, &rename).await.status, 412, "the form was made from an older version");

    let remove = format!("{group}/members/{}/remove", alice.id);
    assert!(browser.get(&remove).await.text.contains("Take alice out of Operations?"));
    assert!(browser.get(&group).await.text.contains(&alice.email), "asking changes nothing");
    assert_eq!(browser.form(&remove, &[]).await.status, 303);
    assert_eq!(browser.form(&remove, &[]).await.status, 404);
    let delete = format!("{group}/delete");
    let version = super::hidden(&browser.get(&delete).await.text, "version");
    assert_eq!(
        browser.form(&delete, &[("version", &version)]).await.header("location"),
        "/ui/groups?note=deleted"
    );
    assert_eq!(browser.get(&group).await.status, 404);
}

#[tokio::test]
async fn who_may_use_a_gateway_is_set_on_its_page() {
    let app = TestApp::start().await;
    let demo = app.demo().await;
    let gateway = app.register(&demo, "demo").await;
    let (alice, bob) = (app.user("alice").await, app.user("bob").await);
    let admin = &app.administrator().caller;
    let group = app.app.broker().create_group(admin, "Ops").await.unwrap().id;
    app.app.broker().join_group(admin, group, bob.id).await.unwrap();
    let browser = app.browser(app.administrator()).await;
    let (page, path) =
        (format!("/ui/gateways/{}", gateway.id), format!("/ui/gateways/{}/access", gateway.id));
    assert!(browser.get(&page).await.text.contains("Everyone"));
    let shown = browser.get(&path).await.text;
    assert!(shown.contains("Ops") && shown.contains("1 person"), "{shown}");

    let version = super::hidden(&shown, "version");
    let id = group.to_string();
    let wrong = [("access", "listed"), ("access.users", "alice@nowhere"), ("version", &*version)];
    let refused = browser.form(&path, &wrong).await;
    assert!(refused.status == 400 && refused.text.contains("alice@nowhere"), "{refused:?}");
    let fields = [
        ("access", "listed"),
        ("access.groups", &*id),
        ("access.users", "ALICE@test.example"),
        ("version", &*version),
    ];
    assert_eq!(browser.form(&path, &fields).await.status, 303);
    assert!(browser.get(&page).await.text.contains("1 group and 1 person"));
    let again = browser.get(&path).await.text;
    assert!(
        again.contains("alice@test.example") && again.contains(&format!("value=\"{id}\" checked")),
        "{again}"
    );
    for person in [&alice, &bob] {
        assert_eq!(app.browser(person).await.get("/connect/demo").await.status, 200);
    }
    let eve = app.browser(&app.user("eve").await).await;
    assert_eq!(eve.get("/connect/demo").await.status, 404);
    assert_eq!(eve.get("/ui/groups").await.status, 403);
    assert_eq!(eve.get(&path).await.status, 403);
}
