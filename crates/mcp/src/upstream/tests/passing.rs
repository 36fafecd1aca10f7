//! JSON answers that come in parts.

use super::fixture::{House, Upstream, client, message};
use crate::revision::Revision;
use crate::upstream::{CallError, UpstreamAnswer};
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

const LEGACY: Revision = Revision::V2025_11_25;
const MODERN: Revision = Revision::LATEST;
const CALL: &str = r#"{"name":"x"}"#;

fn json_of(pieces: impl Stream<Item = String> + Send + 'static) -> Response {
    let body = Body::from_stream(pieces.map(|piece| Ok::<_, std::io::Error>(Bytes::from(piece))));
    Response::builder().header("content-type", "application/json").body(body).unwrap()
}

/// An upstream that answers `tools/call` with a beginning and, once that is called for, the rest: what stands before
/// and after the bar.
async fn upstream(revision: Revision, members: &'static str, rest_wanted: &Arc<Notify>) -> Upstream {
    let rest_wanted = Arc::clone(rest_wanted);
    Upstream::with(revision, move |seen| {
        let rest_wanted = Arc::clone(&rest_wanted);
        async move {
            if seen.method() != "tools/call" {
                return None;
            }
            let (begin, rest) = members.split_once('|').unwrap();
            let (begin, rest) = (format!(r#"{{"jsonrpc":"2.0","id":{},{begin}"#, seen.id()), rest.to_owned());
            let rest = stream::once(async move {
                rest_wanted.notified().await;
                rest
            });
            Some(json_of(stream::once(async { begin }).chain(rest)))
        }
    })
    .await
}

/// The first piece of an answer that passes, and then all of it.
async fn passed(answer: UpstreamAnswer, rest_wanted: &Notify) -> (String, Result<String, CallError>) {
    let UpstreamAnswer::Passing(mut pieces) = answer else { panic!("it was kept") };
    let first = pieces.next().await.unwrap().unwrap();
    rest_wanted.notify_one();
    let mut all = first.to_vec();
    while let Some(piece) = pieces.next().await {
        match piece {
            Ok(piece) => all.extend_from_slice(&piece),
            Err(error) => return (text(&first), Err(error)),
        }
    }
    (text(&first), Ok(text(&all)))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test]
async fn trap_22_the_first_bytes_of_a_json_answer_pass_before_the_rest_has_come() {
    let (house, rest_wanted) = (House::new().await, Arc::new(Notify::new()));
    let members = r#""result":{"content":[{"begun":1.10}|]}}"#;
    let gateway = house.gateway(&upstream(LEGACY, members, &rest_wanted).await).await;
    let answer = house.call(&gateway, &client(LEGACY), "tools/call", CALL).await.unwrap();
    let (first, all) = passed(answer, &rest_wanted).await;
    assert_eq!(first, r#"{"jsonrpc":"2.0","id":"c1","result":{"content":[{"begun":1.10}"#);
    assert_eq!(all.unwrap(), first + "]}}");
}

#[tokio::test]
async fn an_answer_that_passes_is_put_into_its_clients_era() {
    let (house, rest_wanted) = (House::new().await, Arc::new(Notify::new()));
    let legacy = upstream(LEGACY, r#""result":{"content":[]|,"n":1.0}}"#, &rest_wanted).await;
    let legacy = house.gateway_named(&legacy, "old").await;
    let members = r#""result":{"structuredContent":[1],"content":[]|,"resultType":"complete"}}"#;
    let modern = upstream(MODERN, members, &rest_wanted).await;
    let modern = house.gateway_named(&modern, "new").await;
    for (gateway, revision, expected) in [
        (&legacy, LEGACY, r#""result":{"content":[],"n":1.0}}"#),
        (&legacy, MODERN, r#""result":{"content":[],"n":1.0,"resultType":"complete"}}"#),
        (&modern, LEGACY, r#""result":{"content":[]}}"#),
        (&modern, MODERN, r#""result":{"structuredContent":[1],"content":[],"resultType":"complete"}}"#),
    ] {
        let answer = house.call(gateway, &client(revision), "tools/call", CALL).await.unwrap();
        let all = passed(answer, &rest_wanted).await.1.unwrap();
        assert!(all.ends_with(expected), "{} to {revision:?}: {all}", gateway.slug);
    }
}

#[tokio::test]
async fn what_comes_in_parts_and_is_no_complete_result_is_read_whole() {
    let house = House::new().await;
    let error = r#""error":{"code":5,|"message":"content"}}"#;
    let question =
        r#""result":{"inputRequests":{"content":{"method":"roots/list"}}|,"resultType":"input_required"}}"#;
    for (slug, upstream_is, members, client_is, expected) in [
        ("error", LEGACY, error, LEGACY, r#""error":{"code":5,"#),
        ("question", MODERN, question, MODERN, r#""resultType":"input_required""#),
    ] {
        let rest_wanted = Arc::new(Notify::new());
        let gateway = house.gateway_named(&upstream(upstream_is, members, &rest_wanted).await, slug).await;
        let facts = client(client_is);
        let call = house.call(&gateway, &facts, "tools/call", CALL);
        let mut call = std::pin::pin!(call);
        // What has come is not passed on, however long nothing more comes.
        assert!(tokio::time::timeout(Duration::from_millis(100), &mut call).await.is_err(), "{slug}");
        rest_wanted.notify_one();
        let text = message(call.await.unwrap());
        assert!(text.contains(expected), "{slug}: {text}");
    }
}

#[tokio::test]
async fn an_answer_that_turns_out_to_be_another_breaks_off() {
    let (house, rest_wanted) = (House::new().await, Arc::new(Notify::new()));
    for (slug, members) in [
        ("type", r#""result":{"content":[]|,"resultType":"input_required"}}"#),
        ("json", r#""result":{"content":[]|}}}}"#),
        ("half", r#""result":{"content":[]| "#),
    ] {
        let gateway = house.gateway_named(&upstream(MODERN, members, &rest_wanted).await, slug).await;
        let answer = house.call(&gateway, &client(MODERN), "tools/call", CALL).await.unwrap();
        let error = passed(answer, &rest_wanted).await.1.unwrap_err();
        assert!(error.to_string().contains("not the JSON of a response"), "{slug}: {error}");
    }
}
