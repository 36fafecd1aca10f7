//! The tables of `docs/permissions.md` against what happens: every route of the OpenAPI document, with every
//! role and every credential.

use doorward_domain::{Audience, Permission, Role};
use doorward_testkit::app::TestApp;
use doorward_testkit::client::Client;
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeMap;

const DOCS: &str = include_str!("../../../../../docs/permissions.md");
/// An id that nothing has: a request that is let through changes nothing.
const NOBODYS_ID: &str = "0190f5d2-7c1e-7000-8000-000000000001";

/// What a row asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Need {
    /// None: anyone.
    opens: Option<Opens>,
    permission: Option<Permission>,
}

/// What opens a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Opens {
    /// A browser session, and API tokens of this audience or a wider one.
    Audience(Audience),
    Session,
}

/// What a caller shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shown {
    Nothing,
    Token(Audience),
    Session,
}

impl Need {
    /// The status that refuses a caller; none where they are let through.
    fn refuses(self, role: &Role, shown: Shown) -> Option<u16> {
        let opens = match (shown, self.opens?) {
            (Shown::Nothing, _) => return Some(401),
            (Shown::Token(token), Opens::Audience(audience)) => token >= audience,
            (Shown::Token(_), Opens::Session) => false,
            (Shown::Session, _) => true,
        };
        let may = self.permission.is_none_or(|permission| role.may(permission));
        (!(opens && may)).then_some(403)
    }
}

/// The rows of the table under a heading, as cells without code marks.
fn table(heading: &str) -> Vec<Vec<String>> {
    let (_, section) = DOCS.split_once(&format!("\n## {heading}\n")).expect("the heading is in the docs");
    let section = section.split("\n## ").next().unwrap_or_default();
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    let cells =
        |row: &str| row.trim_matches('|').split('|').map(|cell| cell.trim().replace('`', "")).collect();
    rows.map(cells).collect()
}

fn permission(text: &str) -> Option<Permission> {
    let found = Permission::ALL.into_iter().find(|permission| permission.as_str() == text);
    assert!(found.is_some() || text.is_empty(), "no permission {text}");
    found
}

fn needs() -> BTreeMap<String, Need> {
    let opens = |text: &str| match text {
        "anyone" => None,
        "self" => Some(Opens::Audience(Audience::Own)),
        "admin" => Some(Opens::Audience(Audience::Admin)),
        "session" => Some(Opens::Session),
        other => panic!("no audience {other}"),
    };
    let need =
        |row: Vec<String>| (row[0].clone(), Need { opens: opens(&row[1]), permission: permission(&row[2]) });
    table("REST").into_iter().map(need).collect()
}

/// `METHOD /path` of everything in the OpenAPI document.
async fn operations(nobody: &Client) -> Vec<String> {
    let document: Value = serde_json::from_str(&nobody.get("/openapi.json").await.text).unwrap();
    let paths = document["paths"].as_object().unwrap();
    let each = |(path, methods): (&String, &Value)| -> Vec<String> {
        let methods = methods.as_object().unwrap().keys();
        methods.map(|method| format!("{} {path}", method.to_uppercase())).collect()
    };
    paths.iter().flat_map(each).collect()
}

