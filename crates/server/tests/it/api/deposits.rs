//! `POST /admin/oauth/tokens` and the person's word on what was deposited for them.

use crate::journey::walk::{asked_link, mcp, modern, tool_text};
use doorward_demo::Demo;
use doorward_domain::{Audience, DepositPolicy, Gateway, Policy, Role, UserId};
use doorward_testkit::app::{ADMINISTRATOR, Person, TestApp, TestAppOptions};
use doorward_testkit::client::{Answer, Client};
use serde_json::{Value, json};
use std::sync::Arc;

struct Stage {
    app: TestApp,
    demo: Demo,
    gateway: Arc<Gateway>,
    alice: Person,
    admin: Client,
    own: Client,
}

impl Stage {
    async fn of(deposit: DepositPolicy) -> Self {
        let policy = Policy { deposit, ..Policy::default() };
        let app = TestApp::with(TestAppOptions { policy, ..Default::default() }).await;
        let demo = app.demo().await;
        let gateway = app.register(&demo, "demo").await;
        let alice = app.user("alice").await;
        let admin = app.admin_client().await;
        let own = app.client(&alice, Audience::Own).await;
        Self { app, demo, gateway, alice, admin, own }
    }

    /// Tokens of the provider's, as a script would bring them, and their values.
    fn body(&self, user: UserId) -> (Value, Vec<String>) {
        let server = &self.demo.authorization_server;
        let given = server.hand_out("alice", self.demo.mcp_server.url().as_str());
        let secrets = vec![given.access_token.clone(), given.refresh_token.clone()];
        let body = json!({
            "user_id": user, "gateway_id": self.gateway.id, "access_token": given.access_token,
            "refresh_token": given.refresh_token, "expires_at": self.app.clock.now().plus(given.lifetime),
        });
        (body, secrets)
    }

    async fn deposited(&self) -> Answer {
        let (body, secrets) = self.body(self.alice.id);
        let answer = self.admin.post("/admin/oauth/tokens", &body).await;
        assert!(secrets.iter().all(|secret| !answer.text.contains(secret)), "{}", answer.text);
        answer
    }

    async fn call(&self) -> Value {
        let client = mcp(&self.app, &self.alice).await;
        modern(&client, "/mcp", "tools/call", &json!({ "name": "demo-whoami" })).await
    }

    async fn word(&self, word: &str, version: &Value) -> Answer {
        let path = format!("/connections/{}/{word}", self.gateway.id);
        self.own.post(&path, &json!({ "version": version })).await
    }

    async fn actions(&self) -> Vec<String> {
        let page = self.admin.get("/admin/audit?limit=200").await.json;
        let items = page["items"].as_array().unwrap();
        items.iter().map(|event| event["action"].as_str().unwrap().to_owned()).collect()
    }
}

#[tokio::test]
async fn nothing_is_deposited_unless_a_setting_allows_it_and_never_by_a_lesser_role() {
    let stage = Stage::of(DepositPolicy::Off).await;
    let refused = stage.deposited().await;
    assert_eq!(refused.status, 409);
    assert!(refused.problem().1.contains("OAUTH_TOKEN_DEPOSIT"), "{refused:?}");
    let operator = stage.app.person_as("operator", Role::Operator).await;
    let operator = stage.app.client(&operator, Audience::Admin).await;
    let (body, _) = stage.body(stage.alice.id);
    assert_eq!(operator.post("/admin/oauth/tokens", &body).await.status, 403);
    assert_eq!(stage.admin.get("/admin/oauth/tokens").await.json["items"], json!([]));
    assert!(!stage.actions().await.contains(&"grant.deposit".to_owned()));
}

#[tokio::test]
async fn a_deposit_waits_for_its_persons_word_and_carries_calls_only_then() {
    let stage = Stage::of(DepositPolicy::Ask).await;
    let made = stage.deposited().await;
    assert_eq!(made.status, 201, "{made:?}");
    assert_eq!(
        (&made.json["deposited_by"], &made.json["state_reason"], &made.json["health"]),
        (&json!(ADMINISTRATOR), &json!("deposited"), &json!("needs_authorization"))
    );
    let listed = stage.admin.get("/admin/oauth/tokens").await.json["items"][0].clone();
    assert_eq!(listed["deposited_by"], json!(ADMINISTRATOR));

    // No call carries it, whoever refreshes it; the person is asked.
    asked_link(&stage.call().await);
    let id = made.json["id"].as_str().unwrap();
    stage.admin.post(&format!("/admin/oauth/tokens/{id}/refresh"), &json!({})).await;
    asked_link(&stage.call().await);
    assert_eq!(stage.demo.mcp_server.log().iter().filter(|seen| seen.bearer.is_some()).count(), 0);

    let shown = stage.own.get("/connections").await.json["items"][0].clone();
    let deposit = &shown["deposit"];
    assert_eq!((&deposit["deposited_by"], &deposit["accepted"]), (&json!(ADMINISTRATOR), &json!(false)));
    let stale = stage.word("accept", &json!(deposit["version"].as_i64().unwrap() + 1)).await;
    assert_eq!(stale.status, 412, "{stale:?}");
    let bob = stage.app.client(&stage.app.user("bob").await, Audience::Own).await;
    let path = format!("/connections/{}/accept", stage.gateway.id);
    assert_eq!(bob.post(&path, &json!({ "version": deposit["version"] })).await.status, 404);
    asked_link(&stage.call().await);

    let accepted = stage.word("accept", &deposit["version"]).await;
    assert_eq!((accepted.status, &accepted.json["deposit"]["accepted"]), (200, &json!(true)), "{accepted:?}");
    assert_eq!(tool_text(&stage.call().await), "alice");
    assert_eq!(
        stage.word("accept", &accepted.json["deposit"]["version"]).await.status,
        404,
        "it was accepted"
    );

    // It renews itself like any other, and still says where it came from.
    stage.app.clock.advance(std::time::Duration::from_secs(4_000));
    assert_eq!(tool_text(&stage.call().await), "alice");
    assert_eq!(stage.demo.authorization_server.log().refreshes, 1);
    assert_eq!(
        stage.own.get("/connections").await.json["items"][0]["deposit"]["deposited_by"],
        ADMINISTRATOR
    );
    let actions = stage.actions().await;
    for action in ["grant.deposit", "grant.accept"] {
        assert_eq!(actions.iter().filter(|seen| *seen == action).count(), 1, "{action}: {actions:?}");
    }
}

