//! Eight calls on a token that has ended, at the two real authorization servers that rotate refresh tokens
//! and punish reuse: one refresh, eight answers, and the grant lives.

use super::walk::{self, Process, modern};
use doorward_broker::{Access, RefreshedNow};
use doorward_demo::{McpServerOptions, TokenFault};
use doorward_domain::{Audience, GrantOwner, PageRequest};
use doorward_storage::AuditFilter;
use doorward_testkit::app::{TestApp, TestAppOptions};
use doorward_testkit::client::Client;
use doorward_testkit::provider::Provider;
use doorward_testkit::{glewlwyd, oidc_provider};
use futures_util::future::join_all;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

const LIFETIME: u64 = 3600;

async fn eight_calls_cause_one_refresh(app: TestApp, provider: Provider) {
    let upstream = provider.mcp_server(McpServerOptions::default()).await;
    walk::register(&app, "awkward", &provider, &upstream).await;
    let alice = app.user("alice").await;
    walk::connect(&app, &alice, "awkward", &provider, "alice").await;
    let client = walk::mcp(&app, &alice).await;
    let call = |number| as_alice(&client, number);
    call(0).await;
    assert_eq!(provider.control().log().await.refreshes(), 0);

    // The clock is Doorward's: it believes that the token has ended. The provider counts what it is asked.
    app.clock.advance(Duration::from_secs(LIFETIME + 1));
    upstream.clear_log();
    join_all((0..8).map(call)).await;
    let log = provider.control().log().await;
    assert_eq!(log.refreshes(), 1);
    assert!(log.token_requests.get("refresh_token").is_none_or(|asked| *asked == 1), "{log:?}");
    let tokens: Vec<_> = upstream.log().into_iter().filter_map(|seen| seen.bearer).collect();
    assert!(tokens.len() >= 8 && tokens.iter().all(|token| *token == tokens[0]));

    // The ninth: reuse would have killed the grant.
    app.clock.advance(Duration::from_secs(LIFETIME + 1));
    call(8).await;
    assert_eq!(provider.control().log().await.refreshes(), 2);
}

/// One call of the three methods in turn (S11), answered for alice.
async fn as_alice(client: &Client, number: usize) {
    let (method, params) = match number % 3 {
        0 => ("tools/call", json!({ "name": "awkward-whoami" })),
        1 => ("resources/read", json!({ "uri": "demo://repo-list" })),
        _ => ("prompts/get", json!({ "name": "awkward-pr-summary", "arguments": { "repo": "keyring" } })),
    };
    let answer = modern(client, "/mcp", method, &params).await;
    assert!(answer["result"].to_string().contains("alice"), "{answer:#}");
}

#[tokio::test]
async fn eight_calls_on_an_ended_token_cause_one_refresh_at_oidc_provider() {
    let app = TestApp::start().await;
    let provider = oidc_provider::start(&walk::redirect_uri(&app), LIFETIME).await;
    eight_calls_cause_one_refresh(app, provider).await;
}

#[tokio::test]
async fn eight_calls_on_an_ended_token_cause_one_refresh_at_glewlwyd() {
    let app = TestApp::start().await;
    let provider = glewlwyd::start(&walk::redirect_uri(&app), LIFETIME).await;
    eight_calls_cause_one_refresh(app, provider).await;
}

