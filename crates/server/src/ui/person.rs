//! A new person. The administrator gets a link to pass on, never a password.

use crate::extract::{CheckedForm, SessionCaller};
use crate::state::AppState;
use crate::ui::error::PageError;
use crate::ui::form::{Fields, Form};
use crate::ui::page::{self, Frame, Here};
use crate::ui::role::{self, RoleChoice};
use askama::Template;
use axum::extract::State;
use axum::response::Response;
use doorward_broker::NewUser;
use doorward_domain::{Permission, User};
use url::Url;

/// The form.
#[derive(Template)]
#[template(path = "person_new.html")]
struct NewPersonPage {
    frame: Frame,
    roles: Vec<RoleChoice>,
    form: Form,
}

/// The one page that shows a person's link.
#[derive(Template)]
#[template(path = "person_link.html")]
pub(super) struct LinkPage<'a> {
    frame: Frame,
    name: &'a str,
    email: &'a str,
    link: &'a str,
}

impl<'a> LinkPage<'a> {
    pub(super) fn new(frame: Frame, user: &'a User, link: &'a Url) -> Self {
        Self { frame, name: &user.name, email: &user.email, link: link.as_str() }
    }
}

/// `GET /ui/people/new`
pub(super) async fn show(
    State(state): State<AppState>,
    session: SessionCaller,
) -> Result<Response, PageError> {
    session.caller.require(Permission::ManageUsers)?;
    state.broker.require_fresh_login_to_ask(&session.caller)?;
    let frame = Frame::new(&state, &session, Here::People);
    let roles = role::choices(&state, &session.caller).await?;
    Ok(page::page(&NewPersonPage { frame, roles, form: Form::with([("role", "user")]) }))
}

/// `POST /ui/people/new`
pub(super) async fn create(
    State(state): State<AppState>,
    session: SessionCaller,
    CheckedForm(typed): CheckedForm<Fields>,
) -> Result<Response, PageError> {
    let caller = &session.caller;
    let created = match role::chosen(&state, caller, &typed).await {
        Ok(role) => {
            let (email, name) = (typed.text("email").to_owned(), typed.text("name").to_owned());
            // The link wants a fresh login, so that nobody is made whom no link reaches.
            match state.broker.require_fresh_login(caller) {
                Ok(()) => {
                    state.broker.create_user(caller, NewUser { email, name, role, password: None }).await
                }
                Err(error) => Err(error),
            }
        }
        Err(error) => Err(error),
    };
    let frame = Frame::new(&state, &session, Here::People);
    match created {
        Ok(user) => {
            let link = state.broker.create_reset_link(caller, user.id, false).await?;
            Ok(page::page(&LinkPage::new(frame, &user, &link)))
        }
        Err(error) => {
            let form = Form::refused(&typed, error)?;
            let roles = role::choices(&state, caller).await?;
            Ok(page::with_status(form.status, &NewPersonPage { frame, roles, form }))
        }
    }
}

#[cfg(test)]
pub(super) fn samples() -> Vec<(&'static str, String)> {
    let form = Form::with([("role", "user"), ("email", "x")]).problem(
        http::StatusCode::BAD_REQUEST,
        "email",
        "give an e-mail address such as name@example.com",
    );
    let new = NewPersonPage { frame: Frame::sample(Here::People), roles: role::sample_choices(), form };
    let user = &crate::ui::samples::people()[1];
    let link = Url::parse("http://localhost:4444/ui/reset?token=sample").unwrap();
    vec![
        ("person-new", new.render().unwrap()),
        ("person-link", LinkPage::new(Frame::sample(Here::People), user, &link).render().unwrap()),
    ]
}
