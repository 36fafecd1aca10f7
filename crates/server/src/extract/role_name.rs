//! The name of a role in a path.

use crate::api::ApiError;
use axum::extract::{FromRequestParts, RawPathParams};
use doorward_domain::Slug;
use http::request::Parts;

/// The role that the path names as `{id}`.
#[derive(Debug, Clone)]
pub(crate) struct RoleNamed(pub(crate) Slug);

impl<S: Sync + Send> FromRequestParts<S> for RoleNamed {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let wrong = || ApiError::bad_field("id", "is not the name of a role: 1 to 32 of a-z, 0-9 and '-'");
        let params = RawPathParams::from_request_parts(parts, state).await.map_err(|_| wrong())?;
        let text = params.iter().find(|(name, _)| *name == "id").map(|(_, value)| value);
        text.and_then(|text| Slug::parse(text).ok()).map(Self).ok_or_else(wrong)
    }
}
