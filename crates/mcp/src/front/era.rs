//! Which era a message belongs to, and whether a modern one agrees with its headers. The era is told by
//! header and `_meta`, never by the method: a modern `initialize` is an unknown method.

use crate::envelope::{Envelope, member, text, text_member};
use crate::errors::ProtocolError;
use crate::revision::{Revision, wire};
use crate::upstream::{ClientFacts, decoded};
use http::HeaderMap;
use serde_json::value::RawValue;

/// Names and versions of clients are kept up to this many characters.
const WORD_MAX: usize = 100;

/// The largest capabilities object that a client may declare, in bytes.
pub(super) const MAX_CAPABILITIES: usize = 16 << 10;

/// Whether a message is to be judged by the rules of the modern era.
pub(super) fn is_modern(headers: &HeaderMap, message: Option<&Envelope<'_>>) -> bool {
    let in_body = message.and_then(meta).is_some_and(|meta| member(meta, wire::META_VERSION).is_some());
    in_body || header(headers, wire::HEADER_VERSION).is_some_and(names_modern)
}

/// A version that is newer than all we know is modern as well, and will be refused as such.
fn names_modern(version: &str) -> bool {
    let is_date = version.len() == 10 && version.bytes().all(|b| b.is_ascii_digit() || b == b'-');
    is_date && version >= Revision::V2026_07_28.as_str()
}

/// A legacy message may name its version in the header; one that we do not know is refused.
pub(super) fn check_legacy_version(headers: &HeaderMap) -> Result<(), ProtocolError> {
    match header(headers, wire::HEADER_VERSION) {
        Some(version) if Revision::parse(version).is_none() => {
            Err(ProtocolError::Version { requested: cut(version) })
        }
        _ => Ok(()),
    }
}

/// What a modern request says about its client, once its headers agree with its body, nothing that is
/// required is missing, and the version is spoken here: in this order.
pub(super) fn modern_facts(
    headers: &HeaderMap,
    message: &Envelope<'_>,
) -> Result<ClientFacts, ProtocolError> {
    check_headers(headers, message)?;
    let meta = meta(message).ok_or(ProtocolError::MissingMeta(wire::META_VERSION))?;
    let version = text_member(meta, wire::META_VERSION);
    let version = version.ok_or(ProtocolError::MissingMeta(wire::META_VERSION))?;
    let revision = Revision::parse(&version).filter(|revision| revision.is_modern());
    let revision = revision.ok_or_else(|| ProtocolError::Version { requested: cut(&version) })?;
    let capabilities = member(meta, wire::META_CAPABILITIES).filter(|all| all.get().starts_with('{'));
    let capabilities = capabilities.ok_or(ProtocolError::MissingMeta(wire::META_CAPABILITIES))?;
    if capabilities.get().len() > MAX_CAPABILITIES {
        let name = wire::META_CAPABILITIES;
        let problem = format!("`params._meta[\"{name}\"]` must have at most {MAX_CAPABILITIES} bytes");
        return Err(ProtocolError::InvalidParams(problem));
    }
    let (name, version) = client_words(member(meta, wire::META_CLIENT_INFO));
    Ok(ClientFacts { revision, name, version, capabilities: capabilities.to_owned(), log_level: None })
}

/// `name` and `version` of a `clientInfo`; empty where the client does not say.
pub(super) fn client_words(info: Option<&RawValue>) -> (String, String) {
    let word =
        |name| info.and_then(|info| text_member(info, name)).map(|word| cut(&word)).unwrap_or_default();
    (word("name"), word("version"))
}

fn cut(word: &str) -> String {
    word.chars().take(WORD_MAX).collect()
}

fn meta<'a>(message: &Envelope<'a>) -> Option<&'a RawValue> {
    member(message.params?, "_meta")
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

/// 2026-07-28, transports: version, method and name stand in headers too, and must say the same.
fn check_headers(headers: &HeaderMap, message: &Envelope<'_>) -> Result<(), ProtocolError> {
    let version = meta(message).and_then(|meta| text_member(meta, wire::META_VERSION));
    if let Some(version) = version {
        agree(headers, wire::HEADER_VERSION, &version, "_meta")?;
    }
    let method = message.method.unwrap_or_default();
    agree(headers, wire::HEADER_METHOD, method, "method")?;
    let mirrored = match method {
        "tools/call" | "prompts/get" => "name",
        "resources/read" => "uri",
        "tasks/get" | "tasks/update" | "tasks/cancel" => "taskId",
        _ => return Ok(()),
    };
    match message.params.and_then(|params| member(params, mirrored)).and_then(text) {
        Some(name) => agree(headers, wire::HEADER_NAME, &name, mirrored),
        // Whoever routes the request says what is missing.
        None => Ok(()),
    }
}

