//! What a gateway offers: its tools with who may use them, and a page for each; its prompts and resources as the
//! reader sees them.

use crate::extract::{CheckedForm, SessionCaller};
use crate::state::AppState;
use crate::ui::access_list::{self, AccessPage, Thing};
use crate::ui::error::PageError;
use crate::ui::form::{Asked, Fields, Form};
use crate::ui::gateway::{managed, version_of};
use crate::ui::page::{self, Frame, Here};
use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use doorward_broker::GatewayInput;
use doorward_domain::{AccessList, CatalogItem, CatalogKind, Gateway};
use doorward_mcp::CatalogState;
use http::StatusCode;
use serde_json::Value;
use std::sync::Arc;

/// The list.
#[derive(Template)]
#[template(path = "gateway_tools.html")]
struct ToolsPage {
    frame: Frame,
    id: String,
    name: String,
    slug: String,
    tools: Vec<Tool>,
    rest: Rest,
}

/// Prompts and resources are each person's own: the reader sees what they see themselves.
enum Rest {
    Known(Vec<Section>),
    MustAuthorize,
    Unreachable(String),
}

struct Section {
    id: &'static str,
    title: &'static str,
    nothing: &'static str,
    items: Vec<Offered>,
}

struct Offered {
    name: String,
    description: String,
}

impl Rest {
    fn of(state: &CatalogState) -> Self {
        let catalog = match state {
            CatalogState::Known(catalog) => catalog,
            CatalogState::MustAuthorize => return Self::MustAuthorize,
            CatalogState::Unreachable(error) => {
                return Self::Unreachable(crate::ui::form::sentence(&error.to_string()));
            }
        };
        let section = |(kind, id, title, nothing)| Section {
            id,
            title,
            nothing,
            items: catalog.of_kind(kind).map(Offered::new).collect(),
        };
        Self::Known(SECTIONS.map(section).into())
    }
}

impl Offered {
    fn new(item: &CatalogItem) -> Self {
        let json: Value = serde_json::from_str(&item.json).unwrap_or_default();
        let description = json["description"].as_str().unwrap_or_default().to_owned();
        Self { name: item.name.clone(), description }
    }
}

const SECTIONS: [(CatalogKind, &str, &str, &str); 3] = [
    (CatalogKind::Prompt, "prompts", "Prompts", "It offers no prompts."),
    (CatalogKind::Resource, "resources", "Resources", "It lists no resources."),
    (CatalogKind::ResourceTemplate, "templates", "Resource templates", "It lists no templates."),
];

/// A tool, and whom it is for.
struct Tool {
    name: String,
    access: String,
    href: String,
}

impl Tool {
    fn of(gateway: &Gateway, name: &str) -> Self {
        let access = match gateway.access_of_tool(name) {
            AccessList::Everyone => "Everyone who may use the gateway".to_owned(),
            listed @ AccessList::Only { .. } => access_list::told(listed),
        };
        Self { name: name.to_owned(), access, href: access_of(&gateway.id.to_string(), name) }
    }
}

/// Where a tool's list has its page.
fn access_of(gateway: &str, tool: &str) -> String {
    let query = serde_urlencoded::to_string([("tool", tool)]).unwrap_or_default();
    format!("/ui/gateways/{gateway}/tools/access?{query}")
}

/// `GET /ui/gateways/{id}/tools`
pub(super) async fn show(
    State(state): State<AppState>,
    session: SessionCaller,
    Path(id): Path<String>,
    Asked(asked): Asked,
) -> Result<Response, PageError> {
    let gateway = state.broker.readable_gateway(&session.caller, crate::ui::id(&id)?).await?;
    let tools = state.broker.known_tools(&session.caller, gateway.id).await?;
    let frame = Frame::new(&state, &session, Here::Gateways).noted(&asked);
    let tools = tools.iter().map(|tool| Tool::of(&gateway, tool)).collect();
    let rest = Rest::of(&state.catalogs.of(&session.caller, &gateway).await);
    let (name, slug) = (gateway.name.clone(), gateway.slug.to_string());
    let page = ToolsPage { frame, id, name, slug, tools, rest };
    Ok(page::with_status(StatusCode::OK, &page))
}

