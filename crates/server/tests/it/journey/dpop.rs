//! An MCP server that takes only tokens bound to a key of the client (RFC 9449), and wants a nonce in each proof; so does
//! its authorization server. Asked, registered, consented and called through the gateway like any other.

use super::walk::{self, come_back, modern, set_out};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use doorward_testkit::app::TestApp;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use url::Url;

/// Both servers at one address, and what they saw.
#[derive(Default)]
struct Both {
    base: Mutex<String>,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    /// `jti` of every proof that held.
    proofs: BTreeSet<String>,
    /// The keys that signed them.
    keys: BTreeSet<String>,
    /// Proofs that were used twice, or did not hold, and tokens that came otherwise.
    faults: Vec<String>,
    /// How often a nonce was asked for, and tokens were given.
    nonces: usize,
    tokens: usize,
    registrations: usize,
}

const AT_TOKEN: &str = "nonce-of-the-token-endpoint";
const AT_MCP: &str = "nonce-of-the-mcp-server";

impl Both {
    async fn start() -> (Arc<Self>, Url) {
        let both = Arc::new(Self::default());
        let router = Router::new()
            .route("/.well-known/oauth-protected-resource/mcp", get(resource))
            .route("/.well-known/oauth-authorization-server", get(metadata))
            .route("/register", post(register))
            .route("/authorize", get(authorize))
            .route("/token", post(token))
            .route("/mcp", post(mcp))
            .with_state(Arc::clone(&both));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        both.base.lock().unwrap().clone_from(&base);
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        (both, format!("{base}/mcp").parse().unwrap())
    }

    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.base.lock().unwrap())
    }

    /// Checks a proof (RFC 9449 §4.3); gives its nonce.
    fn proof(&self, headers: &HeaderMap, path: &str, token: Option<&str>) -> Option<String> {
        let proof = headers.get("dpop")?.to_str().ok()?;
        let checked = checked(proof, &self.at(path), token);
        let mut seen = self.seen.lock().unwrap();
        let Some((key, claims)) = checked else {
            seen.faults.push(format!("a proof at {path} does not hold"));
            return None;
        };
        if !seen.proofs.insert(claims["jti"].as_str()?.to_owned()) {
            seen.faults.push("a proof came twice".to_owned());
        }
        seen.keys.insert(key);
        Some(claims["nonce"].as_str().unwrap_or_default().to_owned())
    }

    fn asks_for_a_nonce(&self) {
        self.seen.lock().unwrap().nonces += 1;
    }
}

/// The key and the claims of a proof that holds for a request.
fn checked(proof: &str, place: &str, token: Option<&str>) -> Option<(String, Value)> {
    let (signed, signature) = proof.rsplit_once('.')?;
    let (header, claims) = signed.split_once('.')?;
    let read =
        |part: &str| -> Option<Value> { serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok() };
    let (header, claims) = (read(header)?, read(claims)?);
    let coordinate = |name: &str| URL_SAFE_NO_PAD.decode(header["jwk"][name].as_str()?).ok();
    let key = [vec![4], coordinate("x")?, coordinate("y")?].concat();
    let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &key).verify(signed.as_bytes(), &signature).ok()?;
    let hash = token.map(|token| URL_SAFE_NO_PAD.encode(digest(&SHA256, token.as_bytes())));
    let holds = header["typ"] == "dpop+jwt"
        && header["jwk"].get("d").is_none()
        && claims["htm"] == "POST"
        && claims["htu"] == place
        && claims["ath"].as_str() == hash.as_deref();
    holds.then(|| (header["jwk"].to_string(), claims))
}

async fn resource(State(both): State<Arc<Both>>) -> Json<Value> {
    Json(json!({
        "resource": both.at("/mcp"), "authorization_servers": [both.at("")],
        "dpop_bound_access_tokens_required": true,
    }))
}

async fn metadata(State(both): State<Arc<Both>>) -> Json<Value> {
    Json(json!({
        "issuer": both.at(""), "authorization_endpoint": both.at("/authorize"),
        "token_endpoint": both.at("/token"), "registration_endpoint": both.at("/register"),
        "code_challenge_methods_supported": ["S256"], "dpop_signing_alg_values_supported": ["ES256"],
        "token_endpoint_auth_methods_supported": ["none"],
    }))
}

async fn register(State(both): State<Arc<Both>>, Json(mut asked): Json<Value>) -> (StatusCode, Json<Value>) {
    both.seen.lock().unwrap().registrations += 1;
    asked["client_id"] = json!("client-1");
    asked["token_endpoint_auth_method"] = json!("none");
    (StatusCode::CREATED, Json(asked))
}

async fn authorize(Query(asked): Query<BTreeMap<String, String>>) -> Redirect {
    let mut back: Url = asked["redirect_uri"].parse().unwrap();
    back.query_pairs_mut().append_pair("code", "the-code").append_pair("state", &asked["state"]);
    Redirect::to(back.as_str())
}

