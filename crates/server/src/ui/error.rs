//! Pages that say what went wrong and what to do next. Handlers give a [`PageError`]; a layer around the
//! pages renders it, because only there the look (demo banner) is known.

use crate::extract::PageRejection;
use crate::state::AppState;
use crate::ui::form::sentence;
use crate::ui::page;
use crate::ui::parts::Icon;
use crate::ui::sign_in_again;
use askama::Template;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use doorward_broker::BrokerError;
use doorward_storage::StorageError;
use http::{HeaderValue, Method, StatusCode, header};
use std::borrow::Cow;

/// An error page to be: it travels in the response's extensions until the layer renders it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PageError {
    status: StatusCode,
    title: &'static str,
    text: Cow<'static, str>,
    /// Where the button leads, and what it says.
    next: (&'static str, &'static str),
    retry_after: Option<u64>,
}

const HOME: (&str, &str) = ("/ui", "Go to the overview");

impl PageError {
    /// There is no such page, or it is somebody else's.
    pub(super) const NOT_FOUND: Self = Self {
        status: StatusCode::NOT_FOUND,
        title: "There is no such page",
        text: Cow::Borrowed("It may have been deleted, or the address has a slip in it."),
        next: HOME,
        retry_after: None,
    };

    /// The link was made by somebody else's call.
    pub(super) const NOT_YOURS: Self = Self {
        status: StatusCode::FORBIDDEN,
        title: "This link is for somebody else",
        text: Cow::Borrowed(
            "It asks another person to connect their own account, so it does nothing for you. \
             If you want to connect this server for yourself, do it from My connections.",
        ),
        next: ("/ui/connections", "My connections"),
        retry_after: None,
    };

    /// It wants a fresh login: the layer asks for one.
    const STALE: Self = Self {
        status: StatusCode::FORBIDDEN,
        title: "Is it still you?",
        text: Cow::Borrowed("This needs a fresh login."),
        next: (sign_in_again::PATH, "Sign in again"),
        retry_after: None,
    };

    const FORGED: Self = Self {
        status: StatusCode::FORBIDDEN,
        title: "This form could not be trusted",
        text: Cow::Borrowed(
            "It did not come from a page of Doorward in this browser, or you have signed in or out since \
             the page was opened. Nothing was changed. Open the page again and repeat what you did.",
        ),
        next: HOME,
        retry_after: None,
    };

