//! Back from the provider. Whatever came, the browser is sent on to a clean URL: code and state stay in
//! no history, and a reload redeems nothing.

use crate::extract::SessionCaller;
use crate::state::AppState;
use crate::ui::attempts;
use crate::ui::error::PageError;
use crate::ui::form::{Asked, Fields};
use crate::ui::gateway_check;
use crate::ui::message::Message;
use crate::ui::page;
use crate::ui::parts::Tone;
use crate::ui::words::href;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use doorward_broker::{Callback, CallbackProblem, ConnectionStatus, Finished, authorization_cookie_name};
use doorward_domain::{AuthorizationCode, Permission, ProviderAccount, SessionToken, Slug, StateToken};
use http::{HeaderMap, StatusCode, header};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Carries the provider's word and our reference from the callback to the page behind it, once. The URL carries
/// a code of an allow list only, so that no link can put words into our page.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Flash {
    detail: Option<String>,
    reference: Option<String>,
}

const FLASH: &str = "doorward-flash";
const FLASH_PURPOSE: &str = "ui/connect-problem";

/// `GET /oauth/callback`
pub(super) async fn receive(
    State(state): State<AppState>,
    session: Option<SessionCaller>,
    headers: HeaderMap,
    Asked(asked): Asked,
) -> Response {
    let Some(session) = session else {
        return Redirect::to("/ui/connect-problem?code=signed_out").into_response();
    };
    let cookie_name = asked.filled("state").map(|text| authorization_cookie_name(&text));
    let cookie = cookie_name.as_deref().and_then(|name| state.facts.cookies.read(&headers, name));
    let finished = state.broker.finish_authorization(&session.caller, callback(&asked), cookie).await;
    let (response, spent) = match finished {
        Ok(Finished::Connected { gateway, .. }) => (to(&format!("/ui/connected/{}", gateway.slug)), true),
        Ok(Finished::OtherAccount { gateway, kept, came }) => {
            let name = |account: ProviderAccount| account.name.unwrap_or(account.subject);
            let who = format!(
                "You signed in at the provider as {}, and {} is connected as {}.",
                name(came),
                gateway.name,
                name(kept)
            );
            let flash = Flash { detail: Some(who), reference: None };
            (with_flash(&state, to_problem("other_account", Some(&gateway.slug)), &flash), true)
        }
        Ok(Finished::Tested { gateway, check }) => {
            let sealed = gateway_check::sealed_result(&state, &check);
            let result = to(&format!("/ui/gateways/{}/tested", gateway.id));
            (
                with_cookie(
                    result,
                    state.facts.cookies.set(gateway_check::RESULT, &sealed, Duration::from_secs(60)),
                ),
                true,
            )
        }
        Ok(Finished::Denied { gateway }) => (to_problem("denied", Some(&gateway.slug)), true),
        Ok(Finished::Refused { problem, reference }) => {
            // Somebody else's round trip is still good in their own hands.
            let spent = !matches!(problem, CallbackProblem::OtherUser | CallbackProblem::OtherBrowser);
            (refused(&state, &problem, reference), spent)
        }
        Err(error) => {
            tracing::error!(%error, "an authorization could not be finished");
            (to_problem("failed", None), false)
        }
    };
    match cookie_name.filter(|_| spent) {
        Some(name) => with_cookie(response, state.facts.cookies.clear(&name)),
        None => response,
    }
}

fn callback(asked: &Fields) -> Callback {
    Callback {
        state: asked.filled("state").map(StateToken::new),
        code: asked.filled("code").map(AuthorizationCode::new),
        error: asked.filled("error"),
        error_description: asked.filled("error_description"),
        iss: asked.filled("iss"),
    }
}

fn refused(state: &AppState, problem: &CallbackProblem, reference: String) -> Response {
    let (code, detail) = code_of(problem);
    let flash = Flash { detail: detail.map(str::to_owned), reference: Some(reference) };
    with_flash(state, to_problem(code, None), &flash)
}

fn with_flash(state: &AppState, response: Response, flash: &Flash) -> Response {
    let text = serde_json::to_vec(flash).unwrap_or_default();
    let sealed = SessionToken::new(state.broker.seal_state(FLASH_PURPOSE, &text));
    with_cookie(response, state.facts.cookies.set(FLASH, &sealed, Duration::from_secs(60)))
}

