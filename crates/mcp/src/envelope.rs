//! The JSON-RPC envelope, and nothing below it: everything that Doorward does not route on stays the
//! text that was sent, so that unknown fields, key order and large numbers survive. Edits replace the
//! text of single members and keep every other byte.

pub use crate::splice::{edit, json_string, member, member_at, members, raw, splice, text, text_member};

use crate::splice::Key;
use serde::de::{Deserialize, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

/// One JSON-RPC 2.0 message, borrowed from its text.
#[derive(Debug, Clone, Copy)]
pub struct Envelope<'a> {
    /// The whole message.
    pub text: &'a str,
    /// A string or an integer, as it was written; requests and responses have one.
    pub id: Option<&'a RawValue>,
    /// The method's text without quotes; requests and notifications have one.
    pub method: Option<&'a str>,
    /// `params` of a request or notification.
    pub params: Option<&'a RawValue>,
    /// `result` of a response.
    pub result: Option<&'a RawValue>,
    /// `error` of a response.
    pub error: Option<&'a RawValue>,
}

/// What a message is, told by the members it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageKind {
    Request,
    Notification,
    Response,
}

/// Why a text is not one JSON-RPC message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// -32700: not JSON at all.
    #[error("the message is not valid JSON: {0}")]
    NotJson(String),
    /// -32600: batches left the protocol with revision 2025-06-18.
    #[error("batches are not supported; send each message in a request of its own")]
    Batch,
    /// -32600: JSON, but no message.
    #[error("the message is not a JSON-RPC 2.0 message: {0}")]
    Invalid(&'static str),
}

impl EnvelopeError {
    /// The JSON-RPC error code (JSON-RPC 2.0 §5.1).
    pub const fn code(&self) -> i32 {
        match self {
            Self::NotJson(_) => -32_700,
            Self::Batch | Self::Invalid(_) => -32_600,
        }
    }
}

impl<'a> Envelope<'a> {
    /// Reads the envelope. A member of the envelope that stands there twice is refused: two readers
    /// could disagree about which one counts. Deeper duplicates pass unchanged.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, EnvelopeError> {
        let text = std::str::from_utf8(bytes).map_err(|error| EnvelopeError::NotJson(error.to_string()))?;
        let text = text.trim_matches([' ', '\t', '\r', '\n']);
        if text.starts_with('[') {
            return match serde_json::from_str::<IgnoredAny>(text) {
                Ok(_) => Err(EnvelopeError::Batch),
                Err(error) => Err(EnvelopeError::NotJson(error.to_string())),
            };
        }
        let parts: Parts<'a> = serde_json::from_str(text).map_err(|error| not_an_envelope(text, &error))?;
        parts.check(text)
    }

    /// What the message is.
    pub const fn kind(&self) -> MessageKind {
        match (self.method, self.id) {
            (Some(_), Some(_)) => MessageKind::Request,
            (Some(_), None) => MessageKind::Notification,
            (None, _) => MessageKind::Response,
        }
    }
}

fn not_an_envelope(text: &str, error: &serde_json::Error) -> EnvelopeError {
    if serde_json::from_str::<IgnoredAny>(text).is_err() {
        return EnvelopeError::NotJson(error.to_string());
    }
    if text.starts_with('{') {
        EnvelopeError::Invalid("a member of the envelope stands there twice")
    } else {
        EnvelopeError::Invalid("it is not an object")
    }
}

/// The members of an envelope, not yet judged.
#[derive(Default)]
struct Parts<'a> {
    jsonrpc: Option<&'a RawValue>,
    id: Option<&'a RawValue>,
    method: Option<&'a RawValue>,
    params: Option<&'a RawValue>,
    result: Option<&'a RawValue>,
    error: Option<&'a RawValue>,
}

