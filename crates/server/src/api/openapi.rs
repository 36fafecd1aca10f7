//! The OpenAPI document: what the routes say of themselves.

use bytes::Bytes;
use http::{HeaderName, header};
use std::sync::LazyLock;
use utoipa::OpenApi;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{Components, Content, Info, License, Ref, RefOr, ResponseBuilder};

/// The media type of problem details (RFC 9457 §6.1).
const PROBLEM: &str = "application/problem+json";

#[derive(OpenApi)]
#[openapi(components(schemas(super::Problem)), security(("api_token" = []), ("session" = [])))]
struct Base;

/// The document, whole. `doorward openapi` prints it too.
pub(crate) fn document() -> utoipa::openapi::OpenApi {
    let mut document = Base::openapi();
    document.merge(super::routes_with_document().into_openapi());
    document.info = Info::new("Doorward", env!("CARGO_PKG_VERSION"));
    document.info.description = Some("The MCP gateway that keeps the keys.".to_owned());
    document.info.license = Some(License::new("Apache-2.0"));
    let components = document.components.get_or_insert_with(Components::new);
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("dw_...").build();
    components.add_security_scheme("api_token", SecurityScheme::Http(bearer));
    let cookie = ApiKey::Cookie(ApiKeyValue::with_description(
        "doorward-session",
        "A browser session; unsafe methods also need the header X-CSRF-Token from GET /me. On https the name begins with __Host-.",
    ));
    components.add_security_scheme("session", SecurityScheme::ApiKey(cookie));
    for (path, item) in &mut document.paths.paths {
        let methods = [
            ("get", &mut item.get),
            ("post", &mut item.post),
            ("put", &mut item.put),
            ("delete", &mut item.delete),
        ];
        for (method, operation) in methods {
            if let Some(operation) = operation {
                complete(operation, method, path);
            }
        }
    }
    document
}

/// What is the same for every operation: an id that is unique, and problems in their own media type.
fn complete(operation: &mut Operation, method: &str, path: &str) {
    let words = path.split(['/', '{', '}', '-', '.']).filter(|word| !word.is_empty());
    operation.operation_id = Some(words.fold(method.to_owned(), |id, word| format!("{id}_{word}")));
    let problem = || RefOr::T(Content::new(Some(Ref::from_schema_name("Problem"))));
    let any = ResponseBuilder::new().description("A problem: what is wrong, and what to do.");
    let any = any.content(PROBLEM, Content::new(Some(Ref::from_schema_name("Problem")))).build();
    for (status, response) in &mut operation.responses.responses {
        if let RefOr::T(response) = response
            && status.starts_with('4')
        {
            response.content = [(PROBLEM.to_owned(), problem())].into();
        }
    }
    operation.responses.responses.insert("default".to_owned(), RefOr::T(any));
}

/// The document as text: it is the same for as long as the process lives.
static TEXT: LazyLock<Bytes> =
    LazyLock::new(|| Bytes::from(document().to_json().expect("the document is made of strings and numbers")));

/// The OpenAPI document of this server.
#[utoipa::path(get, path = "/openapi.json", tag = "server", security(()),
    responses((status = 200, description = "An OpenAPI 3.1 document.", body = Object)))]
pub(crate) async fn openapi() -> ([(HeaderName, &'static str); 1], Bytes) {
    ([(header::CONTENT_TYPE, "application/json")], TEXT.clone())
}
