//! What a scanner's baseline looks for (ZAP's passive rules and the probes of its quick scan), offline: every page, every
//! route of the OpenAPI document and the MCP endpoints, as nobody and as an administrator, with every method.

use crate::ui::routes;
use doorward_testkit::app::TestApp;
use doorward_testkit::client::Client;
use reqwest::Method;
use serde_json::Value;
use std::collections::BTreeSet;

const EVIL: &str = "https://evil.example";
const ID: &str = "0190f5d2-7c1e-7000-8000-000000000001";

/// Every answer carries these.
const ALWAYS: [(&str, &str); 6] = [
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("permissions-policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
];

/// What tells of the inside: of panics, of statements, of our source and of machines.
const INSIDE: [&str; 12] = [
    "panicked",
    "backtrace",
    "RUST_",
    ".rs:",
    "/src/",
    "sqlx",
    "SQLITE",
    "SELECT ",
    "syntax error",
    "/root/",
    "/home/",
    "127.0.0.1:5432",
];

/// What scanners ask every server for.
const NOT_HERE: [&str; 18] = [
    "/.env",
    "/.git/config",
    "/.git/HEAD",
    "/.svn/entries",
    "/.DS_Store",
    "/.htaccess",
    "/server-status",
    "/phpinfo.php",
    "/wp-login.php",
    "/actuator/env",
    "/debug/pprof/",
    "/metrics",
    "/doorward.db",
    "/key-ring",
    "/ui/static/0/app.js.bak",
    "/ui/static/0/..%2f..%2f..%2fetc%2fpasswd",
    "/..%2f..%2fetc/passwd",
    "/ui/%2e%2e/%2e%2e/etc/passwd",
];

/// One answer, and all that was found wrong with it.
struct Found {
    what: String,
    wrong: Vec<String>,
}

impl Found {
    async fn of(client: &Client, method: &Method, path: &str, extra: &[(&str, &str)]) -> (Self, u16, String) {
        let mut request = client.request(method.clone(), path).header("origin", EVIL);
        for (name, value) in extra {
            request = request.header(*name, *value);
        }
        let answer = client.send(request).await;
        let mut found = Self { what: format!("{method} {path}: {}", answer.status), wrong: Vec::new() };
        found.headers(&answer, path);
        found.content(&answer.text, path);
        (found, answer.status, answer.text)
    }

    fn wrong(&mut self, why: impl Into<String>) {
        self.wrong.push(why.into());
    }

    fn headers(&mut self, answer: &doorward_testkit::client::Answer, path: &str) {
        for (name, value) in ALWAYS {
            if answer.header(name) != value {
                self.wrong(format!("{name}: {:?}", answer.header(name)));
            }
        }
        let policy = answer.header("content-security-policy");
        if !policy.contains("default-src 'none'")
            || !policy.contains("frame-ancestors 'none'")
            || policy.contains("unsafe")
        {
            self.wrong(format!("content-security-policy: {policy}"));
        }
        let is_file = path.starts_with("/ui/static/") && answer.status == 200;
        if !is_file && answer.header("cache-control") != "no-store" {
            self.wrong(format!("cache-control: {}", answer.header("cache-control")));
        }
        for name in answer.headers.keys().map(reqwest::header::HeaderName::as_str) {
            let tells = ["server", "x-powered-by", "via", "x-debug", "x-runtime"].contains(&name);
            if tells || name.starts_with("access-control-") {
                self.wrong(format!("{name}: {}", answer.header(name)));
            }
        }
        for line in answer.headers.get_all("set-cookie") {
            let line = line.to_str().unwrap_or_default();
            if !["HttpOnly", "SameSite=Lax", "Path=/"].iter().all(|part| line.contains(part))
                || line.contains("Domain=")
            {
                self.wrong(format!("set-cookie: {line}"));
            }
        }
        let kind = answer.header("content-type");
        if kind.starts_with("text/html") && !kind.to_ascii_lowercase().contains("charset=utf-8") {
            self.wrong(format!("content-type: {kind}"));
        }
        if !answer.text.is_empty() && kind.is_empty() {
            self.wrong("a body without a type");
        }
        let to = answer.header("location");
        if to.contains("//evil.example") || (to.contains("://") && !to.starts_with("http://127.0.0.1")) {
            self.wrong(format!("leads to {to}"));
        }
        if answer.status >= 500 && !path.starts_with("/ready") {
            self.wrong("a failure of ours");
        }
    }

    fn content(&mut self, text: &str, path: &str) {
        if path == "/openapi.json" {
            return;
        }
        let inside: Vec<&&str> = INSIDE.iter().filter(|word| text.contains(**word)).collect();
        if !inside.is_empty() {
            self.wrong(format!("tells of the inside: {inside:?}"));
        }
        if text.contains("evil.example") {
            self.wrong("repeats what a stranger said");
        }
        if !text.starts_with("<!doctype html>") {
            return;
        }
        for attribute in [
            "src=\"http",
            "srcset=",
            "action=\"http",
            "formaction=",
            " onload=",
            " onclick=",
            "style=\"",
            "<iframe",
            "<object",
            "<!--",
        ] {
            if text.contains(attribute) {
                self.wrong(format!("a page with {attribute}"));
            }
        }
        let unguarded =
            |input: &str| input.contains("type=\"password\"") && !input.contains("autocomplete=\"");
        if text.split("<input").skip(1).filter_map(|rest| rest.split('>').next()).any(unguarded) {
            self.wrong("a password field that says nothing of completion");
        }
        let posts = text.matches("method=\"post\"").count();
        if posts != text.matches("name=\"csrf\"").count() {
            self.wrong("a form without its token");
        }
        for form in text.split("<form").skip(1).filter_map(|rest| rest.split('>').next()) {
            if !form.contains("method=\"post\"")
                && !form.contains("method=\"get\"")
                && !form.contains("action=")
            {
                self.wrong(format!("a form that does not say where it goes: {form}"));
            }
        }
    }

    fn told(self) -> Option<String> {
        (!self.wrong.is_empty()).then(|| format!("{}\n    {}", self.what, self.wrong.join("\n    ")))
    }
}

/// Every path there is.
async fn paths(nobody: &Client) -> BTreeSet<String> {
    let document: Value = nobody.get("/openapi.json").await.json;
    let rest = document["paths"].as_object().unwrap().keys();
    let rest = rest.map(|path| path.replace("{id}", ID).replace("{user_id}", ID));
    let pages = routes::all().into_iter().map(|route| routes::filled(&route.path));
    let mcp = ["/mcp", "/gateways/nothing/mcp", "/servers/nothing/mcp", "/no/such/path"].map(str::to_owned);
    rest.chain(pages).chain(mcp).collect()
}

fn report(found: Vec<String>) {
    assert!(found.is_empty(), "{} findings:\n{}", found.len(), found.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_of_every_path_passes_the_baseline_for_nobody_and_for_an_administrator() {
    let app = TestApp::start().await;
    let nobody = app.anonymous();
    let paths = paths(&nobody).await;
    assert!(paths.len() > 120, "{}", paths.len());
    let mut findings = Vec::new();
    for client in [nobody, app.browser(app.administrator()).await] {
        for path in &paths {
            for accept in ["text/html", "application/json"] {
                let (found, ..) = Found::of(&client, &Method::GET, path, &[("accept", accept)]).await;
                findings.extend(found.told());
            }
        }
    }
    report(findings);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_method_does_more_than_its_route_says_and_none_is_echoed() {
    let app = TestApp::start().await;
    let nobody = app.anonymous();
    let methods = ["HEAD", "OPTIONS", "TRACE", "PATCH", "PUT", "DELETE", "POST", "PROPFIND", "DOORWARD"];
    let mut findings = Vec::new();
    for path in paths(&nobody).await {
        for method in methods {
            let extra = [("x-canary", "echoed-canary"), ("access-control-request-method", "DELETE")];
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            let (mut found, status, text) = Found::of(&nobody, &method, &path, &extra).await;
            let harmless = [Method::HEAD, Method::OPTIONS].contains(&method);
            if !harmless && (200..300).contains(&status) {
                found.wrong("does something for nobody");
            }
            if text.contains("echoed-canary") {
                found.wrong("echoes the request (XST)");
            }
            findings.extend(found.told());
        }
    }
    report(findings);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_scanners_ask_every_server_for_is_not_here() {
    let app = TestApp::start().await;
    let mut findings = Vec::new();
    for client in [app.anonymous(), app.browser(app.administrator()).await] {
        for path in NOT_HERE {
            for accept in ["text/html", "*/*"] {
                let (mut found, status, _) =
                    Found::of(&client, &Method::GET, path, &[("accept", accept)]).await;
                if status != 404 {
                    found.wrong("should not be here");
                }
                findings.extend(found.told());
            }
        }
    }
    report(findings);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_a_stranger_puts_into_a_request_comes_back_in_a_header_or_leads_away() {
    let app = TestApp::start().await;
    let injected = "%0d%0aset-cookie:%20x=1%0d%0a%0d%0a%3Cscript%3Ealert(1)%3C/script%3E";
    let hosts = [
        ("host", "evil.example"),
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-proto", "gopher"),
        ("forwarded", "host=evil.example"),
        ("x-original-url", "/admin/users"),
        ("x-rewrite-url", "/admin/users"),
        ("x-http-method-override", "DELETE"),
    ];
    let mut findings = Vec::new();
    for client in [app.anonymous(), app.browser(app.administrator()).await] {
        for path in ["/ui", "/ui/login", "/health", "/oauth/client-metadata.json", "/me", "/no/such/path"] {
            for header in hosts {
                let (found, ..) = Found::of(&client, &Method::GET, path, &[header]).await;
                findings.extend(found.told());
            }
        }
        for (path, name) in [
            ("/ui/login", "next"),
            ("/ui/sign-in-again", "next"),
            ("/ui/audit", "action"),
            ("/ui/oauth-tokens", "q"),
            ("/ui/people", "cursor"),
            ("/ui/connect-problem", "code"),
            ("/ui", "note"),
            ("/admin/users", "cursor"),
            ("/oauth/callback", "state"),
        ] {
            for value in
                [injected, "https:%2f%2fevil.example", "%00", "%ff%fe", "'%20OR%201=1--", "..%2f..%2f"]
            {
                let asked = format!("{path}?{name}={value}");
                let (mut found, _, text) =
                    Found::of(&client, &Method::GET, &asked, &[("accept", "text/html")]).await;
                // What was typed may stand in the field it was typed into, escaped.
                found.wrong.retain(|why| why != "repeats what a stranger said");
                if text.contains("<script>alert(1)") {
                    found.wrong("runs what a stranger said");
                }
                findings.extend(found.told());
            }
        }
    }
    report(findings);
}
