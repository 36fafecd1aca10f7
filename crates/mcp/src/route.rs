//! Which gateway a request is for. On `/mcp` by exact match in the table of exposed names, or by the owner
//! of a URI; the name's form decides nothing, but for whom to ask to connect what nobody has read.

use crate::catalog::CatalogState;
use crate::catalog_reader::ourselves;
use crate::connections_tool::{CONNECTIONS, connect_name};
use crate::envelope::{edit, json_string, member, raw, text_member};
use crate::errors::ProtocolError;
use crate::front::{ClientRequest, Endpoint, Front, Method, View, owners, view};
use crate::held;
use crate::selection;
use crate::tasks;
use crate::upstream::Subscription;
use doorward_domain::{CatalogKind, Gateway, GatewayId};
use serde_json::value::RawValue;
use std::sync::Arc;

/// Who answers.
pub(crate) enum Route {
    /// A gateway. `params` where they had to be changed: with the upstream's own names.
    Upstream { gateway: Arc<Gateway>, params: Option<Box<RawValue>> },
    /// A gateway of which nobody has read what it offers.
    Unread(Arc<Gateway>),
    /// The standing tool.
    Connections,
    /// A gateway's tool to connect it.
    Connect(Arc<Gateway>),
}

/// Finds who answers a request that names something. What is held back is nobody's.
pub(crate) async fn route(
    front: &Front,
    request: &ClientRequest,
    method: Method,
) -> Result<Route, ProtocolError> {
    let route = owner_of(front, request, method).await?;
    let kind = match method {
        Method::CallTool => CatalogKind::Tool,
        Method::GetPrompt => CatalogKind::Prompt,
        _ => return Ok(route),
    };
    if let Route::Upstream { gateway, params } = &route {
        let params = params.as_deref().or(request.params.as_deref());
        let name = params.and_then(|params| text_member(params, "name")).unwrap_or_default();
        if kind == CatalogKind::Tool {
            let hidden = front.broker.hidden_tools(&request.caller.user, gateway.id).await?;
            if hidden.contains(name.as_ref()) {
                // As if there were none: what is not for somebody is not told to them either.
                let called = request.text("name")?;
                return Err(ProtocolError::InvalidParams(format!("there is no tool {:?}", cut(&called))));
            }
        }
        held::check(&front.catalogs, &request.caller, gateway, kind, &name).await?;
    }
    Ok(route)
}

async fn owner_of(front: &Front, request: &ClientRequest, method: Method) -> Result<Route, ProtocolError> {
    match (&request.endpoint, method) {
        (_, Method::Task | Method::TaskResult) => {
            let (gateway, params) = tasks::owner(front, request).await?;
            Ok(Route::Upstream { gateway, params: raw(params) })
        }
        (Endpoint::One(gateway), Method::CallTool) => one_tool(front, request, gateway).await,
        (Endpoint::One(gateway), Method::ReadResource) => {
            request.text("uri").map(|_| unchanged(Arc::clone(gateway)))
        }
        (Endpoint::One(gateway), Method::GetPrompt) => {
            request.text("name").map(|_| unchanged(Arc::clone(gateway)))
        }
        (Endpoint::One(gateway), _) => Ok(unchanged(Arc::clone(gateway))),
        (_, Method::CallTool) => tool(front, request).await,
        (_, Method::GetPrompt) => {
            let name = request.text("name")?;
            match prompt(front, request, &name).await? {
                Ok((gateway, original)) => upstream(request, gateway, "name", &name, &original),
                Err(unread) => Ok(unread),
            }
        }
        (_, Method::ReadResource) => {
            let uri = request.text("uri")?;
            let (gateway, original) = owner(front, request, &uri).await?;
            upstream(request, gateway, "uri", &uri, &original)
        }
        (_, _) => completion(front, request).await,
    }
}

