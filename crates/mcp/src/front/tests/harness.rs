//! A house with its door open: clients of both eras, with tokens of their own.

use crate::front::{McpParts, router};
use crate::tool_trial::ToolTrial;
use crate::upstream::tests::fixture::House;
use axum::Router;
use axum::body::{Body, BodyDataStream};
use axum::response::Response;
use doorward_broker::{Caller, hash_token};
use doorward_domain::{
    Actor, ApiToken, ApiTokenPlain, Audience, Entropy, Gateway, GatewayId, NewAuditEvent, UserId,
};
use doorward_outbound::{EgressPolicy, Outbound};
use futures_util::StreamExt;
use http::{HeaderMap, Request, StatusCode};
use serde_json::{Value, json};
use std::time::Duration;
use tower::ServiceExt;

pub(super) const URL_CLIENT: &str = r#"{"elicitation":{"form":{},"url":{}}}"#;
pub(super) const PLAIN_CLIENT: &str = r#"{"elicitation":{}}"#;

pub(super) struct Door {
    pub(super) house: House,
    router: Router,
    trial: ToolTrial,
}

/// What a client got.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) text: String,
}

impl Answer {
    async fn whole(response: Response) -> Self {
        let (parts, body) = response.into_parts();
        let text = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        let text = String::from_utf8(text.to_vec()).unwrap();
        Self { status: parts.status, headers: parts.headers, text }
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("{self:?}"))
    }

    pub(super) fn code(&self) -> i64 {
        self.json()["error"]["code"].as_i64().unwrap_or_else(|| panic!("{self:?}"))
    }

    pub(super) fn result(&self) -> Value {
        let json = self.json();
        assert!(json.get("error").is_none(), "{self:?}");
        json["result"].clone()
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// An event stream that is read while it goes on.
pub(super) struct Events {
    body: BodyDataStream,
    buffer: String,
    /// The id of the last event.
    pub(super) last_id: Option<String>,
}

impl Events {
    pub(super) fn of(response: Response) -> Self {
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { body: response.into_body().into_data_stream(), buffer: String::new(), last_id: None }
    }

    /// The next message; none at the end.
    pub(super) async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some((frame, rest)) = self.buffer.split_once("\n\n") {
                let field = |name| frame.lines().find_map(|line| line.strip_prefix(name).map(str::to_owned));
                self.last_id = field("id: ").or(self.last_id.take());
                let data = field("data: ").filter(|data| !data.is_empty());
                self.buffer = rest.to_owned();
                match data {
                    Some(data) => return Some(serde_json::from_str(&data).unwrap()),
                    None => continue,
                }
            }
            let chunk = tokio::time::timeout(Duration::from_secs(20), self.body.next()).await.unwrap()?;
            self.buffer.push_str(std::str::from_utf8(&chunk.unwrap()).unwrap());
        }
    }
}

impl Door {
    pub(super) async fn open() -> Self {
        Self::of(House::new().await)
    }

    pub(super) fn of(house: House) -> Self {
        let policy = EgressPolicy::parse("127.0.0.1", "127.0.0.1").unwrap();
        let parts = McpParts {
            broker: house.broker.clone(),
            storage: house.storage.clone(),
            outbound: Outbound::new(policy, Duration::from_secs(10)).unwrap(),
            clock: house.clock.clone(),
            entropy: Entropy,
        };
        let service = router(parts);
        Self { router: service.router, trial: service.trial, house }
    }

    /// An API token of this caller's; its plain form is `dw_` and the name.
    pub(super) async fn token(
        &self,
        caller: &Caller,
        name: &str,
        audience: Audience,
        gateways: Option<Vec<GatewayId>>,
    ) -> String {
        let plain = format!("dw_{name}");
        let now = self.house.clock.now();
        let token = ApiToken {
            id: Entropy.id(now),
            user_id: caller.user.id,
            name: name.to_owned(),
            hash: hash_token(&ApiTokenPlain::new(plain.as_str())),
            hint: "hint".into(),
            audience,
            gateways,
            created_at: now,
            expires_at: now.plus(Duration::from_secs(90 * 24 * 3_600)),
            last_used_at: None,
            ended_at: None,
        };
        let audit = NewAuditEvent::new(Actor::System, "api_token.create");
        let user = self.house.storage.user(caller.user.id).await.unwrap().unwrap();
        assert!(self.house.storage.insert_api_token(&token, user.version, audit).await.unwrap());
        plain
    }

    pub(super) async fn alice(&self) -> String {
        self.token(&self.house.alice, "alice", Audience::Mcp, None).await
    }

    /// Ends what runs under a user's grant, as the end of the grant does.
    pub(super) fn cut(&self, user: UserId, gateway: GatewayId) {
        self.trial.front().upstreams.cut(user, gateway);
    }