    /// What a use case refused, as a page.
    pub(super) fn status_of(error: &BrokerError) -> StatusCode {
        match error {
            BrokerError::Invalid { .. } | BrokerError::Storage(StorageError::BadCursor) => {
                StatusCode::BAD_REQUEST
            }
            BrokerError::NotFound { .. } => StatusCode::NOT_FOUND,
            BrokerError::Forbidden { .. }
            | BrokerError::AdministratorsOnly
            | BrokerError::FreshLoginNeeded => StatusCode::FORBIDDEN,
            BrokerError::Conflict { .. } => StatusCode::CONFLICT,
            BrokerError::VersionMismatch => StatusCode::PRECONDITION_FAILED,
            BrokerError::Throttled { .. } => StatusCode::TOO_MANY_REQUESTS,
            BrokerError::Unavailable { .. } => StatusCode::SERVICE_UNAVAILABLE,
            BrokerError::Storage(_)
            | BrokerError::Seal(_)
            | BrokerError::SealingKeyMissing { .. }
            | BrokerError::RingFile(_)
            | BrokerError::Password(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn refused(status: StatusCode, title: &'static str, text: &str) -> Self {
        Self { status, title, text: sentence(text).into(), next: HOME, retry_after: None }
    }
}

impl From<BrokerError> for PageError {
    fn from(error: BrokerError) -> Self {
        let status = Self::status_of(&error);
        match &error {
            BrokerError::NotFound { .. } => Self::NOT_FOUND,
            BrokerError::FreshLoginNeeded => Self::STALE,
            BrokerError::Forbidden { .. } => Self::refused(
                status,
                "This is for administrators",
                "Your account may not open this page. Ask an administrator if you need it.",
            ),
            BrokerError::AdministratorsOnly => {
                Self::refused(status, "This is for administrators", &error.to_string())
            }
            BrokerError::Invalid { problem, .. } | BrokerError::Conflict { problem, .. } => {
                Self::refused(status, "That did not work", problem)
            }
            BrokerError::Storage(StorageError::BadCursor) => Self::refused(
                status,
                "There is no such page of the list",
                "Its address is not whole, or from another list: begin at the first page.",
            ),
            BrokerError::VersionMismatch => {
                Self::refused(status, "Somebody else was faster", &error.to_string())
            }
            BrokerError::Throttled { retry_after }
            | BrokerError::Unavailable { retry_after: Some(retry_after), .. } => Self {
                retry_after: Some(retry_after.as_secs().max(1)),
                ..Self::refused(status, "Not right now", &error.to_string())
            },
            BrokerError::Unavailable { problem, .. } => Self::refused(status, "Not right now", problem),
            BrokerError::Storage(_)
            | BrokerError::Seal(_)
            | BrokerError::SealingKeyMissing { .. }
            | BrokerError::RingFile(_)
            | BrokerError::Password(_) => {
                tracing::error!(%error, "a page failed");
                Self::refused(
                    status,
                    "Something broke on our side",
                    "Nothing was lost. Try again in a moment; if it stays so, the server's log says why.",
                )
            }
        }
    }
}

impl From<PageRejection> for PageError {
    fn from(rejection: PageRejection) -> Self {
        match rejection {
            PageRejection::Failed(error) => error.into(),
            PageRejection::BadForm { problem } => {
                Self::refused(StatusCode::BAD_REQUEST, "The form could not be read", &problem)
            }
            PageRejection::Forged | PageRejection::LoginNeeded { .. } => Self::FORGED,
        }
    }
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl IntoResponse for PageRejection {
    fn into_response(self) -> Response {
        match self {
            Self::LoginNeeded { next } => {
                let query = serde_urlencoded::to_string([("next", next)]).unwrap_or_default();
                Redirect::to(&format!("/ui/login?{query}")).into_response()
            }
            other => PageError::from(other).into_response(),
        }
    }
}

/// Renders the error pages that handlers left in the extensions. Who only lacks a fresh login is asked for one, and
/// comes back: to the page, or after a form to the page that it stood on.
pub(super) async fn render(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let safe = matches!(*request.method(), Method::GET | Method::HEAD);
    let uri = request.uri().clone();
    let mut response = next.run(request).await;
    let Some(error) = response.extensions_mut().remove::<PageError>() else { return response };
    if error == PageError::STALE {
        let whole = uri.path_and_query().map_or("/ui", http::uri::PathAndQuery::as_str);
        let back = if safe { whole } else { uri.path() };
        return Redirect::to(&sign_in_again::leading_to(back)).into_response();
    }
    rendered(&state, error)
}

/// An error as a page.
pub(super) fn rendered(state: &AppState, error: PageError) -> Response {
    let page = ErrorPage::new(state.facts.demo, &error);
    let mut rendered = page::with_status(error.status, &page);
    if let Some(seconds) = error.retry_after {
        rendered.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    rendered
}

/// An error page.
#[derive(Template)]
#[template(path = "error.html")]
pub(super) struct ErrorPage<'a> {
    demo: bool,
    icon: Icon,
    error: &'a PageError,
}

impl<'a> ErrorPage<'a> {
    fn new(demo: bool, error: &'a PageError) -> Self {
        let icon = if error.status == StatusCode::NOT_FOUND { Icon::Question } else { Icon::Bang };
        Self { demo, icon, error }
    }
}

#[cfg(test)]
pub(super) fn samples() -> Vec<(&'static str, String)> {
    let broken = BrokerError::Invalid { field: "x".into(), problem: "<script>no</script>".into() }.into();
    [
        ("error-404", PageError::NOT_FOUND),
        ("error-403", PageError::NOT_YOURS),
        ("error-csrf", PageError::FORGED),
        ("error-400", broken),
    ]
    .iter()
    .map(|(name, error)| (*name, ErrorPage::new(true, error).render().unwrap()))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use doorward_domain::Permission;
    use std::time::Duration;

    #[test]
    fn every_refusal_has_a_status_a_sentence_and_a_next_step() {
        let wait = Duration::from_secs(7);
        let cases = [
            (BrokerError::Forbidden { need: Permission::ManageUsers }, 403),
            (BrokerError::NotFound { what: "gateway" }, 404),
            (BrokerError::FreshLoginNeeded, 403),
            (BrokerError::Conflict { field: "slug".into(), problem: "taken".into() }, 409),
            (BrokerError::VersionMismatch, 412),
            (BrokerError::Storage(StorageError::BadCursor), 400),
            (BrokerError::Throttled { retry_after: wait }, 429),
            (BrokerError::Unavailable { problem: "down".into(), retry_after: None }, 503),
        ];
        for (error, status) in cases {
            let page = PageError::from(error);
            assert_eq!(page.status.as_u16(), status);
            assert!(page.text.ends_with('.') && page.next.0.starts_with('/'), "{page:?}");
        }
        let throttled = PageError::from(BrokerError::Throttled { retry_after: wait });
        assert_eq!(throttled.retry_after, Some(7));
    }

    #[test]
    fn who_is_not_signed_in_is_sent_to_the_login_and_back() {
        let response = PageRejection::LoginNeeded { next: "/connect/a?request=1&x=2".into() }.into_response();
        assert_eq!(response.status(), StatusCode::SEE_OTHER);
        let to = response.headers()[header::LOCATION].to_str().unwrap();
        assert_eq!(to, "/ui/login?next=%2Fconnect%2Fa%3Frequest%3D1%26x%3D2");
        let unreadable = PageRejection::BadForm { problem: "too large".into() };
        assert_eq!(unreadable.into_response().status(), StatusCode::BAD_REQUEST);
        let failed = PageRejection::Failed(BrokerError::VersionMismatch);
        assert_eq!(PageError::from(failed).status, StatusCode::PRECONDITION_FAILED);
    }
}
