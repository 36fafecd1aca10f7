//! The page that asks who has signed in to show again that it is they, and leads back to what they were doing.

use crate::extract::{CheckedForm, SessionCaller};
use crate::state::AppState;
use crate::ui::error::PageError;
use crate::ui::form::{Asked, Fields, Form};
use crate::ui::login::local;
use crate::ui::page::{self, Frame, Here};
use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use doorward_domain::Password;

/// Where the page is.
pub(super) const PATH: &str = "/ui/sign-in-again";

/// The page.
#[derive(Template)]
#[template(path = "sign_in_again.html")]
struct SignInAgainPage {
    frame: Frame,
    form: Form,
    /// What the person comes back to: a path of ours.
    next: String,
    has_password: bool,
    has_second_factor: bool,
}

impl SignInAgainPage {
    fn new(state: &AppState, session: &SessionCaller, form: Form, next: &str) -> Self {
        Self {
            frame: Frame::new(state, session, Here::Sessions),
            form,
            next: local(next).to_owned(),
            has_password: session.caller.user.password_hash.is_some(),
            has_second_factor: session.caller.user.has_second_factor,
        }
    }
}

/// The address of the page, with what it leads back to.
pub(super) fn leading_to(next: &str) -> String {
    let query = serde_urlencoded::to_string([("next", next)]).unwrap_or_default();
    format!("{PATH}?{query}")
}

/// `GET /ui/sign-in-again?next=`
pub(super) async fn show(
    State(state): State<AppState>,
    session: SessionCaller,
    Asked(asked): Asked,
) -> Response {
    page::page(&SignInAgainPage::new(&state, &session, Form::blank(), asked.text("next")))
}

/// `POST /ui/sign-in-again`
pub(super) async fn sign_in_again(
    State(state): State<AppState>,
    session: SessionCaller,
    CheckedForm(typed): CheckedForm<Fields>,
) -> Result<Response, PageError> {
    // One of the two is asked for: which one, the use case knows.
    let shown = Password::new(if typed.has("code") { typed.text("code") } else { typed.raw("password") });
    match state.broker.sign_in_again(&session.caller, &shown).await {
        Ok(()) => Ok(Redirect::to(local(typed.text("next"))).into_response()),
        Err(error) => {
            let form = Form::refused(&typed, error)?;
            let page = SignInAgainPage::new(&state, &session, form, typed.text("next"));
            Ok(page::with_status(page.form.status, &page))
        }
    }
}

#[cfg(test)]
pub(super) fn samples() -> Vec<(&'static str, String)> {
    let refused = Form::blank().problem(http::StatusCode::BAD_REQUEST, "password", "<script>no</script>");
    let page = |form, has_password, has_second_factor| {
        let frame = Frame::sample(Here::Sessions);
        let next = "/ui/keys/k1/retire".into();
        SignInAgainPage { frame, form, next, has_password, has_second_factor }.render().unwrap()
    };
    vec![
        ("sign-in-again", page(Form::blank(), true, false)),
        ("sign-in-again-refused", page(refused, true, false)),
        ("sign-in-again-without-a-password", page(Form::blank(), false, false)),
        ("sign-in-again-by-code", page(Form::blank(), true, true)),
    ]
}
