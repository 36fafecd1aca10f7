//! Headers that mirror parts of the body (revision 2026-07-28): `Mcp-Name`, and an `Mcp-Param-{Name}`
//! for each tool argument whose schema carries `x-mcp-header`. Towards an upstream we are the client,
//! so we build them, whatever our own client speaks.

use crate::envelope;
use crate::revision::wire;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use serde_json::value::RawValue;
use std::borrow::Cow;

const ANNOTATION: &str = "x-mcp-header";

/// One tool argument that a header mirrors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ParamHeader {
    header: HeaderName,
    /// Property names from `arguments` downwards.
    path: Vec<String>,
}

/// The tool's annotations cannot be obeyed; clients must not offer such a tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the tool's input schema has an x-mcp-header that clients must refuse")]
pub(crate) struct InvalidAnnotation;

/// The headers that a tool asks for, from the tool's definition.
pub(crate) fn annotations(tool: &str) -> Result<Vec<ParamHeader>, InvalidAnnotation> {
    if !tool.contains(ANNOTATION) {
        return Ok(Vec::new());
    }
    let tool: Value = serde_json::from_str(tool).map_err(|_| InvalidAnnotation)?;
    let mut found = Vec::new();
    if let Some(schema) = tool.get("inputSchema") {
        walk(schema, &mut Vec::new(), true, &mut found)?;
    }
    Ok(found)
}

/// Schema keywords whose value is a map of names to schemas.
const SCHEMA_MAPS: [&str; 5] =
    ["properties", "patternProperties", "$defs", "definitions", "dependentSchemas"];

/// Schema keywords whose value is data, not a schema.
const DATA: [&str; 4] = ["default", "examples", "enum", "const"];

