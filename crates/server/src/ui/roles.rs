//! Roles: what each may, and making, changing and deleting those of one's own.

use crate::extract::{CheckedForm, SessionCaller};
use crate::state::AppState;
use crate::ui::confirm::Confirm;
use crate::ui::error::PageError;
use crate::ui::form::{Asked, Fields, Form};
use crate::ui::gateway::version_of;
use crate::ui::page::{self, Frame, Here};
use crate::ui::role;
use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use doorward_broker::BrokerError;
use doorward_domain::{Permission, Role, Slug, StoredRole};

const PATH: &str = "/ui/roles";

/// The list.
#[derive(Template)]
#[template(path = "roles.html")]
struct RolesPage {
    frame: Frame,
    rows: Vec<Row>,
}

struct Row {
    label: String,
    /// Empty for built-in ones, which have no page.
    href: String,
    people: String,
    may: Vec<&'static str>,
}

impl Row {
    fn built_in(role: &Role) -> Self {
        Self {
            label: role::label(role),
            href: String::new(),
            people: String::new(),
            may: names(role.permissions()),
        }
    }

    fn own(stored: &StoredRole) -> Self {
        let name = stored.role.name.to_string();
        let href = format!("{PATH}/{name}");
        Self { label: name, href, people: people(stored.people), may: names(&stored.role.permissions) }
    }
}

fn names(permissions: &[Permission]) -> Vec<&'static str> {
    permissions.iter().map(|permission| permission.as_str()).collect()
}

fn people(count: u64) -> String {
    match count {
        1 => "1 person".to_owned(),
        count => format!("{count} people"),
    }
}

/// The form: of a new one, or of one that is there.
#[derive(Template)]
#[template(path = "role_form.html")]
struct RoleFormPage {
    frame: Frame,
    form: Form,
    /// None: it is to be made.
    name: Option<String>,
    people: String,
    version: i64,
    /// What the reader may give, with what it means.
    choices: Vec<(&'static str, &'static str)>,
}

impl RoleFormPage {
    fn new(frame: Frame, session: &SessionCaller, form: Form, stored: Option<&StoredRole>) -> Self {
        let offered = Permission::ALL.into_iter().filter(|one| session.caller.may(*one));
        Self {
            frame,
            form,
            name: stored.map(|stored| stored.role.name.to_string()),
            people: stored.map(|stored| people(stored.people)).unwrap_or_default(),
            version: stored.map_or(0, |stored| stored.version),
            choices: offered.map(|one| (one.as_str(), meaning(one))).collect(),
        }
    }
}

/// As docs/permissions.md says it.
const fn meaning(permission: Permission) -> &'static str {
    match permission {
        Permission::UseGateways => "use published gateways; see and end one’s own connections",
        Permission::ReadGateways => "see drafts, and every gateway’s settings without secrets",
        Permission::ManageGateways => "use drafts; create, edit and delete gateways",
        Permission::ReadGrants => "see every OAuth token, without its value",
        Permission::RevokeGrants => "revoke any grant, ask for authorization again, refresh now",
        Permission::DepositGrants => {
            "store tokens for somebody that were obtained elsewhere, where the settings allow it"
        }
        Permission::ReadCleanup => "see what cleanup does",
        Permission::RunCleanup => "run cleanup, and end what it holds",
        Permission::ReadKeys => "see the names of keys, and how far sealing anew is",
        Permission::ManageKeys => "rotate and retire keys",
        Permission::ReadUsers => "see people and groups",
        Permission::ManageUsers => "create and change people and groups, hand out reset links",
        Permission::ReadAudit => "read the audit trail, and authorization attempts step by step",
    }
}

fn chosen(typed: &Fields) -> Result<Vec<Permission>, BrokerError> {
    let wrong = || BrokerError::Invalid {
        field: "permissions".to_owned(),
        problem: "one of them is none: reload the page".to_owned(),
    };
    typed.all("permissions").map(|name| Permission::named(name).ok_or_else(wrong)).collect()
}

fn frame(state: &AppState, session: &SessionCaller) -> Frame {
    Frame::new(state, session, Here::Roles)
}

/// `GET /ui/roles`
pub(super) async fn show(
    State(state): State<AppState>,
    session: SessionCaller,
    Asked(asked): Asked,
) -> Result<Response, PageError> {
    let own = state.broker.custom_roles(&session.caller).await?;
    let rows = Role::BUILT_IN.iter().map(Row::built_in).chain(own.iter().map(Row::own)).collect();
    Ok(page::page(&RolesPage { frame: frame(&state, &session).noted(&asked), rows }))
}

/// `GET /ui/roles/new`
pub(super) async fn show_new(
    State(state): State<AppState>,
    session: SessionCaller,
) -> Result<Response, PageError> {
    session.caller.require(Permission::ManageUsers)?;
    state.broker.require_fresh_login_to_ask(&session.caller)?;
    let form = Form::with([("permissions", "use_gateways")]);
    Ok(page::page(&RoleFormPage::new(frame(&state, &session), &session, form, None)))
}