/// Begins to follow a resource: its gateway, the gateway's own URI, and what ends it when dropped.
pub(crate) async fn resource_subscription(
    front: &Front,
    request: &ClientRequest,
    uri: &str,
) -> Result<(GatewayId, String, Subscription), ProtocolError> {
    let (gateway, original) = match &request.endpoint {
        Endpoint::One(gateway) => (Arc::clone(gateway), uri.to_owned()),
        Endpoint::All | Endpoint::Server(_) => owner(front, request, uri).await?,
    };
    let watch = front.upstreams.watch(&request.caller, &gateway, &ourselves());
    let subscription = watch.subscribe(&original).await?;
    Ok((gateway.id, original, subscription))
}

fn unchanged(gateway: Arc<Gateway>) -> Route {
    Route::Upstream { gateway, params: None }
}

/// At a gateway's own endpoint nothing is renamed; its connect tool gives way to a tool of that name.
async fn one_tool(
    front: &Front,
    request: &ClientRequest,
    gateway: &Arc<Gateway>,
) -> Result<Route, ProtocolError> {
    let name = request.text("name")?;
    if name != connect_name(gateway) {
        return Ok(unchanged(Arc::clone(gateway)));
    }
    let is_theirs = match front.catalogs.of(&request.caller, gateway).await {
        CatalogState::Known(catalog) => catalog.of_kind(CatalogKind::Tool).any(|tool| tool.name == name),
        CatalogState::MustAuthorize | CatalogState::Unreachable(_) => false,
    };
    Ok(if is_theirs { unchanged(Arc::clone(gateway)) } else { Route::Connect(Arc::clone(gateway)) })
}

async fn tool(front: &Front, request: &ClientRequest) -> Result<Route, ProtocolError> {
    let name = request.text("name")?;
    if let Some((gateway, original)) = named(front, request, CatalogKind::Tool, &name).await? {
        return upstream(request, gateway, "name", &name, &original);
    }
    if name == CONNECTIONS {
        return Ok(Route::Connections);
    }
    let view = view(front, request).await?;
    if let Some((gateway, _)) = view.iter().find(|(gateway, _)| connect_name(gateway) == name) {
        return Ok(Route::Connect(Arc::clone(gateway)));
    }
    // What was not known before the view was read may be known now.
    match named(front, request, CatalogKind::Tool, &name).await? {
        Some((gateway, original)) => upstream(request, gateway, "name", &name, &original),
        None => unread(&view, &name, "tool"),
    }
}

/// The gateway that has a prompt, or the one to ask for before it can be told.
async fn prompt(
    front: &Front,
    request: &ClientRequest,
    name: &str,
) -> Result<Result<(Arc<Gateway>, String), Route>, ProtocolError> {
    if let Some(found) = named(front, request, CatalogKind::Prompt, name).await? {
        return Ok(Ok(found));
    }
    let view = view(front, request).await?;
    // What was not known before the view was read may be known now.
    match named(front, request, CatalogKind::Prompt, name).await? {
        Some(found) => Ok(Ok(found)),
        None => unread(&view, name, "prompt").map(Err),
    }
}

/// The gateway behind an exposed name, if the caller may use it, and the name there.
async fn named(
    front: &Front,
    request: &ClientRequest,
    kind: CatalogKind,
    name: &str,
) -> Result<Option<(Arc<Gateway>, String)>, ProtocolError> {
    let table = front.catalogs.names().table().await?;
    let found = match &request.endpoint {
        Endpoint::Server(server) => selection::original(server, &table, kind, name),
        Endpoint::All | Endpoint::One(_) => table.original(kind, name),
    };
    let Some((id, original)) = found else { return Ok(None) };
    let usable = front.broker.served_gateways(&request.caller).await?;
    let gateway = usable.into_iter().find(|gateway| gateway.id == id);
    Ok(gateway.map(|gateway| (gateway, original.to_owned())))
}

