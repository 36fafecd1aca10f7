//! `subscriptions/listen` (2026-07-28): one stream on which a client hears of changed lists and of the resources
//! that it named, of every gateway at its endpoint. The acknowledgement comes first; everything carries the id
//! of the request; the end, where we end it, is a result.

use super::Front;
use super::answer::{OwnResult, Reply, object};
use super::follow::{Told, follow};
use super::request::ClientRequest;
use crate::envelope::{edit, json_string, member, member_at};
use crate::errors::ProtocolError;
use crate::limits::Turn;
use crate::revision::wire;
use crate::route;
use crate::tasks::{self, FollowedTasks};
use crate::upstream::{ListKind, Notice, Subscription};
use bytes::Bytes;
use doorward_domain::{GatewayId, UserId};
use futures_util::StreamExt;
use futures_util::stream;
use serde_json::value::RawValue;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

/// Resources that one stream may follow.
const MAX_URIS: usize = 200;

/// What the client wants to hear of.
struct Filter {
    lists: Vec<ListKind>,
    /// By gateway and the gateway's own URI: the URI that the client knows.
    resources: HashMap<(GatewayId, String), String>,
}

/// An open stream.
struct Listening {
    request: Arc<ClientRequest>,
    filter: Filter,
    told: mpsc::Receiver<Told>,
    tasks: FollowedTasks,
    waiting: VecDeque<Bytes>,
    is_over: bool,
    _following: AbortOnDropHandle<()>,
    _subscriptions: Vec<Subscription>,
    _turn: Turn<UserId>,
}

/// Answers `subscriptions/listen`.
pub(super) async fn listen(front: &Arc<Front>, request: &Arc<ClientRequest>) -> Result<Reply, ProtocolError> {
    let turn = front.admission.stream(request.caller.user.id)?;
    let wanted = request.param("notifications").filter(|wanted| wanted.get().starts_with('{'));
    let wanted = wanted
        .ok_or_else(|| ProtocolError::InvalidParams("`params.notifications` must be an object".to_owned()))?;
    if !request.accept_sse {
        return Err(ProtocolError::NotAcceptable("text/event-stream"));
    }
    let (sender, mut told) = mpsc::channel(64);
    let (caller, endpoint) = (request.caller.clone(), request.endpoint.clone());
    let following = AbortOnDropHandle::new(tokio::spawn(follow(Arc::clone(front), caller, endpoint, sender)));
    let is_wanted = |list: &ListKind| {
        let name = format!("{}ListChanged", list.as_str());
        member(wanted, &name).is_some_and(|is| is.get() == "true")
    };
    let lists: Vec<ListKind> = ListKind::ALL.into_iter().filter(is_wanted).collect();
    // Whatever comes before the streams are open is not lost to anybody who could have known of it.
    while !matches!(told.recv().await, Some(Told::Ready | Told::Over) | None) {}
    let (resources, subscriptions) = subscribe(front, request, wanted).await?;
    let tasks = tasks::follow(front, request, wanted).await?;
    let listening = Listening {
        request: Arc::clone(request),
        waiting: VecDeque::from([acknowledgement(request, &lists, &resources, &tasks)]),
        filter: Filter { lists, resources },
        told,
        tasks,
        is_over: false,
        _following: following,
        _subscriptions: subscriptions,
        _turn: turn,
    };
    Ok(Reply::Stream(stream::unfold(listening, next).boxed()))
}

type Followed = (HashMap<(GatewayId, String), String>, Vec<Subscription>);

/// Follows the resources that the client named; what cannot be followed is left out of the acknowledgement.
async fn subscribe(
    front: &Arc<Front>,
    request: &Arc<ClientRequest>,
    wanted: &RawValue,
) -> Result<Followed, ProtocolError> {
    let mut followed: Followed = (HashMap::new(), Vec::new());
    let Some(uris) = member(wanted, "resourceSubscriptions") else { return Ok(followed) };
    let invalid = |what: &str| {
        ProtocolError::InvalidParams(format!("`params.notifications.resourceSubscriptions` {what}"))
    };
    let uris: Vec<String> =
        serde_json::from_str(uris.get()).map_err(|_| invalid("must be a list of strings"))?;
    if uris.len() > MAX_URIS {
        return Err(invalid(&format!("may name at most {MAX_URIS} resources")));
    }
    for uri in uris {
        match route::resource_subscription(front, request, &uri).await {
            Ok((gateway, original, subscription)) => {
                followed.0.insert((gateway, original), uri);
                followed.1.push(subscription);
            }
            Err(error) => tracing::debug!(%error, "a resource is not followed"),
        }
    }
    Ok(followed)
}

