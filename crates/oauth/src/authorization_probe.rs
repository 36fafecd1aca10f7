//! Looks at the authorization endpoint without anybody: an authorization request as a browser would open it, whose
//! page nobody sees. Whatever it is answered with, nothing comes of it.

use crate::client::OAuthClient;
use doorward_outbound::OutboundError;
use http::header;
use url::Url;

/// How the authorization endpoint took the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProbedAuthorization {
    /// It shows a page or leads on to one: the client and the redirect URI are known there.
    Taken,
    /// It sent the browser back to us with this error.
    SentBack { error: String },
    /// It refused the request itself: mostly the client id or the redirect URI is not known there.
    Refused { status: u16 },
}

impl OAuthClient {
    /// Opens an authorization request without a browser. No redirect is followed.
    pub async fn probe_authorization(
        &self,
        request: &Url,
        redirect_uri: &Url,
    ) -> Result<ProbedAuthorization, OutboundError> {
        let answer = self.get(request).await?;
        let location = answer.headers.get(header::LOCATION).and_then(|value| value.to_str().ok());
        let location = location.and_then(|text| request.join(text).ok());
        let home =
            location.filter(|url| url.origin() == redirect_uri.origin() && url.path() == redirect_uri.path());
        let error = home.and_then(|url| {
            url.query_pairs().find(|(name, _)| name == "error").map(|(_, error)| error.into_owned())
        });
        Ok(match error {
            Some(error) => {
                let error = error.chars().filter(char::is_ascii_graphic).take(64).collect();
                ProbedAuthorization::SentBack { error }
            }
            None if answer.status.is_client_error() => {
                ProbedAuthorization::Refused { status: answer.status.as_u16() }
            }
            None => ProbedAuthorization::Taken,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::samples::{client, serve, url};
    use axum::Router;
    use axum::response::{IntoResponse, Redirect};
    use axum::routing::get;

    #[tokio::test]
    async fn the_endpoint_takes_refuses_or_sends_back() {
        let router = Router::new()
            .route("/page", get(|| async { "log in" }))
            .route("/on", get(|| async { Redirect::to("/login") }))
            .route("/no", get(|| async { (http::StatusCode::BAD_REQUEST, "unknown client").into_response() }))
            .route(
                "/back",
                get(|| async { Redirect::to("http://localhost:4444/cb?error=invalid_scope&state=s") }),
            )
            .route("/else", get(|| async { Redirect::to("http://evil.example/cb?error=x") }));
        let base = serve(router).await;
        let probe = async |path: &str| {
            let home = url("http://localhost:4444/cb");
            client().probe_authorization(&url(&format!("{base}{path}")), &home).await.unwrap()
        };
        assert_eq!(probe("/page").await, ProbedAuthorization::Taken);
        assert_eq!(probe("/on").await, ProbedAuthorization::Taken);
        assert_eq!(probe("/else").await, ProbedAuthorization::Taken);
        assert_eq!(probe("/no").await, ProbedAuthorization::Refused { status: 400 });
        assert_eq!(probe("/back").await, ProbedAuthorization::SentBack { error: "invalid_scope".into() });
    }
}
