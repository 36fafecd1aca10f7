//! The end of a dynamic registration (RFC 7592 §2.3).

use crate::client::OAuthClient;
use bytes::Bytes;
use doorward_domain::RegistrationHandle;
use doorward_outbound::OutboundRequest;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use secrecy::ExposeSecret;
use url::Url;

/// What came of it.
#[derive(Debug, PartialEq, Eq)]
pub enum RemovedRegistration {
    Removed,
    /// The server does not know it any more, or not this token (RFC 7592 §2.3: 401).
    AlreadyGone,
    /// The server says no; asking again would not help.
    Refused {
        why: String,
    },
    /// Not just now.
    Later {
        why: String,
    },
}

impl OAuthClient {
    /// Asks the server to forget a client. The access token goes to the address that came with it, and nowhere else.
    pub async fn remove_registration(&self, handle: &RegistrationHandle) -> RemovedRegistration {
        let Some((url, mut authorization)) = parts(handle) else {
            return RemovedRegistration::Refused { why: "its handle cannot be read".to_owned() };
        };
        authorization.set_sensitive(true);
        let headers = HeaderMap::from_iter([(header::AUTHORIZATION, authorization)]);
        let request = OutboundRequest { method: Method::DELETE, url, headers, body: Bytes::new() };
        match self.outbound.call(request).await {
            Ok(answer) => meaning(answer.status),
            Err(error) => RemovedRegistration::Later { why: error.to_string() },
        }
    }
}

fn parts(handle: &RegistrationHandle) -> Option<(Url, HeaderValue)> {
    let (url, token) = handle.expose_secret().split_once('\n')?;
    Some((url.parse().ok()?, HeaderValue::from_str(&format!("Bearer {token}")).ok()?))
}

fn meaning(status: StatusCode) -> RemovedRegistration {
    let why = format!("status {}", status.as_u16());
    match status {
        status if status.is_success() => RemovedRegistration::Removed,
        StatusCode::UNAUTHORIZED | StatusCode::NOT_FOUND | StatusCode::GONE => {
            RemovedRegistration::AlreadyGone
        }
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => RemovedRegistration::Later { why },
        status if status.is_client_error() => RemovedRegistration::Refused { why },
        _ => RemovedRegistration::Later { why },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::samples::{client, serve};
    use axum::Router;
    use axum::routing::delete;
    use http::StatusCode;

    #[tokio::test]
    async fn the_token_goes_to_the_address_that_came_with_it() {
        let route = delete(|headers: HeaderMap| async move {
            let known = headers.get("authorization").is_some_and(|value| value == "Bearer t-1");
            if known { StatusCode::NO_CONTENT } else { StatusCode::UNAUTHORIZED }
        });
        let base = serve(Router::new().route("/clients/c", route)).await;
        let handle = |token: &str| RegistrationHandle::new(format!("{base}/clients/c\n{token}"));
        assert_eq!(client().remove_registration(&handle("t-1")).await, RemovedRegistration::Removed);
        assert_eq!(client().remove_registration(&handle("t-2")).await, RemovedRegistration::AlreadyGone);
        let closed = RegistrationHandle::new("http://127.0.0.1:9/c\nt");
        assert!(matches!(client().remove_registration(&closed).await, RemovedRegistration::Later { .. }));
        let broken = RegistrationHandle::new("nonsense");
        assert!(matches!(client().remove_registration(&broken).await, RemovedRegistration::Refused { .. }));
    }

    #[test]
    fn a_redirect_or_a_failure_is_tried_again_and_a_refusal_is_not() {
        for (status, later) in [(302, true), (503, true), (429, true), (405, false), (403, false)] {
            let meaning = meaning(StatusCode::from_u16(status).unwrap());
            assert_eq!(matches!(meaning, RemovedRegistration::Later { .. }), later, "{status}");
        }
    }
}