/// A body that is well formed, so that nothing but permission refuses it.
fn body(operation: &str) -> Option<Value> {
    let gateway = || json!({"url": "http://127.0.0.1:9/mcp", "authorization": {"type": "none"}});
    Some(match operation {
        "POST /gateways" | "PUT /gateways/{id}" => gateway(),
        "POST /gateways/discover" => json!({"url": "http://127.0.0.1:9/mcp"}),
        "POST /admin/users" => json!({"email": "not an address"}),
        "PUT /admin/users/{id}" => json!({"name": "X"}),
        "POST /admin/roles" => json!({"name": "not a name", "permissions": ["use_gateways"]}),
        "PUT /admin/roles/{id}" => json!({"permissions": ["use_gateways"]}),
        "POST /second-factor/confirm" => json!({"code": "1"}),
        "POST /admin/groups" | "PUT /admin/groups/{id}" => json!({"name": ""}),
        "POST /api-tokens" => json!({"name": "x"}),
        "POST /admin/oauth/tokens" => {
            json!({"user_id": NOBODYS_ID, "gateway_id": NOBODYS_ID, "access_token": "x"})
        }
        "POST /connections/{id}/accept" | "POST /connections/{id}/decline" => json!({"version": 1}),
        "POST /admin/oauth/cleanup" => json!({"dry_run": true}),
        "POST /admin/oauth/tokens/revoke" | "POST /admin/oauth/tokens/reauthorize" => {
            json!({"ids": [NOBODYS_ID], "dry_run": true})
        }
        "POST /admin/oauth/tokens/{id}/reauthorize" => json!({"reason": "x"}),
        "POST /gateways/{id}/changes/agree" => json!({"hashes": []}),
        "POST /servers" | "PUT /servers/{id}" => json!({}),
        "POST /gateways/{id}/check" | "POST /admin/oauth/tokens/{id}/refresh" | "POST /admin/keys/rotate" => {
            json!({})
        }
        _ => return None,
    })
}

async fn status(client: &Client, operation: &str) -> u16 {
    let (method, path) = operation.split_once(' ').unwrap();
    let nobodys = match path {
        path if path.starts_with("/admin/keys/") => "k9",
        path if path.starts_with("/admin/roles/") => "nobodys",
        _ => NOBODYS_ID,
    };
    let path = path.replace("{id}", nobodys).replace("{user_id}", NOBODYS_ID);
    let request = client.request(Method::from_bytes(method.as_bytes()).unwrap(), &path);
    let request = match body(operation) {
        Some(body) => request.json(&body),
        None => request,
    };
    client.send(request).await.status
}

/// Everybody who could ask: each role with each credential.
async fn callers(app: &TestApp) -> Vec<(Role, Shown, Client)> {
    let mut callers = vec![(Role::User, Shown::Nothing, app.anonymous())];
    for role in Role::BUILT_IN {
        let person = app.person_as(role.as_str(), role.clone()).await;
        for audience in [Audience::Mcp, Audience::Own, Audience::Admin] {
            callers.push((role.clone(), Shown::Token(audience), app.client(&person, audience).await));
        }
        callers.push((role, Shown::Session, app.browser(&person).await));
    }
    callers
}

#[tokio::test]
async fn every_route_has_a_row_and_lets_in_exactly_whom_its_row_says() {
    let app = TestApp::start().await;
    let needs = needs();
    let operations = operations(&app.anonymous()).await;
    let without: Vec<_> = operations.iter().filter(|operation| !needs.contains_key(*operation)).collect();
    assert!(without.is_empty(), "docs/permissions.md has no row for {without:?}");
    let gone: Vec<_> = needs.keys().filter(|row| !operations.contains(row)).collect();
    assert!(gone.is_empty(), "docs/permissions.md speaks of {gone:?}, which is no route");
    let mut wrong = Vec::new();
    for (role, shown, client) in callers(&app).await {
        for (operation, need) in &needs {
            let status = status(&client, operation).await;
            // A browser without a session is led to the login instead.
            let led = operation == "GET /oauth/authorize/{id}" && status == 303;
            let refused = if led { Some(401) } else { matches!(status, 401 | 403).then_some(status) };
            if refused != need.refuses(&role, shown) || status >= 500 && !operation.ends_with("/ready") {
                wrong.push(format!("{operation} as {role:?} with {shown:?}: {status}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_docs_say_of_each_role_what_it_may() {
    let rows = table("What a role may");
    assert_eq!(rows.len(), Permission::ALL.len());
    for row in rows {
        let permission = permission(&row[0]).expect("a row names a permission");
        for (role, cell) in Role::BUILT_IN.into_iter().zip(&row[2..]) {
            assert_eq!(cell == "yes", role.may(permission), "{permission:?} of {role:?}");
        }
    }
}
