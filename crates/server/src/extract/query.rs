//! Query parameters. An unknown one is refused by name, so that a misspelt filter filters nothing away.

use crate::api::ApiError;
use crate::extract::json::sentence::BadInput;
use axum::extract::{FromRequestParts, Request};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use doorward_domain::PageRequest;
use http::request::Parts;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use url::form_urlencoded;
use utoipa::IntoParams;

/// Rows per page at most.
const LIMIT_MAX: u32 = 200;
/// The longest cursor that is looked at.
const CURSOR_MAX: usize = 500;

/// The query parameters as `T`, which refuses unknown ones.
#[derive(Debug)]
pub(crate) struct QueryOf<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for QueryOf<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let query = parts.uri.query().unwrap_or_default().as_bytes();
        let reader = serde_urlencoded::Deserializer::new(form_urlencoded::parse(query));
        let value = serde_path_to_error::deserialize(reader)
            .map_err(|error| BadInput::new(&error.path().to_string(), &error.inner().to_string()))?;
        Ok(Self(value))
    }
}

/// Which page of a list.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct PageQuery {
    /// Rows per page.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// No query parameter at all, where other methods of the route take some.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NoQuery {}

impl PageQuery {
    pub(crate) fn new(limit: Option<u32>, cursor: Option<String>) -> Self {
        Self { limit, cursor }
    }

    /// The page that is meant.
    pub(crate) fn page(self) -> Result<PageRequest, ApiError> {
        let limit = self.limit.unwrap_or(PageRequest::default().limit);
        if !(1..=LIMIT_MAX).contains(&limit) {
            return Err(ApiError::bad_field("limit", format!("use 1 to {LIMIT_MAX}")));
        }
        if self.cursor.as_ref().is_some_and(|cursor| cursor.len() > CURSOR_MAX) {
            return Err(ApiError::bad_field("cursor", "is not one that this list gave out"));
        }
        Ok(PageRequest { limit, cursor: self.cursor })
    }
}

/// For routes that take no query parameter at all.
pub(crate) async fn refuse_query(request: Request, next: Next) -> Response {
    let query = request.uri().query().unwrap_or_default();
    match form_urlencoded::parse(query.as_bytes()).next() {
        Some((name, _)) => {
            let shown: String = name.chars().take(100).collect();
            ApiError::bad_field(shown, "is not a query parameter of this route").into_response()
        }
        None => next.run(request).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(query: &str) -> Result<PageQuery, ApiError> {
        let (mut parts, ()) =
            http::Request::builder().uri(format!("/x?{query}")).body(()).unwrap().into_parts();
        QueryOf::from_request_parts(&mut parts, &()).await.map(|QueryOf(page)| page)
    }

    #[tokio::test]
    async fn an_unknown_or_wrong_parameter_is_named() {
        let ApiError::BadInput { field, .. } = read("limit=5&offset=3").await.unwrap_err() else { panic!() };
        assert_eq!(field.as_deref(), Some("offset"));
        let ApiError::BadInput { field, problem } = read("limit=many").await.unwrap_err() else { panic!() };
        assert_eq!(field.as_deref(), Some("limit"), "{problem}");
    }

    #[tokio::test]
    async fn a_page_has_bounds() {
        assert_eq!(read("limit=5&cursor=c").await.unwrap().page().unwrap().limit, 5);
        assert_eq!(read("").await.unwrap().page().unwrap(), PageRequest::default());
        for wrong in ["limit=0".to_owned(), "limit=201".to_owned(), format!("cursor={}", "x".repeat(501))] {
            assert!(read(&wrong).await.unwrap().page().is_err(), "{wrong}");
        }
    }
}
