//! The connect page: who asks for what, and where the browser will be sent. Opening it changes nothing;
//! only its form sets out for the provider.

use crate::extract::{CheckedForm, SessionCaller};
use crate::state::AppState;
use crate::ui::error::PageError;
use crate::ui::form::{Asked, Fields};
use crate::ui::message::Message;
use crate::ui::page;
use crate::ui::parts::Tone;
use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use doorward_broker::{BrokerError, ConnectAsk, ConnectPage};
use http::{StatusCode, header};
use std::time::Duration;

/// What a user must know before agreeing.
#[derive(Template)]
#[template(path = "connect.html")]
struct AskPage {
    demo: bool,
    csrf: String,
    email: String,
    name: String,
    server_host: String,
    client: Option<String>,
    provider_host: String,
    redirect_host: String,
    /// Each scope, and whether the present grant lacks it.
    scopes: Vec<(String, bool)>,
    connected: bool,
    /// Who deposited tokens that wait for the reader's word.
    deposited_by: Option<String>,
    /// The account that is connected, where it is known.
    account: Option<String>,
    /// Another account may take its place.
    any_account: bool,
    action: String,
    request: Option<String>,
}

impl AskPage {
    fn new(state: &AppState, session: &SessionCaller, ask: ConnectAsk, any_account: bool) -> Self {
        // "New" says something only beside what is not new.
        let connected = ask.connected.is_some();
        let new = |scope: &String| connected && ask.new_scopes.contains(scope);
        Self {
            demo: state.facts.demo,
            csrf: session.csrf.clone(),
            email: session.caller.user.email.clone(),
            name: ask.gateway.name.clone(),
            server_host: ask.gateway.url.host_str().unwrap_or_default().to_owned(),
            client: ask.client_name,
            provider_host: ask.provider_host,
            redirect_host: ask.redirect_host,
            scopes: ask.scopes.iter().map(|scope| (scope.clone(), new(scope))).collect(),
            connected,
            deposited_by: ask
                .connected
                .as_ref()
                .filter(|grant| grant.awaits_acceptance())
                .and_then(|grant| grant.deposited_by.clone()),
            account: ask
                .connected
                .and_then(|grant| grant.account)
                .map(|account| account.name.unwrap_or(account.subject)),
            any_account: any_account && connected,
            action: format!("/connect/{}", ask.gateway.slug),
            request: ask.request.map(|id| id.to_string()),
        }
    }
}

/// `GET /connect/{slug}?request=`
pub(super) async fn show(
    State(state): State<AppState>,
    session: SessionCaller,
    Path(slug): Path<String>,
    Asked(asked): Asked,
) -> Result<Response, PageError> {
    let request = asked.filled("request");
    match state.broker.connect_page(&session.caller, &slug, request.as_deref()).await? {
        ConnectPage::Ask(ask) => {
            let origin = ask.provider_origin.clone();
            Ok(page::page_that_leads_to(
                &origin,
                &AskPage::new(&state, &session, *ask, asked.text("account") == "other"),
            ))
        }
        ConnectPage::StartAgain { gateway } => {
            let next = (format!("/connect/{}", gateway.slug), "Start again");
            let page = Message::new(state.facts.demo, Tone::Warn, "This link has expired", next)
                .line(format!("A link to connect {} works for ten minutes.", gateway.name))
                .line("Start again from here; your client needs no new link.");
            Ok(page::with_status(StatusCode::GONE, &page))
        }
        ConnectPage::NotYours => Err(PageError::NOT_YOURS),
    }
}

/// `POST /connect/{slug}`: creates the state and its cookie, and sends the browser to the provider.
pub(super) async fn begin(
    State(state): State<AppState>,
    session: SessionCaller,
    Path(slug): Path<String>,
    CheckedForm(typed): CheckedForm<Fields>,
) -> Result<Response, PageError> {
    let request = typed.filled("request");
    let (broker, caller) = (&state.broker, &session.caller);
    let began = if typed.text("account") == "other" {
        broker.begin_with_any_account(caller, &slug, request.as_deref()).await
    } else {
        broker.begin_authorization(caller, &slug, request.as_deref()).await
    };
    let began = match began {
        Err(BrokerError::NotFound { what: "link" }) => return Err(PageError::NOT_YOURS),
        began => began?,
    };
    let lifetime = Duration::from_secs(began.seconds);
    let cookie = state.facts.cookies.set(&began.cookie_name, &began.cookie, lifetime);
    Ok(([(header::SET_COOKIE, cookie)], Redirect::to(began.redirect.as_str())).into_response())
}

#[cfg(test)]
pub(super) fn samples() -> Vec<(&'static str, String)> {
    let own = AskPage {
        demo: true,
        csrf: "token-of-the-form".into(),
        email: "h.tanaka@acme.example".into(),
        name: "GitHub".into(),
        server_host: "api.githubcopilot.com".into(),
        client: None,
        provider_host: "github.com".into(),
        redirect_host: "http://localhost:4444".into(),
        scopes: vec![],
        connected: false,
        deposited_by: None,
        account: None,
        any_account: false,
        action: "/connect/github-mcp".into(),
        request: None,
    };
    let html = own.render().unwrap();
    let asked = AskPage {
        client: Some("<img src=x> Editor".into()),
        scopes: vec![("repo".into(), false), ("read:org".into(), true)],
        connected: true,
        account: Some("octo<b>".into()),
        any_account: true,
        request: Some("0190f5d2-7c1e-7000-8000-000000000001".into()),
        ..own
    };
    let html_asked = asked.render().unwrap();
    let deposited =
        AskPage { deposited_by: Some("a.<i>dmin@acme.example".into()), any_account: false, ..asked };
    vec![("connect-own", html), ("connect", html_asked), ("connect-deposited", deposited.render().unwrap())]
}