impl<'a> Parts<'a> {
    fn check(self, text: &'a str) -> Result<Envelope<'a>, EnvelopeError> {
        if self.jsonrpc.is_none_or(|version| version.get() != "\"2.0\"") {
            return Err(EnvelopeError::Invalid("`jsonrpc` must be \"2.0\""));
        }
        let method = self.method.map(plain_method).transpose()?;
        let error = self.error.filter(|error| error.get() != "null");
        if method.is_some() == (self.result.is_some() || error.is_some()) {
            return Err(EnvelopeError::Invalid("it needs either `method`, or `result` or `error`"));
        }
        // An error about a message that could not be read has the id null (JSON-RPC 2.0 §5).
        let id = self.id.filter(|id| error.is_none() || id.get() != "null");
        if !id.is_none_or(is_valid_id) {
            return Err(EnvelopeError::Invalid("`id` must be a string or an integer"));
        }
        if self.result.is_some() && id.is_none() {
            return Err(EnvelopeError::Invalid("a result needs an `id`"));
        }
        let well_shaped = |params: &RawValue| params.get().starts_with(['{', '[']);
        if !self.params.is_none_or(well_shaped) {
            return Err(EnvelopeError::Invalid("`params` must be an object"));
        }
        Ok(Envelope { text, id, method, params: self.params, result: self.result, error })
    }
}

/// Method names carry no escapes in any revision; one that does could hide from a comparison.
fn plain_method(raw: &RawValue) -> Result<&str, EnvelopeError> {
    let text = raw.get();
    match text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(plain) if !plain.is_empty() && !plain.contains('\\') => Ok(plain),
        _ => Err(EnvelopeError::Invalid("`method` must be a plain, non-empty string")),
    }
}

fn is_valid_id(id: &RawValue) -> bool {
    let text = id.get();
    let digits = text.strip_prefix('-').unwrap_or(text);
    text.starts_with('"') || (!digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
}

impl<'de> Deserialize<'de> for Parts<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(PartsVisitor)
    }
}

struct PartsVisitor;

impl<'de> Visitor<'de> for PartsVisitor {
    type Value = Parts<'de>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a JSON-RPC message")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut parts = Parts::default();
        while let Some(Key(key)) = map.next_key()? {
            let slot = match key.as_ref() {
                "jsonrpc" => &mut parts.jsonrpc,
                "id" => &mut parts.id,
                "method" => &mut parts.method,
                "params" => &mut parts.params,
                "result" => &mut parts.result,
                "error" => &mut parts.error,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            if slot.replace(map.next_value()?).is_some() {
                return Err(A::Error::custom("a member of the envelope stands there twice"));
            }
        }
        Ok(parts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Envelope<'_>, EnvelopeError> {
        Envelope::parse(text.as_bytes())
    }

    #[test]
    fn the_envelope_tells_requests_notifications_and_responses_apart() {
        let request =
            parse(r#"{"jsonrpc":"2.0","id":"1","method":"tools/call","params":{"name":"x"},"vendor":1}"#)
                .unwrap();
        assert_eq!(request.kind(), MessageKind::Request);
        assert_eq!((request.id.unwrap().get(), request.method), ("\"1\"", Some("tools/call")));
        assert_eq!(parse(r#" {"jsonrpc":"2.0","method":"n/x"} "#).unwrap().kind(), MessageKind::Notification);
        let response = parse(r#"{"jsonrpc":"2.0","id":7,"result":{"a":1},"error":null}"#).unwrap();
        assert_eq!(response.kind(), MessageKind::Response);
        assert!(response.error.is_none());
        let error = parse(r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700}}"#).unwrap();
        assert!(error.id.is_none() && error.error.is_some());
    }

    #[test]
    fn what_is_no_message_is_refused_with_its_code() {
        for (text, code) in [
            ("{", -32_700),
            ("[", -32_700),
            ("[1]", -32_600),
            ("3", -32_600),
            (r#"{"id":1,"method":"x"}"#, -32_600),
            (r#"{"jsonrpc":"1.0","id":1,"method":"x"}"#, -32_600),
            (r#"{"jsonrpc":"2.0","id":null,"method":"x"}"#, -32_600),
            (r#"{"jsonrpc":"2.0","id":1.5,"method":"x"}"#, -32_600),
            (r#"{"jsonrpc":"2.0","id":1}"#, -32_600),
            (r#"{"jsonrpc":"2.0","id":1,"method":3}"#, -32_600),
            (r#"{"jsonrpc":"2.0","id":1,"method":"a\u0062"}"#, -32_600),
            (r#"{"jsonrpc":"2.0","id":1,"method":""}"#, -32_600),
            (r#"{"jsonrpc":"2.0","id":1,"method":"x","params":"y"}"#, -32_600),
            (r#"{"jsonrpc":"2.0","result":{}}"#, -32_600),
            (r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"x"}"#, -32_600),
            (r#"{"jsonrpc":"2.0","id":1,"method":"x","result":{}}"#, -32_600),
        ] {
            let error = parse(text).unwrap_err();
            assert_eq!(error.code(), code, "{text}: {error}");
        }
        assert_eq!(Envelope::parse(&[0xff]).unwrap_err().code(), -32_700);
        assert_eq!(parse("[{}]").unwrap_err(), EnvelopeError::Batch);
    }
}