async fn next(mut listening: Listening) -> Option<(Bytes, Listening)> {
    loop {
        if let Some(message) = listening.waiting.pop_front() {
            return Some((message, listening));
        }
        if listening.is_over {
            return None;
        }
        let told = tokio::select! {
            told = listening.told.recv() => told,
            message = listening.tasks.next() => {
                listening.waiting.push_back(message);
                continue;
            }
        };
        match told {
            Some(Told::Ready) => {}
            Some(Told::Gateways) => {
                let lists: Vec<Bytes> =
                    listening.filter.lists.iter().map(|list| listening.changed(*list)).collect();
                listening.waiting.extend(lists);
            }
            Some(Told::Tools) => {
                let is_wanted = listening.filter.lists.contains(&ListKind::Tools);
                let message = is_wanted.then(|| listening.changed(ListKind::Tools));
                listening.waiting.extend(message);
            }
            Some(Told::Notice(gateway, notice)) => {
                let message = listening.message(gateway, &notice);
                listening.waiting.extend(message);
            }
            Some(Told::Over) | None => {
                listening.is_over = true;
                let id = listening.request.id.get().to_owned();
                let end = OwnResult::to(&listening.request).meta(wire::META_SUBSCRIPTION, id).reply();
                listening.waiting.push_back(end.into_message());
            }
        }
    }
}

impl Listening {
    fn message(&self, gateway: GatewayId, notice: &Notice) -> Option<Bytes> {
        match notice {
            Notice::Changed(list) => self.filter.lists.contains(list).then(|| self.changed(*list)),
            Notice::Updated { uri, params } => {
                let uri = self.filter.resources.get(&(gateway, uri.clone()))?;
                let meta = member(params, "_meta").map_or("{}", RawValue::get);
                let meta = edit(meta, &[(wire::META_SUBSCRIPTION, Some(self.request.id.get()))])?;
                let uri = json_string(uri);
                let params = edit(params.get(), &[("uri", Some(&uri)), ("_meta", Some(&meta))])?;
                Some(notification("resources/updated", &params))
            }
        }
    }

    fn changed(&self, list: ListKind) -> Bytes {
        let params = object(&[("_meta", meta(&self.request))]);
        notification(&format!("{}/list_changed", list.as_str()), &params)
    }
}

fn meta(request: &ClientRequest) -> String {
    object(&[(wire::META_SUBSCRIPTION, request.id.get().to_owned())])
}

fn notification(method: &str, params: &str) -> Bytes {
    format!("{{\"jsonrpc\":\"2.0\",\"method\":\"notifications/{method}\",\"params\":{params}}}").into()
}

/// What of the filter is kept to: the lists that were wanted, and the resources that can be followed.
fn acknowledgement(
    request: &ClientRequest,
    lists: &[ListKind],
    resources: &HashMap<(GatewayId, String), String>,
    tasks: &FollowedTasks,
) -> Bytes {
    let names: Vec<String> = lists.iter().map(|list| format!("{}ListChanged", list.as_str())).collect();
    let mut filter: Vec<(&str, String)> =
        names.iter().map(|name| (name.as_str(), "true".to_owned())).collect();
    let asked = request
        .params
        .as_deref()
        .and_then(|params| member_at(params, &["notifications", "resourceSubscriptions"]));
    if asked.is_some() {
        let mut uris: Vec<String> = resources.values().map(|uri| json_string(uri)).collect();
        uris.sort();
        filter.push(("resourceSubscriptions", format!("[{}]", uris.join(","))));
    }
    if let Some(ids) = &tasks.ids {
        let ids: Vec<String> = ids.iter().map(|id| json_string(id)).collect();
        filter.push(("taskIds", format!("[{}]", ids.join(","))));
    }
    let params = object(&[("notifications", object(&filter)), ("_meta", meta(request))]);
    notification("subscriptions/acknowledged", &params)
}
