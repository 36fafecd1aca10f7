//! One virtual server: its address, the names of what it offers, who may use it, and its end.

use crate::extract::{CheckedForm, SessionCaller};
use crate::state::AppState;
use crate::ui::access_list::{self, AccessPage, Thing};
use crate::ui::confirm::Confirm;
use crate::ui::error::PageError;
use crate::ui::form::{Asked, Fields, Form};
use crate::ui::gateway::version_of;
use crate::ui::page::{self, Frame, Here};
use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use doorward_broker::{Caller, VirtualServerInput};
use doorward_domain::{CatalogKind, Gateway, Permission, ServerItem, VirtualServer};
use std::sync::Arc;

/// The page.
#[derive(Template)]
#[template(path = "server.html")]
struct ServerPage {
    frame: Frame,
    id: String,
    name: String,
    slug: String,
    mcp_url: String,
    access: String,
    version: String,
    form: Form,
    rows: Vec<Row>,
}

/// One thing that it offers.
struct Row {
    kind: &'static str,
    gateway: String,
    name: String,
    /// The field of the name that is given to it; none where its URI stays.
    field: Option<String>,
}

/// A kind as people call it.
pub(super) const fn kind_name(kind: CatalogKind) -> &'static str {
    match kind {
        CatalogKind::Tool => "Tool",
        CatalogKind::Resource => "Resource",
        CatalogKind::ResourceTemplate => "Resource template",
        CatalogKind::Prompt => "Prompt",
    }
}

const fn may_be_named(kind: CatalogKind) -> bool {
    matches!(kind, CatalogKind::Tool | CatalogKind::Prompt)
}

fn rows(server: &VirtualServer, gateways: &[Arc<Gateway>]) -> Vec<Row> {
    let name_of = |item: &ServerItem| {
        let gateway = gateways.iter().find(|gateway| gateway.id == item.gateway_id);
        gateway.map_or_else(|| "a gateway that is gone".to_owned(), |gateway| gateway.name.clone())
    };
    let row = |(at, item): (usize, &ServerItem)| Row {
        kind: kind_name(item.kind),
        gateway: name_of(item),
        name: item.name.clone(),
        field: may_be_named(item.kind).then(|| format!("as.{at}")),
    };
    server.items.iter().enumerate().map(row).collect()
}

/// A virtual server, for those who manage gateways.
pub(super) async fn managed(
    state: &AppState,
    caller: &Caller,
    id: &str,
) -> Result<Arc<VirtualServer>, PageError> {
    caller.require(Permission::ManageGateways)?;
    Ok(state.broker.virtual_server(caller, crate::ui::id(id)?).await?)
}

fn form_of(server: &VirtualServer) -> Form {
    let form = Form::with([("name", server.name.as_str())]);
    let given = server.items.iter().enumerate();
    given.fold(form, |form, (at, item)| form.and(&format!("as.{at}"), item.exposed.as_deref().unwrap_or("")))
}

async fn shown(
    state: &AppState,
    session: &SessionCaller,
    server: &VirtualServer,
    form: Form,
    asked: &Fields,
) -> Result<Response, PageError> {
    let gateways = state.broker.readable_gateways(&session.caller).await?;
    let mut mcp_url = state.facts.public_url.clone();
    mcp_url.set_path(&format!("servers/{}/mcp", server.slug));
    let status = form.status;
    let page = ServerPage {
        frame: Frame::new(state, session, Here::Servers).noted(asked),
        id: server.id.to_string(),
        name: server.name.clone(),
        slug: server.slug.to_string(),
        mcp_url: mcp_url.into(),
        access: access_list::told(&server.access),
        version: server.version.to_string(),
        rows: rows(server, &gateways),
        form,
    };
    Ok(page::with_status(status, &page))
}

/// `GET /ui/servers/{id}`
pub(super) async fn show(
    State(state): State<AppState>,
    session: SessionCaller,
    Path(id): Path<String>,
    Asked(asked): Asked,
) -> Result<Response, PageError> {
    session.caller.require(Permission::ReadGateways)?;
    let server = state.broker.virtual_server(&session.caller, crate::ui::id(&id)?).await?;
    shown(&state, &session, &server, form_of(&server), &asked).await
}