/// A name that nobody knows: whoever has not been read yet may be meant, and is asked for first. The name
/// is looked up again afterwards, so nothing is routed by its form.
fn unread(view: &View, name: &str, what: &str) -> Result<Route, ProtocolError> {
    let mut candidates: Vec<&Arc<Gateway>> = view
        .iter()
        .filter(|(_, state)| matches!(state, CatalogState::MustAuthorize))
        .map(|(gateway, _)| gateway)
        .filter(|gateway| name.strip_prefix(gateway.slug.as_str()).is_some_and(|rest| rest.starts_with('-')))
        .collect();
    candidates.sort_by_key(|gateway| gateway.slug.as_str().len());
    match candidates.last() {
        Some(gateway) => Ok(Route::Unread(Arc::clone(gateway))),
        None => {
            Err(ProtocolError::InvalidParams(format!("there is no {what} {:?}{}", cut(name), hint(view))))
        }
    }
}

async fn owner(
    front: &Front,
    request: &ClientRequest,
    uri: &str,
) -> Result<(Arc<Gateway>, String), ProtocolError> {
    let view = view(front, request).await?;
    let owners = owners(&view);
    let found = match request.endpoint {
        Endpoint::Server(ref server) => {
            owners.listing(uri).filter(|(gateway, original)| selection::offers(server, gateway.id, original))
        }
        Endpoint::All | Endpoint::One(_) => owners.owner(uri),
    };
    let found = found.map(|(gateway, original)| (Arc::clone(gateway), original.into_owned()));
    found.ok_or_else(|| ProtocolError::UnknownResource { uri: cut(uri), hint: hint(&view) })
}

/// What is not listed may stand at a gateway that the user has not connected.
fn hint(view: &View) -> String {
    let unconnected = view.iter().any(|(_, state)| matches!(state, CatalogState::MustAuthorize));
    if unconnected {
        format!("; some servers are not connected yet: call {CONNECTIONS}")
    } else {
        String::new()
    }
}

/// Enough of a client's word to recognize it by.
fn cut(word: &str) -> String {
    word.chars().take(300).collect()
}

fn upstream(
    request: &ClientRequest,
    gateway: Arc<Gateway>,
    member: &str,
    exposed: &str,
    original: &str,
) -> Result<Route, ProtocolError> {
    let params = request.params.as_deref().filter(|_| exposed != original);
    let params = params.and_then(|params| edit(params.get(), &[(member, Some(&json_string(original)))]));
    Ok(Route::Upstream { gateway, params: params.and_then(raw) })
}

/// `completion/complete` goes to the owner of what it is about, under the owner's own name for it.
async fn completion(front: &Front, request: &ClientRequest) -> Result<Route, ProtocolError> {
    let invalid = |what: &str| ProtocolError::InvalidParams(format!("`params.ref{what}"));
    let params = request.params.as_deref();
    let reference =
        params.and_then(|params| member(params, "ref")).ok_or_else(|| invalid("` is required"))?;
    let kind = text_member(reference, "type").unwrap_or_default();
    let (name, (gateway, original)) = match kind.as_ref() {
        "ref/prompt" => {
            let name = text_member(reference, "name").ok_or_else(|| invalid(".name` must be a string"))?;
            match prompt(front, request, &name).await? {
                Ok(found) => ("name", found),
                Err(unread) => return Ok(unread),
            }
        }
        "ref/resource" => {
            let uri = text_member(reference, "uri").ok_or_else(|| invalid(".uri` must be a string"))?;
            ("uri", owner(front, request, &uri).await?)
        }
        _ => return Err(invalid(".type` must be ref/prompt or ref/resource")),
    };
    let reference = edit(reference.get(), &[(name, Some(&json_string(&original)))]);
    let params = params.zip(reference).and_then(|(params, new)| edit(params.get(), &[("ref", Some(&new))]));
    Ok(Route::Upstream { gateway, params: params.and_then(raw) })
}
