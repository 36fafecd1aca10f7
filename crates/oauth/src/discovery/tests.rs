use super::*;
use crate::client::samples::{client, serve, url};
use axum::Json;
use axum::Router;
use axum::http::{StatusCode, Uri};
use axum::response::{Html, IntoResponse, Response};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// A server that answers `/mcp` with a status and challenge, and documents by path; it notes every GET.
#[derive(Clone, Default)]
struct Site {
    status: u16,
    challenge: Option<String>,
    documents: BTreeMap<String, Value>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Site {
    async fn answer(self, uri: Uri) -> Response {
        if uri.path() == "/mcp" || uri.path() == "/deep/mcp" {
            let status = StatusCode::from_u16(self.status).unwrap();
            let challenge = self.challenge.iter().map(|value| ("www-authenticate", value.clone()));
            return (status, axum::response::AppendHeaders(challenge.collect::<Vec<_>>())).into_response();
        }
        self.asked.lock().unwrap().push(uri.path().to_owned());
        match self.documents.get(uri.path()) {
            Some(document) => Json(document.clone()).into_response(),
            None => StatusCode::NOT_FOUND.into_response(),
        }
    }
}

/// Starts a site whose documents may name its own base as `BASE`.
async fn start(
    status: u16,
    challenge: Option<&str>,
    documents: &[(&str, Value)],
) -> (String, Arc<Mutex<Vec<String>>>) {
    let slot: Arc<Mutex<Site>> = Arc::default();
    let served = Arc::clone(&slot);
    let route = move |uri: Uri| {
        let site = served.lock().unwrap().clone();
        site.answer(uri)
    };
    let base = serve(Router::new().fallback(route)).await;
    let mut site = slot.lock().unwrap();
    site.status = status;
    site.challenge = challenge.map(|text| text.replace("BASE", &base));
    site.documents = documents
        .iter()
        .map(|(path, document)| {
            ((*path).to_owned(), serde_json::from_str(&document.to_string().replace("BASE", &base)).unwrap())
        })
        .collect();
    let asked = Arc::clone(&site.asked);
    (base, asked)
}

fn server(issuer: &str) -> Value {
    json!({
        "issuer": issuer,
        "authorization_endpoint": "BASE/authorize",
        "token_endpoint": "BASE/token",
        "registration_endpoint": "BASE/register",
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": true,
        "scopes_supported": ["offline_access", "x"],
    })
}

async fn discover(base: &str, path: &str) -> Result<Discovery, DiscoveryError> {
    client().discover(&url(&format!("{base}{path}"))).await
}

fn oauth(discovery: Discovery) -> Discovered {
    match discovery {
        Discovery::OAuth(found) => *found,
        Discovery::NotNeeded => panic!("authorization is needed"),
    }
}

#[tokio::test]
async fn the_challenge_leads_to_the_server_and_its_scopes_count() {
    let resource =
        json!({"resource": "BASE/mcp", "authorization_servers": ["BASE"], "scopes_supported": ["all"]});
    let documents = [("/meta", resource), ("/.well-known/oauth-authorization-server", server("BASE"))];
    let challenge = r#"Bearer resource_metadata="BASE/meta", scope="read""#;
    let (base, asked) = start(401, Some(challenge), &documents).await;
    let found = oauth(discover(&base, "/mcp").await.unwrap());
    assert_eq!(found.issuer, base);
    assert_eq!(found.resource.unwrap(), format!("{base}/mcp"));
    assert_eq!(found.scopes, ["read", "offline_access"]);
    assert!(found.iss_promised && found.registration_url.is_some());
    assert_eq!(*asked.lock().unwrap(), ["/meta", "/.well-known/oauth-authorization-server"]);
}

#[tokio::test]
async fn well_known_places_are_asked_in_the_specifications_order() {
    let resource =
        json!({"resource": "BASE/deep", "authorization_servers": ["BASE/t/"], "scopes_supported": ["all"]});
    let documents = [
        ("/.well-known/oauth-protected-resource", resource),
        ("/t/.well-known/openid-configuration", server("BASE/t")),
    ];
    let (base, asked) = start(401, None, &documents).await;
    let found = oauth(discover(&base, "/deep/mcp").await.unwrap());
    assert_eq!((found.issuer, found.scopes[0].as_str()), (format!("{base}/t"), "all"));
    assert_eq!(
        *asked.lock().unwrap(),
        [
            "/.well-known/oauth-protected-resource/deep/mcp",
            "/.well-known/oauth-protected-resource",
            "/.well-known/oauth-authorization-server/t",
            "/.well-known/openid-configuration/t",
            "/t/.well-known/openid-configuration",
        ]
    );
}

#[tokio::test]
async fn a_server_without_resource_metadata_is_its_own_authorization_server() {
    let (base, _) = start(401, None, &[("/.well-known/oauth-authorization-server", server("BASE"))]).await;
    let found = oauth(discover(&base, "/mcp").await.unwrap());
    assert_eq!((found.issuer, found.resource.unwrap()), (base.clone(), format!("{base}/mcp")));
}

#[tokio::test]
async fn an_open_server_needs_nothing_and_a_missing_one_is_said() {
    for welcome in [200, 202, 400] {
        let (base, _) = start(welcome, None, &[]).await;
        assert!(matches!(discover(&base, "/mcp").await.unwrap(), Discovery::NotNeeded));
    }
    let (base, _) = start(404, None, &[]).await;
    assert!(matches!(
        discover(&base, "/mcp").await.unwrap_err(),
        DiscoveryError::NoMcpServer { status: 404 }
    ));
    assert!(matches!(
        discover("http://127.0.0.1:9", "/mcp").await.unwrap_err(),
        DiscoveryError::Unreachable(_)
    ));
}

#[tokio::test]
async fn a_page_of_a_web_server_is_no_open_mcp_server() {
    let page = (StatusCode::BAD_REQUEST, Html("<h1>No required SSL certificate was sent</h1>"));
    let router = Router::new().fallback(move || async move { page });
    let base = serve(router).await;
    let error = discover(&base, "/mcp").await.unwrap_err();
    assert!(matches!(error, DiscoveryError::NoMcpServer { status: 400 }), "{error}");
    assert!(error.may_want_a_certificate());
    assert!(!DiscoveryError::NoMcpServer { status: 404 }.may_want_a_certificate());
}

#[tokio::test]
async fn metadata_that_cannot_be_trusted_is_refused() {
    let place = "/.well-known/oauth-protected-resource/mcp";
    let server_place = "/.well-known/oauth-authorization-server";
    let resource = |resource: &str| json!({"resource": resource, "authorization_servers": ["BASE"]});
    let refused = async |documents: &[(&str, Value)]| {
        let (base, _) = start(401, None, documents).await;
        discover(&base, "/mcp").await.unwrap_err()
    };
    for other in ["https://other.example/mcp", "BASE/mc", "BASE/mcp/deeper", "nonsense"] {
        let error = refused(&[(place, resource(other))]).await;
        assert!(matches!(error, DiscoveryError::OtherResource { .. }), "{other}: {error}");
    }
    let error = refused(&[(place, json!({"resource": "BASE/mcp"}))]).await;
    assert!(matches!(error, DiscoveryError::NoMetadata { .. }), "{error}");
    let error =
        refused(&[(place, resource("BASE/mcp")), (server_place, server("https://evil.example"))]).await;
    assert!(matches!(error, DiscoveryError::OtherIssuer { .. }), "{error}");
    let mut plain = server("BASE");
    plain["code_challenge_methods_supported"] = json!(["plain"]);
    let error = refused(&[(place, resource("BASE/mcp")), (server_place, plain)]).await;
    assert!(matches!(error, DiscoveryError::NoPkce { .. }), "{error}");
    let mut incomplete = server("BASE");
    incomplete["token_endpoint"] = Value::Null;
    let error = refused(&[(place, resource("BASE/mcp")), (server_place, incomplete)]).await;
    assert!(error.to_string().ends_with("no usable token_endpoint"), "{error}");
    let error = refused(&[]).await;
    assert!(matches!(error, DiscoveryError::NoMetadata { .. }), "{error}");
    let nonsense = json!({"resource": "BASE/mcp", "authorization_servers": ["not a url"]});
    assert!(refused(&[(place, nonsense)]).await.to_string().ends_with("no usable issuer"));
}

#[tokio::test]
async fn r38_discovered_places_pass_the_outbound_guard_too() {
    let place = "/.well-known/oauth-protected-resource/mcp";
    let inside = json!({"resource": "BASE/mcp", "authorization_servers": ["http://169.254.169.254"]});
    let (base, _) = start(401, None, &[(place, inside)]).await;
    assert!(matches!(discover(&base, "/mcp").await.unwrap_err(), DiscoveryError::Refused(_)));
    let resource = json!({"resource": "BASE/mcp", "authorization_servers": ["BASE"]});
    let mut inward = server("BASE");
    inward["token_endpoint"] = json!("https://10.0.0.1/token");
    let (base, _) =
        start(401, None, &[(place, resource), ("/.well-known/oauth-authorization-server", inward)]).await;
    assert!(matches!(discover(&base, "/mcp").await.unwrap_err(), DiscoveryError::Refused(_)));
}
