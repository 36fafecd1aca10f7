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
use doorward_broker::{BrokerError, Caller, UserEdit};
use doorward_domain::{Permission, Role, User, UserId};
use std::sync::Arc;

/// One line of the choice.
#[derive(Debug)]
pub(super) struct RoleChoice {
    pub(super) value: String,
    pub(super) label: String,
    pub(super) help: String,
}

/// The roles that the reader can give, the humblest first, then those of the installation's own.
pub(super) async fn choices(state: &AppState, caller: &Caller) -> Result<Vec<RoleChoice>, BrokerError> {
    let own = state.broker.custom_roles(caller).await?.into_iter();
    let own = own.map(|stored| Role::Custom(Arc::new(stored.role)));
    let all = Role::BUILT_IN.into_iter().rev().chain(own);
    let held = all.filter(|role| role.permissions().iter().all(|one| caller.may(*one)));
    let given = held.filter(|role| *role != Role::Administrator || caller.user.role == Role::Administrator);
    Ok(given.map(|role| choice(&role)).collect())
}

fn choice(role: &Role) -> RoleChoice {
    RoleChoice { value: role.as_str().to_owned(), label: label(role), help: help(role) }
}

/// As people call it.
pub(super) fn label(role: &Role) -> String {
    match role {
        Role::Administrator => "Administrator",
        Role::Operator => "Operator",
        Role::Auditor => "Auditor",
        Role::User => "User",
        Role::Custom(role) => role.name.as_str(),
    }
    .to_owned()
}

fn help(role: &Role) -> String {
    let text = match role {
        Role::Administrator => {
            "Everything: also registers servers, manages people and keys. Sees no token and no password."
        }
        Role::Custom(role) => {
            return role.permissions.iter().map(|one| one.as_str()).collect::<Vec<_>>().join(", ");
        }
        Role::Operator => "Also sees all authorizations, ends them or asks for new ones, and runs cleanup.",
        Role::Auditor => "Also reads everything but secrets, the audit trail included, and changes nothing.",
        Role::User => "Uses published servers with their own keys.",
    };
    text.to_owned()
}

/// The role that was chosen in a form.
pub(super) async fn chosen(state: &AppState, caller: &Caller, typed: &Fields) -> Result<Role, BrokerError> {
    match typed.filled("role") {
        Some(name) => state.broker.role_named(caller, &name).await,
        None => Err(BrokerError::Invalid { field: "role".to_owned(), problem: "choose a role".to_owned() }),
    }
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
    fn new(frame: Frame, user: &User, roles: Vec<RoleChoice>, form: Form) -> Self {
        let (id, name) = (user.id.to_string(), user.name.clone());
        Self { frame, id, name, version: user.version, roles, form }
    }
}

/// `GET /ui/people/{id}/role`
pub(super) async fn show(
    State(state): State<AppState>,
    session: SessionCaller,
    Path(id): Path<String>,
) -> Result<Response, PageError> {
    session.caller.require(Permission::ManageUsers)?;
    state.broker.require_fresh_login_to_ask(&session.caller)?;
    let user = state.broker.user(&session.caller, crate::ui::id(&id)?).await?;
    let form = Form::with([("role", user.role.as_str())]);
    let roles = choices(&state, &session.caller).await?;
    Ok(page::page(&RolePage::new(Frame::new(&state, &session, Here::People), &user, roles, form)))
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
    let changed = match chosen(&state, caller, &typed).await {
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
            let roles = choices(&state, caller).await?;
            Ok(page::with_status(form.status, &RolePage::new(frame, &user, roles, form)))
        }
    }
}

#[cfg(test)]
pub(super) fn sample_choices() -> Vec<RoleChoice> {
    Role::BUILT_IN.iter().rev().map(choice).collect()
}

#[cfg(test)]
pub(super) fn samples() -> Vec<(&'static str, String)> {
    let user = &crate::ui::samples::people()[1];
    let form = Form::with([("role", "auditor")]);
    vec![(
        "person-role",
        RolePage::new(Frame::sample(Here::People), user, sample_choices(), form).render().unwrap(),
    )]
}
