//! Every call of REST that changes something leaves an event: who, what, whom, from where, and why.

use doorward_domain::GrantOwner;
use doorward_testkit::app::{Person, TestApp};
use doorward_testkit::client::{Answer, Client};
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// What changes nothing: discovery only asks, a refresh of a catalog reads what is there.
const CHANGES_NOTHING: [&str; 2] = ["POST /gateways/discover", "POST /gateways/{id}/refresh"];

/// What tests of their own look for in the trail.
const SEEN_ELSEWHERE: [&str; 13] = [
    // `grant.deposit`, `grant.accept`, `grant.revoke`: deposits.rs; the setting is off here.
    "POST /admin/oauth/tokens",
    "POST /connections/{id}/accept",
    "POST /connections/{id}/decline",
    // `session.end`: ui/sessions.rs, by the same use case.
    "DELETE /admin/sessions/{id}",
    "DELETE /sessions/{id}",
    // `catalog.agree`: gateway_changes.rs.
    "POST /gateways/{id}/changes/agree",
    // `keys.rotate`: admin_keys.rs; a key is retired only long after a rotation.
    "POST /admin/keys/rotate",
    "POST /admin/keys/{id}/retire",
    // `second_factor.`: ui/second_factor.rs.
    "POST /second-factor",
    "POST /second-factor/confirm",
    "POST /second-factor/recovery-codes",
    "DELETE /second-factor",
    // `grant.refresh_now`: journey/refresh.rs.
    "POST /admin/oauth/tokens/{id}/refresh",
];

/// An administrator who calls one route after the other, and looks into the trail after each.
struct Walk {
    app: TestApp,
    admin: Client,
    walked: BTreeSet<&'static str>,
}

/// What an event has to say.
struct Said<'a> {
    action: &'a str,
    /// Whose thing it is.
    about: Option<&'a Person>,
    reason: Option<&'a str>,
}

impl Walk {
    async fn newest(&self) -> i64 {
        self.admin.get("/admin/audit?limit=1").await.json["items"][0]["seq"].as_i64().unwrap()
    }

    /// Calls a route and finds its event.
    async fn calls(
        &mut self,
        route: &'static str,
        path: &str,
        body: Option<Value>,
        by: (&Client, &Person),
        said: Said<'_>,
    ) -> Answer {
        let before = self.newest().await;
        let method: Method = route.split(' ').next().unwrap().parse().unwrap();
        let mut request = by.0.request(method, path);
        if let Some(body) = &body {
            request = request.json(body);
        }
        let answer = by.0.send(request).await;
        assert!((200..300).contains(&answer.status), "{route}: {answer:?}");
        let event = self.event(route, said.action, before).await;
        assert_eq!(
            (&event["actor"], &event["actor_id"]),
            (&json!("user"), &json!(by.1.id)),
            "{route}: {event}"
        );
        assert_eq!(event["address"], "127.0.0.1", "{route}: {event}");
        assert!(event["subject"].is_string(), "{route}: {event}");
        if let Some(person) = said.about {
            assert_eq!(event["user_id"], json!(person.id), "{route}: {event}");
        }
        if let Some(reason) = said.reason {
            assert_eq!(event["detail"]["reason"], reason, "{route}: {event}");
        }
        self.walked.insert(route);
        answer
    }

    /// The event, which work in the background may write a little later.
    async fn event(&self, route: &str, action: &str, before: i64) -> Value {
        for _ in 0..500 {
            let page = self.admin.get(&format!("/admin/audit?action={action}")).await;
            let found = page.json["items"].as_array().unwrap().iter().find(|event| {
                event["action"] == action && event["seq"].as_i64().is_some_and(|seq| seq > before)
            });
            if let Some(event) = found {
                return event.clone();
            }
        }
        panic!("{route} left no event {action}");
    }
}

fn said(action: &str) -> Said<'_> {
    Said { action, about: None, reason: None }
}

/// Every route of the document that changes something.
async fn mutations(client: &Client) -> BTreeSet<String> {
    let document = client.get("/openapi.json").await.json;
    let mut routes = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        let changing =
            methods.as_object().unwrap().keys().filter(|name| *name != "get" && *name != "parameters");
        routes.extend(changing.map(|method| format!("{} {path}", method.to_uppercase())));
    }
    routes
}

