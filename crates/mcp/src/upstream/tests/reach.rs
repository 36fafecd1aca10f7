//! What is known of servers that do not answer.

use super::fixture::{House, Upstream, client, gateway_at};
use crate::revision::Revision;
use crate::upstream::CallError;
use doorward_domain::Gateway;
use std::net::TcpListener;
use std::sync::Arc;

const LEGACY: Revision = Revision::V2025_11_25;
const CALL: &str = r#"{"name":"x"}"#;

#[tokio::test]
async fn a_gateway_is_down_from_a_call_that_nobody_answers_until_one_that_somebody_does() {
    let house = House::new().await;
    let left = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let gateway = house.register(gateway_at(&format!("http://{left}/mcp"))).await;
    assert!(!house.broker.does_not_answer(&gateway), "nobody has called it");
    let error = house.call(&gateway, &client(LEGACY), "tools/call", CALL).await.err().unwrap();
    assert!(matches!(error, CallError::Unreachable { .. }), "{error}");
    assert!(house.broker.does_not_answer(&gateway));
    let edited = Gateway { version: 2, ..Gateway::clone(&gateway) };
    assert!(!house.broker.does_not_answer(&edited), "it may be another server");

    let upstream = Upstream::plain(LEGACY).await;
    let back = Arc::new(Gateway { url: upstream.url.parse().unwrap(), ..Gateway::clone(&gateway) });
    house.call(&back, &client(LEGACY), "tools/call", CALL).await.unwrap();
    assert!(!house.broker.does_not_answer(&gateway));
}