/// An annotation counts only where a chain of `properties` leads to it; anywhere else it is invalid.
fn walk(
    schema: &Value,
    path: &mut Vec<String>,
    reachable: bool,
    found: &mut Vec<ParamHeader>,
) -> Result<(), InvalidAnnotation> {
    let object = match schema {
        Value::Object(object) => object,
        Value::Array(all) => return all.iter().try_for_each(|each| walk(each, path, false, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => return Ok(()),
    };
    if let Some(name) = object.get(ANNOTATION) {
        let header = param_header(name, object.get("type"), reachable && !path.is_empty())?;
        if found.iter().any(|other| other.header == header) {
            return Err(InvalidAnnotation);
        }
        found.push(ParamHeader { header, path: path.clone() });
    }
    for (keyword, value) in object.iter().filter(|(keyword, _)| !DATA.contains(&keyword.as_str())) {
        match value.as_object() {
            Some(named) if SCHEMA_MAPS.contains(&keyword.as_str()) => {
                for (name, schema) in named {
                    path.push(name.clone());
                    walk(schema, path, reachable && keyword == "properties", found)?;
                    path.pop();
                }
            }
            _ => walk(value, path, false, found)?,
        }
    }
    Ok(())
}

fn param_header(name: &Value, kind: Option<&Value>, allowed: bool) -> Result<HeaderName, InvalidAnnotation> {
    let primitive = matches!(kind.and_then(Value::as_str), Some("string" | "integer" | "boolean"));
    let (Some(name), true, true) = (name.as_str(), primitive, allowed) else { return Err(InvalidAnnotation) };
    if name.is_empty() {
        return Err(InvalidAnnotation);
    }
    HeaderName::from_bytes(format!("{}{name}", wire::HEADER_PARAM_PREFIX).as_bytes())
        .map_err(|_| InvalidAnnotation)
}

/// Adds the headers for one call; what the client has sent itself stays.
pub(crate) fn mirror(annotations: &[ParamHeader], params: &RawValue, headers: &mut HeaderMap) {
    for annotation in annotations.iter().filter(|a| !headers.contains_key(&a.header)).collect::<Vec<_>>() {
        let path: Vec<&str> =
            std::iter::once("arguments").chain(annotation.path.iter().map(String::as_str)).collect();
        if let Some(value) = envelope::member_at(params, &path).and_then(plain_value) {
            headers.insert(annotation.header.clone(), header_value(&value));
        }
    }
}

/// Whether the client's own headers say what its arguments do; what they say wrong otherwise.
pub(crate) fn check(
    annotations: &[ParamHeader],
    params: &RawValue,
    headers: &HeaderMap,
) -> Result<(), String> {
    for ParamHeader { header, path } in annotations {
        let path: Vec<&str> = std::iter::once("arguments").chain(path.iter().map(String::as_str)).collect();
        let argument = envelope::member_at(params, &path).and_then(plain_value);
        let mut said = headers.get_all(header).iter();
        let problem = match (said.next(), said.next(), argument) {
            (None, _, None) => continue,
            (None, _, Some(_)) => "is required: the tool's schema asks for it",
            (Some(_), Some(_), _) => "stands there twice",
            (Some(value), None, argument) => {
                let value = value.to_str().ok().and_then(decoded);
                if value.is_some() && value.as_deref() == argument.as_deref() {
                    continue;
                }
                "says something else than the arguments"
            }
        };
        return Err(format!("the header {header} {problem}"));
    }
    Ok(())
}

/// Values that are no safe header text travel as `=?base64?...?=`.
pub(crate) fn decoded(value: &str) -> Option<Cow<'_, str>> {
    let value = value.trim_matches([' ', '\t']);
    match value.strip_prefix("=?base64?").and_then(|rest| rest.strip_suffix("?=")) {
        None => Some(Cow::Borrowed(value)),
        Some(encoded) => String::from_utf8(STANDARD.decode(encoded).ok()?).ok().map(Cow::Owned),
    }
}

/// A primitive as header text: strings as they are, integers in decimal, `true` or `false`.
fn plain_value(value: &RawValue) -> Option<String> {
    match value.get() {
        "null" => None,
        text @ ("true" | "false") => Some(text.to_owned()),
        text if text.starts_with(['{', '[']) => None,
        text if text.starts_with('"') => envelope::text(value).map(std::borrow::Cow::into_owned),
        // 42.0 and 4.2e1 are the integer 42 (JSON Schema 2020-12 §4.2.3).
        text if text.contains(['.', 'e', 'E']) => {
            let number: f64 = text.parse().ok()?;
            (number.fract() == 0.0).then(|| format!("{number:.0}"))
        }
        text => Some(text.to_owned()),
    }
}

/// Text as a header value; what a header cannot carry travels as `=?base64?...?=`.
pub(crate) fn header_value(text: &str) -> HeaderValue {
    let safe = text.bytes().all(|b| (0x20..0x7f).contains(&b))
        && text.trim_matches(' ') == text
        && !(text.starts_with("=?base64?") && text.ends_with("?="));
    let wrapped = || format!("=?base64?{}?=", STANDARD.encode(text));
    let written = if safe { text.to_owned() } else { wrapped() };
    HeaderValue::try_from(written).expect("visible ASCII and inner spaces make a header value")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tool(properties: &str) -> String {
        format!(r#"{{"name":"t","inputSchema":{{"type":"object","properties":{properties}}}}}"#)
    }

    #[test]
    fn annotated_arguments_become_headers() {
        let found = annotations(&tool(
            r#"{"region":{"type":"string","x-mcp-header":"Region"},"x-mcp-header":{"type":"string"},
                "o":{"type":"object","properties":{"n":{"type":"integer","x-mcp-header":"Limit"}},"default":{"x-mcp-header":1}},
                "yes":{"type":"boolean","x-mcp-header":"Yes"},"no":{"type":"boolean","x-mcp-header":"No"},"gone":{"type":"string","x-mcp-header":"Gone"},
                "big":{"type":"integer","x-mcp-header":"Big"},"odd":{"type":"string","x-mcp-header":"Odd"}}"#,
        ))
        .unwrap();
        let params = envelope::raw(
            r#"{"name":"t","arguments":{"region":" später","o":{"n":42.0},"yes":true,"no":false,"gone":null,"big":9007199254740993,"odd":[]}}"#.into(),
        )
        .unwrap();
        let mut headers = HeaderMap::new();
        headers.insert("mcp-param-yes", HeaderValue::from_static("own"));
        mirror(&found, &params, &mut headers);
        assert_eq!(headers["mcp-param-region"], "=?base64?IHNww6R0ZXI=?=");
        assert_eq!(headers["mcp-param-limit"], "42");
        assert_eq!(headers["mcp-param-big"], "9007199254740993");
        assert_eq!(headers["mcp-param-yes"], "own");
        assert_eq!(headers["mcp-param-no"], "false");
        assert_eq!(headers.len(), 5);
    }

    #[test]
    fn trap_23_a_clients_own_headers_must_say_what_its_arguments_say() {
        let found = annotations(&tool(r#"{"region":{"type":"string","x-mcp-header":"Region"}}"#)).unwrap();
        let checked = |region: &str, said: &[&'static str]| {
            let params = envelope::raw(format!(r#"{{"arguments":{{"region":{region}}}}}"#)).unwrap();
            let mut headers = HeaderMap::new();
            for value in said {
                headers.append("mcp-param-region", HeaderValue::from_static(value));
            }
            check(&found, &params, &headers).is_ok()
        };
        assert!(checked("\"eu\"", &["eu"]) && checked("\"eu\"", &["=?base64?ZXU=?="]));
        assert!(checked("null", &[]) && checked("\"ZXU=\"", &["ZXU="]));
        assert!(!checked("\"eu\"", &[]) && !checked("\"eu\"", &["us"]) && !checked("\"eu\"", &["eu", "eu"]));
        assert!(!checked("\"eu\"", &["=?base64?ZX!=?="]) && !checked("null", &["eu"]));
    }

    #[test]
    fn annotations_that_clients_must_refuse_are_refused() {
        for properties in [
            r#"{"a":{"type":"number","x-mcp-header":"A"}}"#,
            r#"{"a":{"type":"string","x-mcp-header":""}}"#,
            r#"{"a":{"type":"string","x-mcp-header":"A B"}}"#,
            r#"{"a":{"type":"string","x-mcp-header":7}}"#,
            r#"{"a":{"type":"string","x-mcp-header":"A"},"b":{"type":"string","x-mcp-header":"a"}}"#,
            r#"{"a":{"type":"array","items":{"type":"string","x-mcp-header":"A"}}}"#,
            r#"{"a":{"anyOf":[{"type":"string","x-mcp-header":"A"}]}}"#,
        ] {
            assert_eq!(annotations(&tool(properties)), Err(InvalidAnnotation), "{properties}");
        }
        assert_eq!(
            annotations(r#"{"inputSchema":{"type":"string","x-mcp-header":"A"}}"#),
            Err(InvalidAnnotation)
        );
        assert_eq!(annotations("x-mcp-header"), Err(InvalidAnnotation));
        assert_eq!(annotations(r#"{"name":"plain"}"#), Ok(Vec::new()));
    }

    #[test]
    fn only_safe_text_travels_plainly() {
        assert_eq!(header_value("file:///a b"), "file:///a b");
        assert_eq!(header_value(""), "");
        for unsafe_text in ["a\r\nb", " a", "a ", "ä", "\t", "=?base64?eA==?="] {
            assert!(header_value(unsafe_text).to_str().unwrap().starts_with("=?base64?"), "{unsafe_text}");
        }
    }
}