#[tokio::test]
async fn every_call_that_changes_something_leaves_an_event() {
    let app = TestApp::start().await;
    let demo = app.demo().await;
    let (admin, root) = (app.admin_client().await, app.administrator().clone());
    let (alice, bob, eve) = (app.user("alice").await, app.user("bob").await, app.user("eve").await);
    let gateway = app.register(&demo, "demo").await.id;
    for person in [&alice, &bob, &eve] {
        app.connect(person, "demo", &demo, "alice").await;
    }
    let grant = async |app: &TestApp, person: &Person| {
        let found = app.app.storage().grant_of(GrantOwner::User(person.id), gateway).await.unwrap();
        found.unwrap().id
    };
    let (first, second) = (grant(&app, &alice).await, grant(&app, &bob).await);
    let own = app.client(&eve, doorward_domain::Audience::Own).await;
    let mut walk = Walk { app, admin: admin.clone(), walked: BTreeSet::new() };
    let by = (&admin, &root);

    let about = |action, about| Said { action, about: Some(about), reason: None };
    let why = |action, about| Said { action, about, reason: Some("why not") };
    let token = format!("/admin/oauth/tokens/{first}");
    let path = format!("{token}/reauthorize");
    walk.calls(
        "POST /admin/oauth/tokens/{id}/reauthorize",
        &path,
        None,
        by,
        about("grant.reauthorize", &alice),
    )
    .await;
    let many = |id| Some(json!({"ids": [id], "expected_count": 1, "reason": "why not"}));
    let path = "/admin/oauth/tokens/reauthorize";
    walk.calls(
        "POST /admin/oauth/tokens/reauthorize",
        path,
        many(second),
        by,
        why("grant.reauthorize_many", None),
    )
    .await;
    let path = format!("{token}?reason=why%20not");
    walk.calls("DELETE /admin/oauth/tokens/{id}", &path, None, by, why("grant.revoke", Some(&alice))).await;
    let path = "/admin/oauth/tokens/revoke";
    walk.calls("POST /admin/oauth/tokens/revoke", path, many(second), by, why("grant.revoke_many", None))
        .await;
    let path = format!("/connections/{gateway}");
    walk.calls("DELETE /connections/{id}", &path, None, (&own, &eve), about("grant.revoke", &eve)).await;
    walk.calls(
        "POST /admin/oauth/cleanup",
        "/admin/oauth/cleanup",
        Some(json!({})),
        by,
        said("cleanup.done"),
    )
    .await;

    let body = json!({"email": "new@test.example", "name": "New", "role": "user"});
    let made = walk.calls("POST /admin/users", "/admin/users", Some(body), by, said("user.create")).await;
    let path = format!("/admin/users/{}", made.json["id"].as_str().unwrap());
    let body = json!({"name": "Newer"});
    walk.calls("PUT /admin/users/{id}", &path, Some(body), by, said("user.update")).await;
    let link = format!("{path}/reset-link");
    walk.calls("POST /admin/users/{id}/reset-link", &link, None, by, said("user.reset_link")).await;
    walk.calls("DELETE /admin/users/{id}", &path, None, by, said("user.delete")).await;

    let body = json!({"name": "support", "permissions": ["use_gateways"]});
    walk.calls("POST /admin/roles", "/admin/roles", Some(body), by, said("role.create")).await;
    let (path, body) = ("/admin/roles/support", json!({"permissions": ["use_gateways", "read_grants"]}));
    walk.calls("PUT /admin/roles/{id}", path, Some(body), by, said("role.update")).await;
    walk.calls("DELETE /admin/roles/{id}", path, None, by, said("role.delete")).await;

    let body = |name: &str| Some(json!({ "name": name }));
    let made = walk.calls("POST /admin/groups", "/admin/groups", body("Ops"), by, said("group.create")).await;
    let path = format!("/admin/groups/{}", made.json["id"].as_str().unwrap());
    walk.calls("PUT /admin/groups/{id}", &path, body("Operations"), by, said("group.update")).await;
    let member = format!("{path}/members/{}", alice.id);
    let route = "PUT /admin/groups/{id}/members/{user_id}";
    walk.calls(route, &member, None, by, about("group.join", &alice)).await;
    let route = "DELETE /admin/groups/{id}/members/{user_id}";
    walk.calls(route, &member, None, by, about("group.leave", &alice)).await;
    walk.calls("DELETE /admin/groups/{id}", &path, None, by, said("group.delete")).await;

    let body = Some(json!({"name": "Support"}));
    let made = walk.calls("POST /servers", "/servers", body.clone(), by, said("server.create")).await;
    let path = format!("/servers/{}", made.json["id"].as_str().unwrap());
    walk.calls("PUT /servers/{id}", &path, body, by, said("server.update")).await;
    walk.calls("DELETE /servers/{id}", &path, None, by, said("server.delete")).await;

    let body = json!({"name": "laptop"});
    let made = walk
        .calls("POST /api-tokens", "/api-tokens", Some(body), (&own, &eve), about("api_token.create", &eve))
        .await;
    let id = made.json["api_token"]["id"].as_str().or(made.json["id"].as_str()).unwrap();
    let path = format!("/api-tokens/{id}");
    walk.calls("DELETE /api-tokens/{id}", &path, None, (&own, &eve), about("api_token.end", &eve)).await;

    let body = json!({"url": demo.mcp_server.url(), "slug": "two", "authorization": {"type": "none"}});
    let made = walk.calls("POST /gateways", "/gateways", Some(body), by, said("gateway.create")).await;
    let path = format!("/gateways/{}", made.json["id"].as_str().unwrap());
    let body = json!({"name": "Two"});
    walk.calls("PUT /gateways/{id}", &path, Some(body), by, said("gateway.update")).await;
    let check = format!("{path}/check");
    walk.calls("POST /gateways/{id}/check", &check, None, by, said("gateway.check")).await;
    walk.calls("DELETE /gateways/{id}", &path, None, by, said("gateway.delete")).await;

    let known: BTreeSet<&str> =
        walk.walked.iter().copied().chain(CHANGES_NOTHING).chain(SEEN_ELSEWHERE).collect();
    let unknown: Vec<String> =
        mutations(&admin).await.into_iter().filter(|route| !known.contains(route.as_str())).collect();
    assert_eq!(unknown, [""; 0], "each route that changes something is walked here");
    drop(walk.app);
}
