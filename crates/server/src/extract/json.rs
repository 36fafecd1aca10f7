//! A JSON body. Whatever is wrong with it is said in a sentence that names the field.

use crate::api::ApiError;
use crate::extract::json::sentence::BadInput;
use axum::extract::{FromRequest, Request};
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use serde::de::DeserializeOwned;

pub(crate) mod sentence;

/// The body as `T`, which refuses unknown fields.
#[derive(Debug)]
pub(crate) struct JsonBody<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        if !is_json(request.headers()) {
            return Err(ApiError::NotJson);
        }
        let body =
            Bytes::from_request(request, state).await.map_err(|rejection| match rejection.status() {
                StatusCode::PAYLOAD_TOO_LARGE => ApiError::TooLarge,
                _ => ApiError::bad_input("the body was cut off"),
            })?;
        parse(&body).map(Self)
    }
}

/// Parses a JSON text; nothing may follow it.
fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    let mut reader = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = error.path().to_string();
        let inner = error.into_inner();
        match inner.classify() {
            serde_json::error::Category::Data => BadInput::new(&path, &inner.to_string()).into(),
            _ => ApiError::bad_input(format!("the body is not JSON: {inner}")),
        }
    })?;
    reader.end().map_err(|error| ApiError::bad_input(format!("the body is not JSON: {error}")))?;
    Ok(value)
}

/// `application/json`, or a type with the suffix `+json`; parameters do not matter.
fn is_json(headers: &HeaderMap) -> bool {
    let text = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        #[serde(rename = "name")]
        _name: String,
        #[serde(rename = "inner")]
        _inner: Option<Inner>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        #[serde(rename = "count")]
        _count: u32,
    }

    fn complaint(body: &str) -> (Option<String>, String) {
        let ApiError::BadInput { field, problem } = parse::<Outer>(body.as_bytes()).unwrap_err() else {
            panic!("bad input has its own error");
        };
        (field, problem)
    }

    #[test]
    fn a_wrong_field_is_named_by_its_path() {
        let (field, problem) = complaint(r#"{"name":"a","inner":{"count":"x"}}"#);
        assert_eq!(field.as_deref(), Some("inner.count"));
        assert!(problem.contains("expected u32"), "{problem}");
        let (field, problem) = complaint(r#"{"name":"a","inner":{"counts":1}}"#);
        assert_eq!(field.as_deref(), Some("inner.counts"));
        assert!(problem.starts_with("is not known here"), "{problem}");
        let (field, problem) = complaint("{}");
        assert_eq!((field.as_deref(), problem.as_str()), (Some("name"), "is missing"));
    }

    #[test]
    fn what_is_not_json_is_called_so() {
        for body in ["", "{", "nonsense", r#"{"name":"a"} x"#, "\u{feff}{}"] {
            let (field, problem) = complaint(body);
            assert!(field.is_none() && problem.starts_with("the body is not JSON"), "{body}: {problem}");
        }
        assert_eq!(complaint("[]").0, None);
    }

    #[test]
    fn only_json_types_are_json() {
        let with =
            |value: &str| is_json(&HeaderMap::from_iter([(header::CONTENT_TYPE, value.parse().unwrap())]));
        assert!(
            with("application/json") && with("Application/JSON; charset=utf-8") && with("application/x+json")
        );
        assert!(!with("text/plain") && !with("text/json+json") && !is_json(&HeaderMap::new()));
    }
}
