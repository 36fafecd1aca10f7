//! People, for administrators.

use super::anonymous_form;
use doorward_testkit::app::TestApp;

#[tokio::test]
async fn a_new_person_gets_a_link_and_chooses_a_password() {
    let app = TestApp::start().await;
    let browser = app.browser(app.administrator()).await;
    assert_eq!(browser.form("/ui/people/new", &[("email", "x"), ("role", "user")]).await.status, 400);
    assert_eq!(browser.form("/ui/people/new", &[("email", "x@y"), ("role", "king")]).await.status, 400);
    let made = browser.form("/ui/people/new", &[("email", "new@a.example"), ("role", "user")]).await;
    assert_eq!(made.status, 200);
    let token = made.text.split_once("/ui/reset?token=").unwrap().1.split('<').next().unwrap();
    assert!(browser.get("/ui/people").await.text.contains("Invited"));
    let page = format!("/ui/reset?token={token}");
    let done =
        anonymous_form(&app, &page, "/ui/reset", &[("token", token), ("password", "long enough now")]).await;
    assert_eq!(done.status, 303);
    let taken = browser.form("/ui/people/new", &[("email", "NEW@a.example"), ("role", "user")]).await;
    assert!(taken.status == 409 && taken.text.contains("Another person has this e-mail address."));
}

#[tokio::test]
async fn a_disabled_person_is_out_at_once_and_may_come_back() {
    let app = TestApp::start().await;
    let alice = app.user("alice").await;
    let theirs = app.browser(&alice).await;
    let browser = app.browser(app.administrator()).await;
    let act = async |verb: &str| {
        let path = format!("/ui/people/{}/{verb}", alice.id);
        let version = super::hidden(&browser.get(&path).await.text, "version");
        browser.form(&path, &[("version", &version)]).await
    };
    assert_eq!(act("disable").await.header("location"), "/ui/people?note=person-disabled");
    assert_eq!(theirs.get("/ui").await.status, 303);
    assert!(browser.get("/ui/people").await.text.contains("Disabled"));
    assert_eq!(act("enable").await.header("location"), "/ui/people?note=person-enabled");
    assert_eq!(browser.get(&format!("/ui/people/{}/explode", alice.id)).await.status, 404);
    let you = format!("/ui/people/{}/disable", app.administrator().id);
    let version = super::hidden(&browser.get(&you).await.text, "version");
    assert_eq!(browser.form(&you, &[("version", &version)]).await.status, 409);
}

#[tokio::test]
async fn administration_is_given_and_taken_but_nobody_takes_their_own() {
    let app = TestApp::start().await;
    let alice = app.user("alice").await;
    let theirs = app.browser(&alice).await;
    let browser = app.browser(app.administrator()).await;
    let give = async |id: doorward_domain::UserId, role: &str| {
        let path = format!("/ui/people/{id}/role");
        let version = super::hidden(&browser.get(&path).await.text, "version");
        browser.form(&path, &[("version", &version), ("role", role)]).await
    };
    let made = give(alice.id, "administrator").await;
    assert_eq!(made.header("location"), "/ui/people?note=person-role");
    assert_eq!(theirs.get("/ui/people/new").await.status, 200);
    assert_eq!(give(alice.id, "auditor").await.status, 303);
    let shown = theirs.get("/ui/people").await;
    assert!(
        shown.text.contains("Auditor") && !shown.text.contains("/ui/people/new"),
        "it reads, it changes nothing"
    );
    assert_eq!(give(alice.id, "user").await.status, 303);
    assert_eq!(theirs.get("/ui/people").await.status, 403);
    let refused = give(alice.id, "emperor").await;
    assert!(refused.status == 400 && refused.text.contains("There is no such role"));
    assert_eq!(give(app.administrator().id, "user").await.status, 409);
}

#[tokio::test]
async fn people_are_not_for_users() {
    let app = TestApp::start().await;
    let alice = app.user("alice").await;
    let browser = app.browser(&alice).await;
    for path in ["/ui/people", "/ui/people/new", &format!("/ui/people/{}/disable", alice.id)] {
        assert_eq!(browser.get(path).await.status, 403, "{path}");
    }
    let overview = browser.get("/ui").await;
    assert!(!overview.text.contains("/ui/people") && !overview.text.contains("/ui/gateways"));
}