    pub(super) async fn send(&self, request: Request<Body>) -> Response {
        self.router.clone().oneshot(request).await.unwrap()
    }

    pub(super) async fn ask(&self, request: Request<Body>) -> Answer {
        Answer::whole(self.send(request).await).await
    }

    pub(super) fn client<'a>(&'a self, token: &str, path: &str) -> Client<'a> {
        Client {
            door: self,
            token: token.to_owned(),
            path: path.to_owned(),
            session: None,
            capabilities: PLAIN_CLIENT.to_owned(),
        }
    }
}

/// A request with headers.
pub(super) fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Body::from(body.to_owned())).unwrap()
}

/// One MCP client.
pub(super) struct Client<'a> {
    pub(super) door: &'a Door,
    pub(super) token: String,
    pub(super) path: String,
    pub(super) session: Option<String>,
    pub(super) capabilities: String,
}

impl<'a> Client<'a> {
    pub(super) fn can(mut self, capabilities: &str) -> Self {
        self.capabilities = capabilities.to_owned();
        self
    }

    /// A legacy client after its handshake.
    pub(super) async fn initialized(mut self, version: &str) -> Client<'a> {
        let answer = self.initialize(version).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        self.session = Some(answer.header("mcp-session-id").to_owned());
        self
    }

    pub(super) async fn initialize(&self, version: &str) -> Answer {
        let params = format!(
            r#"{{"protocolVersion":"{version}","capabilities":{},"clientInfo":{{"name":"editor","version":"7"}}}}"#,
            self.capabilities
        );
        self.post(&format!(r#"{{"jsonrpc":"2.0","id":0,"method":"initialize","params":{params}}}"#)).await
    }

    pub(super) fn headers<'h>(&'h self, authorization: &'h str) -> Vec<(&'h str, &'h str)> {
        let mut headers = vec![
            ("authorization", authorization),
            ("content-type", "application/json"),
            ("accept", "application/json, text/event-stream"),
        ];
        headers.extend(self.session.as_deref().map(|session| ("mcp-session-id", session)));
        headers
    }

    fn authorization(&self) -> String {
        format!("Bearer {}", self.token)
    }

    pub(super) async fn post(&self, body: &str) -> Answer {
        self.door.ask(request("POST", &self.path, &self.headers(&self.authorization()), body)).await
    }

    /// Posts and gives the response as soon as it begins.
    pub(super) async fn begin(&self, body: &str) -> Response {
        self.door.send(request("POST", &self.path, &self.headers(&self.authorization()), body)).await
    }

    pub(super) async fn bare(&self, method: &str, more: &[(&str, &str)]) -> Response {
        let authorization = self.authorization();
        let mut headers = self.headers(&authorization);
        headers.extend(more);
        self.door.send(request(method, &self.path, &headers, "")).await
    }

    /// A legacy request with the id 1.
    pub(super) async fn call(&self, method: &str, params: &str) -> Answer {
        self.post(&legacy(method, params)).await
    }

    /// A legacy client's answer to a request of the server's.
    pub(super) async fn answer(&self, id: &Value, result: Value) {
        let body = json!({"jsonrpc": "2.0", "id": id, "result": result}).to_string();
        assert_eq!(self.post(&body).await.status, 202);
    }

    /// A modern request with the id "m".
    pub(super) async fn modern(&self, method: &str, params: Value) -> Answer {
        Answer::whole(self.begin_modern(method, params).await).await
    }

    pub(super) async fn begin_modern(&self, method: &str, params: Value) -> Response {
        let authorization = self.authorization();
        let name = params.get("name").or_else(|| params.get("uri")).and_then(Value::as_str);
        let name = name.unwrap_or_default().to_owned();
        let mut headers = self.headers(&authorization);
        headers.extend([("mcp-protocol-version", "2026-07-28"), ("mcp-method", method), ("mcp-name", &name)]);
        let body = self.modern_body(method, params);
        self.door.send(request("POST", &self.path, &headers, &body)).await
    }

    pub(super) fn modern_body(&self, method: &str, mut params: Value) -> String {
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": {"name": "agent", "version": "1"},
            "io.modelcontextprotocol/clientCapabilities":
                serde_json::from_str::<Value>(&self.capabilities).unwrap(),
        });
        json!({"jsonrpc": "2.0", "id": "m", "method": method, "params": params}).to_string()
    }
}

pub(super) fn legacy(method: &str, params: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#)
}

/// The link that the user is to open, as any answer spells it.
pub(super) fn is_link(url: &Value, gateway: &Gateway) -> bool {
    let start = format!("http://localhost:4444/connect/{}?request=", gateway.slug);
    url.as_str().is_some_and(|url| url.starts_with(&start))
}
