//! The id in a path.

use crate::api::ApiError;
use axum::extract::{FromRequestParts, RawPathParams};
use http::request::Parts;
use uuid::Uuid;

/// The id that the path names as `{id}`, whatever it is the id of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Id<T>(pub(crate) T);

impl<S: Sync + Send, T: From<Uuid>> FromRequestParts<S> for Id<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let wrong =
            || ApiError::bad_field("id", "is not an id: ids look like 0190f5d2-7c1e-7000-8000-000000000001");
        let params = RawPathParams::from_request_parts(parts, state).await.map_err(|_| wrong())?;
        let text = params.iter().find(|(name, _)| *name == "id").map(|(_, value)| value);
        text.and_then(|text| Uuid::parse_str(text).ok()).map(|id| Self(T::from(id))).ok_or_else(wrong)
    }
}
