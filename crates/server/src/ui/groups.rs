//! Groups, for administrators: the list, and a new one.

use crate::extract::{CheckedForm, SessionCaller};
use crate::state::AppState;
use crate::ui::access_list::people;
use crate::ui::error::PageError;
use crate::ui::form::{Asked, Fields, Form};
use crate::ui::page::{self, Frame, Here};
use crate::ui::parts::Moment;
use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use doorward_domain::{Group, Permission};

/// The list.
#[derive(Template)]
#[template(path = "groups.html")]
struct GroupsPage {
    frame: Frame,
    rows: Vec<Row>,
    next_cursor: Option<String>,
}

struct Row {
    id: String,
    name: String,
    members: String,
    since: Moment,
}

impl Row {
    fn of(group: &Group) -> Self {
        Self {
            id: group.id.to_string(),
            name: group.name.clone(),
            members: people(group.members),
            since: Moment::exact(group.created_at),
        }
    }
}

/// The form for a new one.
#[derive(Template)]
#[template(path = "group_new.html")]
struct NewGroupPage {
    frame: Frame,
    form: Form,
}

/// `GET /ui/groups`
pub(super) async fn show(
    State(state): State<AppState>,
    session: SessionCaller,
    Asked(asked): Asked,
) -> Result<Response, PageError> {
    let request = asked.page();
    let groups = state.broker.groups(&session.caller, &request).await?;
    Ok(page::page(&GroupsPage {
        frame: Frame::new(&state, &session, Here::Groups).noted(&asked),
        rows: groups.items.iter().map(Row::of).collect(),
        next_cursor: groups.next_cursor,
    }))
}

/// `GET /ui/groups/new`
pub(super) async fn show_new(
    State(state): State<AppState>,
    session: SessionCaller,
) -> Result<Response, PageError> {
    session.caller.require(Permission::ManageUsers)?;
    let frame = Frame::new(&state, &session, Here::Groups);
    Ok(page::page(&NewGroupPage { frame, form: Form::blank() }))
}

/// `POST /ui/groups/new`
pub(super) async fn create(
    State(state): State<AppState>,
    session: SessionCaller,
    CheckedForm(typed): CheckedForm<Fields>,
) -> Result<Response, PageError> {
    match state.broker.create_group(&session.caller, typed.text("name")).await {
        Ok(group) => Ok(Redirect::to(&format!("/ui/groups/{}?note=group-created", group.id)).into_response()),
        Err(error) => {
            let form = Form::refused(&typed, error)?;
            let frame = Frame::new(&state, &session, Here::Groups);
            Ok(page::with_status(form.status, &NewGroupPage { frame, form }))
        }
    }
}

#[cfg(test)]
pub(super) fn samples() -> Vec<(&'static str, String)> {
    let page = |rows, next_cursor| GroupsPage { frame: Frame::sample(Here::Groups), rows, next_cursor };
    let groups = crate::ui::samples::groups();
    let listed = page(groups.iter().map(Row::of).collect(), Some("a&b".into()));
    let form = Form::with([("name", "x")]).problem(
        http::StatusCode::CONFLICT,
        "name",
        "another group has this name",
    );
    vec![
        ("groups", listed.render().unwrap()),
        ("groups-empty", page(Vec::new(), None).render().unwrap()),
        ("group-new", NewGroupPage { frame: Frame::sample(Here::Groups), form }.render().unwrap()),
    ]
}
