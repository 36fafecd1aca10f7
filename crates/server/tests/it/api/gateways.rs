//! `/gateways`: create, edit, delete; secrets are never shown and never lost.

use doorward_testkit::app::TestApp;
use serde_json::json;

#[tokio::test]
async fn a_gateway_is_created_as_a_draft_and_read_back() {
    let app = TestApp::start().await;
    let admin = app.admin_client().await;
    let made = admin.post("/gateways", &json!({"url": "http://127.0.0.1:9/mcp", "name": "Nine", "authorization": {"type": "none"}})).await;
    assert_eq!(made.status, 201, "{made:?}");
}
