//! Eight calls on a token that has ended, at the two real authorization servers that rotate refresh tokens
//! and punish reuse: one refresh, eight answers, and the grant lives.

use super::walk::{self, modern, tool_text};
use doorward_demo::McpServerOptions;
use doorward_testkit::app::TestApp;
use doorward_testkit::provider::Provider;
use doorward_testkit::{glewlwyd, oidc_provider};
use futures_util::future::join_all;
use serde_json::json;
use std::time::Duration;

const LIFETIME: u64 = 3600;

async fn eight_calls_cause_one_refresh(app: TestApp, provider: Provider) {
    let upstream = provider.mcp_server(McpServerOptions::default()).await;
    walk::register(&app, "awkward", &provider, &upstream).await;
    let alice = app.user("alice").await;
    walk::connect(&app, &alice, "awkward", &provider, "alice").await;
    let client = walk::mcp(&app, &alice).await;
    let params = json!({ "name": "awkward-whoami" });
    let call = || modern(&client, "/mcp", "tools/call", &params);
    assert_eq!(tool_text(&call().await), "alice");
    assert_eq!(provider.control().log().await.refreshes(), 0);

    // The clock is Doorward's: it believes that the token has ended. The provider counts what it is asked.
    app.clock.advance(Duration::from_secs(LIFETIME + 1));
    upstream.clear_log();
    for answer in join_all((0..8).map(|_| call())).await {
        assert_eq!(tool_text(&answer), "alice");
    }
    let log = provider.control().log().await;
    assert_eq!(log.refreshes(), 1);
    assert!(log.token_requests.get("refresh_token").is_none_or(|asked| *asked == 1), "{log:?}");
    let tokens: Vec<_> = upstream.log().into_iter().filter_map(|seen| seen.bearer).collect();
    assert!(tokens.len() >= 8 && tokens.iter().all(|token| *token == tokens[0]));

    // The ninth: reuse would have killed the grant.
    app.clock.advance(Duration::from_secs(LIFETIME + 1));
    assert_eq!(tool_text(&call().await), "alice");
    assert_eq!(provider.control().log().await.refreshes(), 2);
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
    let params = json!({ "name": "awkward-whoami" });
    let call = || modern(&client, "/mcp", "tools/call", &params);
    assert_eq!(tool_text(&call().await), "alice");
    provider.control().end_access_tokens().await;
    for answer in join_all((0..8).map(|_| call())).await {
        assert_eq!(tool_text(&answer), "alice");
    }
    assert_eq!(provider.control().log().await.refreshes(), 1);
}
