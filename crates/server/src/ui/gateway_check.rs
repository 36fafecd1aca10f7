//! The setup doctor of a gateway: first what it will do, then what it found.

use crate::extract::{CheckedForm, SessionCaller};
use crate::state::AppState;
use crate::ui::confirm::Confirm;
use crate::ui::error::PageError;
use crate::ui::form::Fields;
use crate::ui::gateway::managed;
use crate::ui::page::{self, Frame, Here};
use crate::ui::parts::{Icon, Tone};
use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use doorward_broker::{CheckFinding, CheckVerdict, GatewayCheck};
use doorward_domain::SessionToken;
use doorward_domain::gateway::origin;
use http::{HeaderMap, header};
use serde::{Deserialize, Serialize};
use std::time::Duration;

#[derive(Template)]
#[template(path = "gateway_check.html")]
struct CheckPage {
    frame: Frame,
    name: String,
    back: String,
    again: String,
    test: String,
    passes: bool,
    findings: Vec<Row>,
}

struct Row {
    tone: Tone,
    icon: Icon,
    subject: String,
    text: String,
}

impl CheckPage {
    fn new(frame: Frame, id: &str, name: &str, check: &GatewayCheck) -> Self {
        let rows = check.findings.iter().map(|finding| {
            let tone = match finding.verdict {
                CheckVerdict::Good => Tone::Ok,
                CheckVerdict::Advice => Tone::Info,
                CheckVerdict::Wrong => Tone::Bad,
            };
            Row {
                tone,
                icon: tone.icon(),
                subject: finding.subject.replace('_', " "),
                text: finding.text.clone(),
            }
        });
        Self {
            frame,
            name: name.to_owned(),
            back: format!("/ui/gateways/{id}"),
            again: format!("/ui/gateways/{id}/check"),
            test: format!("/ui/gateways/{id}/test"),
            passes: check.passes(),
            findings: rows.collect(),
        }
    }
}

/// `GET /ui/gateways/{id}/check`
pub(super) async fn ask(
    State(state): State<AppState>,
    session: SessionCaller,
    Path(id): Path<String>,
) -> Result<Response, PageError> {
    let gateway = managed(&state, &session.caller, &id).await?;
    Ok(page::page(&Confirm {
        frame: Frame::new(&state, &session, Here::Gateways),
        title: format!("Check {}?", gateway.name),
        lines: vec![
            "Doorward asks the MCP server and the provider for their metadata, opens an authorization request that nobody sees, and shows the token endpoint a refresh token that never was one.".to_owned(),
            "Nobody logs in, no token is given, and nobody's authorization ends. Nothing of the gateway changes.".to_owned(),
        ],
        action: format!("/ui/gateways/{id}/check"),
        button: "Check",
        danger: false,
        back: format!("/ui/gateways/{id}"),
        version: None,
    }))
}

/// `POST /ui/gateways/{id}/check`
pub(super) async fn perform(
    State(state): State<AppState>,
    session: SessionCaller,
    Path(id): Path<String>,
    CheckedForm(_): CheckedForm<Fields>,
) -> Result<Response, PageError> {
    let gateway = managed(&state, &session.caller, &id).await?;
    let check = state.broker.check_gateway(&session.caller, gateway.id).await?;
    let frame = Frame::new(&state, &session, Here::Gateways);
    Ok(page::page(&CheckPage::new(frame, &id, &gateway.name, &check)))
}

/// `GET /ui/gateways/{id}/test`: what the login does, before it.
pub(super) async fn ask_test(
    State(state): State<AppState>,
    session: SessionCaller,
    Path(id): Path<String>,
) -> Result<Response, PageError> {
    let gateway = managed(&state, &session.caller, &id).await?;
    let origin = gateway
        .oauth()
        .and_then(|settings| settings.authorization_url.as_ref())
        .map(origin)
        .unwrap_or_default();
    let confirm = Confirm {
        frame: Frame::new(&state, &session, Here::Gateways),
        title: format!("Test the login of {}?", gateway.name),
        lines: state.broker.test_login_warning(&session.caller, &gateway).await?,
        action: format!("/ui/gateways/{id}/test"),
        button: "Go to the provider",
        danger: false,
        back: format!("/ui/gateways/{id}"),
        version: None,
    };
    Ok(page::page_that_leads_to(&origin, &confirm))
}

