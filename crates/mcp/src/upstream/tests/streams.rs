//! Answers as event streams: progress, pushes, limits, cancellation.

use super::fixture::{House, Upstream, answer_to, client, events, json, message, plain_text, streamed};
use crate::envelope::{member_at, raw, text_member};
use crate::revision::Revision;
use crate::upstream::{CallError, UpstreamAnswer};
use axum::response::Response;
use futures_util::{StreamExt, stream};
use http::StatusCode;
use std::sync::Arc;
use tokio::sync::Notify;

const LEGACY: Revision = Revision::V2025_11_25;
const CALL: &str = r#"{"name":"x","_meta":{"progressToken":"mine"}}"#;

fn event(data: &str) -> String {
    format!("event: message\r\ndata: {data}\r\n\r\n")
}

fn result(id: &str) -> String {
    event(&format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"ok":1.10}}}}"#))
}

fn progress(token: &str) -> String {
    event(&format!(
        r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":{token},"progress":1.0,"v":{{}}}}}}"#
    ))
}

fn note(method: &str, params: &str) -> String {
    event(&format!(r#"{{"jsonrpc":"2.0","method":"{method}","params":{params}}}"#))
}

/// Events, made from the id of the request.
type Pieces = fn(&str) -> Vec<String>;

/// A name, an answer, and what the error says of it.
type Case = (&'static str, fn() -> Response, &'static str);

/// An upstream that answers `tools/call` with these events, made from the id it was given.
async fn streaming(revision: Revision, pieces: Pieces) -> Upstream {
    Upstream::with(revision, move |seen| async move {
        (seen.method() == "tools/call").then(|| events(stream::iter(pieces(seen.id()))))
    })
    .await
}

#[tokio::test]
async fn trap_2_progress_comes_back_under_the_clients_own_token_and_nobody_elses() {
    let house = House::new().await;
    let upstream = streaming(LEGACY, |id| {
        let other = event(r#"{"jsonrpc":"2.0","id":999999,"result":{}}"#);
        vec![
            ": hi\n\n".into(),
            "id: 7\ndata:\n\n".into(),
            progress(id),
            progress("999"),
            other,
            result(id),
            progress(id),
        ]
    })
    .await;
    let gateway = house.gateway(&upstream).await;
    let seen = streamed(house.call(&gateway, &client(LEGACY), "tools/call", CALL).await.unwrap()).await;
    assert_eq!(
        seen,
        [
            r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"mine","progress":1.0,"v":{}}}"#,
            r#"{"jsonrpc":"2.0","id":"c1","result":{"ok":1.10}}"#
        ]
    );
    let without = house.call(&gateway, &client(LEGACY), "tools/call", r#"{"name":"x"}"#).await.unwrap();
    assert!(message(without).contains(r#""ok":1.10"#));
    let sent = upstream.seen("tools/call").remove(0);
    let token = member_at(sent.envelope().params.unwrap(), &["_meta", "progressToken"]).unwrap();
    assert_eq!(token.get(), sent.id());
}

#[tokio::test]
async fn a_client_without_events_gets_the_response_alone() {
    let house = House::new().await;
    let upstream = streaming(LEGACY, |id| vec![progress(id), result(id)]).await;
    let gateway = house.gateway(&upstream).await;
    let call = ("tools/call", CALL, "5");
    let answer = house.call_as(&house.alice, &gateway, &client(LEGACY), call, false).await.unwrap();
    assert_eq!(message(answer), r#"{"jsonrpc":"2.0","id":5,"result":{"ok":1.10}}"#);
}

#[tokio::test]
async fn trap_22_events_are_passed_on_before_the_next_one_comes() {
    let house = House::new().await;
    let go_on = Arc::new(Notify::new());
    let waiting = Arc::clone(&go_on);
    let upstream = Upstream::with(LEGACY, move |seen| {
        let waiting = Arc::clone(&waiting);
        async move {
            if seen.method() != "tools/call" {
                return None;
            }
            let id = seen.id().to_owned();
            let last = stream::once(async move {
                waiting.notified().await;
                result(&id)
            });
            let pieces = stream::iter([progress(seen.id())]).chain(last);
            Some(events(pieces))
        }
    })
    .await;
    let gateway = house.gateway(&upstream).await;
    let answer = house.call(&gateway, &client(LEGACY), "tools/call", CALL).await.unwrap();
    let UpstreamAnswer::Stream(mut stream) = answer else { panic!("it is one message") };
    assert!(!stream.next().await.unwrap().unwrap().last);
    go_on.notify_one();
    assert!(stream.next().await.unwrap().unwrap().last);
    assert!(stream.next().await.is_none());
}

#[tokio::test]
async fn a_silent_start_becomes_a_stream_all_the_same() {
    let house = House::new().await;
    let go_on = Arc::new(Notify::new());
    let waiting = Arc::clone(&go_on);
    let upstream = Upstream::with(LEGACY, move |seen| {
        let waiting = Arc::clone(&waiting);
        async move {
            if seen.method() != "tools/call" {
                return None;
            }
            let id = seen.id().to_owned();
            let last = stream::once(async move {
                waiting.notified().await;
                result(&id)
            });
            Some(events(last))
        }
    })
    .await;
    let gateway = house.gateway(&upstream).await;
    let answer = house.call(&gateway, &client(LEGACY), "tools/call", CALL).await.unwrap();
    go_on.notify_one();
    assert_eq!(streamed(answer).await.len(), 1);
}

#[tokio::test]
async fn what_a_server_asks_of_its_client_is_refused_and_the_call_goes_on() {
    let house = House::new().await;
    let upstream = streaming(LEGACY, |id| {
        let ask = |method: &str, id: &str| {
            event(&format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{{}}}}"#))
        };
        vec![
            ask("elicitation/create", "\"s1\""),
            ask("sampling/createMessage", "2"),
            ask("ping", "3"),
            result(id),
        ]
    })
    .await;
    let gateway = house.gateway(&upstream).await;
    let answer = house.call(&gateway, &client(LEGACY), "tools/call", CALL).await.unwrap();
    assert!(message(answer).contains(r#""ok":1.10"#));
    for (id, expected) in [("\"s1\"", "cancel"), ("2", "-32601"), ("3", "\"result\":{}")] {
        let answered = upstream.wait_for(|seen| seen.method().is_empty() && seen.id() == id).await;
        assert!(answered.body.contains(expected), "{}", answered.body);
        assert_eq!(answered.header("mcp-session-id"), Some("s1"));
    }
}

#[tokio::test]
async fn log_lines_reach_a_modern_client_from_the_level_it_asked_for() {
    let house = House::new().await;
    let upstream = streaming(LEGACY, |id| {
        let log = |level: &str| note("notifications/message", &format!(r#"{{"level":"{level}","data":1}}"#));
        let others =
            ["notifications/tools/list_changed", "notifications/vendor"].map(|method| note(method, "{}"));
        let mut pieces = vec![log("debug"), log("error"), log("odd")];
        pieces.extend(others);
        pieces.push(result(id));
        pieces
    })
    .await;
    let gateway = house.gateway(&upstream).await;
    let with_level = r#"{"name":"x","_meta":{"io.modelcontextprotocol/logLevel":"warning"}}"#;
    for (revision, params, levels) in [
        (Revision::LATEST, with_level, vec!["error"]),
        (Revision::LATEST, r#"{"name":"x"}"#, vec![]),
        (LEGACY, r#"{"name":"x"}"#, vec!["debug", "error", "odd"]),
    ] {
        let seen =
            streamed(house.call(&gateway, &client(revision), "tools/call", params).await.unwrap()).await;
        let logged: Vec<String> = seen
            .iter()
            .filter(|text| text.contains("notifications/message"))
            .map(|text| {
                text_member(member_at(&raw(text.clone()).unwrap(), &["params"]).unwrap(), "level")
                    .unwrap()
                    .into()
            })
            .collect();
        assert_eq!(logged, levels);
        assert_eq!(seen.iter().filter(|text| text.contains("notifications/vendor")).count(), 1);
        assert!(!seen.iter().any(|text| text.contains("list_changed")));
    }
}

#[tokio::test]
async fn trap_3_a_dropped_call_is_cancelled_upstream_under_its_upstream_id() {
    let house = House::new().await;
    let upstream = streaming(LEGACY, |id| vec![progress(id), result(id)]).await;
    let gateway = house.gateway(&upstream).await;
    let answer = house.call(&gateway, &client(LEGACY), "tools/call", CALL).await.unwrap();
    drop(answer);
    let call = upstream.seen("tools/call").remove(0);
    let cancelled = upstream.wait_for(|seen| seen.method() == "notifications/cancelled").await;
    assert!(cancelled.body.contains(&format!(r#""requestId":{}}}"#, call.id())), "{}", cancelled.body);
    assert_eq!(
        streamed(house.call(&gateway, &client(LEGACY), "tools/call", CALL).await.unwrap()).await.len(),
        2
    );
    assert_eq!(upstream.seen("notifications/cancelled").len(), 1);
}

#[tokio::test]
async fn answers_that_are_not_the_protocol_are_clean_errors() {
    let too_large: Pieces = |_| {
        let piece = "x".repeat(1024 * 1024);
        std::iter::once("data: ".to_owned()).chain(std::iter::repeat_n(piece, 17)).collect()
    };
    let cases: [(Pieces, &str); 4] = [
        (too_large, "larger than 16777216 bytes"),
        (|_| vec![event("not json")], "not valid JSON"),
        (|id| vec![progress(id)], "ended before the response"),
        (|_| vec![], "ended before the response"),
    ];
    let house = House::new().await;
    for (number, (pieces, expected)) in cases.into_iter().enumerate() {
        let upstream = streaming(LEGACY, pieces).await;
        let gateway = house.gateway_named(&upstream, &format!("n{number}")).await;
        let answer =
            house.call_as(&house.alice, &gateway, &client(LEGACY), ("tools/call", CALL, "1"), false).await;
        let error = answer.err().unwrap();
        assert!(matches!(error, CallError::Broken { .. }) && error.to_string().contains(expected), "{error}");
    }
    let upstream = streaming(LEGACY, |id| vec![progress(id)]).await;
    let gateway = house.gateway_named(&upstream, "late").await;
    let answer = house.call(&gateway, &client(LEGACY), "tools/call", CALL).await.unwrap();
    let UpstreamAnswer::Stream(stream) = answer else { panic!("it is one message") };
    assert!(stream.collect::<Vec<_>>().await.pop().unwrap().is_err());
}

#[tokio::test]
async fn bodies_that_are_no_answer_are_clean_errors() {
    let packed = || {
        let mut response = json(200, "{}");
        response.headers_mut().insert("content-encoding", "gzip".parse().unwrap());
        response
    };
    let accepted = || Response::builder().status(202).body(axum::body::Body::empty()).unwrap();
    let cases: [Case; 8] = [
        ("html", || plain_text(StatusCode::OK, "<html>"), "neither JSON nor an event stream"),
        ("accepted", accepted, "neither JSON nor an event stream"),
        ("packed", packed, "neither JSON nor an event stream"),
        ("batch", || json(200, "[{}]"), "batches"),
        ("other", || json(200, r#"{"jsonrpc":"2.0","id":99999,"result":{}}"#), "another request"),
        ("moved", || plain_text(StatusCode::FOUND, ""), "redirects"),
        ("failed", || json(500, "oops"), "it failed"),
        ("teapot", || plain_text(StatusCode::IM_A_TEAPOT, ""), "refused the request"),
    ];
    let house = House::new().await;
    for (name, response, expected) in cases {
        let upstream =
            Upstream::with(LEGACY, move |seen| async move { (seen.method() == "tools/call").then(response) })
                .await;
        let gateway = house.gateway_named(&upstream, name).await;
        let error = house.call(&gateway, &client(LEGACY), "tools/call", CALL).await.err().unwrap();
        assert!(error.to_string().contains(expected), "{name}: {error}");
    }
}

#[tokio::test]
async fn trap_22_an_answer_over_the_limit_is_a_clean_error() {
    let house = House::new().await;
    let upstream = Upstream::with(LEGACY, |seen| async move {
        let large = || json(200, &format!("\"{}\"", "x".repeat(17 * 1024 * 1024)));
        matches!(seen.method(), "completion/complete" | "tools/call").then(large)
    })
    .await;
    let gateway = house.gateway(&upstream).await;
    let error = house.call(&gateway, &client(LEGACY), "completion/complete", "{}").await.err().unwrap();
    assert!(error.to_string().contains("larger than"), "{error}");
    // What could pass as it comes is found out on the way.
    let error = house.call(&gateway, &client(LEGACY), "tools/call", CALL).await.err().unwrap();
    assert!(error.to_string().contains("not the JSON of a response"), "{error}");
}

#[tokio::test]
async fn c5_initialize_may_be_answered_by_events_too() {
    let house = House::new().await;
    let upstream = Upstream::with(LEGACY, |seen| async move {
        match seen.method() {
            "initialize" => {
                let hello = format!(
                    r#"{{"jsonrpc":"2.0","id":{},"result":{{"protocolVersion":"2024-11-05"}}}}"#,
                    seen.id()
                );
                Some(events(stream::iter([note("notifications/x", "{}"), event(&hello)])))
            }
            "notifications/initialized" => Some(plain_text(StatusCode::BAD_REQUEST, "")),
            "tools/call" => Some(answer_to(&seen, "{}")),
            _ => None,
        }
    })
    .await;
    let gateway = house.gateway(&upstream).await;
    house.text(&gateway, &client(LEGACY), "tools/call", CALL).await;
    let call = upstream.seen("tools/call").remove(0);
    assert_eq!(call.header("mcp-protocol-version"), Some("2024-11-05"));
    assert!(call.header("mcp-session-id").is_none());
}
