//! The pages of the authorization server. No script, no foreign resource, never in a frame.

use super::Shared;
use super::authorize_request::AuthorizeRequest;
use super::options::Account;
use askama::Template;
use axum::extract::State;
use axum::response::{Html, IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use std::sync::Arc;
use url::Url;

/// `form-action` is left out: browsers apply it to the redirect after the form too, and that one must
/// reach the client.
const POLICY: &str = "default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'";

#[derive(Template)]
#[template(path = "consent.html")]
struct ConsentPage<'a> {
    client: &'a str,
    scopes: &'a [String],
    resource: Option<&'a str>,
    redirect_origin: String,
    accounts: &'a [Account],
    action: String,
    problem: Option<&'a str>,
}

#[derive(Template)]
#[template(path = "message.html")]
struct MessagePage<'a> {
    title: &'a str,
    message: &'a str,
}

/// Login and consent; `query` is repeated in the form's address, so that nothing is kept meanwhile.
pub(super) fn consent(
    server: &Shared,
    request: &AuthorizeRequest,
    query: &str,
    problem: Option<&str>,
    status: StatusCode,
) -> Response {
    let page = ConsentPage {
        client: &request.client.name,
        scopes: &request.scopes,
        resource: request.resource.as_deref(),
        redirect_origin: request.redirect_uri.origin().ascii_serialization(),
        accounts: &server.options.accounts,
        action: format!("/authorize?{query}"),
        problem,
    };
    show(&page, status)
}

/// A request that cannot be sent back to anyone.
pub(super) fn refused(why: &str) -> Response {
    let page = MessagePage { title: "This request cannot be answered", message: why };
    show(&page, StatusCode::BAD_REQUEST)
}

/// The front page, for whoever opens the issuer in a browser.
pub(super) async fn home(State(server): State<Arc<Shared>>) -> Response {
    let message = format!("This is the demo authorization server at {}. Its data is made up.", server.issuer);
    show(&MessagePage { title: "Demo authorization server", message: &message }, StatusCode::OK)
}

pub(super) async fn style() -> Response {
    ([(header::CONTENT_TYPE, "text/css")], include_str!("../../templates/style.css")).into_response()
}

/// 303, so that the browser asks for the next page with GET.
pub(super) fn redirect(location: &Url) -> Response {
    let headers = [(header::LOCATION, location.as_str()), (header::CACHE_CONTROL, "no-store")];
    (StatusCode::SEE_OTHER, headers).into_response()
}

fn show(page: &impl Template, status: StatusCode) -> Response {
    let html = page.render().expect("the templates of this crate render from any value");
    let mut response = (status, Html(html)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use crate::testing::{ANY_PORT, client};
    use crate::{AuthorizationServer, AuthorizationServerOptions};

    #[tokio::test]
    async fn the_front_page_says_what_this_is_and_has_its_style() {
        let server =
            AuthorizationServer::start(ANY_PORT, AuthorizationServerOptions::default()).await.unwrap();
        let home = client().get(server.issuer()).send().await.unwrap().text().await.unwrap();
        assert!(home.contains("made up") && home.contains(server.issuer()));
        let style = client().get(format!("{}/style.css", server.issuer())).send().await.unwrap();
        assert_eq!(style.headers()["content-type"], "text/css");
    }
}