fn to(path: &str) -> Response {
    Redirect::to(path).into_response()
}

fn to_problem(code: &str, slug: Option<&Slug>) -> Response {
    let gateway = slug.map(|slug| format!("&gateway={slug}")).unwrap_or_default();
    to(&format!("/ui/connect-problem?code={code}{gateway}"))
}

fn with_cookie(mut response: Response, cookie: http::HeaderValue) -> Response {
    response.headers_mut().append(header::SET_COOKIE, cookie);
    response
}

fn code_of(problem: &CallbackProblem) -> (&'static str, Option<&str>) {
    match problem {
        CallbackProblem::NoState => ("no_state", None),
        CallbackProblem::UnknownState => ("unknown_state", None),
        CallbackProblem::Expired => ("expired", None),
        CallbackProblem::OtherUser => ("other_user", None),
        CallbackProblem::OtherBrowser => ("other_browser", None),
        CallbackProblem::WrongIssuer => ("wrong_issuer", None),
        CallbackProblem::NoCode => ("no_code", None),
        CallbackProblem::ProviderError { code } => ("provider_error", Some(code)),
        CallbackProblem::GatewayChanged => ("gateway_changed", None),
        CallbackProblem::EndedMeanwhile => ("ended_meanwhile", None),
        CallbackProblem::ExchangeFailed { why } => ("exchange_failed", Some(why)),
    }
}

fn problem_of(code: &str, detail: Option<String>) -> Option<CallbackProblem> {
    let detail = || detail.unwrap_or_else(|| "its reason was shown once and is gone".to_owned());
    Some(match code {
        "no_state" => CallbackProblem::NoState,
        "unknown_state" => CallbackProblem::UnknownState,
        "expired" => CallbackProblem::Expired,
        "other_user" => CallbackProblem::OtherUser,
        "other_browser" => CallbackProblem::OtherBrowser,
        "wrong_issuer" => CallbackProblem::WrongIssuer,
        "no_code" => CallbackProblem::NoCode,
        "provider_error" => CallbackProblem::ProviderError { code: detail() },
        "gateway_changed" => CallbackProblem::GatewayChanged,
        "ended_meanwhile" => CallbackProblem::EndedMeanwhile,
        "exchange_failed" => CallbackProblem::ExchangeFailed { why: detail() },
        _ => return None,
    })
}

/// `GET /ui/connected/{slug}`
pub(super) async fn connected(
    State(state): State<AppState>,
    session: SessionCaller,
    Path(slug): Path<String>,
) -> Result<Response, PageError> {
    let gateway = state.broker.gateway_by_slug(&session.caller, &slug).await?;
    let connection = state.broker.connection(&session.caller, gateway.id).await?;
    let (ConnectionStatus::Connected(_), Some(grant)) = (connection.status, connection.grant) else {
        return Ok(to("/ui/connections"));
    };
    let account = grant.account.map(|account| account.name.unwrap_or(account.subject));
    let whose = account.map_or_else(
        || "Your key is in safe keeping.".to_owned(),
        |name| format!("You connected it as {name}."),
    );
    let next = ("/ui/connections".to_owned(), "My connections");
    let page = Message::new(state.facts.demo, Tone::Ok, format!("{} is connected", gateway.name), next)
        .line(whose)
        .line("Go back to your client: the call that asked goes through now. You can close this page.")
        .or("/ui/connect-a-client", "Connect a client");
    Ok(page::page(&page))
}

