//! Forged requests: no token, somebody else's token, another site. What every route refuses is asked of every
//! route there is.

use super::{outsider, routes};
use doorward_testkit::app::{Person, TestApp};
use doorward_testkit::client::Client;

async fn post(app: &TestApp, browser: &Client, site: Option<&str>, origin: Option<&str>, csrf: &str) -> u16 {
    let mut request = outsider()
        .post(format!("{}/ui/tokens/new", app.origin))
        .header("cookie", browser.cookie())
        .form(&[("name", "x"), ("audience", "mcp"), ("days", "1"), ("csrf", csrf)]);
    for (name, value) in [("sec-fetch-site", site), ("origin", origin)] {
        if let Some(value) = value {
            request = request.header(name, value);
        }
    }
    request.send().await.unwrap().status().as_u16()
}

async fn tokens_of(app: &TestApp, person: &Person) -> usize {
    app.app.broker().api_tokens(&person.caller).await.unwrap().len()
}

#[tokio::test]
async fn a_form_counts_only_from_our_own_page_in_this_browser() {
    let app = TestApp::start().await;
    let (alice, bob) = (app.user("alice").await, app.user("bob").await);
    let browser = app.browser(&alice).await;
    let others = app.browser(&bob).await;
    let csrf = browser.csrf().to_owned();
    for (site, origin, token) in [
        (Some("same-origin"), None, ""),
        (Some("same-origin"), None, others.csrf()),
        (Some("cross-site"), None, &*csrf),
        (Some("same-site"), None, &*csrf),
        (Some("cross-site"), Some(&*app.origin), &*csrf),
        (None, Some("https://evil.example"), &*csrf),
        (None, Some("null"), &*csrf),
        (None, None, &*csrf),
    ] {
        assert_eq!(post(&app, &browser, site, origin, token).await, 403, "{site:?} {origin:?}");
    }
    assert_eq!(tokens_of(&app, &alice).await, 0);
    assert_eq!(post(&app, &browser, Some("same-origin"), None, &csrf).await, 200);
    assert_eq!(post(&app, &browser, None, Some(&app.origin), &csrf).await, 200);
    assert_eq!(tokens_of(&app, &alice).await, 2);
}

#[tokio::test]
async fn a_refused_form_says_what_to_do() {
    let app = TestApp::start().await;
    let browser = app.browser(app.administrator()).await;
    let request = outsider().post(format!("{}/ui/logout", app.origin)).header("cookie", browser.cookie());
    let answer = request.form(&[("x", "y")]).send().await.unwrap();
    assert_eq!(answer.status(), 403);
    let text = answer.text().await.unwrap();
    assert!(
        text.contains("This form could not be trusted") && text.contains("Nothing was changed"),
        "{text}"
    );
    assert_eq!(browser.get("/ui").await.status, 200, "the session lives on");
}

#[tokio::test]
async fn every_route_that_takes_a_form_refuses_a_forged_one() {
    let app = TestApp::start().await;
    let browser = app.browser(app.administrator()).await;
    let others = app.browser(&app.user("alice").await).await;
    let posting: Vec<_> = routes::all().into_iter().filter(|route| route.post).collect();
    assert!(posting.len() > 15, "{posting:?}");
    for route in posting {
        for (site, csrf) in [
            ("same-origin", ""),
            ("same-origin", "made-up"),
            ("same-origin", others.csrf()),
            ("cross-site", browser.csrf()),
            ("same-site", browser.csrf()),
        ] {
            let request = outsider()
                .post(format!("{}{}", app.origin, routes::filled(&route.path)))
                .header("cookie", browser.cookie())
                .header("sec-fetch-site", site)
                .form(&[("csrf", csrf)]);
            let answer = request.send().await.unwrap();
            assert_eq!(answer.status(), 403, "{} {site} {csrf}", route.path);
            let text = answer.text().await.unwrap();
            assert!(text.contains("This form could not be trusted"), "{}: {text}", route.path);
        }
    }
}

#[tokio::test]
async fn every_answer_of_a_page_route_carries_what_guards_it() {
    let app = TestApp::start().await;
    let browser = app.browser(app.administrator()).await;
    for route in routes::all() {
        let path = routes::filled(&route.path);
        let answers =
            [browser.get(&path).await, app.anonymous().get(&path).await, browser.form(&path, &[]).await];
        for answer in answers {
            let is_file = route.path.starts_with("/ui/static/");
            let policy = answer.header("content-security-policy");
            assert!(
                policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"),
                "{path}: {policy}"
            );
            for (name, value) in [
                ("x-content-type-options", "nosniff"),
                ("x-frame-options", "DENY"),
                ("referrer-policy", "same-origin"),
            ] {
                assert_eq!(answer.header(name), value, "{path}: {name}");
            }
            assert!(is_file || answer.header("cache-control") == "no-store", "{path}");
            assert_ne!(answer.status, 500, "{path}");
        }
    }
}
