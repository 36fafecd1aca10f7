//! Making an API token. Its value is on one page, once.

use crate::extract::{CheckedForm, SessionCaller};
use crate::reveal;
use crate::state::AppState;
use crate::ui::error::PageError;
use crate::ui::form::{Fields, Form};
use crate::ui::page::{self, Frame, Here};
use askama::Template;
use axum::extract::State;
use axum::response::Response;
use doorward_broker::{BrokerError, Caller, NewApiToken};
use doorward_domain::api_token::API_TOKEN_DEFAULT_DAYS;
use doorward_domain::{Audience, GatewayId};

/// The form.
#[derive(Template)]
#[template(path = "token_new.html")]
struct NewTokenPage {
    frame: Frame,
    form: Form,
    /// Id and name of each gateway that the token may be narrowed to.
    gateways: Vec<(String, String)>,
}

/// The one page that shows a token.
#[derive(Template)]
#[template(path = "token_made.html")]
struct MadeTokenPage<'a> {
    frame: Frame,
    name: &'a str,
    plain: &'a str,
}

/// Id and name of each gateway that the caller can use.
pub(super) async fn choices(state: &AppState, caller: &Caller) -> Result<Vec<(String, String)>, PageError> {
    let gateways = state.broker.usable_gateways(caller).await?;
    Ok(gateways.iter().map(|gateway| (gateway.id.to_string(), gateway.name.clone())).collect())
}

/// `GET /ui/tokens/new`
pub(super) async fn show(
    State(state): State<AppState>,
    session: SessionCaller,
) -> Result<Response, PageError> {
    let form = Form::with([("audience", "mcp".to_owned()), ("days", API_TOKEN_DEFAULT_DAYS.to_string())]);
    let gateways = choices(&state, &session.caller).await?;
    let frame = Frame::new(&state, &session, Here::ApiTokens);
    Ok(page::page(&NewTokenPage { frame, form, gateways }))
}

/// `POST /ui/tokens/new`
pub(super) async fn create(
    State(state): State<AppState>,
    session: SessionCaller,
    CheckedForm(typed): CheckedForm<Fields>,
) -> Result<Response, PageError> {
    let made = match wanted(&typed) {
        Ok(new) => state.broker.create_api_token(&session.caller, new).await,
        Err(error) => Err(error),
    };
    let frame = Frame::new(&state, &session, Here::ApiTokens);
    match made {
        Ok(made) => {
            let plain = reveal::api_token(&made.plain);
            Ok(page::page(&MadeTokenPage { frame, name: &made.token.name, plain }))
        }
        Err(error) => {
            let form = Form::refused(&typed, error)?;
            let gateways = choices(&state, &session.caller).await?;
            Ok(page::with_status(form.status, &NewTokenPage { frame, form, gateways }))
        }
    }
}

fn wanted(typed: &Fields) -> Result<NewApiToken, BrokerError> {
    let audience = match typed.text("audience") {
        "mcp" => Audience::Mcp,
        "self" => Audience::Own,
        "admin" => Audience::Admin,
        _ => return Err(invalid("audience", "choose what the token opens")),
    };
    let days = typed.text("days").parse().map_err(|_| invalid("days", "use 1 to 3650 days"))?;
    let gateways = typed.all("gateways").map(gateway_id).collect::<Result<Vec<_>, _>>()?;
    Ok(NewApiToken {
        name: typed.text("name").to_owned(),
        audience,
        gateways: Some(gateways).filter(|chosen| !chosen.is_empty()),
        days: Some(days),
    })
}

fn gateway_id(text: &str) -> Result<GatewayId, BrokerError> {
    text.parse().map_err(|_| invalid("gateways", "choose gateways of the list"))
}

fn invalid(field: &str, problem: &str) -> BrokerError {
    BrokerError::Invalid { field: field.to_owned(), problem: problem.to_owned() }
}

#[cfg(test)]
pub(super) fn samples() -> Vec<(&'static str, String)> {
    let frame = || Frame::sample(Here::ApiTokens);
    let form = Form::with([("audience", "mcp"), ("days", "90"), ("gateways", "1")]).problem(
        http::StatusCode::BAD_REQUEST,
        "name",
        "use 1 to 100 printable characters",
    );
    let gateways = vec![("1".into(), "GitHub <mcp>".into()), ("2".into(), "Calendar".into())];
    let made = MadeTokenPage { frame: frame(), name: "Editor <b>", plain: "dw_sample-of-a-token" };
    vec![
        ("token-new", NewTokenPage { frame: frame(), form, gateways }.render().unwrap()),
        ("token-made", made.render().unwrap()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted_of(text: &str) -> Result<NewApiToken, BrokerError> {
        wanted(&serde_urlencoded::from_str(text).unwrap())
    }

    #[test]
    fn a_token_opens_what_was_ticked_and_everything_when_nothing_was() {
        let id = "0190f5d2-7c1e-7000-8000-000000000001";
        let narrow = wanted_of(&format!("name=a&audience=self&days=7&gateways={id}")).unwrap();
        assert_eq!(
            (narrow.audience, narrow.days, narrow.gateways.unwrap().len()),
            (Audience::Own, Some(7), 1)
        );
        assert!(wanted_of("name=a&audience=admin&days=7").unwrap().gateways.is_none());
        for bad in ["audience=x&days=7", "audience=mcp&days=x", "audience=mcp&days=7&gateways=x"] {
            assert!(wanted_of(bad).is_err(), "{bad}");
        }
    }
}
