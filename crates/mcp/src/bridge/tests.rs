//! What the bridge changes, and above all what it does not.

use super::*;
use crate::envelope::{self, Envelope, json_string};
use crate::revision::Revision;
use crate::upstream::ClientFacts;
use doorward_domain::CatalogKind;
use http::StatusCode;
use proptest::prelude::*;

const MODERN: Revision = Revision::V2026_07_28;
const LEGACY: Revision = Revision::V2025_11_25;

fn facts(revision: Revision, capabilities: &str) -> ClientFacts {
    ClientFacts {
        revision,
        name: "edi\"tor".into(),
        version: "1".into(),
        capabilities: envelope::raw(capabilities.into()).unwrap(),
        log_level: None,
    }
}

fn up(client: &ClientFacts, upstream: Revision, params: Option<&str>) -> Option<String> {
    let params = params.map(|text| envelope::raw(text.into()).unwrap());
    upward(client, upstream, params.as_deref(), "77").params.map(Cow::into_owned)
}

fn down(
    client: Revision,
    upstream: Revision,
    method: &str,
    message: &str,
) -> Result<(String, u16), NeedsMore> {
    let id = envelope::raw("\"c\"".into()).unwrap();
    let params = envelope::raw(r#"{"uri":"file:///x"}"#.into()).unwrap();
    let bridge = Downward {
        client,
        upstream,
        method,
        params: Some(&params),
        id: &id,
        status: StatusCode::BAD_REQUEST,
    };
    let message = Envelope::parse(message.as_bytes()).unwrap();
    bridge.response(&message).map(|(text, status)| (text, status.as_u16()))
}

#[test]
fn within_one_era_only_the_progress_token_changes() {
    let params =
        r#"{ "name":"x", "_meta" : {"progressToken":"mine","vendor":1.10}, "big":12345678901234567890 }"#;
    let expected = params.replace("\"mine\"", "77");
    assert_eq!(up(&facts(LEGACY, "{}"), Revision::V2025_06_18, Some(params)).unwrap(), expected);
    assert_eq!(up(&facts(LEGACY, "{}"), LEGACY, Some(r#"{"name":"x"}"#)).unwrap(), r#"{"name":"x"}"#);
    assert_eq!(up(&facts(LEGACY, "{}"), LEGACY, None), None);
    let modern = r#"{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{},"io.modelcontextprotocol/clientCapabilities":{"x":1}},"requestState":"s"}"#;
    assert_eq!(up(&facts(MODERN, "{}"), MODERN, Some(modern)).unwrap(), modern);
}

#[test]
fn a_modern_upstream_hears_what_a_legacy_client_said_at_initialize() {
    let client = facts(LEGACY, r#"{"roots":{"listChanged":true},"tasks":{},"elicitation":{}}"#);
    assert_eq!(
        up(&client, MODERN, Some(r#"{"name":"x"}"#)).unwrap(),
        r#"{"name":"x","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"edi\"tor","version":"1"},"io.modelcontextprotocol/clientCapabilities":{"roots":{},"elicitation":{}}}}"#
    );
    let empty = up(&facts(LEGACY, "{}"), MODERN, None).unwrap();
    assert!(empty.starts_with(r#"{"_meta":{"io.modelcontextprotocol/protocolVersion""#));
    let odd_meta = r#"{"_meta":"text"}"#;
    assert_eq!(up(&client, MODERN, Some(odd_meta)).unwrap(), odd_meta);
    let own = up(&facts(MODERN, r#"{"roots":{"listChanged":true}}"#), MODERN, None).unwrap();
    assert!(own.contains(r#""roots":{"listChanged":true}"#));
}

#[test]
fn a_legacy_upstream_hears_nothing_of_the_modern_meta() {
    let client = facts(MODERN, "{}");
    let modern_only = r#"{"a":1,"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}},"inputResponses":{},"requestState":"x"}"#;
    assert_eq!(up(&client, LEGACY, Some(modern_only)).unwrap(), r#"{"a":1}"#);
    let more = r#"{"_meta":{"io.modelcontextprotocol/logLevel":"info","progressToken":5,"traceparent":"t"}}"#;
    assert_eq!(
        up(&client, LEGACY, Some(more)).unwrap(),
        r#"{"_meta":{"progressToken":77,"traceparent":"t"}}"#
    );
    let params = envelope::raw(more.into()).unwrap();
    let upward = upward(&client, LEGACY, Some(&params), "77");
    assert_eq!(upward.log_level.as_deref(), Some("info"));
    assert_eq!(upward.progress_token.unwrap().get(), "5");
    assert_eq!(up(&client, LEGACY, Some(r#"{"_meta":7}"#)).unwrap(), r#"{"_meta":7}"#);
    assert_eq!(up(&client, LEGACY, Some("[]")).unwrap(), "[]");
}

#[test]
fn a_legacy_client_gets_no_modern_members() {
    let message = r#"{"jsonrpc":"2.0","id":77,"result":{"resultType":"complete","ttlMs":5,"cacheScope":"public","contents":[]}}"#;
    let plain = r#"{"jsonrpc":"2.0","id":"c","result":{"contents":[]}}"#;
    assert_eq!(down(LEGACY, MODERN, "resources/read", message).unwrap(), (plain.into(), 200));
    let tool =
        r#"{"jsonrpc":"2.0","id":77,"result":{"resultType":"complete","ttlMs":5,"structuredContent":[1]}}"#;
    let kept = r#"{"jsonrpc":"2.0","id":"c","result":{"ttlMs":5}}"#;
    assert_eq!(down(LEGACY, MODERN, "tools/call", tool).unwrap().0, kept);
    let list = r#"{"jsonrpc":"2.0","id":77,"result":{"tools":[{"name":"a","outputSchema":{"type":"array"}},{"name":"b","outputSchema":{"type":"object"}}]}}"#;
    let lists = r#"{"jsonrpc":"2.0","id":"c","result":{"tools":[{"name":"a"},{"name":"b","outputSchema":{"type":"object"}}]}}"#;
    assert_eq!(down(LEGACY, MODERN, "tools/list", list).unwrap().0, lists);
    let odd = r#"{"jsonrpc":"2.0","id":77,"result":[1]}"#;
    assert_eq!(down(LEGACY, MODERN, "tools/list", odd).unwrap().0, odd.replace("77", "\"c\""));
}

#[test]
fn what_needs_the_client_first_is_told_apart_from_what_has_no_word() {
    let message = r#"{"jsonrpc":"2.0","id":77,"result":{"resultType":"input_required","inputRequests":{"k":{"method":"roots/list"}},"requestState":"s"}}"#;
    let Err(NeedsMore::Input(asked)) = down(LEGACY, MODERN, "tools/call", message) else {
        panic!("the client is to be asked")
    };
    assert_eq!(
        (asked.requests[0].0.as_str(), asked.requests[0].1.get()),
        ("k", r#"{"method":"roots/list"}"#)
    );
    assert!(matches!(asked.then, Then::Retry { state: Some(state) } if state.get() == "\"s\""));
    assert!(down(MODERN, MODERN, "tools/call", message).unwrap().0.contains("input_required"));
    let task = r#"{"jsonrpc":"2.0","id":77,"result":{"resultType":"task <script>"}}"#;
    let words = down(LEGACY, MODERN, "tools/call", task).unwrap_err();
    assert!(matches!(words, NeedsMore::Words(words) if words == "a result of type taskscript"));
    assert!(down(MODERN, MODERN, "tools/call", task).unwrap().0.contains("task <script>"));
    let open = r#"{"jsonrpc":"2.0","id":77,"error":{"code":-32042,"message":"m"}}"#;
    let words = down(MODERN, LEGACY, "tools/call", open).unwrap_err();
    assert!(matches!(words, NeedsMore::Words(words) if words.contains("-32042")));
    assert!(down(LEGACY, LEGACY, "tools/call", open).unwrap().0.contains("-32042"));
}

#[test]
fn a_modern_client_gets_what_its_wire_requires() {
    let message = r#"{"jsonrpc":"2.0","id":77,"result":{"contents":[]}}"#;
    assert_eq!(
        down(MODERN, LEGACY, "resources/read", message).unwrap().0,
        r#"{"jsonrpc":"2.0","id":"c","result":{"contents":[],"resultType":"complete","ttlMs":0,"cacheScope":"private"}}"#
    );
    assert_eq!(
        down(MODERN, LEGACY, "tools/call", message).unwrap().0,
        r#"{"jsonrpc":"2.0","id":"c","result":{"contents":[],"resultType":"complete"}}"#
    );
    let own = r#"{"jsonrpc":"2.0","id":77,"result":{"resultType":"odd"}}"#;
    assert!(down(MODERN, LEGACY, "tools/call", own).unwrap().0.contains(r#"{"resultType":"odd"}"#));
    assert_eq!(
        down(MODERN, MODERN, "tools/call", message).unwrap().0,
        r#"{"jsonrpc":"2.0","id":"c","result":{"contents":[],"resultType":"complete"}}"#,
        "a modern server that forgot it"
    );
    let odd = r#"{"jsonrpc":"2.0","id":77,"result":null}"#;
    assert!(down(MODERN, LEGACY, "tools/call", odd).unwrap().0.contains("null"));
}

fn error(number: i32, data: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":77,"error":{{"code":{number},"message":"m","data":{data}}}}}"#)
}

#[test]
fn error_codes_change_with_the_era() {
    for (client, upstream, method, from, data, to, status) in [
        (LEGACY, MODERN, "resources/read", -32_602, r#"{"uri":"u"}"#, -32_002, 200),
        (LEGACY, MODERN, "resources/read", -32_602, "{}", -32_602, 200),
        (LEGACY, MODERN, "tools/call", -32_602, r#"{"uri":"u"}"#, -32_602, 200),
        (LEGACY, MODERN, "tools/call", -32_021, r#"{"requiredCapabilities":{"sampling":{}}}"#, -32_602, 200),
        (LEGACY, MODERN, "tools/call", -32_020, "{}", -32_603, 200),
        (LEGACY, MODERN, "tools/call", -32_022, "{}", -32_603, 200),
        (LEGACY, MODERN, "tools/call", -32_601, "{}", -32_601, 200),
        (MODERN, LEGACY, "resources/read", -32_002, "{}", -32_602, 200),
        (MODERN, LEGACY, "resources/read", -32_002, r#"{"uri":"u"}"#, -32_602, 200),
        (MODERN, LEGACY, "x", -32_601, "{}", -32_601, 404),
        (MODERN, MODERN, "x", -32_021, "{}", -32_021, 400),
        (MODERN, MODERN, "x", -32_602, "{}", -32_602, 400),
        (LEGACY, LEGACY, "resources/read", -32_002, "{}", -32_002, 200),
    ] {
        let (text, got) = down(client, upstream, method, &error(from, data)).unwrap();
        assert!(text.contains(&format!("\"code\":{to},")), "{from} to {text}");
        assert_eq!(got, status, "{text}");
    }
    assert!(down(MODERN, LEGACY, "resources/read", &error(-32_002, "{}")).unwrap().0.contains("file:///x"));
    let named = error(-32_021, r#"{"requiredCapabilities":{"sampling":{}}}"#);
    assert!(down(LEGACY, MODERN, "tools/call", &named).unwrap().0.contains("client capability: sampling"));
    assert!(down(LEGACY, MODERN, "x", &error(-32_021, "1")).unwrap().0.contains("does not say which"));
}

#[test]
fn an_error_without_an_id_gets_the_clients() {
    let message = r#"{"jsonrpc":"2.0","id":null,"error":{"code":1,"message":"m"}}"#;
    assert_eq!(down(LEGACY, LEGACY, "x", message).unwrap().0, message.replace("null", "\"c\""));
}

#[test]
fn a_modern_client_sees_every_output_schema() {
    let tool = r#"{"name":"a","outputSchema":{"type":"array"}}"#;
    assert_eq!(item_for(MODERN, CatalogKind::Tool, tool), tool);
    assert_eq!(item_for(LEGACY, CatalogKind::Prompt, tool), tool);
    assert_eq!(item_for(LEGACY, CatalogKind::Tool, tool), r#"{"name":"a"}"#);
}

/// Any JSON text, with members and numbers that no typed model knows.
pub(crate) fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("1.10".to_owned()),
        Just("1234567890123456789012345".to_owned()),
        Just("-0e+5".to_owned()),
        Just("null".to_owned()),
        any::<String>().prop_map(|text| json_string(&text)),
        Just("\"\\ud83d\\ude00\\u0041\"".to_owned()),
    ];
    leaf.prop_recursive(4, 30, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(|items| format!("[ {} ]", items.join(" ,"))),
            prop::collection::vec(("[a-e_$]{1,3}", inner), 0..5).prop_map(|members| {
                let members: Vec<_> = members.iter().map(|(k, v)| format!("\"{k}\" :{v}")).collect();
                format!("{{{}}}", members.join(",\n"))
            }),
        ]
    })
}

proptest! {
    /// Item 21: what Doorward does not know is bit-equal behind it, in every pair of eras.
    #[test]
    fn trap_21_unknown_members_are_bit_equal_behind_the_bridge(before in json(), after in json()) {
        let members = format!("\"x\" : {before},\t\"content\":[] , \"y\":{after}");
        for client in Revision::OFFERED {
            for upstream in Revision::OFFERED {
                let message = format!("{{\"jsonrpc\":\"2.0\",\"id\":77,\"z\":{after},\"result\":{{{members}}}}}");
                let outer = format!("\"z\":{after},");
                let (text, _) = down(client, upstream, "tools/call", &message).unwrap();
                prop_assert!(text.contains(&members), "{text}");
                prop_assert!(text.contains(&outer));
                let params = up(&facts(client, "{}"), upstream, Some(&format!("{{{members}}}"))).unwrap();
                prop_assert!(params.contains(&members), "{params}");
                prop_assert!(envelope::raw(text).is_some() && envelope::raw(params).is_some());
            }
        }
    }
}
