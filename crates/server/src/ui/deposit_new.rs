//! Depositing tokens that were obtained elsewhere, for somebody else. What is typed goes in, and no page sends it back.

use crate::extract::{CheckedForm, SessionCaller};
use crate::state::AppState;
use crate::ui::error::PageError;
use crate::ui::form::{Asked, Fields, Form, words};
use crate::ui::page::{self, Frame, Here};
use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use doorward_broker::{BrokerError, Caller, Deposit, DepositPlace};
use doorward_domain::{AccessToken, DepositPolicy, GatewayId, GrantId, IdToken, RefreshToken, Timestamp};

/// The form.
#[derive(Template)]
#[template(path = "deposit_new.html")]
struct NewDepositPage {
    frame: Frame,
    places: Vec<DepositPlace>,
    /// Whether it waits for the person's word.
    waits: bool,
    form: Form,
}

/// The names of REST; `user_id` holds an e-mail address, because nobody knows ids by heart.
const FIELDS: &[&str] =
    &["user_id", "gateway_id", "access_token", "refresh_token", "id_token", "expires_at", "scopes"];

impl NewDepositPage {
    async fn respond(state: &AppState, session: &SessionCaller, form: Form) -> Result<Response, PageError> {
        let page = Self {
            frame: Frame::new(state, session, Here::OAuthTokens),
            places: state.broker.deposit_places(&session.caller).await?,
            waits: state.broker.policy().deposit == DepositPolicy::Ask,
            form,
        };
        Ok(page::with_status(page.form.status, &page))
    }

    /// Whether an ID token has a use anywhere.
    fn takes_id_token(&self) -> bool {
        self.places.iter().any(|place| place.exchanges_id_tokens)
    }
}

/// `GET /ui/oauth-tokens/deposit`, perhaps with `?gateway=...`
pub(super) async fn show(
    State(state): State<AppState>,
    session: SessionCaller,
    Asked(asked): Asked,
) -> Result<Response, PageError> {
    state.broker.check_deposits(&session.caller)?;
    state.broker.require_fresh_login_to_ask(&session.caller)?;
    let form = Form::with([("gateway_id", asked.text("gateway"))]);
    NewDepositPage::respond(&state, &session, form).await
}

/// `POST /ui/oauth-tokens/deposit`
pub(super) async fn create(
    State(state): State<AppState>,
    session: SessionCaller,
    CheckedForm(typed): CheckedForm<Fields>,
) -> Result<Response, PageError> {
    state.broker.check_deposits(&session.caller)?;
    match deposited(&state, &session.caller, &typed).await {
        Ok(id) => {
            let waits = state.broker.policy().deposit == DepositPolicy::Ask;
            let note = if waits { "deposited" } else { "deposited-active" };
            Ok(Redirect::to(&format!("/ui/oauth-tokens/{id}?note={note}")).into_response())
        }
        Err(error) => NewDepositPage::respond(&state, &session, Form::refused(&typed, error)?).await,
    }
}

async fn deposited(state: &AppState, caller: &Caller, typed: &Fields) -> Result<GrantId, BrokerError> {
    let deposit = Deposit {
        user_id: state.broker.person_to_deposit_for(caller, typed.text("user_id")).await?,
        gateway_id: gateway(typed)?,
        access_token: AccessToken::new(typed.text("access_token")),
        refresh_token: typed.filled("refresh_token").map(RefreshToken::new),
        id_token: typed.filled("id_token").map(IdToken::new),
        expires_at: expires_at(typed)?,
        scopes: Some(words(typed.text("scopes"))).filter(|scopes| !scopes.is_empty()),
    };
    state.broker.deposit(caller, deposit).await
}

fn gateway(typed: &Fields) -> Result<GatewayId, BrokerError> {
    typed.text("gateway_id").parse().map_err(|_| invalid("gateway_id", "choose one of the list"))
}

fn expires_at(typed: &Fields) -> Result<Option<Timestamp>, BrokerError> {
    let given = typed.filled("expires_at");
    let problem = "give a time in UTC such as 2027-01-31T18:00:00Z, or leave it empty";
    given.map(|text| text.parse()).transpose().map_err(|_| invalid("expires_at", problem))
}

fn invalid(field: &str, problem: &str) -> BrokerError {
    BrokerError::Invalid { field: field.to_owned(), problem: problem.to_owned() }
}

#[cfg(test)]
pub(super) fn samples() -> Vec<(&'static str, String)> {
    let places = |exchanges_id_tokens| {
        let place = |gateway: doorward_domain::Gateway| DepositPlace {
            id: gateway.id,
            name: gateway.name,
            exchanges_id_tokens,
        };
        crate::ui::samples::gateways().into_iter().map(place).collect()
    };
    let page = |waits, form| NewDepositPage {
        frame: Frame::sample(Here::OAuthTokens),
        places: places(waits),
        waits,
        form,
    };
    let typed: Fields = serde_urlencoded::from_str(
        "user_id=%3Cb%3Ealice&access_token=canary-of-a-sealed-secret&refresh_token=canary-of-a-sealed-secret",
    )
    .unwrap();
    let refused = Form::refused(&typed, invalid("user_id", "must be an active person")).unwrap();
    vec![
        ("deposit-new", page(true, Form::blank()).render().unwrap()),
        ("deposit-refused", page(false, refused).render().unwrap()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_a_time_in_utc_or_nothing() {
        let read =
            |text: &str| expires_at(&serde_urlencoded::from_str(&format!("expires_at={text}")).unwrap());
        assert_eq!(read("").unwrap(), None);
        assert_eq!(read("+2027-01-31T18:00:00Z").unwrap(), Some("2027-01-31T18:00:00Z".parse().unwrap()));
        for wrong in ["tomorrow", "2027-01-31", "1"] {
            let error = read(wrong).unwrap_err();
            assert!(
                matches!(&error, BrokerError::Invalid { field, .. } if field == "expires_at"),
                "{wrong}: {error}"
            );
        }
    }

    #[test]
    fn an_id_token_is_asked_for_only_where_it_has_a_use() {
        let pages = samples();
        assert!(pages[0].1.contains("name=\"id_token\"") && pages[0].1.contains("waits for the person"));
        assert!(!pages[1].1.contains("name=\"id_token\"") && pages[1].1.contains("at once"));
    }
}
