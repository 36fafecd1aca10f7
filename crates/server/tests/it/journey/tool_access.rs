//! A tool that is not for everyone who may use its gateway: lists and calls obey one rule, at every address.

use super::walk::{audited, mcp, modern, tool_text};
use doorward_domain::{Audience, Gateway};
use doorward_testkit::app::{Person, TestApp};
use doorward_testkit::client::Client;
use serde_json::{Value, json};
use std::sync::Arc;

struct Stage {
    app: TestApp,
    _demo: doorward_demo::Demo,
    gateway: Arc<Gateway>,
    admin: Client,
}

impl Stage {
    async fn set() -> Self {
        let app = TestApp::start().await;
        let demo = app.demo().await;
        let gateway = app.register(&demo, "demo").await;
        for name in ["alice", "bob"] {
            let person = app.user(name).await;
            app.connect(&person, "demo", &demo, name).await;
        }
        let admin = app.admin_client().await;
        Self { app, _demo: demo, gateway, admin }
    }

    async fn restrict(&self, lists: &Value) -> doorward_testkit::client::Answer {
        self.admin.put(&format!("/gateways/{}", self.gateway.id), &json!({ "tool_access": lists })).await
    }

    async fn client(&self, name: &str) -> Client {
        mcp(&self.app, &self.person(name).await).await
    }

    async fn person(&self, name: &str) -> Person {
        self.app.person(&format!("{name}@test.example")).await
    }
}

async fn tools(client: &Client, path: &str) -> Vec<String> {
    let listed = modern(client, path, "tools/list", &json!({})).await;
    let tools = listed["result"]["tools"].as_array().unwrap_or_else(|| panic!("{listed:#}"));
    tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
}

async fn call(client: &Client, path: &str, name: &str) -> Value {
    modern(client, path, "tools/call", &json!({ "name": name })).await
}

/// Where the tool is met, and what it is called there.
const PLACES: [(&str, &str); 3] =
    [("/mcp", "demo-whoami"), ("/gateways/demo/mcp", "whoami"), ("/servers/desk/mcp", "who")];

#[tokio::test]
async fn a_tool_for_some_is_neither_listed_nor_called_by_others_at_any_address() {
    let stage = Stage::set().await;
    let item =
        json!({ "kind": "tool", "gateway_id": stage.gateway.id, "name": "whoami", "exposed_name": "who" });
    let server = json!({ "name": "Desk", "items": [item] });
    assert_eq!(stage.admin.post("/servers", &server).await.status, 201);
    let (alice, bob) = (stage.client("alice").await, stage.client("bob").await);
    for (path, name) in PLACES {
        for (client, who) in [(&alice, "alice"), (&bob, "bob")] {
            assert!(tools(client, path).await.contains(&name.to_owned()), "{who} at {path}");
        }
    }
    let alices = stage.person("alice").await.id;
    let lists = json!({ "whoami": { "for": "listed", "users": [alices] } });
    let edited = stage.restrict(&lists).await;
    assert_eq!((edited.status, &edited.json["tool_access"]), (200, &lists), "{edited:?}");
    for (path, name) in PLACES {
        assert!(tools(&alice, path).await.contains(&name.to_owned()), "{path}");
        assert_eq!(tool_text(&call(&alice, path, name).await), "alice");
        assert!(!tools(&bob, path).await.contains(&name.to_owned()), "{path}");
        let refused = call(&bob, path, name).await;
        assert_eq!(refused["error"]["code"], -32602, "{path}: {refused:#}");
        assert!(refused["error"]["message"].as_str().unwrap().contains("there is no tool"), "{refused:#}");
    }
    let catalog = stage.app.client(&stage.person("bob").await, Audience::Own).await.get("/tools").await;
    assert!(catalog.status == 200 && !catalog.text.contains("whoami"), "{catalog:?}");
    let seen = stage.app.client(&stage.person("bob").await, Audience::Own).await;
    let seen = seen.get(&format!("/gateways/{}", stage.gateway.id)).await;
    assert!(
        seen.status == 200 && !seen.text.contains("tool_access"),
        "who may use what is not for all to read"
    );
}

