//! A real Chromium on a leash. Every step waits for what it needs, so that no test sleeps.

use crate::rig::Rig;
use serde_json::{Value, json};

/// A running browser with a fresh profile; it ends with this value.
#[derive(Debug)]
pub struct Browser(Rig);

impl Browser {
    /// Starts Chromium.
    pub async fn start() -> Self {
        let mut rig = Rig::node("browser.mjs", &json!({ "timeout_ms": 60_000 }));
        rig.next().await;
        Self(rig)
    }

    /// Opens a URL and gives the status of the answer.
    pub async fn open(&mut self, url: &str) -> u64 {
        self.step(json!({ "do": "goto", "url": url })).await.as_u64().unwrap_or_default()
    }

    /// Types into a field.
    pub async fn fill(&mut self, selector: &str, value: &str) {
        self.step(json!({ "do": "fill", "selector": selector, "value": value })).await;
    }

    /// Chooses from a list.
    pub async fn select(&mut self, selector: &str, value: &str) {
        self.step(json!({ "do": "select", "selector": selector, "value": value })).await;
    }

    /// Ticks a box, or chooses one of several.
    pub async fn check(&mut self, selector: &str) {
        self.step(json!({ "do": "check", "selector": selector })).await;
    }

    /// Clicks and waits until the page that follows has come.
    pub async fn click(&mut self, selector: &str) {
        self.step(json!({ "do": "click", "selector": selector })).await;
    }

    /// Waits until the page shows a text.
    pub async fn expect(&mut self, text: &str) {
        self.step(json!({ "do": "expect", "text": text })).await;
    }

    /// Waits until the address begins with this.
    pub async fn expect_url(&mut self, prefix: &str) {
        self.step(json!({ "do": "expect_url", "prefix": prefix })).await;
    }

    /// The text that the page shows.
    pub async fn text(&mut self) -> String {
        self.step(json!({ "do": "text" })).await.as_str().unwrap_or_default().to_owned()
    }

    /// The address of the page.
    pub async fn url(&mut self) -> String {
        self.step(json!({ "do": "url" })).await.as_str().unwrap_or_default().to_owned()
    }

    /// A browser without cookies: somebody else's.
    pub async fn forget_everything(&mut self) {
        self.step(json!({ "do": "new_context" })).await;
    }

    /// What the console complained about: script errors and violations of the content security policy.
    pub async fn problems(&mut self) -> Vec<Value> {
        self.list(json!({ "do": "problems" })).await
    }

    /// Light or dark.
    pub async fn scheme(&mut self, scheme: &str) {
        self.step(json!({ "do": "scheme", "scheme": scheme })).await;
    }

    /// How large the window is.
    pub async fn size(&mut self, width: u32, height: u32) {
        self.step(json!({ "do": "size", "width": width, "height": height })).await;
    }

    /// What axe-core finds serious or critical.
    pub async fn axe(&mut self) -> Vec<Value> {
        self.list(json!({ "do": "axe" })).await
    }

    /// How many pixels the page is wider than the window.
    pub async fn overflow(&mut self) -> i64 {
        self.step(json!({ "do": "overflow" })).await.as_i64().unwrap_or(i64::MAX)
    }

    /// Milliseconds from the start of the navigation until the page that is open could be used.
    pub async fn interactive(&mut self) -> f64 {
        self.step(json!({ "do": "interactive" })).await.as_f64().unwrap_or(f64::MAX)
    }

    /// Where in the page, or in any answer since the browser forgot everything, one of these stands.
    pub async fn leaks(&mut self, values: &[&str]) -> Vec<Value> {
        self.list(json!({ "do": "leaks", "values": values })).await
    }

    /// Every URL that was asked for since the browser forgot everything.
    pub async fn requests(&mut self) -> Vec<Value> {
        self.list(json!({ "do": "requests" })).await
    }

    /// Every answer since the browser forgot everything: `url`, `status`, `headers`, `type`.
    pub async fn answers(&mut self) -> Vec<Value> {
        self.list(json!({ "do": "answers" })).await
    }

    /// The cookies that the browser holds.
    pub async fn cookies(&mut self) -> Vec<Value> {
        self.list(json!({ "do": "cookies" })).await
    }

    /// What somebody could do who has put a script into the page that is open.
    pub async fn intrude(&mut self, elsewhere: &str) -> Value {
        self.step(json!({ "do": "intrude", "elsewhere": elsewhere })).await
    }

    /// The heading that a stranger's page sees of ours in a frame; empty where it is not shown.
    pub async fn framed(&mut self, url: &str) -> String {
        self.step(json!({ "do": "framed", "url": url })).await.as_str().unwrap_or_default().to_owned()
    }

    /// Presses a key, e.g. `Escape`.
    pub async fn press(&mut self, key: &str) {
        self.step(json!({ "do": "press", "key": key })).await;
    }

    /// The name of what has the focus: its label, or its text.
    pub async fn focused(&mut self) -> String {
        self.step(json!({ "do": "focused" })).await.as_str().unwrap_or_default().to_owned()
    }

    /// What a field holds.
    pub async fn value(&mut self, selector: &str) -> String {
        self.step(json!({ "do": "value", "selector": selector }))
            .await
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    /// Whether somebody sees what a selector means.
    pub async fn sees(&mut self, selector: &str) -> bool {
        self.step(json!({ "do": "sees", "selector": selector })).await == true
    }

    /// Keeps a screenshot where `DOORWARD_SCREENSHOTS` names a folder.
    pub async fn picture(&mut self, name: &str) {
        self.step(json!({ "do": "picture", "name": name })).await;
    }

    async fn list(&mut self, step: Value) -> Vec<Value> {
        self.step(step).await.as_array().cloned().unwrap_or_default()
    }

    async fn step(&mut self, step: Value) -> Value {
        let answer = self.0.ask(&json!([step])).await;
        assert_eq!(answer["ok"], true, "the browser could not do {step}: {answer:#}");
        answer["results"][0].clone()
    }
}
