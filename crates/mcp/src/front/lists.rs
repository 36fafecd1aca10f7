//! The four lists, merged: by slug, then in the upstream's order. A gateway that cannot be read does not
//! spoil the rest; one that nobody has connected shows a tool to connect it.

use super::Front;
use super::answer::{OwnResult, Reply};
use super::request::{ClientRequest, Endpoint};
use crate::bridge::item_for;
use crate::catalog::{CatalogState, IndexedCatalog};
use crate::connections_tool;
use crate::envelope::{edit, json_string, text_member};
use crate::errors::ProtocolError;
use crate::names::NameTable;
use crate::resource_owners::ResourceOwners;
use crate::selection;
use doorward_domain::{CatalogItem, CatalogKind, Gateway, UserId};
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::sync::Arc;

/// Items of one page. Many clients never ask for a second one.
const PAGE_ITEMS: usize = 500;

/// Purpose under which cursors are sealed.
const CURSOR: &str = "mcp.cursor";

/// `_meta`: the slugs of gateways whose lists are missing here because they could not be read.
const META_UNAVAILABLE: &str = "doorward/unavailable";

/// Where the next page begins. Sealed for one user: it names gateways.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Position {
    user: UserId,
    endpoint: String,
    kind: CatalogKind,
    slug: String,
    offset: usize,
}

/// A gateway's part of the list.
struct Part {
    gateway: Arc<Gateway>,
    items: Vec<String>,
}

/// Gateways with what is known of them, by slug.
pub(crate) type View = Vec<(Arc<Gateway>, CatalogState)>;

/// What is known of every gateway that the request may concern; all are asked at the same time.
pub(crate) async fn view(front: &Front, request: &ClientRequest) -> Result<View, ProtocolError> {
    let gateways = front.gateways_at(&request.caller, &request.endpoint).await?;
    let states = join_all(gateways.iter().map(|gateway| front.catalogs.of(&request.caller, gateway))).await;
    let view = gateways.into_iter().zip(states);
    Ok(match &request.endpoint {
        Endpoint::All | Endpoint::One(_) => view.collect(),
        Endpoint::Server(server) => view.map(|known| selection::chosen(server, known)).collect(),
    })
}

/// Who owns which resource, among the gateways of a view.
pub(crate) fn owners(view: &View) -> ResourceOwners {
    ResourceOwners::new(view.iter().map(|(gateway, state)| (Arc::clone(gateway), known(state).cloned())))
}

fn known(state: &CatalogState) -> Option<&Arc<IndexedCatalog>> {
    match state {
        CatalogState::Known(catalog) => Some(catalog),
        CatalogState::MustAuthorize | CatalogState::Unreachable(_) => None,
    }
}

/// Answers one of the four list requests.
pub(super) async fn list(
    front: &Front,
    request: &ClientRequest,
    kind: CatalogKind,
) -> Result<Reply, ProtocolError> {
    let start = start(front, request, kind)?;
    let mut view = view(front, request).await?;
    let owners = owners(&view);
    let names = front.catalogs.names().table().await?;
    if let Some(start) = &start {
        view.retain(|(gateway, _)| gateway.slug.as_str() >= start.slug.as_str());
    }
    let parts = view.iter().map(|(gateway, state)| Part {
        gateway: Arc::clone(gateway),
        items: items_of(request, kind, gateway, state, (&names, &owners)),
    });
    let offset = start.as_ref().map(|start| (start.slug.as_str(), start.offset));
    let (mut items, next) = page(parts.collect(), offset, PAGE_ITEMS);
    if start.is_none() && kind == CatalogKind::Tool && !matches!(request.endpoint, Endpoint::One(_)) {
        items.insert(0, connections_tool::descriptor());
    }
    note_unconnected(request, &view);
    let key = match kind {
        CatalogKind::Tool => "tools",
        CatalogKind::Resource => "resources",
        CatalogKind::ResourceTemplate => "resourceTemplates",
        CatalogKind::Prompt => "prompts",
    };
    let mut result = OwnResult::to(request).with(key, format!("[{}]", items.join(",")));
    if let Some((slug, offset)) = next {
        let next = Position { slug, offset, ..position(request, kind) };
        let sealed = serde_json::to_vec(&next).expect("a position is representable as JSON");
        result = result.with("nextCursor", json_string(&front.broker.seal_state(CURSOR, &sealed)));
    }
    let missing: Vec<String> = view
        .iter()
        .filter(|(_, state)| matches!(state, CatalogState::Unreachable(_)))
        .map(|(gateway, _)| json_string(gateway.slug.as_str()))
        .collect();
    if !missing.is_empty() {
        result = result.meta(META_UNAVAILABLE, format!("[{}]", missing.join(",")));
    }
    Ok(result.cacheable().reply())
}

fn position(request: &ClientRequest, kind: CatalogKind) -> Position {
    Position {
        user: request.caller.user.id,
        endpoint: request.endpoint.path(),
        kind,
        slug: String::new(),
        offset: 0,
    }
}

/// Where the client's cursor points. No cursor and an empty one are the beginning.
fn start(
    front: &Front,
    request: &ClientRequest,
    kind: CatalogKind,
) -> Result<Option<Position>, ProtocolError> {
    let invalid = || ProtocolError::InvalidParams("`params.cursor` is not one that this list gave".into());
    if request.param("cursor").is_none_or(|cursor| cursor.get() == "null") {
        return Ok(None);
    }
    let params = request.params.as_deref();
    let cursor = params.and_then(|params| text_member(params, "cursor")).ok_or_else(invalid)?;
    if cursor.is_empty() {
        return Ok(None);
    }
    let opened = front.broker.open_state(CURSOR, &cursor).ok_or_else(invalid)?;
    let opened: Position = serde_json::from_slice(&opened).map_err(|_| invalid())?;
    let beginning = Position { slug: opened.slug.clone(), offset: opened.offset, ..position(request, kind) };
    if opened == beginning { Ok(Some(opened)) } else { Err(invalid()) }
}