#[tokio::test]
async fn a_group_gives_a_tool_and_takes_it_away_at_once_and_each_step_is_audited() {
    let stage = Stage::set().await;
    let (broker, root) = (stage.app.app.broker(), &stage.app.administrator().caller);
    let group = broker.create_group(root, "Ops").await.unwrap().id;
    let lists = json!({ "whoami": { "for": "listed", "groups": [group] } });
    assert_eq!(stage.restrict(&lists).await.status, 200);
    let told = audited(&stage.app, "gateway.update").await[0]["detail"]["tool_access"].clone();
    assert_eq!(told, format!("whoami: group {group} (before: everyone)"));
    let (bob, bobs) = (stage.client("bob").await, stage.person("bob").await.id);
    for _ in 0..2 {
        assert!(call(&bob, "/mcp", "demo-whoami").await.get("error").is_some());
        broker.join_group(root, group, bobs).await.unwrap();
        assert_eq!(tool_text(&call(&bob, "/mcp", "demo-whoami").await), "bob");
        broker.leave_group(root, group, bobs).await.unwrap();
    }
    broker.join_group(root, group, bobs).await.unwrap();
    broker.delete_group(root, group, None).await.unwrap();
    let refused = call(&bob, "/mcp", "demo-whoami").await;
    assert!(refused.get("error").is_some(), "a list that has lost everybody admits nobody: {refused:#}");
    assert_eq!(stage.restrict(&json!({})).await.status, 200);
    assert_eq!(tool_text(&call(&bob, "/mcp", "demo-whoami").await), "bob");
}

#[tokio::test]
async fn a_list_of_a_tool_that_cannot_be_is_refused_by_name() {
    let stage = Stage::set().await;
    let nobody = "0199aaaa-0000-7000-8000-000000000000";
    for (lists, field) in [
        (json!({ "": { "for": "listed" } }), "tool_access"),
        (json!({ "a\nb": { "for": "listed" } }), "tool_access"),
        (json!({ "whoami": { "for": "listed", "users": [nobody] } }), "access.users"),
        (json!({ "whoami": { "for": "everyone", "users": [nobody] } }), "access"),
    ] {
        let refused = stage.restrict(&lists).await;
        assert_eq!((refused.status, refused.problem().0), (400, Some(field)), "{lists}");
    }
    for wrong in [json!(["whoami"]), json!({ "whoami": "everyone" }), json!({ "whoami": { "for": "x" } })] {
        assert_eq!(stage.restrict(&wrong).await.status, 400, "{wrong}");
    }
    let kept = stage.admin.get(&format!("/gateways/{}", stage.gateway.id)).await;
    assert!(kept.json.get("tool_access").is_none(), "{kept:?}");
}

#[tokio::test]
async fn who_may_use_a_tool_is_set_on_its_page() {
    let stage = Stage::set().await;
    let browser = stage.app.browser(stage.app.administrator()).await;
    let list = format!("/ui/gateways/{}/tools", stage.gateway.id);
    let bob = stage.client("bob").await;
    tools(&bob, "/mcp").await;
    let shown = browser.get(&list).await.text;
    assert!(shown.contains("whoami") && shown.contains("Everyone who may use the gateway"), "{shown}");
    assert!(shown.contains("Connect the gateway yourself"), "nobody sees another's resources: {shown}");
    let page = format!("{list}/access?tool=whoami");
    let version = crate::ui::hidden(&browser.get(&page).await.text, "version");
    let wrong = [("access", "listed"), ("access.users", "nobody@nowhere"), ("version", &*version)];
    assert_eq!(browser.form(&page, &wrong).await.status, 400);
    let fields = [("access", "listed"), ("access.users", "alice@test.example"), ("version", &*version)];
    assert_eq!(browser.form(&page, &fields).await.header("location"), format!("{list}?note=access-saved"));
    assert_eq!(browser.form(&page, &fields).await.status, 412, "the form was made from an older version");
    assert!(browser.get(&list).await.text.contains("1 person"));
    assert!(browser.get(&page).await.text.contains("alice@test.example"));
    assert!(call(&bob, "/mcp", "demo-whoami").await.get("error").is_some());
    assert_eq!(browser.get(&format!("{list}/access?tool=nothing")).await.status, 404);
    let bobs = stage.app.browser(&stage.person("bob").await).await;
    for path in [&list, &page] {
        assert_eq!(bobs.get(path).await.status, 403);
    }
}
