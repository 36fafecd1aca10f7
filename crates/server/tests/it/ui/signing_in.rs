//! Setup by link, login, logout, throttling, reset.

use super::{anonymous_form, cookie_of};
use doorward_testkit::app::{ADMINISTRATOR, PASSWORD, TestApp, TestAppOptions};

async fn path_of_setup_link(app: &TestApp) -> String {
    let link = app.app.broker().create_setup_link().await.unwrap();
    format!("{}?{}", link.path(), link.query().unwrap())
}

#[tokio::test]
async fn a_setup_link_makes_the_first_administrator_once_and_opening_it_uses_nothing_up() {
    let app = TestApp::with(TestAppOptions { without_administrator: true, ..Default::default() }).await;
    let link = path_of_setup_link(&app).await;
    for _ in 0..3 {
        let shown = app.anonymous().get(&link).await;
        assert_eq!(shown.status, 200);
        assert!(shown.text.contains("Welcome to Doorward"));
    }
    let token = link.split_once("token=").unwrap().1;
    let weak = [("token", token), ("email", "first@a.example"), ("name", ""), ("password", "short")];
    let refused = anonymous_form(&app, &link, "/ui/setup", &weak).await;
    assert_eq!(refused.status, 400);
    assert!(refused.text.contains("Use at least 10 characters.") && refused.text.contains("first@a.example"));

    let fields = [("token", token), ("email", "first@a.example"), ("name", "First"), ("password", PASSWORD)];
    let made = anonymous_form(&app, &link, "/ui/setup", &fields).await;
    assert_eq!((made.status, made.header("location")), (303, "/ui"));
    let browser = app.anonymous().with_session(&cookie_of(&made, "doorward-session")).await;
    assert!(browser.get("/ui").await.text.contains("First steps"));

    assert!(app.anonymous().get(&link).await.text.contains("Doorward is set up already"));
}

#[tokio::test]
async fn a_wrong_setup_link_says_how_to_get_a_new_one() {
    let app = TestApp::with(TestAppOptions { without_administrator: true, ..Default::default() }).await;
    let shown = app.anonymous().get("/ui/setup?token=made-up").await;
    assert_eq!(shown.status, 410);
    assert!(shown.text.contains("doorward admin setup-link"));
    let login = app.anonymous().get("/ui/login").await;
    assert!(login.text.contains("Nobody administers this Doorward yet"));
}

#[tokio::test]
async fn a_login_leads_on_to_where_one_wanted_to_go_and_never_elsewhere() {
    let app = TestApp::start().await;
    let asked = app.anonymous().get("/ui/tokens").await;
    assert_eq!((asked.status, asked.header("location")), (303, "/ui/login?next=%2Fui%2Ftokens"));

    let log_in = async |next: &str| {
        let fields = [("email", ADMINISTRATOR), ("password", PASSWORD), ("next", next)];
        anonymous_form(&app, "/ui/login", "/ui/login", &fields).await
    };
    let inside = log_in("/ui/tokens").await;
    assert_eq!((inside.status, inside.header("location")), (303, "/ui/tokens"));
    for elsewhere in ["//evil.example", "https://evil.example/", "/\\evil.example"] {
        assert_eq!(log_in(elsewhere).await.header("location"), "/ui", "{elsewhere}");
    }
}

#[tokio::test]
async fn a_login_gives_a_session_and_a_logout_ends_it() {
    let app = TestApp::start().await;
    let fields = [("email", ADMINISTRATOR), ("password", PASSWORD)];
    let login = anonymous_form(&app, "/ui/login", "/ui/login", &fields).await;
    let cookie = cookie_of(&login, "doorward-session");
    let line = login.headers.get_all("set-cookie").iter().next().unwrap().to_str().unwrap();
    assert!(line.contains("HttpOnly") && line.contains("SameSite=Lax") && line.contains("Path=/"), "{line}");
    let browser = app.anonymous().with_session(&cookie).await;
    assert_eq!(browser.get("/ui").await.status, 200);
    assert_eq!(browser.get("/ui/login").await.status, 303, "who is signed in needs no login");

    let out = browser.form("/ui/logout", &[]).await;
    assert_eq!((out.status, out.header("location")), (303, "/ui/login"));
    assert_eq!(browser.get("/ui").await.status, 303);
}

#[tokio::test]
async fn wrong_passwords_look_like_unknown_people_and_are_slowed_down() {
    let app = TestApp::start().await;
    let log_in = async |email: &str, password: &str| {
        anonymous_form(&app, "/ui/login", "/ui/login", &[("email", email), ("password", password)]).await
    };
    let wrong = log_in(ADMINISTRATOR, "not this one").await;
    let unknown = log_in("nobody@test.example", "not this one").await;
    assert_eq!((wrong.status, unknown.status), (400, 400));
    assert!(wrong.text.contains("The e-mail address or the password is wrong."));
    assert!(!wrong.text.contains("not this one"), "a typed password never comes back");
    let mut last = wrong;
    for _ in 0..10 {
        last = log_in(ADMINISTRATOR, "not this one").await;
    }
    assert_eq!(last.status, 429);
    assert!(last.header("retry-after").parse::<u64>().unwrap() > 0);
    assert!(last.text.contains("Too many attempts"));
}

#[tokio::test]
async fn a_reset_link_sets_a_password_once_and_ends_what_was_open() {
    let app = TestApp::start().await;
    let alice = app.user("alice").await;
    let before = app.browser(&alice).await;
    let admin = app.browser(app.administrator()).await;
    let shown = admin.form(&format!("/ui/people/{}/reset-link", alice.id), &[]).await;
    let link = shown.text.split_once("/ui/reset?token=").unwrap().1.split('<').next().unwrap().to_owned();
    let page = format!("/ui/reset?token={link}");
    assert_eq!(app.anonymous().get(&page).await.status, 200);

    let short = anonymous_form(&app, &page, "/ui/reset", &[("token", &link), ("password", "short")]).await;
    assert_eq!(short.status, 400);
    let reset =
        anonymous_form(&app, &page, "/ui/reset", &[("token", &link), ("password", "a new long one")]).await;
    assert_eq!((reset.status, reset.header("location")), (303, "/ui"));
    assert_eq!(before.get("/ui").await.status, 303, "the session from before has ended");
    assert_eq!(app.anonymous().get(&page).await.status, 410);
}

#[tokio::test]
async fn a_login_gives_a_new_session_and_ends_the_one_before() {
    let app = TestApp::start().await;
    let alice = app.user("alice").await;
    let before = app.browser(&alice).await;
    let fields = [("email", alice.email.as_str()), ("password", PASSWORD)];
    let again = before.form("/ui/login", &fields).await;
    let fresh = cookie_of(&again, "doorward-session");
    assert!(again.status == 303 && !fresh.is_empty() && fresh != before.cookie());
    assert_eq!(before.get("/ui").await.status, 303, "the session before has ended");
    assert_eq!(app.anonymous().with_session(&fresh).await.get("/ui").await.status, 200);
    let planted = app.anonymous().with_session("doorward-session=chosen-by-somebody-else").await;
    assert_eq!(planted.get("/ui").await.status, 303, "no session is made from what a browser brings");
}
