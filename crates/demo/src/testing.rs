//! What the tests of this crate share: a plain HTTP client and one person's way through the consent.

use crate::{Demo, McpServer, McpServerOptions};
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::redirect::Policy;
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use url::Url;

pub(crate) const ANY_PORT: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0));
pub(crate) const VERIFIER: &str = "a-verifier-of-at-least-forty-three-characters-0";
pub(crate) const REDIRECT: &str = "http://localhost:4444/oauth/callback";

pub(crate) fn client() -> reqwest::Client {
    reqwest::Client::builder().redirect(Policy::none()).build().unwrap()
}

/// One account's way from the authorization URL to tokens.
pub(crate) struct Journey<'a> {
    demo: &'a Demo,
    account: String,
    password: String,
    query: BTreeMap<String, String>,
}

impl<'a> Journey<'a> {
    pub(crate) fn of(demo: &'a Demo, account: &str) -> Self {
        let accounts = demo.authorization_server.accounts();
        let password = accounts.iter().find(|known| known.name == account).unwrap().password.clone();
        let challenge = URL_SAFE_NO_PAD.encode(digest(&SHA256, VERIFIER.as_bytes()));
        let query = [
            ("response_type", "code"),
            ("client_id", demo.authorization_server.client_id()),
            ("redirect_uri", REDIRECT),
            ("state", "the-state"),
            ("scope", "openid notes"),
            ("resource", demo.mcp_server.url().as_str()),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ];
        let query = query.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        Self { demo, account: account.to_owned(), password, query }
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.query.insert(name.to_owned(), value.to_owned());
        self
    }

    pub(crate) fn password(mut self, password: &str) -> Self {
        password.clone_into(&mut self.password);
        self
    }

    pub(crate) fn authorization_url(&self) -> Url {
        let mut url = self.demo.authorization_server.authorization_url().clone();
        url.query_pairs_mut().extend_pairs(&self.query);
        url
    }

    pub(crate) async fn decide(&self, decision: &str) -> reqwest::Response {
        let form =
            [("username", self.account.as_str()), ("password", &self.password), ("decision", decision)];
        client().post(self.authorization_url()).form(&form).send().await.unwrap()
    }

    /// The parameters that the redirect carries back to the client.
    pub(crate) async fn redirect_after(&self, decision: &str) -> BTreeMap<String, String> {
        let answer = self.decide(decision).await;
        assert_eq!(answer.status(), 303);
        let location = Url::parse(answer.headers()["location"].to_str().unwrap()).unwrap();
        assert!(location.as_str().starts_with(REDIRECT));
        location.query_pairs().into_owned().collect()
    }

    /// Sends a code to the token endpoint, with some fields changed.
    pub(crate) async fn exchange(&self, code: &str, changes: &[(&str, &str)]) -> reqwest::Response {
        let mut form = BTreeMap::from([
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", REDIRECT),
            ("code_verifier", VERIFIER),
        ]);
        form.extend(changes.iter().copied());
        post_token(self.demo, &form).await
    }

    pub(crate) async fn tokens(&self) -> Value {
        let code = self.redirect_after("allow").await["code"].clone();
        self.exchange(&code, &[]).await.json().await.unwrap()
    }
}

/// Sends a form to the token endpoint as the preregistered client.
pub(crate) async fn post_token(demo: &Demo, form: &BTreeMap<&str, &str>) -> reqwest::Response {
    let server = &demo.authorization_server;
    let request = client().post(server.token_url().clone()).form(form);
    request.basic_auth(server.client_id(), Some(server.client_secret())).send().await.unwrap()
}

pub(crate) async fn refresh(demo: &Demo, tokens: &Value) -> reqwest::Response {
    let token = tokens["refresh_token"].as_str().unwrap();
    post_token(demo, &BTreeMap::from([("grant_type", "refresh_token"), ("refresh_token", token)])).await
}

/// An MCP server that asks for no token.
pub(crate) async fn open_server(options: McpServerOptions) -> McpServer {
    McpServer::start(ANY_PORT, None, options).await.unwrap()
}

/// A client of an MCP server that writes its messages by hand.
pub(crate) struct McpCaller<'a> {
    server: &'a McpServer,
    bearer: Option<String>,
}

impl<'a> McpCaller<'a> {
    pub(crate) fn of(server: &'a McpServer) -> Self {
        Self { server, bearer: None }
    }

    pub(crate) fn bearer(self, token: &str) -> Self {
        Self { bearer: Some(token.to_owned()), ..self }
    }

    async fn send(&self, body: &str, headers: &[(&str, &str)]) -> reqwest::Response {
        let mut request = client().post(self.server.url().clone()).body(body.to_owned());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(token) = &self.bearer {
            request = request.bearer_auth(token);
        }
        request.send().await.unwrap()
    }

    /// Posts a body; the answer's JSON is null where there is none.
    pub(crate) async fn post(&self, body: &str, headers: &[(&str, &str)]) -> (u16, Value) {
        let answer = self.send(body, headers).await;
        (answer.status().as_u16(), answer.json().await.unwrap_or_default())
    }

    pub(crate) fn modern_body(method: &str, params: &str) -> String {
        format!(
            r#"{{"jsonrpc":"2.0","id":"m-1","method":"{method}","params":{{{params}"_meta":{{
            "io.modelcontextprotocol/protocolVersion":"2026-07-28",
            "io.modelcontextprotocol/clientCapabilities":{{}}}}}}}}"#
        )
    }

    /// A modern request; `params` are members of the object, each with a comma behind it.
    async fn send_modern(&self, method: &str, params: &str, name: &str) -> reqwest::Response {
        let mut headers = vec![("mcp-protocol-version", "2026-07-28"), ("mcp-method", method)];
        if !name.is_empty() {
            headers.push(("mcp-name", name));
        }
        self.send(&Self::modern_body(method, params), &headers).await
    }

    pub(crate) async fn modern(&self, method: &str, params: &str, name: &str) -> (u16, Value) {
        let answer = self.send_modern(method, params, name).await;
        (answer.status().as_u16(), answer.json().await.unwrap_or_default())
    }

    pub(crate) async fn modern_text(&self, method: &str, params: &str, name: &str) -> String {
        self.send_modern(method, params, name).await.text().await.unwrap()
    }

    /// Opens a session.
    pub(crate) async fn initialize(&self, version: &str) -> (Option<String>, Value) {
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":0,"method":"initialize","params":{{"protocolVersion":"{version}","capabilities":{{}},"clientInfo":{{"name":"test","version":"1"}}}}}}"#
        );
        let answer = self.send(&body, &[]).await;
        let session = answer.headers().get("mcp-session-id").map(|id| id.to_str().unwrap().to_owned());
        (session, answer.json().await.unwrap_or_default())
    }

    /// A legacy request in a session of its own; `params` are the members of the object.
    async fn send_legacy(&self, method: &str, params: &str) -> reqwest::Response {
        let session = self.initialize("2025-11-25").await.0.unwrap();
        let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{{params}}}}}"#);
        self.send(&body, &[("mcp-session-id", &session)]).await
    }

    pub(crate) async fn legacy(&self, method: &str, params: &str) -> (u16, Value) {
        let answer = self.send_legacy(method, params).await;
        (answer.status().as_u16(), answer.json().await.unwrap_or_default())
    }

    pub(crate) async fn legacy_text(&self, method: &str, params: &str) -> String {
        self.send_legacy(method, params).await.text().await.unwrap()
    }
}
