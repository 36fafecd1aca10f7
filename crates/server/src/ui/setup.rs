//! One-time links: the first administrator, and a new password. Opening a link uses nothing up.

use crate::extract::{CheckedForm, ClientAddress, FormGuard};
use crate::state::AppState;
use crate::ui::error::PageError;
use crate::ui::form::{Asked, Fields, Form};
use crate::ui::login::signed_in;
use crate::ui::login_code;
use crate::ui::message::Message;
use crate::ui::page;
use crate::ui::parts::Tone;
use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use doorward_broker::{NewPerson, SignIn};
use doorward_domain::{Password, SessionToken};
use http::StatusCode;

/// The page that makes the first administrator.
#[derive(Template)]
#[template(path = "setup.html")]
struct SetupPage {
    demo: bool,
    csrf: String,
    form: Form,
    /// The link's own secret goes back with the form: it is the reader's already.
    token: String,
}

/// The page that sets a new password.
#[derive(Template)]
#[template(path = "reset.html")]
struct ResetPage {
    demo: bool,
    csrf: String,
    form: Form,
    token: String,
}

/// `GET /ui/setup?token=`
pub(super) async fn show_setup(
    State(state): State<AppState>,
    guard: FormGuard,
    Asked(asked): Asked,
) -> Result<Response, PageError> {
    if !state.broker.setup_needed().await? {
        let page = Message::new(
            state.facts.demo,
            Tone::Info,
            "Doorward is set up already",
            ("/ui/login".into(), "Sign in"),
        )
        .line("It has an administrator. Sign in, or ask them for an account.");
        return Ok(page::page(&page));
    }
    let token = asked.text("token").to_owned();
    if !state.broker.setup_link_is_good(&SessionToken::new(&*token)).await? {
        return Ok(spent(&state, "Print a new one on the server with: doorward admin setup-link"));
    }
    let page = SetupPage { demo: state.facts.demo, csrf: guard.csrf.clone(), form: Form::blank(), token };
    Ok((guard, page::page(&page)).into_response())
}

/// `POST /ui/setup`
pub(super) async fn complete_setup(
    State(state): State<AppState>,
    ClientAddress(address): ClientAddress,
    guard: FormGuard,
    CheckedForm(typed): CheckedForm<Fields>,
) -> Result<Response, PageError> {
    let token = typed.text("token").to_owned();
    let person = NewPerson {
        email: typed.text("email").to_owned(),
        name: typed.text("name").to_owned(),
        password: Password::new(typed.raw("password")),
    };
    match state.broker.complete_setup(&SessionToken::new(&*token), person, address).await {
        Ok(login) => Ok(signed_in(&state, &login, "/ui")),
        Err(error) => {
            let form = Form::refused(&typed, error)?;
            let page = SetupPage { demo: state.facts.demo, csrf: guard.csrf.clone(), form, token };
            Ok((guard, page::with_status(page.form.status, &page)).into_response())
        }
    }
}

/// `GET /ui/reset?token=`
pub(super) async fn show_reset(
    State(state): State<AppState>,
    guard: FormGuard,
    Asked(asked): Asked,
) -> Result<Response, PageError> {
    let token = asked.text("token").to_owned();
    if !state.broker.setup_link_is_good(&SessionToken::new(&*token)).await? {
        return Ok(spent(&state, "Ask an administrator for a new one."));
    }
    let page = ResetPage { demo: state.facts.demo, csrf: guard.csrf.clone(), form: Form::blank(), token };
    Ok((guard, page::page(&page)).into_response())
}

/// `POST /ui/reset`
pub(super) async fn complete_reset(
    State(state): State<AppState>,
    ClientAddress(address): ClientAddress,
    guard: FormGuard,
    CheckedForm(typed): CheckedForm<Fields>,
) -> Result<Response, PageError> {
    let token = typed.text("token").to_owned();
    let new = Password::new(typed.raw("password"));
    match state.broker.complete_reset(&SessionToken::new(&*token), new, address).await {
        Ok(SignIn::Done(login)) => Ok(signed_in(&state, &login, "/ui")),
        Ok(SignIn::CodeNeeded(step)) => Ok(login_code::leading_here(&state, &step, "/ui")),
        Err(error) => {
            let form = Form::refused(&typed, error)?;
            let page = ResetPage { demo: state.facts.demo, csrf: guard.csrf.clone(), form, token };
            Ok((guard, page::with_status(page.form.status, &page)).into_response())
        }
    }
}

fn spent(state: &AppState, remedy: &str) -> Response {
    let page = Message::new(
        state.facts.demo,
        Tone::Warn,
        "This link does not work any more",
        ("/ui/login".into(), "Sign in"),
    )
    .line("A link works once, for an hour.")
    .line(remedy);
    page::with_status(StatusCode::GONE, &page)
}

#[cfg(test)]
pub(super) fn samples() -> Vec<(&'static str, String)> {
    let csrf = || "token-of-the-form".to_owned();
    let form = Form::with([("email", "a@b")]).problem(
        StatusCode::BAD_REQUEST,
        "password",
        "use at least 10 characters",
    );
    let setup = SetupPage { demo: true, csrf: csrf(), form: Form::blank(), token: "link".into() };
    let reset = ResetPage { demo: true, csrf: csrf(), form, token: "link".into() };
    vec![("setup", setup.render().unwrap()), ("reset", reset.render().unwrap())]
}
