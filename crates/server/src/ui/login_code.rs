//! The second step of a sign-in: the code, after the password.

use crate::cookies;
use crate::extract::{CheckedForm, ClientAddress, FormGuard, SessionCaller};
use crate::state::AppState;
use crate::ui::error::PageError;
use crate::ui::form::{Asked, Fields, Form};
use crate::ui::login::{local, signed_in};
use crate::ui::page;
use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use doorward_broker::{BrokerError, SECOND_STEP_LIFETIME, SecondStep};
use doorward_domain::{Password, SessionToken};
use http::{HeaderMap, HeaderValue, header};

const PATH: &str = "/ui/login/code";

/// The page that asks for the code.
#[derive(Template)]
#[template(path = "login_code.html")]
struct CodePage {
    demo: bool,
    csrf: String,
    form: Form,
    /// Where to go afterwards: a path of ours.
    next: String,
}

/// The answer to a right password: a cookie that says so, and the way to this page.
pub(super) fn leading_here(state: &AppState, step: &SecondStep, next: &str) -> Response {
    let cookie = state.facts.cookies.set(cookies::SECOND_STEP, &step.ticket, SECOND_STEP_LIFETIME);
    let query = serde_urlencoded::to_string([("next", next)]).unwrap_or_default();
    ([(header::SET_COOKIE, cookie)], Redirect::to(&format!("{PATH}?{query}"))).into_response()
}

fn ticket(state: &AppState, headers: &HeaderMap) -> SessionToken {
    state.facts.cookies.read(headers, cookies::SECOND_STEP).unwrap_or_else(|| SessionToken::new(""))
}

/// `GET /ui/login/code?next=`
pub(super) async fn show(
    State(state): State<AppState>,
    headers: HeaderMap,
    guard: FormGuard,
    Asked(asked): Asked,
) -> Result<Response, PageError> {
    let next = local(asked.text("next")).to_owned();
    if !state.broker.second_step_is_open(&ticket(&state, &headers)).await? {
        let query = serde_urlencoded::to_string([("next", next)]).unwrap_or_default();
        return Ok(Redirect::to(&format!("/ui/login?{query}")).into_response());
    }
    let page = CodePage { demo: state.facts.demo, csrf: guard.csrf.clone(), form: Form::blank(), next };
    Ok((guard, page::page(&page)).into_response())
}

/// `POST /ui/login/code`
pub(super) async fn finish(
    State(state): State<AppState>,
    ClientAddress(address): ClientAddress,
    headers: HeaderMap,
    guard: FormGuard,
    before: Option<SessionCaller>,
    CheckedForm(typed): CheckedForm<Fields>,
) -> Result<Response, PageError> {
    let code = Password::new(typed.text("code"));
    let next = local(typed.text("next")).to_owned();
    match state.broker.finish_log_in(&ticket(&state, &headers), &code, address).await {
        Ok(login) => {
            // The cookie is replaced: whatever session it stood for ends with it.
            if let Some(before) = before {
                state.broker.log_out(&before.caller).await?;
            }
            let mut response = signed_in(&state, &login, &next);
            let gone = state.facts.cookies.clear(cookies::SECOND_STEP);
            response.headers_mut().append(header::SET_COOKIE, gone);
            Ok(response)
        }
        Err(error) => {
            let retry_after = match &error {
                BrokerError::Throttled { retry_after } => Some(retry_after.as_secs().max(1)),
                _ => None,
            };
            let form = Form::refused(&typed, error)?;
            let page = CodePage { demo: state.facts.demo, csrf: guard.csrf.clone(), form, next };
            let mut response = (guard, page::with_status(page.form.status, &page)).into_response();
            if let Some(seconds) = retry_after {
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            }
            Ok(response)
        }
    }
}

#[cfg(test)]
pub(super) fn samples() -> Vec<(&'static str, String)> {
    let wrong = Form::blank().problem(http::StatusCode::BAD_REQUEST, "code", "<script>no</script>");
    let page = |form| {
        CodePage { demo: true, csrf: "token-of-the-form".into(), form, next: "/ui".into() }.render().unwrap()
    };
    vec![("login-code", page(Form::blank())), ("login-code-refused", page(wrong))]
}
