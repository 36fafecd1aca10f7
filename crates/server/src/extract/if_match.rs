//! `If-Match` (RFC 9110 §13.1.1): an edit of what has been changed in the meantime is refused.
//!
//! Our entity tags are the row's version in quotes. A weak tag counts as its strong form, since proxies
//! that compress answers weaken tags, and our versions differ whenever the content does.

use crate::api::ApiError;
use axum::extract::FromRequestParts;
use doorward_broker::BrokerError;
use http::request::Parts;
use http::{HeaderValue, header};

/// The version that the client has seen; none where it does not care.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct IfMatch(pub(crate) Option<i64>);

impl<S: Sync> FromRequestParts<S> for IfMatch {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let Some(value) = parts.headers.get(header::IF_MATCH) else { return Ok(Self(None)) };
        let text = value.to_str().unwrap_or_default().trim();
        if text == "*" {
            return Ok(Self(None));
        }
        match version(text) {
            Some(version) => Ok(Self(Some(version))),
            // Not a tag of ours, so nothing can match it.
            None => Err(ApiError::Broker(BrokerError::VersionMismatch)),
        }
    }
}

fn version(tag: &str) -> Option<i64> {
    let tag = tag.strip_prefix("W/").unwrap_or(tag);
    tag.strip_prefix('"')?.strip_suffix('"')?.parse().ok()
}

/// The `ETag` of a version.
pub(crate) fn etag(version: i64) -> HeaderValue {
    HeaderValue::try_from(format!("\"{version}\"")).expect("a quoted number is a header value")
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(value: Option<&str>) -> Result<IfMatch, ApiError> {
        let mut request = http::Request::builder();
        if let Some(value) = value {
            request = request.header("if-match", value);
        }
        let (mut parts, ()) = request.body(()).unwrap().into_parts();
        IfMatch::from_request_parts(&mut parts, &()).await
    }

    #[tokio::test]
    async fn strong_and_weak_tags_are_read_and_foreign_ones_match_nothing() {
        assert_eq!(read(None).await.unwrap(), IfMatch(None));
        assert_eq!(read(Some("*")).await.unwrap(), IfMatch(None));
        assert_eq!(read(Some("\"3\"")).await.unwrap(), IfMatch(Some(3)));
        assert_eq!(read(Some("W/\"3\"")).await.unwrap(), IfMatch(Some(3)));
        for foreign in ["3", "\"x\"", "\"1\", \"2\"", ""] {
            assert!(matches!(read(Some(foreign)).await, Err(ApiError::Broker(BrokerError::VersionMismatch))));
        }
        assert_eq!(etag(7), "\"7\"");
    }
}