async fn token(State(both): State<Arc<Both>>, headers: HeaderMap) -> Response {
    match both.proof(&headers, "/token", None).as_deref() {
        Some(AT_TOKEN) => {}
        Some(_) => {
            both.asks_for_a_nonce();
            let body = Json(json!({ "error": "use_dpop_nonce" }));
            return (StatusCode::BAD_REQUEST, [("dpop-nonce", AT_TOKEN)], body).into_response();
        }
        None => {
            return (StatusCode::BAD_REQUEST, Json(json!({ "error": "invalid_dpop_proof" }))).into_response();
        }
    }
    let mut seen = both.seen.lock().unwrap();
    seen.tokens += 1;
    let access_token = format!("bound-token-{}", seen.tokens);
    Json(json!({
        "access_token": access_token, "token_type": "DPoP", "expires_in": 3600,
        "refresh_token": format!("refresh-{}", seen.tokens),
    }))
    .into_response()
}

async fn mcp(State(both): State<Arc<Both>>, headers: HeaderMap, Json(message): Json<Value>) -> Response {
    let authorization = headers.get("authorization").and_then(|value| value.to_str().ok());
    let challenge = |error: &str| {
        let metadata = both.at("/.well-known/oauth-protected-resource/mcp");
        let challenge = format!("DPoP algs=\"ES256\"{error}, resource_metadata=\"{metadata}\"");
        (StatusCode::UNAUTHORIZED, [("www-authenticate", challenge), ("dpop-nonce", AT_MCP.to_owned())])
    };
    let Some(authorization) = authorization else { return challenge("").into_response() };
    let Some(token) = authorization.strip_prefix("DPoP ").filter(|token| token.starts_with("bound-token-"))
    else {
        both.seen.lock().unwrap().faults.push("a token came without its binding".to_owned());
        return challenge(", error=\"invalid_token\"").into_response();
    };
    match both.proof(&headers, "/mcp", Some(token)).as_deref() {
        Some(AT_MCP) => answer(&message),
        Some(_) => {
            both.asks_for_a_nonce();
            challenge(", error=\"use_dpop_nonce\"").into_response()
        }
        None => challenge(", error=\"invalid_dpop_proof\"").into_response(),
    }
}

/// A server of the older era with one tool.
fn answer(message: &Value) -> Response {
    let result = match message["method"].as_str().unwrap_or_default() {
        "initialize" => json!({
            "protocolVersion": "2025-11-25", "capabilities": { "tools": {} },
            "serverInfo": { "name": "bound", "version": "1" },
        }),
        "tools/list" => json!({ "tools": [{ "name": "whoami", "inputSchema": { "type": "object" } }] }),
        "tools/call" => json!({ "content": [{ "type": "text", "text": "you, by your key" }] }),
        method if method.starts_with("notifications/") => return StatusCode::ACCEPTED.into_response(),
        _ => {
            let error = json!({ "code": -32_601, "message": "no such method" });
            let body = json!({ "jsonrpc": "2.0", "id": message["id"], "error": error });
            return (StatusCode::NOT_FOUND, Json(body)).into_response();
        }
    };
    Json(json!({ "jsonrpc": "2.0", "id": message["id"], "result": result })).into_response()
}

#[tokio::test]
async fn a_call_shows_with_a_fresh_proof_and_the_servers_nonce_that_the_token_is_ours() {
    let app = TestApp::start().await;
    let (both, url) = Both::start().await;
    let body = json!({ "url": url, "slug": "bound", "name": "Bound", "state": "published" });
    let made = app.admin_client().await.post("/gateways", &body).await;
    assert_eq!(made.status, 201, "{made:?}");
    tokens_are_bound(&app, &both).await;
}

#[tokio::test]
async fn a_client_of_ones_own_typed_in_the_form_gets_a_key_for_bound_tokens_too() {
    let app = TestApp::start().await;
    let (both, url) = Both::start().await;
    let fields = [
        ("url", url.as_str()),
        ("name", "Bound"),
        ("slug", "bound"),
        ("authorization", "discover"),
        ("authorization.client_id", "client-1"),
        ("authorization.token_endpoint_auth", "none"),
        ("do", "publish"),
    ];
    let made = app.browser(app.administrator()).await.form("/ui/gateways/new", &fields).await;
    assert_eq!(made.status, 303, "{}", made.text);
    tokens_are_bound(&app, &both).await;
    assert_eq!(both.seen.lock().unwrap().registrations, 0, "nobody registered another");
}

/// Consents at the gateway, calls it, and lets a token be renewed.
async fn tokens_are_bound(app: &TestApp, both: &Both) {
    let alice = app.user("alice").await;
    let browser = app.browser(&alice).await;
    let out = set_out(&browser, "bound", None).await;
    let provider = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let back = provider.get(out.url).send().await.unwrap().headers()["location"].clone();
    let (_, place) = come_back(&browser, &back.to_str().unwrap().parse().unwrap(), &out.binding).await;
    assert_eq!(place, "/ui/connected/bound");

    let client = walk::mcp(app, &alice).await;
    let call = async || {
        let answer = modern(&client, "/mcp", "tools/call", &json!({ "name": "bound-whoami" })).await;
        assert_eq!(answer["result"]["content"][0]["text"], "you, by your key", "{answer:#}");
    };
    call().await;
    call().await;
    // A renewed token is bound to the same key.
    app.clock.advance(Duration::from_secs(3_601));
    call().await;

    let seen = both.seen.lock().unwrap();
    assert_eq!(seen.faults, [""; 0]);
    assert_eq!((seen.keys.len(), seen.tokens), (1, 2));
    assert!(seen.nonces >= 2, "both servers asked for theirs");
    assert!(seen.proofs.len() >= 6, "each request has a proof of its own: {:?}", seen.proofs.len());
}