/// `GET /ui/connect-problem?code=&gateway=`
pub(super) async fn problem(
    State(state): State<AppState>,
    session: Option<SessionCaller>,
    headers: HeaderMap,
    Asked(asked): Asked,
) -> Result<Response, PageError> {
    let cookies = state.facts.cookies;
    let opened = cookies.text(&headers, FLASH).and_then(|text| state.broker.open_state(FLASH_PURPOSE, text));
    let flash: Flash = opened.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
    let again = match Slug::parse(asked.text("gateway")) {
        Ok(slug) if asked.text("code") == "other_account" => (format!("/connect/{slug}"), "Sign in again"),
        Ok(slug) => (format!("/connect/{slug}"), "Start again"),
        Err(_) => ("/ui/connections".to_owned(), "My connections"),
    };
    let code = asked.text("code");
    let page = message(state.facts.demo, code, flash.detail, again).ok_or(PageError::NOT_FOUND)?;
    let inspects = session.is_some_and(|session| session.caller.may(Permission::ReadAudit));
    let page = with_reference(page, flash.reference, inspects);
    let status =
        if matches!(code, "denied" | "other_account") { StatusCode::OK } else { StatusCode::BAD_REQUEST };
    Ok(with_cookie(page::with_status(status, &page), cookies.clear(FLASH)))
}

/// The page with the reference that leads an administrator to the steps of this attempt.
fn with_reference(page: Message, reference: Option<String>, inspects: bool) -> Message {
    let Some(reference) = reference else { return page };
    if inspects {
        return page.or(href(attempts::LIST, &[("reference", reference)]), "See it step by step");
    }
    page.line(format!("Your administrator finds what happened under the reference {reference}."))
}

fn message(demo: bool, code: &str, detail: Option<String>, again: (String, &'static str)) -> Option<Message> {
    Some(match code {
        "denied" => Message::new(demo, Tone::Info, "You did not agree", again)
            .line("The provider says that the authorization was refused there. Nothing was stored.")
            .line("If that was not meant, start again."),
        "other_account" => Message::new(demo, Tone::Warn, "That is another account", again.clone())
            .line(detail.unwrap_or_else(|| "You came back as another account than the one that is connected.".to_owned()))
            .line("Nothing has changed: the connection keeps its account. If the other one shall take its place, say so and sign in once more.")
            .or(format!("{}?account=other", again.0), "Use the other account"),
        "signed_out" => Message::new(demo, Tone::Warn, "You are not signed in here", again)
            .line("Your session at Doorward ended while you were at the provider. Nothing was stored.")
            .line("Sign in and start again."),
        "failed" => Message::new(demo, Tone::Bad, "Something broke on our side", again)
            .line("The authorization could not be finished.")
            .line("Start again in a moment; if it stays so, show this page to your administrator."),
        _ => {
            let problem = problem_of(code, detail)?;
            let (tone, title) = match problem {
                CallbackProblem::WrongIssuer => (Tone::Bad, "This answer cannot be trusted"),
                CallbackProblem::Expired => (Tone::Warn, "That took too long"),
                CallbackProblem::OtherUser | CallbackProblem::OtherBrowser => {
                    (Tone::Warn, "This belongs somewhere else")
                }
                _ => (Tone::Bad, "It was not connected"),
            };
            Message::new(demo, tone, title, again)
                .line(problem.to_string())
                .line(format!("Nothing was stored. {}", problem.next_step()))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use askama::Template;

    #[test]
    fn every_problem_travels_by_its_code_and_comes_back_as_a_sentence() {
        let problems = [
            CallbackProblem::NoState,
            CallbackProblem::UnknownState,
            CallbackProblem::Expired,
            CallbackProblem::OtherUser,
            CallbackProblem::OtherBrowser,
            CallbackProblem::WrongIssuer,
            CallbackProblem::NoCode,
            CallbackProblem::ProviderError { code: "server_error".into() },
            CallbackProblem::GatewayChanged,
            CallbackProblem::EndedMeanwhile,
            CallbackProblem::ExchangeFailed { why: "it answered 503".into() },
        ];
        for problem in problems {
            let (code, detail) = code_of(&problem);
            assert_eq!(problem_of(code, detail.map(str::to_owned)).unwrap(), problem);
            let page = message(false, code, detail.map(str::to_owned), ("/ui".into(), "Back")).unwrap();
            let html = page.render().unwrap();
            assert!(html.contains("Nothing was stored"), "{html}");
        }
        assert!(problem_of("provider_error", None).unwrap().to_string().contains("is gone"));
        for code in ["denied", "signed_out", "failed", "other_account"] {
            assert!(message(false, code, None, ("/ui".into(), "Back")).is_some());
        }
        assert!(message(false, "call me", None, ("/ui".into(), "Back")).is_none());
    }
}
