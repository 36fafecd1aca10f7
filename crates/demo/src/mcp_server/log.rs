//! What the MCP server saw: every request, whole.

use http::HeaderMap;

/// One request at the MCP endpoint. It holds a bearer token in plain form and has no `Debug` for that
/// reason.
#[derive(Clone)]
pub struct SeenRequest {
    /// `POST`, `GET` or `DELETE`.
    pub http_method: String,
    /// The JSON-RPC method, where the body has one.
    pub method: Option<String>,
    /// The token of the `Authorization` header.
    pub bearer: Option<String>,
    /// Whom the token speaks for, when it is good here.
    pub account: Option<String>,
    /// The `Mcp-Session-Id` header.
    pub session: Option<String>,
    pub headers: HeaderMap,
    /// The body byte for byte, as far as it is UTF-8.
    pub body: String,
}