/// `POST /ui/gateways/{id}/test`
pub(super) async fn begin_test(
    State(state): State<AppState>,
    session: SessionCaller,
    Path(id): Path<String>,
    CheckedForm(_): CheckedForm<Fields>,
) -> Result<Response, PageError> {
    let gateway = managed(&state, &session.caller, &id).await?;
    let began = state.broker.begin_test_login(&session.caller, gateway.id).await?;
    let lifetime = Duration::from_secs(began.seconds);
    let cookie = state.facts.cookies.set(&began.cookie_name, &began.cookie, lifetime);
    Ok(([(header::SET_COOKIE, cookie)], Redirect::to(began.redirect.as_str())).into_response())
}

/// `GET /ui/gateways/{id}/tested`: what the login brought, once.
pub(super) async fn tested(
    State(state): State<AppState>,
    session: SessionCaller,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, PageError> {
    let gateway = managed(&state, &session.caller, &id).await?;
    let sealed = state.facts.cookies.text(&headers, RESULT);
    let opened = sealed.and_then(|text| state.broker.open_state(RESULT_PURPOSE, text));
    let Some(rows) = opened.and_then(|bytes| serde_json::from_slice::<Vec<Sent>>(&bytes).ok()) else {
        return Ok(Redirect::to(&format!("/ui/gateways/{id}")).into_response());
    };
    let findings = rows.iter().filter_map(Sent::finding).collect();
    let frame = Frame::new(&state, &session, Here::Gateways);
    Ok(page::page(&CheckPage::new(frame, &id, &gateway.name, &GatewayCheck { findings })))
}

/// The cookie that carries a test's result over the redirect to a clean URL.
pub(super) const RESULT: &str = "doorward-test-result";
const RESULT_PURPOSE: &str = "ui/test-result";

/// A finding on its way through the cookie.
#[derive(Serialize, Deserialize)]
struct Sent(char, String, String);

/// What a test may find, so that a subject is a word of ours.
const SUBJECTS: [&str; 6] = ["login", "refresh_token", "lifetime", "scopes", "account", "revocation"];

impl Sent {
    fn finding(&self) -> Option<CheckFinding> {
        let verdict = match self.0 {
            'g' => CheckVerdict::Good,
            'a' => CheckVerdict::Advice,
            _ => CheckVerdict::Wrong,
        };
        let subject = SUBJECTS.into_iter().find(|subject| *subject == self.1)?;
        Some(CheckFinding { verdict, subject, text: self.2.clone() })
    }
}

/// A test's result, sealed for the cookie.
pub(super) fn sealed_result(state: &AppState, check: &GatewayCheck) -> SessionToken {
    let sent = |finding: &CheckFinding| {
        let verdict = match finding.verdict {
            CheckVerdict::Good => 'g',
            CheckVerdict::Advice => 'a',
            CheckVerdict::Wrong => 'w',
        };
        let text = finding.text.chars().take(300).collect();
        Sent(verdict, finding.subject.to_owned(), text)
    };
    let rows: Vec<Sent> = check.findings.iter().map(sent).collect();
    SessionToken::new(state.broker.seal_state(RESULT_PURPOSE, &serde_json::to_vec(&rows).unwrap_or_default()))
}

#[cfg(test)]
pub(super) fn samples() -> Vec<(&'static str, String)> {
    let finding = |verdict, subject, text: &str| CheckFinding { verdict, subject, text: text.to_owned() };
    let check = GatewayCheck {
        findings: vec![
            finding(CheckVerdict::Good, "mcp_server", "The MCP server answers."),
            finding(CheckVerdict::Advice, "issuer", "Give the issuer <i>https://as.example</i>."),
            finding(CheckVerdict::Wrong, "client_authentication", "It says: “<img src=x>”"),
        ],
    };
    let page = CheckPage::new(Frame::sample(Here::Gateways), "1", "GitHub", &check);
    vec![("gateway-check", page.render().unwrap())]
}
