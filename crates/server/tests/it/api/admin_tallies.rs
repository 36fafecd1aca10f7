//! `/admin/tallies`: what the plots are drawn from, also when several processes have counted.

use crate::journey::walk::{self, Process};
use doorward_demo::TokenFault;
use doorward_domain::Audience;
use doorward_testkit::app::{TestApp, TestAppOptions};
use doorward_testkit::client::Client;
use serde_json::{Value, json};
use std::time::Duration;

async fn call(client: &Client) {
    let answer = walk::modern(client, "/mcp", "tools/call", &json!({ "name": "demo-whoami" })).await;
    assert_eq!(walk::tool_text(&answer), "alice");
}

fn last(counts: &Value) -> u64 {
    counts.as_array().and_then(|counts| counts.last()?.as_u64()).unwrap_or_else(|| panic!("{counts}"))
}

#[tokio::test]
async fn calls_refreshes_and_grants_are_counted_by_the_hour() {
    let app = TestApp::start().await;
    let demo = app.demo().await;
    app.register(&demo, "demo").await;
    let (alice, admin) = (app.user("alice").await, app.admin_client().await);
    app.connect(&alice, "demo", &demo, "alice").await;
    let client = walk::mcp(&app, &alice).await;
    call(&client).await;
    call(&client).await;
    app.clock.advance(Duration::from_secs(3_700));
    call(&client).await;
    app.clock.advance(Duration::from_secs(3_700));
    demo.authorization_server.faults().next_token_answer(TokenFault::Unavailable { retry_after_seconds: 1 });
    walk::modern(&client, "/mcp", "tools/call", &json!({ "name": "demo-whoami" })).await;
    app.app.broker().flush_tallies().await.unwrap();
    let day = admin.get("/admin/tallies").await.json;
    assert_eq!(day["steps"].as_array().unwrap().len(), 24);
    let sum = |counts: &Value| counts.as_array().unwrap().iter().filter_map(Value::as_u64).sum::<u64>();
    assert_eq!(sum(&day["calls_by_gateway"]["demo"]), 3, "what was not answered is no call: {day:#}");
    assert_eq!((sum(&day["refreshed"]), last(&day["refreshes_failed"])), (1, 1), "{day:#}");
    assert_eq!(last(&day["calls_by_gateway"]["demo"]), 0);
    let grants: u64 = day["grants_by_health"].as_object().unwrap().values().map(last).sum();
    assert_eq!(grants, 1);
    let month = admin.get("/admin/tallies?span=month").await.json;
    assert_eq!(month["steps"].as_array().unwrap().len(), 30);
    assert_eq!(sum(&month["calls_by_gateway"]["demo"]), 3);

    let page = app.browser(app.administrator()).await.get("/ui?span=month").await.text;
    for words in ["Grants by health in the last 30 days", "Calls to demo", "<desc", "In numbers"] {
        assert!(page.contains(words), "{words}: {page}");
    }
    let own = app.client(&alice, Audience::Own).await;
    assert_eq!(own.get("/admin/tallies").await.status, 403);
    assert!(!app.browser(&alice).await.get("/ui").await.text.contains("Over time"));
    let wrong = admin.get("/admin/tallies?span=year").await;
    assert_eq!((wrong.status, wrong.problem().0), (400, Some("span")));
}

#[tokio::test]
async fn what_replicas_count_adds_up() {
    let app = TestApp::with(TestAppOptions { postgres: true, ..Default::default() }).await;
    let demo = app.demo().await;
    app.register(&demo, "demo").await;
    let (alice, admin) = (app.user("alice").await, app.admin_client().await);
    app.connect(&alice, "demo", &demo, "alice").await;
    let other = Process::beside(&app).await;
    let token = app.api_token(&alice, Audience::Mcp).await;
    call(&app.anonymous().with_bearer(&token)).await;
    call(&other.client.clone().with_bearer(&token)).await;
    call(&other.client.clone().with_bearer(&token)).await;
    for broker in [app.app.broker(), other.app.broker()] {
        broker.flush_tallies().await.unwrap();
    }
    let day = admin.get("/admin/tallies").await.json;
    assert_eq!(last(&day["calls_by_gateway"]["demo"]), 3);
    assert_eq!(last(&day["grants_by_health"]["valid"]), 1);
}
