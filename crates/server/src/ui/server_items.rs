//! What a virtual server offers, chosen from the catalogs that the administrator sees.

use crate::extract::{CheckedForm, SessionCaller};
use crate::state::AppState;
use crate::ui::error::PageError;
use crate::ui::form::{Asked, Fields, Form};
use crate::ui::gateway::version_of;
use crate::ui::page::{self, Frame, Here};
use crate::ui::server::{kind_name, managed};
use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use doorward_broker::{BrokerError, VirtualServerInput};
use doorward_domain::{CatalogKind, Gateway, ServerItem, VirtualServer};
use doorward_mcp::CatalogState;
use futures_util::future::join_all;
use std::sync::Arc;

/// The boxes to tick.
#[derive(Template)]
#[template(path = "server_items.html")]
struct ItemsPage {
    frame: Frame,
    id: String,
    name: String,
    version: String,
    form: Form,
    gateways: Vec<Offer>,
}

/// What one gateway has to offer.
struct Offer {
    name: String,
    /// Why nothing can be ticked.
    missing: Option<&'static str>,
    boxes: Vec<TickBox>,
}

struct TickBox {
    value: String,
    kind: &'static str,
    name: String,
    ticked: bool,
}

/// An item as the value of a box: no id and no kind has a blank in it.
fn value_of(item: &ServerItem) -> String {
    format!("{} {} {}", item.gateway_id, item.kind.as_str(), item.name)
}

fn item_of(value: &str) -> Option<ServerItem> {
    let mut parts = value.splitn(3, ' ');
    let gateway_id = parts.next()?.parse().ok()?;
    let kind = parts.next()?;
    let kind = CatalogKind::ALL.into_iter().find(|known| known.as_str() == kind)?;
    Some(ServerItem { gateway_id, kind, name: parts.next()?.to_owned(), exposed: None })
}

fn offer(server: &VirtualServer, gateway: &Gateway, state: &CatalogState) -> Offer {
    let (listed, missing): (Vec<ServerItem>, _) = match state {
        CatalogState::Known(catalog) => (
            catalog
                .items
                .iter()
                .map(|item| ServerItem {
                    gateway_id: gateway.id,
                    kind: item.kind,
                    name: item.name.clone(),
                    exposed: None,
                })
                .collect(),
            None,
        ),
        CatalogState::MustAuthorize => {
            (Vec::new(), Some("You have not connected it: connect it to see what it offers."))
        }
        CatalogState::Unreachable(_) => (Vec::new(), Some("It could not be read just now.")),
    };
    // What was chosen stays in sight, also where the administrator's own catalog does not have it.
    let of_this = server.items.iter().filter(|item| item.gateway_id == gateway.id);
    let unlisted = of_this.filter(|item| {
        listed.iter().all(|other: &ServerItem| (other.kind, &other.name) != (item.kind, &item.name))
    });
    let boxes = listed.iter().chain(unlisted).map(|item| TickBox {
        value: value_of(item),
        kind: kind_name(item.kind),
        name: item.name.clone(),
        ticked: server.item(item.gateway_id, item.kind, &item.name).is_some(),
    });
    Offer { name: gateway.name.clone(), missing, boxes: boxes.collect() }
}

async fn shown(
    state: &AppState,
    session: &SessionCaller,
    server: &VirtualServer,
    form: Form,
    asked: &Fields,
) -> Result<Response, PageError> {
    let gateways = state.broker.served_gateways(&session.caller).await?;
    let states = join_all(gateways.iter().map(|gateway| state.catalogs.of(&session.caller, gateway))).await;
    let offers = gateways.iter().zip(&states).map(|(gateway, known)| offer(server, gateway, known)).collect();
    let status = form.status;
    let page = ItemsPage {
        frame: Frame::new(state, session, Here::Servers).noted(asked),
        id: server.id.to_string(),
        name: server.name.clone(),
        version: server.version.to_string(),
        form,
        gateways: offers,
    };
    Ok(page::with_status(status, &page))
}

/// `GET /ui/servers/{id}/items`
pub(super) async fn show(
    State(state): State<AppState>,
    session: SessionCaller,
    Path(id): Path<String>,
    Asked(asked): Asked,
) -> Result<Response, PageError> {
    let server = managed(&state, &session.caller, &id).await?;
    shown(&state, &session, &server, Form::blank(), &asked).await
}

/// `POST /ui/servers/{id}/items`
pub(super) async fn save(
    State(state): State<AppState>,
    session: SessionCaller,
    Path(id): Path<String>,
    CheckedForm(typed): CheckedForm<Fields>,
) -> Result<Response, PageError> {
    let caller = &session.caller;
    let server: Arc<VirtualServer> = managed(&state, caller, &id).await?;
    let with_its_name = |item: ServerItem| {
        let before = server.item(item.gateway_id, item.kind, &item.name);
        ServerItem { exposed: before.and_then(|before| before.exposed.clone()), ..item }
    };
    let ticked: Option<Vec<ServerItem>> =
        typed.all("items").map(|value| item_of(value).map(with_its_name)).collect();
    let saved = match ticked {
        Some(items) => {
            let input = VirtualServerInput { items: Some(items), ..VirtualServerInput::default() };
            state.broker.update_virtual_server(caller, server.id, Some(version_of(&typed)), input).await
        }
        None => Err(BrokerError::Invalid {
            field: "items".to_owned(),
            problem: "tick boxes of this page".to_owned(),
        }),
    };
    match saved {
        Ok(_) => Ok(Redirect::to(&format!("/ui/servers/{id}?note=saved")).into_response()),
        Err(error) => {
            shown(&state, &session, &server, Form::refused(&typed, error)?, &Fields::default()).await
        }
    }
}

#[cfg(test)]
pub(super) fn samples() -> Vec<(&'static str, String)> {
    let server = crate::ui::samples::virtual_server();
    let gateways = crate::ui::samples::gateways();
    let unread = |gateway| offer(&server, gateway, &CatalogState::MustAuthorize);
    let page = ItemsPage {
        frame: Frame::sample(Here::Servers),
        id: server.id.to_string(),
        name: server.name.clone(),
        version: "1".into(),
        form: Form::blank(),
        gateways: gateways.iter().map(unread).collect(),
    };
    vec![("server-items", page.render().unwrap())]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_survives_its_box_blanks_and_all() {
        for item in crate::ui::samples::virtual_server().items {
            let item = ServerItem { exposed: None, name: format!("{} with blanks", item.name), ..item };
            assert_eq!(item_of(&value_of(&item)), Some(item));
        }
        assert!(item_of("nonsense").is_none() && item_of("1 tool x").is_none());
    }
}
