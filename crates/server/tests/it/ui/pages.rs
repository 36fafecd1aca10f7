//! What holds for every page: the policy it comes under, the host it is served on, and its files.

use super::outsider;
use doorward_testkit::app::TestApp;

const PAGES: [&str; 13] = [
    "/ui",
    "/ui/connections",
    "/ui/tokens",
    "/ui/tokens/new",
    "/ui/connect-a-client",
    "/ui/oauth-tokens",
    "/ui/oauth-tokens/ended",
    "/ui/sessions",
    "/ui/people",
    "/ui/people/new",
    "/ui/gateways",
    "/ui/gateways/new",
    "/ui/no/such/page",
];

#[tokio::test]
async fn every_page_comes_under_a_policy_that_lets_only_our_own_files_run() {
    let app = TestApp::start().await;
    let browser = app.browser(app.administrator()).await;
    for path in PAGES.into_iter().chain([
        "/ui/setup?token=x",
        "/ui/reset?token=x",
        "/ui/connect-problem?code=expired",
    ]) {
        let page = browser.get(path).await;
        let policy = page.header("content-security-policy");
        for part in [
            "default-src 'none'",
            "script-src 'self';",
            "style-src 'self';",
            "frame-ancestors 'none'",
            "base-uri 'none'",
            "form-action 'self'",
        ] {
            assert!(policy.contains(part), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{path}");
        assert_eq!(page.header("cache-control"), "no-store", "{path}");
        assert_eq!(page.header("x-content-type-options"), "nosniff", "{path}");
        assert!(page.header("content-type").starts_with("text/html"), "{path}");
    }
    let login = app.anonymous().get("/ui/login").await;
    assert!(login.header("content-security-policy").ends_with("form-action 'self'"));
}

#[tokio::test]
async fn pages_ask_who_is_not_signed_in_to_sign_in() {
    let app = TestApp::start().await;
    for path in PAGES.into_iter().filter(|path| !path.contains("no/such")) {
        let answer = app.anonymous().get(path).await;
        assert_eq!(answer.status, 303, "{path}");
        assert!(answer.header("location").starts_with("/ui/login?next="), "{path}");
    }
    assert_eq!(app.anonymous().get("/").await.header("location"), "/ui");
}

#[tokio::test]
async fn a_page_under_another_name_is_sent_to_the_public_one() {
    let app = TestApp::start().await;
    let request = outsider().get(format!("{}/ui/login?next=/ui", app.origin)).header("host", "localhost:1");
    let answer = request.send().await.unwrap();
    assert!(answer.status().is_redirection());
    assert_eq!(answer.headers()["location"], format!("{}/ui/login?next=/ui", app.origin));
}

#[tokio::test]
async fn style_and_script_are_kept_for_ever_and_an_unknown_file_is_not_found() {
    let app = TestApp::start().await;
    let login = app.anonymous().get("/ui/login").await.text;
    for kind in [".css", ".js", ".svg"] {
        let end = login.find(&format!("{kind}\"")).unwrap() + kind.len();
        let start = login[..end].rfind('"').unwrap() + 1;
        let file = app.anonymous().get(&login[start..end]).await;
        assert_eq!(file.status, 200);
        assert!(file.header("cache-control").contains("immutable"), "{kind}");
    }
    assert_eq!(app.anonymous().get("/ui/static/x/nothing.css").await.status, 404);
}
