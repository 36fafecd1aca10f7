//! `/mcp` as the sum of its gateways: lists, names, routing, and what one bad gateway does not spoil.

use super::harness::{Answer, Door, PLAIN_CLIENT};
use crate::revision::Revision;
use crate::upstream::tests::credentials::oauth_gateway;
use crate::upstream::tests::fixture::{Upstream, answer_to, plain_text};
use doorward_domain::Audience;
use http::StatusCode;
use serde_json::{Value, json};

const V11: &str = "2025-11-25";

/// Two tools, a resource that others list too, a template and a prompt.
async fn offering(revision: Revision) -> Upstream {
    Upstream::with(revision, move |seen| async move {
        let result = match seen.method() {
            "tools/list" => {
                r#"{"tools":[{"name":"b","n":1.10,"outputSchema":{"type":"array"}},{ "name" : "a" }]}"#
            }
            "resources/list" => r#"{"resources":[{"uri":"file:///x"}]}"#,
            "resources/templates/list" => r#"{"resourceTemplates":[{"uriTemplate":"t://{id}"}]}"#,
            "prompts/list" => r#"{"prompts":[{"name":"p"}]}"#,
            "completion/complete" => &format!(r#"{{"asked":{}}}"#, seen.envelope().params.unwrap().get()),
            _ => return None,
        };
        let complete = if revision.is_modern() { r#"{"resultType":"complete","# } else { "{" };
        Some(answer_to(&seen, &result.replacen('{', complete, 1)))
    })
    .await
}

fn names(answer: &Answer, list: &str, member: &str) -> Vec<String> {
    let items = answer.result()[list].as_array().unwrap().clone();
    items.iter().map(|item| item[member].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn trap_15_lists_are_merged_by_slug_and_one_bad_gateway_spoils_nothing() {
    let door = Door::open().await;
    let token = door.alice().await;
    let (old, new) = (offering(Revision::V2025_06_18).await, offering(Revision::LATEST).await);
    door.house.gateway_named(&new, "zoo").await;
    door.house.gateway_named(&old, "ant").await;
    let broken = Upstream::with(Revision::LATEST, |_| async {
        Some(plain_text(StatusCode::INTERNAL_SERVER_ERROR, "canary"))
    })
    .await;
    door.house.gateway_named(&broken, "bad").await;
    let locked = oauth_gateway(&door.house, &old, "http://127.0.0.1:1").await;
    let client = door.client(&token, "/mcp").initialized(V11).await;
    let tools = client.call("tools/list", "{}").await;
    let expected = ["doorward-connections", "ant-b", "ant-a", "up-connect", "zoo-b", "zoo-a"];
    assert_eq!(names(&tools, "tools", "name"), expected);
    assert!(
        !tools.text.contains("outputSchema")
            && tools.text.contains("\"n\":1.10")
            && !tools.text.contains("canary")
    );
    assert_eq!(tools.result()["_meta"]["doorward/unavailable"], json!(["bad"]));
    assert!(tools.result().get("resultType").is_none());
    let modern = door.client(&token, "/mcp").modern("tools/list", json!({"cursor": ""})).await;
    assert_eq!(names(&modern, "tools", "name"), expected);
    assert!(modern.text.contains("outputSchema"));
    let result = modern.result();
    assert_eq!(
        (&result["resultType"], &result["ttlMs"], &result["cacheScope"]),
        (&json!("complete"), &json!(0), &json!("private"))
    );
    let uris = names(&client.call("resources/list", "{}").await, "resources", "uri");
    assert_eq!(uris.len(), 2);
    assert!(uris.contains(&"file:///x".to_owned()) && uris.iter().any(|uri| uri.starts_with("doorward+")));
    let templates = client.call("resources/templates/list", "{}").await;
    assert_eq!(names(&templates, "resourceTemplates", "uriTemplate").len(), 2);
    assert_eq!(names(&client.call("prompts/list", "{}").await, "prompts", "name"), ["ant-p", "zoo-p"]);
    let single = door.client(&token, "/gateways/zoo/mcp").modern("tools/list", json!({})).await;
    assert_eq!(names(&single, "tools", "name"), ["b", "a"]);
    let narrow = door.token(&door.house.alice, "narrow", Audience::Mcp, Some(vec![locked.id])).await;
    let few = door.client(&narrow, "/mcp").modern("tools/list", json!({})).await;
    assert_eq!(names(&few, "tools", "name"), ["doorward-connections", "up-connect"]);
}

#[tokio::test]
async fn trap_14_a_cursor_serves_only_the_list_and_the_user_it_was_given_to() {
    let door = Door::open().await;
    let token = door.alice().await;
    let bob = door.house.person("bob").await;
    let bobs = door.token(&bob, "bob", Audience::Mcp, None).await;
    let many = Upstream::with(Revision::LATEST, |seen| async move {
        let tools: Vec<String> = (0..700).map(|n| format!(r#"{{"name":"t{n}"}}"#)).collect();
        let none = r#""resources":[],"resourceTemplates":[],"prompts":[]"#;
        let result = format!(r#"{{"resultType":"complete",{none},"tools":[{}]}}"#, tools.join(","));
        seen.method().contains("list").then(|| answer_to(&seen, &result))
    })
    .await;
    door.house.gateway(&many).await;
    let client = door.client(&token, "/mcp");
    let first = client.modern("tools/list", json!({})).await;
    let cursor = first.result()["nextCursor"].clone();
    let second = client.modern("tools/list", json!({"cursor": cursor})).await;
    let all = [names(&first, "tools", "name"), names(&second, "tools", "name")].concat();
    assert_eq!((all.len(), all[1].as_str(), all[700].as_str()), (701, "up-t0", "up-t699"));
    assert!(second.result().get("nextCursor").is_none());
    for (token, path, method, cursor) in [
        (&bobs, "/mcp", "tools/list", cursor.clone()),
        (&token, "/mcp", "prompts/list", cursor.clone()),
        (&token, "/gateways/up/mcp", "tools/list", cursor.clone()),
        (&token, "/mcp", "tools/list", json!(format!("{}x", cursor.as_str().unwrap()))),
        (&token, "/mcp", "tools/list", json!(7)),
    ] {
        let answer = door.client(token, path).modern(method, json!({"cursor": cursor})).await;
        assert_eq!(answer.code(), -32_602, "{path} {method}");
    }
}

#[tokio::test]
async fn trap_19_calls_reach_the_owner_under_its_own_names() {
    let door = Door::open().await;
    let token = door.alice().await;
    let (old, new) = (offering(Revision::V2025_11_25).await, offering(Revision::LATEST).await);
    door.house.gateway_named(&old, "ant").await;
    door.house.clock.advance(std::time::Duration::from_secs(1));
    door.house.gateway_named(&new, "zoo").await;
    let legacy = door.client(&token, "/mcp").initialized(V11).await;
    let modern = door.client(&token, "/mcp");
    for (method, member, exposed, original) in [
        ("tools/call", "name", "ant-a", "a"),
        ("tools/call", "name", "zoo-a", "a"),
        ("prompts/get", "name", "zoo-p", "p"),
        ("resources/read", "uri", "file:///x", "file:///x"),
        ("resources/read", "uri", "doorward+zoo:file:///x", "file:///x"),
        ("resources/read", "uri", "t://7", "t://7"),
    ] {
        modern.modern("tools/list", json!({})).await;
        let sent = json!({member: exposed, "arguments": {"k": 1}});
        for answer in [legacy.call(method, &sent.to_string()).await, modern.modern(method, sent).await] {
            let result = answer.result();
            assert_eq!((&result["method"], &result["name"]), (&json!(method), &json!(original)), "{exposed}");
            assert!(answer.text.contains("\"n\":1.10"));
        }
    }
    let seen = new.seen("tools/call").pop().unwrap();
    assert_eq!(seen.header("mcp-name"), Some("a"));
    assert!(seen.header("authorization").is_none());
    for reference in [
        json!({"type": "ref/prompt", "name": "zoo-p"}),
        json!({"type": "ref/resource", "uri": "doorward+zoo:t://{id}"}),
    ] {
        let params = json!({"ref": reference, "argument": {"name": "a", "value": "v"}});
        let asked = modern.modern("completion/complete", params).await.result()["asked"].clone();
        assert!(
            ["p", "t://{id}"].iter().any(|own| asked["ref"]["name"] == *own || asked["ref"]["uri"] == *own),
            "{asked}"
        );
    }
    let single = door.client(&token, "/gateways/ant/mcp");
    assert_eq!(single.modern("tools/call", json!({"name": "ant-a"})).await.result()["name"], "ant-a");
    assert_eq!(single.modern("prompts/get", json!({"name": "p"})).await.result()["name"], "p");
    assert_eq!(single.modern("resources/read", json!({"uri": "u:x"})).await.result()["name"], "u:x");
    let completed =
        single.modern("completion/complete", json!({"ref": {"type": "ref/prompt", "name": "p"}})).await;
    assert_eq!(completed.result()["asked"]["ref"]["name"], "p");
}

#[tokio::test]
async fn what_nobody_offers_is_refused_by_name() {
    let door = Door::open().await;
    let token = door.alice().await;
    for slug in ["ant", "zoo"] {
        door.house.gateway_named(&offering(Revision::LATEST).await, slug).await;
    }
    let legacy = door.client(&token, "/mcp").initialized(V11).await;
    let modern = door.client(&token, "/mcp");
    for (method, params) in [
        ("tools/call", json!({"name": "ant-none"})),
        ("tools/call", json!({})),
        ("tools/call", json!({"name": 3})),
        ("prompts/get", json!({"name": "a"})),
        ("completion/complete", json!({"ref": {"type": "ref/prompt", "name": "x"}})),
        ("completion/complete", json!({"ref": {"type": "ref/other"}})),
        ("completion/complete", json!({"ref": {"type": "ref/prompt"}})),
        ("completion/complete", json!({})),
    ] {
        assert_eq!(legacy.call(method, &params.to_string()).await.code(), -32_602, "{params}");
        assert_eq!(modern.modern(method, params).await.code(), -32_602);
    }
    let missing = json!({"uri": "none:x"});
    assert_eq!(legacy.call("resources/read", &missing.to_string()).await.code(), -32_002);
    let answer = modern.modern("resources/read", missing).await;
    assert_eq!((answer.code(), &answer.json()["error"]["data"]["uri"]), (-32_602, &json!("none:x")));
}

#[tokio::test]
async fn an_upstream_that_fails_is_named_in_a_sentence_of_ours() {
    let door = Door::open().await;
    let token = door.alice().await;
    let failing = Upstream::with(Revision::LATEST, |seen| async move {
        (seen.method() == "tools/call").then(|| plain_text(StatusCode::BAD_GATEWAY, "<html>canary"))
    })
    .await;
    door.house.gateway(&failing).await;
    let answer = door.client(&token, "/gateways/up/mcp").modern("tools/call", json!({"name": "x"})).await;
    assert_eq!((answer.status.as_u16(), answer.code()), (200, -32_603));
    assert!(answer.text.contains("the MCP server up") && !answer.text.contains("canary"));
}

#[tokio::test]
async fn the_standing_tool_lists_connections_and_links_without_secrets() {
    let door = Door::open().await;
    let token = door.alice().await;
    let upstream = offering(Revision::LATEST).await;
    let client = door.client(&token, "/mcp").can(PLAIN_CLIENT);
    let none = client.modern("tools/call", json!({"name": "doorward-connections"})).await.result();
    assert!(none["content"][0]["text"].as_str().unwrap().contains("no MCP servers"));
    door.house.gateway_named(&upstream, "free").await;
    let locked = oauth_gateway(&door.house, &upstream, "http://127.0.0.1:1").await;
    let all = client.modern("tools/call", json!({"name": "doorward-connections"})).await.result();
    assert!(all.get("isError").is_none());
    let rows: Vec<Value> = all["structuredContent"]["connections"].as_array().unwrap().clone();
    let of = |slug: &str| rows.iter().find(|row| row["gateway"] == slug).unwrap().clone();
    assert_eq!(of("free")["health"], "not_needed");
    assert_eq!(of("up")["health"], "not_connected");
    assert!(super::harness::is_link(&of("up")["authorization_url"], &locked));
}
