//! The name of a key in a path.

use crate::api::ApiError;
use axum::extract::{FromRequestParts, RawPathParams};
use doorward_domain::KeyId;
use http::request::Parts;

/// The key that the path names as `{id}`.
#[derive(Debug, Clone)]
pub(crate) struct KeyName(pub(crate) KeyId);

impl<S: Sync + Send> FromRequestParts<S> for KeyName {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let wrong =
            || ApiError::bad_field("id", "is not the name of a key: 1 to 32 of a-z, 0-9 and '-', such as k1");
        let params = RawPathParams::from_request_parts(parts, state).await.map_err(|_| wrong())?;
        let text = params.iter().find(|(name, _)| *name == "id").map(|(_, value)| value);
        let id = text.map(|text| KeyId(text.to_owned())).ok_or_else(wrong)?;
        if id.is_plain() { Ok(Self(id)) } else { Err(wrong()) }
    }
}
