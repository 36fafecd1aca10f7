//! A gateway that is pointed at another host takes nothing there: no client secret, no refresh token, no
//! access token, no static header.

use super::walk::{asked_link, mcp, modern, published, tool_text};
use doorward_broker::{AuthorizationInput, Edit};
use doorward_domain::{Audience, HeaderSecret};
use doorward_testkit::app::TestApp;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// A host that writes down every byte that it is sent.
struct Recorder {
    origin: String,
    seen: Arc<Mutex<Vec<u8>>>,
}

impl Recorder {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let notes = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let notes = Arc::clone(&notes);
                tokio::spawn(async move {
                    let mut buffer = [0; 4096];
                    while let Ok(read @ 1..) = stream.read(&mut buffer).await {
                        notes.lock().unwrap().extend_from_slice(&buffer[..read]);
                        let _ =
                            stream.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n").await;
                    }
                });
            }
        });
        Self { origin, seen }
    }

    fn heard(&self) -> String {
        String::from_utf8_lossy(&self.seen.lock().unwrap()).into_owned()
    }
}

/// The settings as REST shows them, to be sent back changed.
fn edited(gateway: &Value, name: &str, value: &str) -> Value {
    let mut authorization = gateway["authorization"].clone();
    authorization.as_object_mut().unwrap().remove("has_client_secret");
    authorization[name] = json!(value);
    authorization
}

#[tokio::test]
async fn re_pointing_a_gateway_at_another_host_sends_that_host_nothing() {
    let app = TestApp::start().await;
    let demo = app.demo().await;
    let alice = app.user("alice").await;
    let admin = app.admin_client().await;
    let client = mcp(&app, &alice).await;
    for (moved, path) in [("url", "/mcp"), ("token_url", "/token")] {
        let recorder = Recorder::start().await;
        let slug = moved.replace('_', "-");
        let gateway = app.register(&demo, &slug).await;
        app.connect(&alice, &slug, &demo, "alice").await;
        let call = json!({ "name": format!("{slug}-whoami") });
        assert_eq!(tool_text(&modern(&client, "/mcp", "tools/call", &call).await), "alice");

        let at = format!("/gateways/{}", gateway.id);
        let shown = admin.get(&at).await.json;
        let target = format!("{}{path}", recorder.origin);
        let without = match moved {
            "url" => json!({ "url": target }),
            _ => json!({ "authorization": edited(&shown, "token_url", &target) }),
        };
        let refused = admin.put(&at, &without).await;
        assert_eq!(refused.problem().0, Some("authorization.client_secret"), "{refused:?}");
        assert_eq!(
            tool_text(&modern(&client, "/mcp", "tools/call", &call).await),
            "alice",
            "nothing was changed"
        );

        let mut authorization = edited(&shown, "client_secret", "a-secret-for-the-new-place");
        let mut edit = json!({});
        match moved {
            "url" => edit["url"] = json!(target),
            _ => authorization["token_url"] = json!(target),
        }
        edit["authorization"] = authorization;
        let updated = admin.put(&at, &edit).await;
        assert_eq!((updated.status, &updated.json["must_reauthorize"]), (200, &json!(1)), "{updated:?}");
        // Neither a call, nor one that would refresh, nor reading the catalog takes anything there.
        for _ in 0..2 {
            asked_link(&modern(&client, "/mcp", "tools/call", &call).await);
            modern(&client, &format!("/gateways/{slug}/mcp"), "tools/list", &json!({})).await;
            app.clock.advance(Duration::from_secs(4_000));
        }
        let own = app.client(&alice, Audience::Own).await;
        assert_eq!(
            own.get(&format!("/oauth/status/{}", gateway.id)).await.json["health"],
            "needs_authorization"
        );
        assert_eq!(recorder.heard(), "");
    }
}

#[tokio::test]
async fn a_static_header_does_not_follow_its_gateway_to_another_host() {
    let app = TestApp::start().await;
    let recorder = Recorder::start().await;
    let demo = app.demo().await;
    let value = Edit::Set(HeaderSecret::new("a-static-secret"));
    let authorization = AuthorizationInput::StaticHeader { name: "x-key".to_owned(), value };
    let gateway = app.register_input(published("fixed", demo.mcp_server.url(), authorization)).await;
    let admin = app.admin_client().await;
    let at = format!("/gateways/{}", gateway.id);
    let target = format!("{}/mcp", recorder.origin);
    for edit in [
        json!({ "url": target }),
        json!({ "url": target, "authorization": { "type": "static_header", "name": "x-key" } }),
    ] {
        let refused = admin.put(&at, &edit).await;
        assert_eq!(refused.problem().0, Some("authorization.value"), "{refused:?}");
    }
    let open = admin.put(&at, &json!({ "url": target, "authorization": { "type": "none" } })).await;
    assert_eq!(open.status, 200, "{open:?}");
    let alice = app.user("alice").await;
    modern(&mcp(&app, &alice).await, "/gateways/fixed/mcp", "tools/list", &json!({})).await;
    assert!(!recorder.heard().contains("a-static-secret"));
}
