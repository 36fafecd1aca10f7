//! Back from the provider: every answer ends on a clean page that says what happened, and what was
//! replayed, late, foreign or false stores nothing.

use super::cookie_of;
use doorward_demo::Demo;
use doorward_testkit::app::{Person, TestApp};
use doorward_testkit::client::{Answer, Client};
use std::time::Duration;

/// One round trip, stopped just before the way back.
struct Trip {
    browser: Client,
    /// Session and binding cookies.
    cookies: String,
    /// Path and query of the way back.
    back: String,
}

async fn set_out(app: &TestApp, demo: &Demo, person: &Person) -> Trip {
    let browser = app.browser(person).await;
    let began = browser.form("/connect/demo", &[]).await;
    let cookies = format!("{}; {}", browser.cookie(), cookie_of(&began, "doorward-authorization"));
    let back = browser.consent(began.header("location"), demo, "alice").await;
    Trip { back: back.strip_prefix(&app.origin).unwrap().to_owned(), browser, cookies }
}

async fn come_back(app: &TestApp, cookies: &str, path: &str) -> Answer {
    let request = super::outsider().get(format!("{}{path}", app.origin)).header("cookie", cookies);
    app.anonymous().send(request).await
}

/// Comes back, expects to be refused with a code, and reads the page behind it.
async fn refused(app: &TestApp, cookies: &str, path: &str, code: &str) -> String {
    let answer = come_back(app, cookies, path).await;
    let to = answer.header("location").to_owned();
    assert_eq!((answer.status, to.as_str()), (303, format!("/ui/connect-problem?code={code}").as_str()));
    let flash = cookie_of(&answer, "doorward-flash");
    let page = come_back(app, &format!("{cookies}; {flash}"), &to).await;
    assert_eq!(page.status, 400);
    assert!(page.text.contains("Nothing was stored"), "{}", page.text);
    page.text
}

async fn grants(app: &TestApp, person: &Person) -> usize {
    let connections = app.app.broker().connections(&person.caller).await.unwrap();
    connections.iter().filter(|connection| connection.grant.is_some()).count()
}

#[tokio::test]
async fn a_consent_ends_on_a_clean_page_that_says_so_and_a_replay_is_refused() {
    let app = TestApp::start().await;
    let demo = app.demo().await;
    app.register(&demo, "demo").await;
    let alice = app.user("alice").await;
    let trip = set_out(&app, &demo, &alice).await;
    let done = come_back(&app, &trip.cookies, &trip.back).await;
    assert_eq!((done.status, done.header("location")), (303, "/ui/connected/demo"));
    let page = trip.browser.get("/ui/connected/demo").await;
    assert!(page.text.contains("demo is connected") && page.text.contains("Go back to your client"));
    assert!(trip.browser.get("/ui/connections").await.text.contains("Valid"));

    refused(&app, &trip.cookies, &trip.back, "unknown_state").await;
    assert_eq!(grants(&app, &alice).await, 1);
}

#[tokio::test]
async fn what_is_late_foreign_or_false_is_refused_and_nothing_is_stored() {
    let app = TestApp::start().await;
    let demo = app.demo().await;
    app.register(&demo, "demo").await;
    let (alice, bob) = (app.user("alice").await, app.user("bob").await);
    let session = app.browser(&alice).await.cookie().to_owned();
    refused(&app, &session, "/oauth/callback?code=x", "no_state").await;
    refused(&app, &session, "/oauth/callback?state=made-up&code=x", "unknown_state").await;

    let trip = set_out(&app, &demo, &alice).await;
    refused(&app, &session, &trip.back, "other_browser").await;
    let binding = trip.cookies.split("; ").last().unwrap();
    let other = format!("{}; {binding}", app.browser(&bob).await.cookie());
    refused(&app, &other, &trip.back, "other_user").await;
    let forged = format!("{}&iss=https%3A%2F%2Fevil.example", trip.back.replace("&iss=", "&was="));
    assert!(refused(&app, &trip.cookies, &forged, "wrong_issuer").await.contains("cannot be trusted"));

    let trip = set_out(&app, &demo, &alice).await;
    app.clock.advance(Duration::from_secs(11 * 60));
    refused(&app, &trip.cookies, &trip.back, "expired").await;
    assert_eq!(grants(&app, &alice).await, 0);
}

#[tokio::test]
async fn the_providers_words_are_shown_once_and_no_link_can_make_them_up() {
    let app = TestApp::start().await;
    let demo = app.demo().await;
    app.register(&demo, "demo").await;
    let alice = app.user("alice").await;
    let trip = set_out(&app, &demo, &alice).await;
    let failed = trip.back.replace("code=", "error=server_error&was=");
    let shown = refused(&app, &trip.cookies, &failed, "provider_error").await;
    assert!(shown.contains("server_error"), "{shown}");
    let again = trip.browser.get("/ui/connect-problem?code=provider_error").await;
    assert!(again.text.contains("was shown once and is gone"));
    let words = trip.browser.get("/ui/connect-problem?code=Call+us+at+555").await;
    assert_eq!(words.status, 404);
}

#[tokio::test]
async fn who_says_no_or_lost_their_session_is_told_how_to_go_on() {
    let app = TestApp::start().await;
    let demo = app.demo().await;
    app.register(&demo, "demo").await;
    let alice = app.user("alice").await;
    let trip = set_out(&app, &demo, &alice).await;
    let signed_out = come_back(&app, "x=y", &trip.back).await;
    assert_eq!(signed_out.header("location"), "/ui/connect-problem?code=signed_out");
    assert!(
        app.anonymous()
            .get("/ui/connect-problem?code=signed_out")
            .await
            .text
            .contains("Sign in and start again")
    );

    let denied =
        come_back(&app, &trip.cookies, &trip.back.replace("code=", "error=access_denied&was=")).await;
    assert_eq!(denied.header("location"), "/ui/connect-problem?code=denied&gateway=demo");
    let page = trip.browser.get("/ui/connect-problem?code=denied&gateway=demo").await;
    assert_eq!(page.status, 200);
    assert!(page.text.contains("href=\"/connect/demo\""));
    assert_eq!(grants(&app, &alice).await, 0);
    assert_eq!(trip.browser.get("/ui/connected/demo").await.header("location"), "/ui/connections");
}
