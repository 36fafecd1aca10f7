//! `doorward demo`, as a newcomer walks it: the real binary, and the three steps that it prints.

use doorward_testkit::client::Client;
use doorward_testkit::mcp_client::{Elicitation, Era, SdkClient};
use doorward_testkit::rig::PATIENCE;
use reqwest::Method;
use reqwest::header::{COOKIE, SET_COOKIE};
use serde_json::json;
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

/// A running demo and what it printed.
struct RunningDemo {
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
    origin: String,
    printed: String,
}

impl RunningDemo {
    async fn start() -> Self {
        let port = free_port();
        let origin = format!("http://localhost:{port}");
        let mut process = Command::new(env!("CARGO_BIN_EXE_doorward"))
            .args(["demo", "--listen", &format!("127.0.0.1:{port}"), "--public-url", &origin])
            .args(["--metrics-listen", "127.0.0.1:0"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut demo = Self { process, lines, origin, printed: String::new() };
        tokio::time::timeout(PATIENCE, demo.read_until("Before step 2"))
            .await
            .expect("the demo says what to do");
        demo
    }

    async fn read_until(&mut self, last: &str) {
        loop {
            let line = self.lines.next_line().await.unwrap().expect("the demo runs");
            self.printed.push_str(&line);
            self.printed.push('\n');
            if line.contains(last) {
                return;
            }
        }
    }

    /// The password that is printed behind `{name} / `.
    fn password_of(&self, name: &str) -> String {
        let mut lines =
            self.printed.lines().map(|line| line.trim().trim_start_matches("(or as its administrator: "));
        let found = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(" / "));
        found
            .unwrap_or_else(|| panic!("no password of {name} in:\n{}", self.printed))
            .trim_end_matches(')')
            .to_owned()
    }

    fn api_token(&self) -> String {
        let from = self.printed.find("Bearer dw_").unwrap() + "Bearer ".len();
        self.printed[from..].chars().take_while(|c| c.is_ascii_alphanumeric() || "_-".contains(*c)).collect()
    }
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// The name and value of a hidden field.
fn hidden(page: &str, name: &str) -> String {
    let at = page.find(&format!("name=\"{name}\"")).unwrap_or_else(|| panic!("no field {name} in {page}"));
    let value = page[at..].split_once("value=\"").unwrap().1;
    value.split_once('"').unwrap().0.to_owned()
}

fn cookie(headers: &reqwest::header::HeaderMap) -> String {
    headers[SET_COOKIE].to_str().unwrap().split(';').next().unwrap().to_owned()
}

/// Step 1: signs in through the login page.
async fn sign_in(demo: &RunningDemo) -> Client {
    let anonymous = Client::new(&demo.origin);
    let page = anonymous.get("/ui/login").await;
    assert!(page.text.to_lowercase().contains("demo"), "every page says that this is a demo");
    let (csrf, password) = (hidden(&page.text, "csrf"), demo.password_of("alice@demo.example"));
    let fields =
        [("email", "alice@demo.example"), ("password", &*password), ("csrf", &*csrf), ("next", "/ui")];
    let request = anonymous.request(Method::POST, "/ui/login").header(COOKIE, cookie(&page.headers));
    let signed_in = anonymous.send(request.header("sec-fetch-site", "same-origin").form(&fields)).await;
    assert_eq!(signed_in.status, 303, "{signed_in:?}");
    let cookies = signed_in.headers.get_all(SET_COOKIE).iter().filter_map(|value| value.to_str().ok());
    let session = cookies
        .filter_map(|value| value.split(';').next())
        .find(|pair| pair.starts_with("doorward-session="));
    anonymous.with_session(session.expect("a session cookie")).await
}

/// Step 2: connects, as alice of the bundled authorization server.
async fn connect(demo: &RunningDemo, browser: &Client) {
    let out = super::walk::set_out(browser, "demo", None).await;
    let password = demo.password_of("alice");
    let fields = [("username", "alice"), ("password", &*password), ("decision", "allow")];
    let provider = Client::new(&out.url.origin().ascii_serialization());
    let path = &out.url[url::Position::BeforePath..];
    let consented = provider.send(provider.request(Method::POST, path).form(&fields)).await;
    assert_eq!(consented.status, 303, "{consented:?}");
    let location = consented.header("location").parse().unwrap();
    let (_, place) = super::walk::come_back(browser, &location, &out.binding).await;
    assert_eq!(place, "/ui/connected/demo");
    assert!(browser.get(&place).await.text.contains("You connected it as alice"));
}

#[tokio::test]
async fn the_three_steps_that_the_demo_prints_lead_to_an_answer() {
    let mut demo = RunningDemo::start().await;
    for expected in ["1. Open", "2. Connect", "3. Point an MCP client", "claude mcp add"] {
        assert!(demo.printed.contains(expected), "{expected} in:\n{}", demo.printed);
    }
    let url = format!("{}/mcp", demo.origin);
    let mut client =
        SdkClient::typescript(&url, &demo.api_token(), Era::V2026_07_28, Elicitation::None).await;
    let asked = client.call("tools/call", json!({ "name": "demo-whoami" })).await;
    assert_eq!(asked["result"]["isError"], true, "{asked:#}");

    let browser = sign_in(&demo).await;
    connect(&demo, &browser).await;

    let answer = client.call("tools/call", json!({ "name": "demo-whoami" })).await;
    assert_eq!(answer["result"]["content"][0]["text"], "alice", "{answer:#}");

    // Ctrl-C ends it, with its data.
    let id = demo.process.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().await.unwrap().success());
    let ended = tokio::time::timeout(PATIENCE, demo.process.wait()).await.expect("the demo ends").unwrap();
    assert!(ended.success(), "{ended}");
}
