//! Servers that lie: each is refused before a code or a token leaves, and the reason is shown.

use crate::journey::walk::{come_back, set_out};
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use doorward_testkit::app::TestApp;
use doorward_testkit::client::Answer;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use url::Url;

/// How the server lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lie {
    None,
    /// Its metadata names another resource.
    OtherResource,
    /// Its metadata calls itself another issuer.
    OtherIssuer,
    /// Its metadata names an authorization server inside the network.
    InsideIssuer,
    /// Its metadata leads elsewhere by a redirect.
    RedirectedMetadata,
    /// Its token endpoint redirects.
    RedirectedToken,
}

/// An MCP server and its authorization server in one, that notes what reaches it.
#[derive(Clone)]
struct Liar {
    base: String,
    lie: Lie,
    /// The path of every request, and the body of those to `/elsewhere`.
    seen: Arc<Mutex<Vec<String>>>,
}

impl Liar {
    async fn start(lie: Lie) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let liar = Self { base, lie, seen: Arc::default() };
        let router = Router::new().fallback(answer).with_state(liar.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        liar
    }

    fn saw(&self, path: &str) -> bool {
        self.seen.lock().unwrap().iter().any(|seen| seen == path)
    }

    fn resource_metadata(&self) -> Value {
        let resource = match self.lie {
            Lie::OtherResource => "https://other.example/mcp".to_owned(),
            _ => format!("{}/mcp", self.base),
        };
        let server = match self.lie {
            Lie::InsideIssuer => "http://169.254.169.254".to_owned(),
            _ => self.base.clone(),
        };
        json!({ "resource": resource, "authorization_servers": [server] })
    }

    fn server_metadata(&self) -> Value {
        let issuer = match self.lie {
            Lie::OtherIssuer => "https://other.example",
            _ => &self.base,
        };
        let at = |path: &str| format!("{}/{path}", self.base);
        json!({
            "issuer": issuer,
            "authorization_endpoint": at("authorize"),
            "token_endpoint": at("token"),
            "registration_endpoint": at("register"),
            "code_challenge_methods_supported": ["S256"],
        })
    }
}

async fn answer(State(liar): State<Liar>, uri: Uri) -> Response {
    liar.seen.lock().unwrap().push(uri.path().to_owned());
    let redirect = |to: &str| {
        (StatusCode::TEMPORARY_REDIRECT, [("location", format!("{}/{to}", liar.base))]).into_response()
    };
    match uri.path() {
        "/mcp" => StatusCode::UNAUTHORIZED.into_response(),
        "/.well-known/oauth-protected-resource/mcp" => Json(liar.resource_metadata()).into_response(),
        "/.well-known/oauth-authorization-server" if liar.lie == Lie::RedirectedMetadata => {
            redirect("elsewhere")
        }
        "/.well-known/oauth-authorization-server" | "/elsewhere" => {
            Json(liar.server_metadata()).into_response()
        }
        "/register" => (StatusCode::CREATED, Json(json!({ "client_id": "made" }))).into_response(),
        "/token" if liar.lie == Lie::RedirectedToken => redirect("elsewhere"),
        "/token" => Json(json!({ "access_token": "t", "token_type": "Bearer" })).into_response(),
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn register(app: &TestApp, url: &str) -> Answer {
    let body = json!({ "slug": "liar", "url": url, "state": "published" });
    app.admin_client().await.post("/gateways", &body).await
}

#[tokio::test]
async fn metadata_that_lies_is_refused_with_the_reason_before_anybody_is_sent_there() {
    let app = TestApp::start().await;
    for (lie, reason) in [
        (
            Lie::OtherResource,
            "the metadata says it is for https://other.example/mcp, which is not this server",
        ),
        (Lie::OtherIssuer, "calls itself https://other.example and was expected to be http://127.0.0.1"),
        (Lie::InsideIssuer, "169.254.169.254"),
        (Lie::RedirectedMetadata, "no metadata says where"),
    ] {
        let liar = Liar::start(lie).await;
        let refused = register(&app, &format!("{}/mcp", liar.base)).await;
        assert_eq!(refused.status, 400, "{lie:?}: {refused:?}");
        let (field, problem) = refused.problem();
        assert!(field == Some("url") && problem.contains(reason), "{lie:?}: {problem}");
        for never in ["/register", "/authorize", "/token", "/elsewhere"] {
            assert!(!liar.saw(never), "{lie:?}: {never}");
        }
    }
    let typed = register(&app, "http://10.0.0.1/mcp").await;
    let (field, problem) = typed.problem();
    assert!(field == Some("url") && problem.contains("DOORWARD_ALLOW_"), "{problem}");
}

/// One round trip whose answer has this `iss`; where the browser lands, and what the page says.
async fn round_trip(app: &TestApp, iss: Option<&str>) -> (String, String) {
    let person = app.user("wanda").await;
    let browser = app.browser(&person).await;
    let out = set_out(&browser, "liar", None).await;
    let mut query: Vec<(String, String)> = vec![("code".into(), "the-code".into())];
    query.extend(out.url.query_pairs().into_owned().filter(|(name, _)| name == "state"));
    query.extend(iss.map(|iss| ("iss".to_owned(), iss.to_owned())));
    let back: Url = Url::parse_with_params(&format!("{}/oauth/callback", app.origin), query).unwrap();
    let (_, landed) = come_back(&browser, &back, &out.binding).await;
    let page = browser.get(&landed).await;
    (landed, page.text)
}

#[tokio::test]
async fn a_code_of_another_server_is_not_redeemed_and_a_token_endpoint_that_redirects_gets_nothing_further() {
    let app = TestApp::start().await;
    let honest = Liar::start(Lie::None).await;
    assert_eq!(register(&app, &format!("{}/mcp", honest.base)).await.status, 201);
    let (landed, page) = round_trip(&app, Some("https://other.example")).await;
    assert!(!landed.starts_with("/ui/connected"), "{landed}");
    assert!(page.contains("did not come from the authorization server that was asked"), "{page}");
    assert!(!honest.saw("/token"), "no code leaves");

    let app = TestApp::start().await;
    let liar = Liar::start(Lie::RedirectedToken).await;
    assert_eq!(register(&app, &format!("{}/mcp", liar.base)).await.status, 201);
    let (landed, page) = round_trip(&app, None).await;
    assert!(!landed.starts_with("/ui/connected"), "{landed}");
    assert!(page.contains("The provider did not give a token"), "{page}");
    assert!(liar.saw("/token") && !liar.saw("/elsewhere"), "the redirect is not followed");
}