/// `POST /ui/roles/new`
pub(super) async fn create(
    State(state): State<AppState>,
    session: SessionCaller,
    CheckedForm(typed): CheckedForm<Fields>,
) -> Result<Response, PageError> {
    let made = match chosen(&typed) {
        Ok(permissions) => state.broker.create_role(&session.caller, typed.text("name"), permissions).await,
        Err(error) => Err(error),
    };
    match made {
        Ok(_) => Ok(Redirect::to(&format!("{PATH}?note=role-made")).into_response()),
        Err(error) => {
            let form = Form::refused(&typed, error)?;
            let page = RoleFormPage::new(frame(&state, &session), &session, form, None);
            Ok(page::with_status(page.form.status, &page))
        }
    }
}

async fn stored(state: &AppState, session: &SessionCaller, name: &str) -> Result<StoredRole, PageError> {
    session.caller.require(Permission::ManageUsers)?;
    let name = Slug::parse(name).map_err(|_| PageError::NOT_FOUND)?;
    Ok(state.broker.custom_role(&session.caller, &name).await?)
}

/// `GET /ui/roles/{name}`
pub(super) async fn show_one(
    State(state): State<AppState>,
    session: SessionCaller,
    Path(name): Path<String>,
) -> Result<Response, PageError> {
    let stored = stored(&state, &session, &name).await?;
    state.broker.require_fresh_login_to_ask(&session.caller)?;
    let form = Form::with(names(&stored.role.permissions).into_iter().map(|name| ("permissions", name)));
    Ok(page::page(&RoleFormPage::new(frame(&state, &session), &session, form, Some(&stored))))
}

/// `POST /ui/roles/{name}`
pub(super) async fn update(
    State(state): State<AppState>,
    session: SessionCaller,
    Path(name): Path<String>,
    CheckedForm(typed): CheckedForm<Fields>,
) -> Result<Response, PageError> {
    let stored = stored(&state, &session, &name).await?;
    let version = Some(version_of(&typed));
    let changed = match chosen(&typed) {
        Ok(permissions) => state.broker.update_role(&session.caller, &name, version, permissions).await,
        Err(error) => Err(error),
    };
    match changed {
        Ok(_) => Ok(Redirect::to(&format!("{PATH}?note=role-changed")).into_response()),
        Err(error) => {
            let form = Form::refused(&typed, error)?;
            let page = RoleFormPage::new(frame(&state, &session), &session, form, Some(&stored));
            Ok(page::with_status(page.form.status, &page))
        }
    }
}

/// `GET /ui/roles/{name}/delete`
pub(super) async fn ask_delete(
    State(state): State<AppState>,
    session: SessionCaller,
    Path(name): Path<String>,
) -> Result<Response, PageError> {
    let stored = stored(&state, &session, &name).await?;
    state.broker.require_fresh_login_to_ask(&session.caller)?;
    Ok(page::page(&Confirm {
        frame: frame(&state, &session),
        title: format!("Delete the role “{name}”?"),
        lines: vec![format!("{} have it. It is deleted only when nobody does.", people(stored.people))],
        action: format!("{PATH}/{name}/delete"),
        button: "Delete the role",
        danger: true,
        back: format!("{PATH}/{name}"),
        version: Some(stored.version),
    }))
}

/// `POST /ui/roles/{name}/delete`
pub(super) async fn delete(
    State(state): State<AppState>,
    session: SessionCaller,
    Path(name): Path<String>,
    CheckedForm(typed): CheckedForm<Fields>,
) -> Result<Response, PageError> {
    state.broker.delete_role(&session.caller, &name, Some(version_of(&typed))).await?;
    Ok(Redirect::to(&format!("{PATH}?note=deleted")).into_response())
}

#[cfg(test)]
pub(super) fn samples() -> Vec<(&'static str, String)> {
    use crate::ui::samples::NOW;
    use doorward_domain::CustomRole;
    let frame = || Frame::sample(Here::Roles);
    let stored = StoredRole {
        role: CustomRole {
            name: Slug::parse("support").unwrap(),
            permissions: vec![Permission::UseGateways, Permission::ReadGrants],
        },
        people: 2,
        created_at: NOW,
        updated_at: NOW,
        version: 3,
    };
    let rows = Role::BUILT_IN.iter().map(Row::built_in).chain([Row::own(&stored)]).collect();
    let all = || Permission::ALL.into_iter().map(|one| (one.as_str(), meaning(one))).collect();
    let form = |name: Option<&str>, form| RoleFormPage {
        frame: frame(),
        form,
        name: name.map(str::to_owned),
        people: people(2),
        version: 3,
        choices: all(),
    };
    let refused = Form::with([("name", "\"><script>no"), ("permissions", "manage_users")]).problem(
        http::StatusCode::BAD_REQUEST,
        "permissions",
        "manage_users goes with read_users: add it",
    );
    let chosen = Form::with([("permissions", "use_gateways"), ("permissions", "read_grants")]);
    vec![
        ("roles", RolesPage { frame: frame(), rows }.render().unwrap()),
        ("role-new", form(None, refused).render().unwrap()),
        ("role", form(Some("support"), chosen).render().unwrap()),
    ]
}
