//! Security headers and cookie attributes as a real Chromium gets and obeys them, over TLS: every page and every file
//! of it, and what an injected script or a stranger's frame comes to.

use super::routes;
use doorward_server::listener;
use doorward_server::tls::{Tls, TlsFiles};
use doorward_testkit::app::{ADMINISTRATOR, PASSWORD, TestApp, TestAppOptions};
use doorward_testkit::browser::Browser;
use doorward_testkit::certificates::Certificates;
use doorward_testkit::proxies::free_port;
use serde_json::{Value, json};
use std::net::Ipv4Addr;
use tokio_util::sync::CancellationToken;

/// What every answer carries, whatever it is.
const ALWAYS: [(&str, &str); 7] = [
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("permissions-policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
    ("strict-transport-security", "max-age=31536000"),
];

/// An app at an https origin, with TLS of its own.
async fn over_tls() -> (TestApp, String, CancellationToken, Certificates) {
    let port = free_port();
    let origin = format!("https://127.0.0.1:{port}");
    let public = origin.parse().unwrap();
    let adjust = move |settings: &mut doorward_server::Settings| settings.public_url = public;
    let options = TestAppOptions { adjust: Some(Box::new(adjust)), ..TestAppOptions::default() };
    let app = TestApp::with(options).await;
    let certificates = Certificates::make();
    let files = TlsFiles { certificate: certificates.certificate(), key: certificates.key() };
    let tls = Tls::load(files).unwrap();
    let listening = listener::bind((Ipv4Addr::LOCALHOST, port).into()).await.unwrap();
    let stop = CancellationToken::new();
    let ingress = listener::Ingress { tls: Some(tls.acceptor()), ..Default::default() };
    drop(listener::serve_with(listening, ingress, app.app.router(), stop.clone()));
    (app, origin, stop, certificates)
}

async fn sign_in(browser: &mut Browser, origin: &str) {
    browser.open(&format!("{origin}/ui/login")).await;
    browser.fill("[name=email]", ADMINISTRATOR).await;
    browser.fill("[name=password]", PASSWORD).await;
    browser.click("main button.primary").await;
    browser.expect_url(&format!("{origin}/ui")).await;
}

/// What is wrong with the headers of an answer.
fn wrong_with(answer: &Value) -> Vec<String> {
    let url = answer["url"].as_str().unwrap();
    let header = |name: &str| answer["headers"][name].as_str().unwrap_or_default();
    let mut wrong = Vec::new();
    for (name, value) in ALWAYS {
        if header(name) != value {
            wrong.push(format!("{url}: {name}: {}", header(name)));
        }
    }
    let policy = header("content-security-policy");
    let parts: &[&str] = match answer["type"].as_str() {
        Some("document") => {
            &["default-src 'none'", "script-src 'self'", "base-uri 'none'", "frame-ancestors 'none'"]
        }
        _ if url.contains("/ui/static/") => &["default-src 'none'", "sandbox"],
        _ => &["default-src 'none'", "frame-ancestors 'none'"],
    };
    let loose = ["unsafe", "*"].iter().any(|word| policy.contains(word));
    if loose || !parts.iter().all(|part| policy.contains(part)) {
        wrong.push(format!("{url}: {policy}"));
    }
    let is_file = url.contains("/ui/static/");
    let cached = header("cache-control");
    if (is_file && !cached.contains("immutable")) || (!is_file && cached != "no-store") {
        wrong.push(format!("{url}: cache-control: {cached}"));
    }
    for leak in ["server", "x-powered-by", "via", "access-control-allow-origin"] {
        if !header(leak).is_empty() {
            wrong.push(format!("{url}: {leak}: {}", header(leak)));
        }
    }
    wrong
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_and_file_comes_to_chromium_with_every_security_header() {
    let (_app, origin, stop, _files) = over_tls().await;
    let mut browser = Browser::start().await;
    sign_in(&mut browser, &origin).await;
    let pages = routes::all().into_iter().filter(|route| route.get && !route.path.contains("{hash}"));
    let paths: Vec<String> = pages.map(|route| routes::filled(&route.path)).collect();
    for path in &paths {
        browser.open(&format!("{origin}{path}")).await;
    }
    let answers = browser.answers().await;
    assert!(answers.len() > paths.len(), "{} answers", answers.len());
    assert!(answers.iter().any(|answer| answer["type"] == "stylesheet"), "files are among them");
    let wrong: Vec<String> =
        answers.iter().filter(|answer| answer["status"] != 303).flat_map(wrong_with).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let elsewhere: Vec<&Value> =
        answers.iter().filter(|answer| !answer["url"].as_str().unwrap().starts_with(&origin)).collect();
    assert!(elsewhere.is_empty(), "nothing comes from elsewhere or in plain text: {elsewhere:?}");
    stop.cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cookies_that_chromium_holds_are_bound_to_the_host_and_hidden_from_scripts() {
    let (app, origin, stop, _files) = over_tls().await;
    let mut browser = Browser::start().await;
    sign_in(&mut browser, &origin).await;
    let cookies = browser.cookies().await;
    let names: Vec<&str> = cookies.iter().filter_map(|cookie| cookie["name"].as_str()).collect();
    assert!(
        names.contains(&"__Host-doorward-session") && names.contains(&"__Host-doorward-form"),
        "{names:?}"
    );
    for cookie in &cookies {
        let name = cookie["name"].as_str().unwrap();
        assert!(name.starts_with("__Host-"), "{cookie}");
        assert_eq!((&cookie["secure"], &cookie["httpOnly"]), (&json!(true), &json!(true)), "{cookie}");
        assert_eq!((&cookie["sameSite"], &cookie["path"]), (&json!("Lax"), &json!("/")), "{cookie}");
        assert_eq!(cookie["domain"], "127.0.0.1", "for this host alone: {cookie}");
        let days = (cookie["expires"].as_f64().unwrap() - app_seconds(&app)) / 86_400.0;
        assert!((0.9..7.1).contains(&days), "{days} days: {cookie}");
    }
    browser.click("nav form button").await;
    browser.expect_url(&format!("{origin}/ui/login")).await;
    let left: Vec<Value> = browser.cookies().await;
    assert!(left.iter().all(|cookie| cookie["name"] != "__Host-doorward-session"), "{left:?}");
    stop.cancel();
}

fn app_seconds(app: &TestApp) -> f64 {
    f64::from(u32::try_from(app.clock.now().millis() / 1_000).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn chromium_lets_no_injected_script_run_and_no_stranger_frame_a_page() {
    let (_app, origin, stop, _files) = over_tls().await;
    let stranger = TestApp::start().await;
    let mut browser = Browser::start().await;
    sign_in(&mut browser, &origin).await;
    let could = browser.intrude(&format!("{}/health", stranger.origin)).await;
    let nothing = json!({
        "inline": false, "script": false, "image": false, "sent": false, "based": false, "cookies": ""
    });
    assert_eq!(could, nothing);
    // A stranger's frame brings no session along, so the login is what it would show.
    assert_ne!(browser.framed(&format!("{origin}/ui/login")).await, "Sign in");
    stop.cancel();
}