/// `GET /ui/gateways/{id}/tools/access?tool=`
pub(super) async fn access(
    State(state): State<AppState>,
    session: SessionCaller,
    Path(id): Path<String>,
    Asked(asked): Asked,
) -> Result<Response, PageError> {
    let (gateway, tool) = named(&state, &session, &id, &asked).await?;
    let form =
        access_list::filled(&state, &session.caller, Form::blank(), gateway.access_of_tool(&tool)).await?;
    let frame = Frame::new(&state, &session, Here::Gateways);
    AccessPage::respond(&state, &session, frame, thing(&id, tool), form, gateway.version.to_string()).await
}

/// `POST /ui/gateways/{id}/tools/access?tool=`
pub(super) async fn save(
    State(state): State<AppState>,
    session: SessionCaller,
    Path(id): Path<String>,
    Asked(asked): Asked,
    CheckedForm(typed): CheckedForm<Fields>,
) -> Result<Response, PageError> {
    let caller = &session.caller;
    let (gateway, tool) = named(&state, &session, &id, &asked).await?;
    let saved = match access_list::typed(&state, caller, &typed).await {
        Ok(access) => {
            let mut lists = gateway.tool_access.clone();
            lists.insert(tool.clone(), access);
            let input = GatewayInput { tool_access: Some(lists), ..GatewayInput::default() };
            state.broker.update_gateway(caller, gateway.id, Some(version_of(&typed)), input).await
        }
        Err(error) => Err(error),
    };
    AccessPage::saved(&state, &session, Here::Gateways, thing(&id, tool), &typed, saved).await
}

/// The gateway, and one of its known tools.
async fn named(
    state: &AppState,
    session: &SessionCaller,
    id: &str,
    asked: &Fields,
) -> Result<(Arc<Gateway>, String), PageError> {
    let gateway = managed(state, &session.caller, id).await?;
    let tools = state.broker.known_tools(&session.caller, gateway.id).await?;
    let tool = asked.text("tool");
    let known = tools.contains(tool).then(|| tool.to_owned());
    known.map(|tool| (gateway, tool)).ok_or(PageError::NOT_FOUND)
}

fn thing(gateway: &str, tool: String) -> Thing {
    Thing {
        back: format!("/ui/gateways/{gateway}/tools"),
        action: access_of(gateway, &tool),
        name: tool,
        lede: "Of those who may use the gateway, whoever is not named here neither sees this tool nor calls it.",
    }
}

#[cfg(test)]
pub(super) fn samples() -> Vec<(&'static str, String)> {
    let gateways = crate::ui::samples::gateways();
    let (gateway, frame) = (&gateways[0], || Frame::sample(page::Here::Gateways));
    let tool = |name: &str, access: &str| Tool { access: access.into(), ..Tool::of(gateway, name) };
    let page = |tools, rest| {
        let (id, name, slug) = ("1".into(), "GitHub <i>https".into(), "github-mcp".into());
        ToolsPage { frame: frame(), id, name, slug, tools, rest }
    };
    let offered = |name: &str| Offered { name: name.into(), description: "Reads <b>admin".into() };
    let sections = SECTIONS.map(|(kind, id, title, nothing)| {
        let items = if kind == CatalogKind::Prompt { Vec::new() } else { vec![offered("repo://{owner}")] };
        Section { id, title, nothing, items }
    });
    let tools = vec![
        tool("create_issue", "2 groups and 3 people"),
        tool("delete & <b>all", "Nobody but administrators"),
        Tool::of(gateway, "search"),
    ];
    vec![
        ("gateway-tools", page(tools, Rest::Known(sections.into())).render().unwrap()),
        ("gateway-tools-none", page(vec![], Rest::MustAuthorize).render().unwrap()),
        ("gateway-tools-away", page(vec![], Rest::Unreachable("<script>no".into())).render().unwrap()),
    ]
}
