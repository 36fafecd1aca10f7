//! Signing in and out.

use crate::cookies;
use crate::extract::{CheckedForm, ClientAddress, FormGuard, SessionCaller};
use crate::state::AppState;
use crate::ui::error::PageError;
use crate::ui::form::{Asked, Fields, Form};
use crate::ui::login_code;
use crate::ui::page;
use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use doorward_broker::{BrokerError, Login, SignIn};
use doorward_domain::Password;
use http::{HeaderValue, header};

/// Where a login leads when nobody says otherwise.
const HOME: &str = "/ui";

/// The login page.
#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage {
    demo: bool,
    csrf: String,
    form: Form,
    /// Where to go afterwards: a path of ours.
    next: String,
    why: &'static str,
    /// Nobody can sign in yet.
    setup_needed: bool,
}

impl LoginPage {
    async fn new(state: &AppState, csrf: String, form: Form, next: &str) -> Result<Self, PageError> {
        let next = local(next).to_owned();
        let why = if next.starts_with("/connect/") {
            "Sign in to Doorward first. Then you see what is asked of you."
        } else {
            "With your Doorward account."
        };
        let setup_needed = state.broker.setup_needed().await?;
        Ok(Self { demo: state.facts.demo, csrf, form, next, why, setup_needed })
    }
}

/// `GET /ui/login?next=`
pub(super) async fn show(
    State(state): State<AppState>,
    session: Option<SessionCaller>,
    guard: FormGuard,
    Asked(asked): Asked,
) -> Result<Response, PageError> {
    if session.is_some() {
        return Ok(Redirect::to(local(asked.text("next"))).into_response());
    }
    let page = LoginPage::new(&state, guard.csrf.clone(), Form::blank(), asked.text("next")).await?;
    Ok((guard, page::page(&page)).into_response())
}

/// `POST /ui/login`
pub(super) async fn log_in(
    State(state): State<AppState>,
    ClientAddress(address): ClientAddress,
    guard: FormGuard,
    before: Option<SessionCaller>,
    CheckedForm(typed): CheckedForm<Fields>,
) -> Result<Response, PageError> {
    let password = Password::new(typed.raw("password"));
    match state.broker.log_in(typed.text("email"), &password, address).await {
        Ok(SignIn::CodeNeeded(step)) => {
            Ok(login_code::leading_here(&state, &step, local(typed.text("next"))))
        }
        Ok(SignIn::Done(login)) => {
            // The cookie is replaced: whatever session it stood for ends with it.
            if let Some(before) = before {
                state.broker.log_out(&before.caller).await?;
            }
            Ok(signed_in(&state, &login, local(typed.text("next"))))
        }
        Err(error) => {
            let retry_after = match &error {
                BrokerError::Throttled { retry_after } => Some(retry_after.as_secs().max(1)),
                _ => None,
            };
            let form = Form::refused(&typed, error)?;
            let page = LoginPage::new(&state, guard.csrf.clone(), form, typed.text("next")).await?;
            let mut response = (guard, page::with_status(page.form.status, &page)).into_response();
            if let Some(seconds) = retry_after {
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            }
            Ok(response)
        }
    }
}

/// `POST /ui/logout`
pub(super) async fn log_out(
    State(state): State<AppState>,
    session: Option<SessionCaller>,
    CheckedForm(_): CheckedForm<Fields>,
) -> Result<Response, PageError> {
    if let Some(session) = session {
        state.broker.log_out(&session.caller).await?;
    }
    let gone = state.facts.cookies.clear(cookies::SESSION);
    Ok(([(header::SET_COOKIE, gone)], Redirect::to("/ui/login")).into_response())
}

/// The answer that carries a fresh session's cookie.
pub(super) fn signed_in(state: &AppState, login: &Login, to: &str) -> Response {
    let lifetime = state.broker.policy().sessions.lifetime;
    let cookie = state.facts.cookies.set(cookies::SESSION, &login.session, lifetime);
    ([(header::SET_COOKIE, cookie)], Redirect::to(to)).into_response()
}

/// A path of ours, or the start page. Browsers read `//host` and `/\host` as another host, and drop tabs
/// and line breaks on the way.
pub(super) fn local(next: &str) -> &str {
    let ours = next.starts_with('/')
        && !next.starts_with("//")
        && !next.chars().any(|c| c == '\\' || c.is_control());
    if ours { next } else { HOME }
}

#[cfg(test)]
pub(super) fn samples() -> Vec<(&'static str, String)> {
    let refused = Form::with([("email", "\"><script>@b")]).problem(
        http::StatusCode::BAD_REQUEST,
        "password",
        "the e-mail address or the password is wrong",
    );
    let page = |form, setup_needed| LoginPage {
        demo: true,
        csrf: "token-of-the-form".into(),
        form,
        next: "/ui".into(),
        why: "With your Doorward account.",
        setup_needed,
    };
    vec![
        ("login", page(Form::blank(), false).render().unwrap()),
        ("login-refused", page(refused, false).render().unwrap()),
        ("login-setup-needed", page(Form::blank(), true).render().unwrap()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_leads_to_our_own_pages_only() {
        for ours in ["/", "/ui/tokens", "/connect/a?request=1#x", "/ui?next=//x"] {
            assert_eq!(local(ours), ours);
        }
        for theirs in [
            "",
            "//evil.example",
            "/\\evil.example",
            "https://evil.example",
            "ui",
            "/\t/evil.example",
            "/a\\b",
            "javascript:alert(1)",
        ] {
            assert_eq!(local(theirs), HOME, "{theirs}");
        }
    }
}