#[tokio::test]
async fn a_token_that_the_upstream_refuses_early_is_replaced_once_for_eight_callers() {
    let app = TestApp::start().await;
    let provider = oidc_provider::start(&walk::redirect_uri(&app), LIFETIME).await;
    let upstream = provider.mcp_server(McpServerOptions::default()).await;
    walk::register(&app, "awkward", &provider, &upstream).await;
    let alice = app.user("alice").await;
    walk::connect(&app, &alice, "awkward", &provider, "alice").await;
    let client = walk::mcp(&app, &alice).await;
    as_alice(&client, 0).await;
    provider.control().end_access_tokens().await;
    join_all((0..8).map(|number| as_alice(&client, number))).await;
    assert_eq!(provider.control().log().await.refreshes(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r1_r2_fifty_callers_by_every_path_on_two_replicas_cause_one_refresh() {
    let app = TestApp::with(TestAppOptions { postgres: true, ..Default::default() }).await;
    let demo = app.demo().await;
    let gateway = app.register(&demo, "demo").await;
    let alice = app.user("alice").await;
    app.connect(&alice, "demo", &demo, "alice").await;
    let other = Process::beside(&app).await;
    let grant = app.app.storage().grant_of(GrantOwner::User(alice.id), gateway.id).await.unwrap().unwrap();
    let Access::Header(sent) = app.app.broker().access(&alice.caller, &gateway).await.unwrap() else {
        panic!()
    };
    let sent = sent.used.unwrap();
    app.clock.advance(Duration::from_secs(LIFETIME + 1));

    // "Refresh now" asks for a newer token than the one there is, so all of them ask while it is on its way.
    let release = Arc::new(Notify::new());
    demo.authorization_server.faults().next_token_answer(TokenFault::HeldUntil(Arc::clone(&release)));
    let (app, other, gateway, alice, sent) = (&app, &other, &gateway, &alice, &sent);
    let callers = (0..50).map(|number| async move {
        let broker = [app.app.broker(), other.app.broker()][number / 2 % 2];
        match number % 4 {
            0 => {
                let access = broker.access(&alice.caller, gateway).await.unwrap();
                assert!(matches!(access, Access::Header(_)), "{access:?}");
            }
            1 => drop(broker.refresh_due().await.unwrap()),
            2 => {
                let fresh = broker.refresh_now(&app.administrator().caller, grant.id).await.unwrap();
                assert!(matches!(fresh, RefreshedNow::Fresh(_)), "{fresh:?}");
            }
            _ => {
                let renewed = broker.access_after_refusal(&alice.caller, gateway, sent).await.unwrap();
                assert!(matches!(renewed, Access::Header(_)), "{renewed:?}");
            }
        }
    });
    let asked_by_all = async {
        let asked = AuditFilter { action_prefix: Some("grant.refresh_now".into()), ..AuditFilter::default() };
        let page = PageRequest::default();
        while app.app.storage().audit_events(&asked, &page).await.unwrap().items.len() < 12 {
            tokio::task::yield_now().await;
        }
        while demo.authorization_server.log().refreshes == 0 {
            tokio::task::yield_now().await;
        }
        release.notify_one();
    };
    tokio::join!(join_all(callers), asked_by_all);
    let log = demo.authorization_server.log();
    assert_eq!((log.refreshes, log.token_requests_of("refresh_token"), log.refresh_token_reuses), (1, 1, 0));
}

#[tokio::test]
async fn m8_a_client_is_told_the_reference_that_leads_to_the_reason() {
    let app = TestApp::start().await;
    let demo = app.demo().await;
    app.register(&demo, "awkward").await;
    let alice = app.user("alice").await;
    app.connect(&alice, "awkward", &demo, "alice").await;
    let client = walk::mcp(&app, &alice).await;
    as_alice(&client, 0).await;
    app.clock.advance(Duration::from_secs(LIFETIME + 1));
    let faults = demo.authorization_server.faults();
    faults.next_token_answer(TokenFault::Unavailable { retry_after_seconds: 7 });
    let whoami = json!({ "name": "awkward-whoami" });
    let down = modern(&client, "/mcp", "tools/call", &whoami).await;
    let first = down["error"]["data"]["reference"].as_str().unwrap_or_else(|| panic!("{down:#}")).to_owned();
    assert!(
        down["error"]["message"].as_str().unwrap().ends_with(&format!("(reference {first})")),
        "{down:#}"
    );
    assert!(down["error"]["data"]["retry_after_seconds"].as_u64().unwrap() >= 7);

    app.clock.advance(Duration::from_secs(60));
    faults.next_token_answer(TokenFault::RefusedSaying {
        status: 400,
        error: "invalid_grant".into(),
        description: "ended on Monday".into(),
    });
    let asked = modern(&client, "/mcp", "tools/call", &whoami).await;
    let facts = &asked["result"]["_meta"]["doorward/authorization_required"];
    let second = facts["reference"].as_str().unwrap_or_else(|| panic!("{asked:#}")).to_owned();
    assert!(walk::tool_text(&asked).ends_with(&format!("(reference {second})")), "{asked:#}");
    let uri = json!({ "uri": "demo://repo-list" });
    let again = modern(&client, "/mcp", "resources/read", &uri).await;
    assert_eq!(again["error"]["data"]["reference"], second.as_str(), "{again:#}");
    assert!(!format!("{asked}{again}").contains("Monday"), "the provider's words reach no client");

    for (reference, action) in [(first, "grant.refresh_failed"), (second, "grant.park")] {
        let filter = AuditFilter { reference: Some(reference), ..AuditFilter::default() };
        let told = app.app.storage().audit_events(&filter, &PageRequest::default()).await.unwrap().items;
        assert_eq!(told.iter().map(|event| event.action.as_str()).collect::<Vec<_>>(), [action]);
    }
}

#[tokio::test]
async fn two_processes_with_four_calls_each_cause_one_refresh() {
    let app = TestApp::with(TestAppOptions { postgres: true, ..Default::default() }).await;
    let provider = oidc_provider::start(&walk::redirect_uri(&app), LIFETIME).await;
    let upstream = provider.mcp_server(McpServerOptions::default()).await;
    walk::register(&app, "awkward", &provider, &upstream).await;
    let alice = app.user("alice").await;
    walk::connect(&app, &alice, "awkward", &provider, "alice").await;
    let other = Process::beside(&app).await;
    let token = app.api_token(&alice, Audience::Mcp).await;
    let clients = [app.anonymous(), other.client.clone()].map(|client| client.with_bearer(&token));
    for client in &clients {
        as_alice(client, 0).await;
    }
    for round in 1..=2 {
        app.clock.advance(Duration::from_secs(LIFETIME + 1));
        join_all((0..8).map(|number| as_alice(&clients[number % 2], number))).await;
        assert_eq!(provider.control().log().await.refreshes(), round);
    }
}
