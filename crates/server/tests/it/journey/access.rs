//! Whoever loses access to a gateway is served no more, on any replica, and what runs there is cut.

use super::walk::{self, Process, modern, published, tool_text};
use doorward_broker::{AuthorizationInput, Edit, GatewayInput};
use doorward_demo::{Demo, McpFault};
use doorward_domain::{AccessList, Audience, Gateway, HeaderSecret};
use doorward_testkit::app::{TestApp, TestAppOptions};
use doorward_testkit::client::Client;
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::sync::Notify;

/// `AUTHORIZATION_ENDED` of docs/administrators.md.
const CUT: i64 = 4_012;

async fn whoami(client: &Client) -> Value {
    modern(client, "/mcp", "tools/call", &json!({ "name": "demo-whoami" })).await
}

async fn restrict(app: &TestApp, gateway: &Gateway, access: AccessList) {
    let input = GatewayInput { access: Some(access), ..GatewayInput::default() };
    let caller = &app.administrator().caller;
    app.app.broker().update_gateway(caller, gateway.id, None, input).await.unwrap();
}

#[tokio::test]
async fn lost_access_holds_on_every_replica_when_it_has_been_answered() {
    let app = TestApp::with(TestAppOptions { postgres: true, ..TestAppOptions::default() }).await;
    let demo = app.demo().await;
    let gateway = app.register(&demo, "demo").await;
    let alice = app.user("alice").await;
    app.connect(&alice, "demo", &demo, "alice").await;
    let other = Process::beside(&app).await;
    let token = app.api_token(&alice, Audience::Mcp).await;
    let (here, there) = (app.anonymous().with_bearer(&token), other.client.clone().with_bearer(&token));
    let (broker, root) = (app.app.broker(), &app.administrator().caller);
    let group = broker.create_group(root, "Ops").await.unwrap().id;
    restrict(&app, &gateway, AccessList::Only { groups: [group].into(), users: [].into() }).await;
    for _ in 0..3 {
        for client in [&there, &here] {
            let refused = whoami(client).await;
            assert_eq!(refused["error"]["code"], -32602, "to alice there is no such tool: {refused:#}");
        }
        broker.join_group(root, group, alice.id).await.unwrap();
        for client in [&there, &here] {
            assert_eq!(tool_text(&whoami(client).await), "alice", "and she need not authorize again");
        }
        broker.leave_group(root, group, alice.id).await.unwrap();
    }
}

/// A gateway whose header is the same for everyone: nobody has a grant there.
async fn shared_gateway(app: &TestApp, demo: &Demo) -> Arc<Gateway> {
    app.register(demo, "demo").await;
    let carol = app.user("carol").await;
    app.connect(&carol, "demo", demo, "alice").await;
    assert_eq!(tool_text(&whoami(&walk::mcp(app, &carol).await).await), "alice");
    let bearer = demo.mcp_server.log().into_iter().find_map(|seen| seen.bearer).unwrap();
    let value = Edit::Set(HeaderSecret::new(format!("Bearer {bearer}")));
    let header = AuthorizationInput::StaticHeader { name: "authorization".to_owned(), value };
    app.register_input(published("shared", demo.mcp_server.url(), header)).await
}

#[tokio::test]
async fn what_runs_at_a_gateway_without_grants_is_cut_when_its_user_loses_access() {
    let app = TestApp::start().await;
    let demo = app.demo().await;
    let gateway = shared_gateway(&app, &demo).await;
    let (alice, bob) = (app.user("alice").await, app.user("bob").await);
    let call = async |client: Client| {
        modern(&client, "/gateways/shared/mcp", "tools/call", &json!({ "name": "whoami" })).await
    };
    let client = walk::mcp(&app, &alice).await;
    assert_eq!(tool_text(&call(client.clone()).await), "alice");
    let release = Arc::new(Notify::new());
    demo.mcp_server.clear_log();
    demo.mcp_server.faults().next_answer(McpFault::HeldUntil(Arc::clone(&release)));
    let restricted = async {
        while !demo.mcp_server.log().iter().any(|seen| seen.body.contains("tools/call")) {
            tokio::task::yield_now().await;
        }
        restrict(&app, &gateway, AccessList::Only { groups: [].into(), users: [bob.id].into() }).await;
    };
    // It ends although the upstream has not answered.
    let (cut, ()) = tokio::join!(call(client.clone()), restricted);
    assert_eq!(cut["error"]["code"], CUT, "{cut:#}");
    release.notify_one();
    let refused = client.post("/gateways/shared/mcp", &json!({})).await;
    assert_eq!(refused.status, 404, "{refused:?}");
    assert_eq!(tool_text(&call(walk::mcp(&app, &bob).await).await), "alice");
}
