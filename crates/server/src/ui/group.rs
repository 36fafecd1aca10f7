//! One group: its name, who is in it, and its end.

use crate::extract::{CheckedForm, SessionCaller};
use crate::state::AppState;
use crate::ui::access_list::people;
use crate::ui::confirm::Confirm;
use crate::ui::error::PageError;
use crate::ui::form::{Asked, Fields, Form};
use crate::ui::gateway::version_of;
use crate::ui::page::{self, Frame, Here};
use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use doorward_broker::BrokerError;
use doorward_domain::{Group, GroupId, User, UserId};

/// The group.
#[derive(Template)]
#[template(path = "group.html")]
struct GroupPage {
    frame: Frame,
    id: String,
    name: String,
    count: String,
    version: String,
    form: Form,
    rows: Vec<Member>,
    next_cursor: Option<String>,
}

struct Member {
    id: String,
    name: String,
    email: String,
}

impl Member {
    fn of(user: &User) -> Self {
        Self { id: user.id.to_string(), name: user.name.clone(), email: user.email.clone() }
    }
}

async fn shown(
    state: &AppState,
    session: &SessionCaller,
    group: Group,
    form: Form,
    asked: &Fields,
) -> Result<Response, PageError> {
    let request = asked.page();
    let members = state.broker.group_members(&session.caller, group.id, &request).await?;
    let status = form.status;
    let page = GroupPage {
        frame: Frame::new(state, session, Here::Groups).noted(asked),
        id: group.id.to_string(),
        count: people(group.members),
        version: group.version.to_string(),
        name: group.name,
        form,
        rows: members.items.iter().map(Member::of).collect(),
        next_cursor: members.next_cursor,
    };
    Ok(page::with_status(status, &page))
}

/// `GET /ui/groups/{id}`
pub(super) async fn show(
    State(state): State<AppState>,
    session: SessionCaller,
    Path(id): Path<String>,
    Asked(asked): Asked,
) -> Result<Response, PageError> {
    let group = state.broker.group(&session.caller, crate::ui::id(&id)?).await?;
    let form = Form::with([("name", group.name.as_str())]);
    shown(&state, &session, group, form, &asked).await
}

/// `POST /ui/groups/{id}`: another name, or one more member.
pub(super) async fn update(
    State(state): State<AppState>,
    session: SessionCaller,
    Path(id): Path<String>,
    CheckedForm(typed): CheckedForm<Fields>,
) -> Result<Response, PageError> {
    let caller = &session.caller;
    let id: GroupId = crate::ui::id(&id)?;
    let group = state.broker.group(caller, id).await?;
    let (done, note) = if typed.text("do") == "join" {
        (join(&state, &session, id, typed.text("email")).await, "group-joined")
    } else {
        let version = Some(version_of(&typed));
        (state.broker.rename_group(caller, id, version, typed.text("name")).await.map(drop), "saved")
    };
    match done {
        Ok(()) => Ok(Redirect::to(&format!("/ui/groups/{id}?note={note}")).into_response()),
        Err(error) => {
            let form = Form::refused(&typed, error)?;
            let form = if typed.has("name") { form } else { form.set("name", group.name.as_str()) };
            shown(&state, &session, group, form, &Fields::default()).await
        }
    }
}

async fn join(
    state: &AppState,
    session: &SessionCaller,
    id: GroupId,
    email: &str,
) -> Result<(), BrokerError> {
    for user in state.broker.people_by_email(&session.caller, &[email], "email").await? {
        state.broker.join_group(&session.caller, id, user).await?;
    }
    Ok(())
}

/// `GET /ui/groups/{id}/delete`
pub(super) async fn ask_delete(
    State(state): State<AppState>,
    session: SessionCaller,
    Path(id): Path<String>,
) -> Result<Response, PageError> {
    let group = state.broker.group(&session.caller, crate::ui::id(&id)?).await?;
    Ok(page::page(&Confirm {
        frame: Frame::new(&state, &session, Here::Groups),
        title: format!("Delete the group {}?", group.name),
        lines: vec![
            format!("{} in it lose at once what they may use by it alone.", people(group.members)),
            "Their accounts stay, and so does all that they may use otherwise.".to_owned(),
        ],
        action: format!("/ui/groups/{id}/delete"),
        button: "Delete the group",
        danger: true,
        back: format!("/ui/groups/{id}"),
        version: Some(group.version),
    }))
}

/// `POST /ui/groups/{id}/delete`
pub(super) async fn delete(
    State(state): State<AppState>,
    session: SessionCaller,
    Path(id): Path<String>,
    CheckedForm(typed): CheckedForm<Fields>,
) -> Result<Response, PageError> {
    let version = Some(version_of(&typed));
    state.broker.delete_group(&session.caller, crate::ui::id(&id)?, version).await?;
    Ok(Redirect::to("/ui/groups?note=deleted").into_response())
}

/// `GET /ui/groups/{id}/members/{user}/remove`
pub(super) async fn ask_remove(
    State(state): State<AppState>,
    session: SessionCaller,
    Path((id, user)): Path<(String, String)>,
) -> Result<Response, PageError> {
    let group = state.broker.group(&session.caller, crate::ui::id(&id)?).await?;
    let member = state.broker.user(&session.caller, crate::ui::id(&user)?).await?;
    Ok(page::page(&Confirm {
        frame: Frame::new(&state, &session, Here::Groups),
        title: format!("Take {} out of {}?", member.name, group.name),
        lines: vec![
            "They lose at once what they may use by this group alone, and what runs there is cut.".to_owned(),
            "Their authorizations there are kept aside, and are back when they have access again.".to_owned(),
        ],
        action: format!("/ui/groups/{id}/members/{user}/remove"),
        button: "Take out",
        danger: true,
        back: format!("/ui/groups/{id}"),
        version: None,
    }))
}

/// `POST /ui/groups/{id}/members/{user}/remove`
pub(super) async fn remove(
    State(state): State<AppState>,
    session: SessionCaller,
    Path((id, user)): Path<(String, String)>,
    CheckedForm(_): CheckedForm<Fields>,
) -> Result<Response, PageError> {
    let (group, member): (GroupId, UserId) = (crate::ui::id(&id)?, crate::ui::id(&user)?);
    state.broker.leave_group(&session.caller, group, member).await?;
    Ok(Redirect::to(&format!("/ui/groups/{id}?note=group-left")).into_response())
}

#[cfg(test)]
pub(super) fn samples() -> Vec<(&'static str, String)> {
    let group = &crate::ui::samples::groups()[0];
    let page = |rows, form| GroupPage {
        frame: Frame::sample(Here::Groups),
        id: group.id.to_string(),
        name: group.name.clone(),
        count: people(group.members),
        version: "1".into(),
        form,
        rows,
        next_cursor: Some("a&b".into()),
    };
    let people = crate::ui::samples::people();
    let form = Form::with([("name", "Operations")]);
    let refused = form.clone().problem(
        http::StatusCode::BAD_REQUEST,
        "email",
        "nobody has the e-mail address <script>no",
    );
    vec![
        ("group", page(people.iter().map(Member::of).collect(), form).render().unwrap()),
        ("group-refused", page(Vec::new(), refused).render().unwrap()),
    ]
}