/// `POST /ui/servers/{id}`: its name, and the names of what it offers.
pub(super) async fn update(
    State(state): State<AppState>,
    session: SessionCaller,
    Path(id): Path<String>,
    CheckedForm(typed): CheckedForm<Fields>,
) -> Result<Response, PageError> {
    let caller = &session.caller;
    let server = managed(&state, caller, &id).await?;
    let mut items = server.items.clone();
    for (at, item) in items.iter_mut().enumerate().filter(|(_, item)| may_be_named(item.kind)) {
        item.exposed = typed.filled(&format!("as.{at}"));
    }
    let input = VirtualServerInput {
        name: Some(typed.text("name").to_owned()),
        items: Some(items),
        ..VirtualServerInput::default()
    };
    match state.broker.update_virtual_server(caller, server.id, Some(version_of(&typed)), input).await {
        Ok(_) => Ok(Redirect::to(&format!("/ui/servers/{id}?note=saved")).into_response()),
        Err(error) => {
            shown(&state, &session, &server, Form::refused(&typed, error)?, &Fields::default()).await
        }
    }
}

/// `GET /ui/servers/{id}/access`
pub(super) async fn show_access(
    State(state): State<AppState>,
    session: SessionCaller,
    Path(id): Path<String>,
) -> Result<Response, PageError> {
    let server = managed(&state, &session.caller, &id).await?;
    let form = access_list::filled(&state, &session.caller, Form::blank(), &server.access).await?;
    let frame = Frame::new(&state, &session, Here::Servers);
    let back = format!("/ui/servers/{id}");
    let thing = Thing::whole(back, &server.name);
    AccessPage::respond(&state, &session, frame, thing, form, server.version.to_string()).await
}

/// `POST /ui/servers/{id}/access`
pub(super) async fn save_access(
    State(state): State<AppState>,
    session: SessionCaller,
    Path(id): Path<String>,
    CheckedForm(typed): CheckedForm<Fields>,
) -> Result<Response, PageError> {
    let caller = &session.caller;
    let server = managed(&state, caller, &id).await?;
    let saved = match access_list::typed(&state, caller, &typed).await {
        Ok(access) => {
            let input = VirtualServerInput { access: Some(access), ..VirtualServerInput::default() };
            state.broker.update_virtual_server(caller, server.id, Some(version_of(&typed)), input).await
        }
        Err(error) => Err(error),
    };
    let thing = Thing::whole(format!("/ui/servers/{id}"), &server.name);
    AccessPage::saved(&state, &session, Here::Servers, thing, &typed, saved).await
}

/// `GET /ui/servers/{id}/delete`
pub(super) async fn ask_delete(
    State(state): State<AppState>,
    session: SessionCaller,
    Path(id): Path<String>,
) -> Result<Response, PageError> {
    let server = managed(&state, &session.caller, &id).await?;
    Ok(page::page(&Confirm {
        frame: Frame::new(&state, &session, Here::Servers),
        title: format!("Delete the virtual server {}?", server.name),
        lines: vec![
            "Clients that are set to its address find nothing there any more.".to_owned(),
            "Its gateways stay, and so do people’s authorizations there.".to_owned(),
        ],
        action: format!("/ui/servers/{id}/delete"),
        button: "Delete it",
        danger: true,
        back: format!("/ui/servers/{id}"),
        version: Some(server.version),
    }))
}

/// `POST /ui/servers/{id}/delete`
pub(super) async fn delete(
    State(state): State<AppState>,
    session: SessionCaller,
    Path(id): Path<String>,
    CheckedForm(typed): CheckedForm<Fields>,
) -> Result<Response, PageError> {
    let version = Some(version_of(&typed));
    state.broker.delete_virtual_server(&session.caller, crate::ui::id(&id)?, version).await?;
    Ok(Redirect::to("/ui/servers?note=deleted").into_response())
}

#[cfg(test)]
pub(super) fn samples() -> Vec<(&'static str, String)> {
    let server = crate::ui::samples::virtual_server();
    let gateways: Vec<_> = crate::ui::samples::gateways().into_iter().map(Arc::new).collect();
    let page = |rows, form| ServerPage {
        frame: Frame::sample(Here::Servers),
        id: server.id.to_string(),
        name: server.name.clone(),
        slug: server.slug.to_string(),
        mcp_url: "http://localhost:4444/servers/support/mcp".into(),
        access: "Everyone".into(),
        version: "1".into(),
        form,
        rows,
    };
    let form = form_of(&server);
    let refused = form.clone().problem(
        http::StatusCode::BAD_REQUEST,
        "items.exposed_name",
        "two of them cannot both be called \"<script>no\"",
    );
    vec![
        ("server", page(rows(&server, &gateways), form.clone()).render().unwrap()),
        ("server-refused", page(rows(&server, &[]), refused).render().unwrap()),
        ("server-blank", page(Vec::new(), form).render().unwrap()),
    ]
}
