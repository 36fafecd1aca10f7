//! Virtual servers, for administrators: the list, and a new one.

use crate::extract::{CheckedForm, SessionCaller};
use crate::state::AppState;
use crate::ui::access_list::told;
use crate::ui::error::PageError;
use crate::ui::form::{Asked, Fields, Form};
use crate::ui::page::{self, Frame, Here};
use crate::ui::parts::Moment;
use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use doorward_broker::VirtualServerInput;
use doorward_domain::{Permission, VirtualServer};

/// The list.
#[derive(Template)]
#[template(path = "servers.html")]
struct ServersPage {
    frame: Frame,
    rows: Vec<Row>,
}

struct Row {
    id: String,
    name: String,
    slug: String,
    items: usize,
    access: String,
    changed: Moment,
}

impl Row {
    fn of(server: &VirtualServer) -> Self {
        Self {
            id: server.id.to_string(),
            name: server.name.clone(),
            slug: server.slug.to_string(),
            items: server.items.len(),
            access: told(&server.access),
            changed: Moment::exact(server.updated_at),
        }
    }
}

/// The form for a new one.
#[derive(Template)]
#[template(path = "server_new.html")]
struct NewServerPage {
    frame: Frame,
    form: Form,
}

/// `GET /ui/servers`
pub(super) async fn show(
    State(state): State<AppState>,
    session: SessionCaller,
    Asked(asked): Asked,
) -> Result<Response, PageError> {
    session.caller.require(Permission::ReadGateways)?;
    let servers = state.broker.virtual_servers(&session.caller).await?;
    let frame = Frame::new(&state, &session, Here::Servers).noted(&asked);
    Ok(page::page(&ServersPage { frame, rows: servers.iter().map(|server| Row::of(server)).collect() }))
}

/// `GET /ui/servers/new`
pub(super) async fn show_new(
    State(state): State<AppState>,
    session: SessionCaller,
) -> Result<Response, PageError> {
    session.caller.require(Permission::ManageGateways)?;
    let frame = Frame::new(&state, &session, Here::Servers);
    Ok(page::page(&NewServerPage { frame, form: Form::blank() }))
}

/// `POST /ui/servers/new`
pub(super) async fn create(
    State(state): State<AppState>,
    session: SessionCaller,
    CheckedForm(typed): CheckedForm<Fields>,
) -> Result<Response, PageError> {
    let input = VirtualServerInput {
        slug: typed.filled("slug"),
        name: Some(typed.text("name").to_owned()),
        ..VirtualServerInput::default()
    };
    match state.broker.create_virtual_server(&session.caller, input).await {
        Ok(server) => {
            Ok(Redirect::to(&format!("/ui/servers/{}/items?note=server-created", server.id)).into_response())
        }
        Err(error) => {
            let form = Form::refused(&typed, error)?;
            let frame = Frame::new(&state, &session, Here::Servers);
            Ok(page::with_status(form.status, &NewServerPage { frame, form }))
        }
    }
}

#[cfg(test)]
pub(super) fn samples() -> Vec<(&'static str, String)> {
    let page = |rows| ServersPage { frame: Frame::sample(Here::Servers), rows };
    let form = Form::with([("name", "Support"), ("slug", "a b")]).problem(
        http::StatusCode::BAD_REQUEST,
        "slug",
        "use 1 to 32 of a-z, 0-9 and '-'",
    );
    vec![
        ("servers", page(vec![Row::of(&crate::ui::samples::virtual_server())]).render().unwrap()),
        ("servers-empty", page(Vec::new()).render().unwrap()),
        ("server-new", NewServerPage { frame: Frame::sample(Here::Servers), form }.render().unwrap()),
    ]
}
