//! Roles as pages speak of them, and the page that changes somebody's.

use crate::extract::{CheckedForm, SessionCaller};
use crate::state::AppState;
use crate::ui::error::PageError;
use crate::ui::form::{Fields, Form};
use crate::ui::gateway::version_of;
use crate::ui::page::{self, Frame, Here};
use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use doorward_broker::{BrokerError, UserEdit};
use doorward_domain::{Permission, Role, User, UserId};

/// One line of the choice.
#[derive(Debug)]
pub(super) struct RoleChoice {
    pub(super) value: &'static str,
    pub(super) label: &'static str,
    pub(super) help: &'static str,
}

/// The choice of a role, the humblest first.
pub(super) fn choices() -> Vec<RoleChoice> {
    let choice = |role: Role| RoleChoice { value: role.as_str(), label: label(role), help: help(role) };
    Role::ALL.into_iter().rev().map(choice).collect()
}

/// As people call it.
pub(super) const fn label(role: Role) -> &'static str {
    match role {
        Role::Administrator => "Administrator",
        Role::Operator => "Operator",
        Role::Auditor => "Auditor",
        Role::User => "User",
    }
}

const fn help(role: Role) -> &'static str {
    match role {
        Role::Administrator => {
            "Everything: also registers servers, manages people and keys. Sees no token and no password."
        }
        Role::Operator => "Also sees all authorizations, ends them or asks for new ones, and runs cleanup.",
        Role::Auditor => "Also reads everything but secrets, the audit trail included, and changes nothing.",
        Role::User => "Uses published servers with their own keys.",
    }
}

/// The role that was chosen in a form.
pub(super) fn chosen(typed: &Fields) -> Result<Role, BrokerError> {
    let found = Role::ALL.into_iter().find(|role| role.as_str() == typed.text("role"));
    found
        .ok_or_else(|| BrokerError::Invalid { field: "role".to_owned(), problem: "choose a role".to_owned() })
}

#[derive(Template)]
#[template(path = "person_role.html")]
struct RolePage {
    frame: Frame,
    id: String,
    name: String,
    version: i64,
    roles: Vec<RoleChoice>,
    form: Form,
}

impl RolePage {
    fn new(frame: Frame, user: &User, form: Form) -> Self {
        let (id, name) = (user.id.to_string(), user.name.clone());
        Self { frame, id, name, version: user.version, roles: choices(), form }
    }
}

/// `GET /ui/people/{id}/role`
pub(super) async fn show(
    State(state): State<AppState>,
    session: SessionCaller,
    Path(id): Path<String>,
) -> Result<Response, PageError> {
    session.caller.require(Permission::ManageUsers)?;
    let user = state.broker.user(&session.caller, crate::ui::id(&id)?).await?;
    let form = Form::with([("role", user.role.as_str())]);
    Ok(page::page(&RolePage::new(Frame::new(&state, &session, Here::People), &user, form)))
}

/// `POST /ui/people/{id}/role`
pub(super) async fn change(
    State(state): State<AppState>,
    session: SessionCaller,
    Path(id): Path<String>,
    CheckedForm(typed): CheckedForm<Fields>,
) -> Result<Response, PageError> {
    let caller = &session.caller;
    let id: UserId = crate::ui::id(&id)?;
    let changed = match chosen(&typed) {
        Ok(role) => {
            let edit = UserEdit { role: Some(role), ..UserEdit::default() };
            state.broker.update_user(caller, id, Some(version_of(&typed)), edit).await
        }
        Err(error) => Err(error),
    };
    match changed {
        Ok(_) => Ok(Redirect::to("/ui/people?note=person-role").into_response()),
        Err(error) => {
            let user = state.broker.user(caller, id).await?;
            let form = Form::refused(&typed, error)?;
            let frame = Frame::new(&state, &session, Here::People);
            Ok(page::with_status(form.status, &RolePage::new(frame, &user, form)))
        }
    }
}

#[cfg(test)]
pub(super) fn samples() -> Vec<(&'static str, String)> {
    let user = &crate::ui::samples::people()[1];
    let form = Form::with([("role", "auditor")]);
    vec![("person-role", RolePage::new(Frame::sample(Here::People), user, form).render().unwrap())]
}
