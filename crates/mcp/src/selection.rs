//! What a virtual server shows: of each gateway that the caller may use, the chosen items alone, under the
//! names that were given to them, or else those of `/mcp`.

use crate::catalog::{CatalogState, IndexedCatalog};
use crate::errors::ProtocolError;
use crate::front::Front;
use crate::names::NameTable;
use crate::uri_template::UriTemplate;
use doorward_broker::Caller;
use doorward_domain::{Catalog, CatalogItem, CatalogKind, Gateway, GatewayId, VirtualServer};
use std::sync::Arc;

/// The gateways behind a virtual server that the caller may use, by slug.
pub(crate) async fn gateways(
    front: &Front,
    caller: &Caller,
    server: &VirtualServer,
) -> Result<Vec<Arc<Gateway>>, ProtocolError> {
    let mut gateways = front.broker.served_gateways(caller).await?;
    gateways.retain(|gateway| server.has_gateway(gateway.id));
    Ok(gateways)
}

/// What is known of a gateway, as far as it was chosen.
pub(crate) fn chosen(
    server: &VirtualServer,
    (gateway, state): (Arc<Gateway>, CatalogState),
) -> (Arc<Gateway>, CatalogState) {
    let state = match state {
        CatalogState::Known(known) => CatalogState::Known(Arc::new(IndexedCatalog::new(Catalog {
            items: known
                .items
                .iter()
                .filter(|item| server.item(gateway.id, item.kind, &item.name).is_some())
                .cloned()
                .collect(),
            gateway_id: known.gateway_id,
            user_id: known.user_id,
            instructions: None,
            fetched_at: known.fetched_at,
        }))),
        state => state,
    };
    (gateway, state)
}

/// The name that was given to an item.
pub(crate) fn given<'s>(server: &'s VirtualServer, gateway: &Gateway, item: &CatalogItem) -> Option<&'s str> {
    server.item(gateway.id, item.kind, &item.name)?.exposed.as_deref()
}

/// Whether the usual name of an item was given to another one here: then it has none.
pub(crate) fn is_shadowed(
    server: &VirtualServer,
    gateway: &Gateway,
    item: &CatalogItem,
    names: &NameTable,
) -> bool {
    let usual = names.exposed(item.kind, gateway.id, &item.name);
    given(server, gateway, item).is_none()
        && usual.is_some_and(|usual| server.given(item.kind, usual).is_some())
}

/// Whose tool or prompt a name stands for here, and what it is called there. A given name comes first.
pub(crate) fn original<'a>(
    server: &'a VirtualServer,
    names: &'a NameTable,
    kind: CatalogKind,
    exposed: &str,
) -> Option<(GatewayId, &'a str)> {
    if let Some(item) = server.given(kind, exposed) {
        return Some((item.gateway_id, &item.name));
    }
    let (gateway, original) = names.original(kind, exposed)?;
    let item = server.item(gateway, kind, original).filter(|item| item.exposed.is_none())?;
    Some((gateway, &item.name))
}

/// Whether a gateway's resource was chosen, by its URI or by a template that it fits.
pub(crate) fn offers(server: &VirtualServer, gateway: GatewayId, uri: &str) -> bool {
    server.items.iter().filter(|item| item.gateway_id == gateway).any(|item| match item.kind {
        CatalogKind::Resource => item.name == uri,
        CatalogKind::ResourceTemplate => {
            item.name == uri || UriTemplate::parse(&item.name).is_some_and(|template| template.matches(uri))
        }
        CatalogKind::Tool | CatalogKind::Prompt => false,
    })
}