/// Cuts one page out of the parts, and tells where the next one begins.
fn page(
    parts: Vec<Part>,
    start: Option<(&str, usize)>,
    limit: usize,
) -> (Vec<String>, Option<(String, usize)>) {
    let mut page = Vec::new();
    for part in parts {
        let slug = part.gateway.slug.as_str();
        let from = start.filter(|(first, _)| *first == slug).map_or(0, |(_, offset)| offset);
        let room = limit - page.len();
        let left = part.items.len().saturating_sub(from);
        if left > 0 && room == 0 {
            return (page, Some((slug.to_owned(), from)));
        }
        if left > room {
            let next = (slug.to_owned(), from + room);
            page.extend(part.items.into_iter().skip(from).take(room));
            return (page, Some(next));
        }
        page.extend(part.items.into_iter().skip(from));
    }
    (page, None)
}

fn items_of(
    request: &ClientRequest,
    kind: CatalogKind,
    gateway: &Gateway,
    state: &CatalogState,
    exposed: (&NameTable, &ResourceOwners),
) -> Vec<String> {
    match state {
        CatalogState::Known(catalog) => catalog
            .of_kind(kind)
            .filter_map(|item| {
                let json = item_for(request.facts.revision, kind, &item.json);
                match request.endpoint {
                    Endpoint::One(_) => Some(json.into_owned()),
                    Endpoint::All => renamed(gateway, item, json, None, exposed),
                    Endpoint::Server(ref server) => {
                        let given = selection::given(server, gateway, item);
                        renamed(gateway, item, json, given, exposed)
                            .filter(|_| !selection::is_shadowed(server, gateway, item, exposed.0))
                    }
                }
            })
            .collect(),
        CatalogState::MustAuthorize if kind == CatalogKind::Tool => {
            vec![connections_tool::connect_descriptor(gateway)]
        }
        CatalogState::MustAuthorize | CatalogState::Unreachable(_) => Vec::new(),
    }
}

/// An item under the name that was given to it, or that clients of `/mcp` see.
fn renamed(
    gateway: &Gateway,
    item: &CatalogItem,
    json: Cow<'_, str>,
    given: Option<&str>,
    (names, owners): (&NameTable, &ResourceOwners),
) -> Option<String> {
    let (member, new) = match item.kind {
        CatalogKind::Tool | CatalogKind::Prompt => {
            let Some(exposed) = given.or_else(|| names.exposed(item.kind, gateway.id, &item.name)) else {
                tracing::warn!(gateway = %gateway.slug, name = item.name, "an item has no exposed name");
                return None;
            };
            ("name", Cow::Borrowed(exposed))
        }
        CatalogKind::Resource => ("uri", owners.exposed_uri(item.kind, gateway.id, &item.name)),
        CatalogKind::ResourceTemplate => {
            ("uriTemplate", owners.exposed_uri(item.kind, gateway.id, &item.name))
        }
    };
    if new == item.name {
        return Some(json.into_owned());
    }
    edit(&json, &[(member, Some(&json_string(&new)))])
}

/// The session hears of it when one of these is connected.
fn note_unconnected(request: &ClientRequest, view: &View) {
    let Some(session) = &request.session else { return };
    let unconnected = view.iter().filter(|(_, state)| matches!(state, CatalogState::MustAuthorize));
    session.showed_unconnected(unconnected.map(|(gateway, _)| gateway.id));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::tests::gateway_at;
    use doorward_domain::Slug;

    fn parts(sizes: &[(&str, usize)]) -> Vec<Part> {
        let part = |(slug, size): &(&str, usize)| {
            let mut gateway = gateway_at("http://127.0.0.1/mcp");
            gateway.slug = Slug::parse(slug).unwrap();
            Part { gateway: Arc::new(gateway), items: (0..*size).map(|n| format!("{slug}{n}")).collect() }
        };
        sizes.iter().map(part).collect()
    }

    #[test]
    fn trap_14_pages_give_every_item_exactly_once_and_survive_a_gateway_that_is_gone() {
        let sizes = [("a", 2), ("b", 0), ("c", 50)];
        let mut all = Vec::new();
        let mut at: Option<(String, usize)> = None;
        loop {
            let start = at.as_ref().map(|(slug, offset)| (slug.as_str(), *offset));
            let rest = parts(&sizes)
                .into_iter()
                .filter(|part| start.is_none_or(|(slug, _)| part.gateway.slug.as_str() >= slug));
            let (page, next) = page(rest.collect(), start, 7);
            assert!(page.len() <= 7);
            all.extend(page);
            at = next;
            if at.is_none() {
                break;
            }
        }
        assert_eq!(all.len(), 52);
        assert_eq!((all[0].as_str(), all[2].as_str(), all[51].as_str()), ("a0", "c0", "c49"));
        let (page, next) = page(parts(&[("d", 1)]), Some(("c", 3)), 7);
        assert_eq!((page, next), (vec!["d0".to_owned()], None));
    }

    #[test]
    fn a_page_that_ends_with_a_gateway_goes_on_with_the_next_one() {
        let (first, next) = page(parts(&[("a", 2), ("b", 0), ("c", 1)]), None, 2);
        assert_eq!((first.len(), next), (2, Some(("c".to_owned(), 0))));
        let (first, next) = page(parts(&[("a", 2), ("b", 0)]), None, 2);
        assert_eq!((first.len(), next), (2, None));
    }
}
