//! Large answers pass without being kept, and only as fast as the client takes them.

use super::harness::{Door, legacy};
use crate::revision::Revision;
use crate::upstream::tests::fixture::Upstream;
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

const PIECE: usize = 64 << 10;
const PIECES: usize = 1_600;

/// A server whose tool answers with a blob of 100 MiB, which exists only as it is sent; and how much was sent.
async fn blob(revision: Revision) -> (Upstream, Arc<AtomicUsize>) {
    let sent = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&sent);
    let upstream = Upstream::with(revision, move |seen| {
        let counter = Arc::clone(&counter);
        async move {
            if seen.method() != "tools/call" {
                return None;
            }
            let id = seen.json()["id"].clone();
            let piece = Bytes::from(vec![b'x'; PIECE]);
            let head = Bytes::from("{\"result\":{\"content\":[{\"type\":\"blob\",\"data\":\"".to_owned());
            let tail = Bytes::from(format!("\"}}]}},\"jsonrpc\":\"2.0\",\"id\":{id}}}"));
            let pieces = stream::iter(0..PIECES).map(move |_| {
                counter.fetch_add(1, Ordering::SeqCst);
                piece.clone()
            });
            let ready = |bytes| stream::once(std::future::ready(bytes));
            let body = ready(head).chain(pieces).chain(ready(tail)).map(Ok::<_, std::io::Error>);
            let response = Response::builder().header("content-type", "application/json");
            Some(response.body(Body::from_stream(body)).unwrap())
        }
    })
    .await;
    (upstream, sent)
}

/// The most memory that this process had, in KiB.
fn peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
async fn trap_22_a_blob_of_a_hundred_megabytes_passes_in_constant_memory_as_fast_as_it_is_read() {
    for revision in [Revision::V2025_11_25, Revision::V2026_07_28] {
        let door = Door::open().await;
        let token = door.alice().await;
        let (upstream, sent) = blob(revision).await;
        door.house.gateway(&upstream).await;
        let client = door.client(&token, "/gateways/up/mcp");
        let old = door.client(&token, "/gateways/up/mcp").initialized("2025-11-25").await;
        let before = peak();
        for is_modern in [true, false] {
            sent.store(0, Ordering::SeqCst);
            let params = json!({"name": "x"});
            let response = if is_modern {
                client.begin_modern("tools/call", params).await
            } else {
                old.begin(&legacy("tools/call", &params.to_string())).await
            };
            let mut body = response.into_body().into_data_stream();
            let first = body.next().await.unwrap().unwrap();
            assert!(first.starts_with(b"{\"result\":{\"content\":[{"));
            // The first bytes are here, and nobody has read the rest: it waits at the server.
            for _ in 0..2_000 {
                tokio::task::yield_now().await;
            }
            assert!(sent.load(Ordering::SeqCst) < PIECES / 2, "{}", sent.load(Ordering::SeqCst));
            let (mut size, mut end) = (first.len(), Bytes::new());
            while let Some(piece) = body.next().await {
                let piece = piece.unwrap();
                size += piece.len();
                end = if piece.len() < 200 { [&end[..], &piece[..]].concat().into() } else { piece };
            }
            assert!(size > PIECE * PIECES);
            let end = String::from_utf8_lossy(&end[end.len().saturating_sub(80)..]).into_owned();
            let id = if is_modern { "\"m\"" } else { "1" };
            assert!(end.ends_with(&format!("\"jsonrpc\":\"2.0\",\"id\":{id}}}")), "{end}");
            assert_eq!(end.contains("resultType"), is_modern, "{end}");
        }
        let grown = peak() - before;
        assert!(grown < 32 << 10, "memory grew by {grown} KiB");
    }
}