#[tokio::test]
async fn a_deposit_never_replaces_a_grant_that_works_and_gives_way_to_a_consent() {
    let stage = Stage::of(DepositPolicy::Trust).await;
    stage.app.connect(&stage.alice, "demo", &stage.demo, "alice").await;
    let before = stage.own.get("/connections").await.json["items"][0].clone();
    let refused = stage.deposited().await;
    assert_eq!((refused.status, refused.problem().0), (409, Some("user_id")), "{refused:?}");
    assert_eq!(stage.own.get("/connections").await.json["items"][0], before);

    // What needs authorization anyway may be replaced.
    let id = stage.admin.get("/admin/oauth/tokens").await.json["items"][0]["id"].as_str().unwrap().to_owned();
    stage.admin.post(&format!("/admin/oauth/tokens/{id}/reauthorize"), &json!({})).await;
    asked_link(&stage.call().await);
    assert_eq!(stage.deposited().await.status, 201);
    assert_eq!(tool_text(&stage.call().await), "alice", "trusted: calls carry it at once");
    let shown = stage.own.get("/connections").await.json["items"][0]["deposit"].clone();
    assert_eq!((&shown["deposited_by"], &shown["accepted"]), (&json!(ADMINISTRATOR), &json!(true)));
    stage.app.connect(&stage.alice, "demo", &stage.demo, "alice").await;
    assert_eq!(stage.own.get("/connections").await.json["items"][0]["deposit"], json!(null));
}

#[tokio::test]
async fn a_declined_deposit_is_deleted_here_and_left_alone_at_the_provider() {
    let stage = Stage::of(DepositPolicy::Ask).await;
    stage.deposited().await;
    assert_eq!(stage.deposited().await.status, 409, "one waits already");
    let version = stage.own.get("/connections").await.json["items"][0]["deposit"]["version"].clone();
    let declined = stage.word("decline", &version).await;
    assert_eq!((declined.status, &declined.json["receipt"]), (200, &json!("not_told")), "{declined:?}");
    assert_eq!(stage.own.get("/connections").await.json["items"][0]["status"], "not_connected");
    assert_eq!(stage.deposited().await.status, 201, "another one may come");
}

#[tokio::test]
async fn a_deposit_that_cannot_be_right_is_refused_by_its_field_without_the_token() {
    let stage = Stage::of(DepositPolicy::Ask).await;
    let nobody = "0190f5d2-7c1e-7000-8000-000000000001";
    let past = stage.app.clock.now().minus(std::time::Duration::from_secs(1));
    let cases = [
        ("user_id", json!(nobody), "user_id"),
        ("gateway_id", json!(nobody), "gateway_id"),
        ("access_token", json!(""), "access_token"),
        ("access_token", json!("canary with spaces"), "access_token"),
        ("access_token", json!({ "canary": 1 }), "access_token"),
        ("refresh_token", json!("canary\nx"), "refresh_token"),
        ("scopes", json!(["two words"]), "scopes"),
        ("label", json!("x"), "label"),
    ];
    for (name, value, field) in cases {
        let (mut body, secrets) = stage.body(stage.alice.id);
        body[name] = value;
        let refused = stage.admin.post("/admin/oauth/tokens", &body).await;
        assert_eq!((refused.status, refused.problem().0), (400, Some(field)), "{body}: {refused:?}");
        let shown = |secret: &String| refused.text.contains(secret);
        assert!(!secrets.iter().any(shown) && !refused.text.contains("canary"), "{}", refused.text);
    }
    let (mut body, _) = stage.body(stage.alice.id);
    body.as_object_mut().unwrap().remove("refresh_token");
    body["expires_at"] = json!(past);
    let refused = stage.admin.post("/admin/oauth/tokens", &body).await;
    assert_eq!((refused.status, refused.problem().0), (400, Some("expires_at")), "{refused:?}");
    assert_eq!(stage.admin.post("/admin/oauth/tokens?x=1", &body).await.problem().0, Some("x"));
    assert_eq!(stage.word("accept", &json!(1)).await.status, 404, "nothing was stored");
}
