//! Who may use single tools of a gateway: a list of its tools, and a page for each.

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
use doorward_domain::{AccessList, Gateway};
use http::StatusCode;
use std::sync::Arc;

/// The list.
#[derive(Template)]
#[template(path = "gateway_tools.html")]
struct ToolsPage {
    frame: Frame,
    id: String,
    name: String,
    tools: Vec<Tool>,
}

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
    let page = ToolsPage { frame, id, name: gateway.name.clone(), tools };
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
    let page = |tools| ToolsPage { frame: frame(), id: "1".into(), name: "GitHub <i>https".into(), tools };
    let tools = vec![
        tool("create_issue", "2 groups and 3 people"),
        tool("delete & <b>all", "Nobody but administrators"),
        Tool::of(gateway, "search"),
    ];
    vec![
        ("gateway-tools", page(tools).render().unwrap()),
        ("gateway-tools-none", page(vec![]).render().unwrap()),
    ]
}