fn agree(headers: &HeaderMap, name: &str, body: &str, place: &str) -> Result<(), ProtocolError> {
    let mut all = headers.get_all(name).iter();
    let problem = match (all.next(), all.next()) {
        (None, _) => "is required",
        (Some(_), Some(_)) => "stands there twice",
        (Some(value), None) => match value.to_str().ok().and_then(decoded) {
            Some(value) if value == body => return Ok(()),
            _ => "says something else than",
        },
    };
    Err(ProtocolError::HeaderMismatch(format!("the header {name} {problem} (the body's `{place}`)")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};

    const META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{"elicitation":{}},"io.modelcontextprotocol/clientInfo":{"name":"n","version":"1"}}"#;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
        };
        pairs.iter().map(pair).collect()
    }

    fn facts(
        pairs: &[(&'static str, &str)],
        method: &str,
        params: &str,
    ) -> Result<ClientFacts, ProtocolError> {
        let text = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#);
        modern_facts(&headers(pairs), &Envelope::parse(text.as_bytes()).unwrap())
    }

    #[test]
    fn the_era_is_told_by_header_or_meta_alone() {
        let plain =
            br#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2026-07-28"}}"#;
        let plain = Envelope::parse(plain).unwrap();
        assert!(!is_modern(&HeaderMap::new(), Some(&plain)));
        assert!(!is_modern(&headers(&[("mcp-protocol-version", "2025-11-25")]), Some(&plain)));
        assert!(!is_modern(&headers(&[("mcp-protocol-version", "banana")]), Some(&plain)));
        assert!(is_modern(&headers(&[("mcp-protocol-version", "2026-07-28")]), Some(&plain)));
        assert!(is_modern(&headers(&[("mcp-protocol-version", "2027-01-01")]), None));
        let text = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"ping","params":{{{META}}}}}"#);
        assert!(is_modern(&HeaderMap::new(), Some(&Envelope::parse(text.as_bytes()).unwrap())));
    }

    #[test]
    fn a_modern_request_says_who_asks() {
        let good = [
            ("mcp-protocol-version", "2026-07-28"),
            ("mcp-method", "tools/call"),
            ("mcp-name", "=?base64?w6Q=?="),
        ];
        let facts = facts(&good, "tools/call", &format!(r#"{{"name":"ä",{META}}}"#)).unwrap();
        assert_eq!((facts.name.as_str(), facts.capabilities.get()), ("n", r#"{"elicitation":{}}"#));
    }

    #[test]
    fn trap_23_what_headers_and_body_disagree_about_is_refused_before_what_is_missing() {
        let version = ("mcp-protocol-version", "2026-07-28");
        let method = ("mcp-method", "tools/call");
        let whole = format!(r#"{{"name":"a",{META}}}"#);
        for (pairs, params, code) in [
            (vec![version, method], whole.as_str(), -32_020),
            (vec![version, ("mcp-name", "a")], &whole, -32_020),
            (vec![method, ("mcp-name", "a")], &whole, -32_020),
            (vec![version, ("mcp-method", "TOOLS/CALL"), ("mcp-name", "a")], &whole, -32_020),
            (vec![version, method, ("mcp-name", "b")], &whole, -32_020),
            (vec![version, method, ("mcp-name", "=?base64?!?=")], &whole, -32_020),
            (vec![version, ("mcp-method", "ping")], "{}", -32_020),
            (vec![version, method], "{}", -32_602),
            (vec![version, method], r#"{"_meta":{}}"#, -32_602),
            (
                vec![("mcp-protocol-version", "2027-01-01"), method],
                r#"{"_meta":{"io.modelcontextprotocol/protocolVersion":"2027-01-01"}}"#,
                -32_022,
            ),
            (
                vec![version, method],
                r#"{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}"#,
                -32_602,
            ),
        ] {
            let error = facts(&pairs, "tools/call", params).unwrap_err();
            assert_eq!(error.code(true), code, "{params} {error}");
        }
        let mut twice = headers(&[version, method]);
        twice.append("mcp-method", HeaderValue::from_static("tools/call"));
        assert!(agree(&twice, "mcp-method", "tools/call", "method").is_err());
    }

    #[test]
    fn capabilities_have_a_size() {
        let pairs = [("mcp-protocol-version", "2026-07-28"), ("mcp-method", "ping")];
        let of_bytes = |bytes: usize| {
            let all = format!(r#"{{"a":"{}"}}"#, "x".repeat(bytes - 8));
            facts(&pairs, "ping", &format!("{{{}}}", META.replace(r#"{"elicitation":{}}"#, &all)))
        };
        assert_eq!(of_bytes(MAX_CAPABILITIES).unwrap().capabilities.get().len(), MAX_CAPABILITIES);
        let error = of_bytes(MAX_CAPABILITIES + 1).unwrap_err();
        assert_eq!(error.code(true), -32_602);
        assert!(error.to_string().contains(wire::META_CAPABILITIES), "{error}");
    }

    #[test]
    fn an_unknown_legacy_version_is_refused() {
        assert!(check_legacy_version(&headers(&[("mcp-protocol-version", "1999-01-01")])).is_err());
        assert!(check_legacy_version(&headers(&[("mcp-protocol-version", "2025-03-26")])).is_ok());
        assert!(check_legacy_version(&HeaderMap::new()).is_ok());
    }
}
