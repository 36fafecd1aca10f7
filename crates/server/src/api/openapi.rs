//! The OpenAPI document: what the routes say of themselves.

use axum::Json;
use utoipa::OpenApi;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{Components, Info, License};

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
    document
}

/// The OpenAPI document of this server.
#[utoipa::path(get, path = "/openapi.json", tag = "server", security(()),
    responses((status = 200, description = "An OpenAPI 3.1 document.", body = Object)))]
pub(crate) async fn openapi() -> Json<utoipa::openapi::OpenApi> {
    Json(document())
}
