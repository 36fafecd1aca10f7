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
    let frame = Frame::new(&state, &session, Here::People);
    Ok(page::page(&NewPersonPage { frame, roles: role::choices(), form: Form::with([("role", "user")]) }))
}

/// `POST /ui/people/new`
pub(super) async fn create(
    State(state): State<AppState>,
    session: SessionCaller,
    CheckedForm(typed): CheckedForm<Fields>,
) -> Result<Response, PageError> {
    let caller = &session.caller;
    let created = match role::chosen(&typed) {
        Ok(role) => {
            let (email, name) = (typed.text("email").to_owned(), typed.text("name").to_owned());
            state.broker.create_user(caller, NewUser { email, name, role, password: None }).await
        }
        Err(error) => Err(error),
    };
    let frame = Frame::new(&state, &session, Here::People);
    match created {
        Ok(user) => {
            let link = state.broker.create_reset_link(caller, user.id).await?;
            Ok(page::page(&LinkPage::new(frame, &user, &link)))
        }
        Err(error) => {
            let form = Form::refused(&typed, error)?;
            Ok(page::with_status(form.status, &NewPersonPage { frame, roles: role::choices(), form }))
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
    let new = NewPersonPage { frame: Frame::sample(Here::People), roles: role::choices(), form };
    let user = &crate::ui::samples::people()[1];
    let link = Url::parse("http://localhost:4444/ui/reset?token=sample").unwrap();
    vec![
        ("person-new", new.render().unwrap()),
        ("person-link", LinkPage::new(Frame::sample(Here::People), user, &link).render().unwrap()),
    ]
}
