//! What legacy clients hear on their session's GET stream: lists that changed, and the resources that they
//! subscribed to.

use super::Front;
use super::answer::{OwnResult, Reply};
use super::follow::{Told, follow};
use super::request::{ClientRequest, Endpoint};
use crate::envelope::{edit, json_string, member};
use crate::errors::ProtocolError;
use crate::live_session::LiveSession;
use crate::revision::wire;
use crate::route;
use crate::upstream::{ListKind, Notice};
use bytes::Bytes;
use doorward_broker::Caller;
use serde_json::value::RawValue;
use std::sync::{Arc, Weak};
use tokio::sync::mpsc;

/// Answers `resources/subscribe`: the session hears of the resource until it unsubscribes or ends.
pub(super) async fn subscribe(
    front: &Arc<Front>,
    request: &Arc<ClientRequest>,
) -> Result<Reply, ProtocolError> {
    let session = request.session.as_ref().ok_or(ProtocolError::SessionMissing)?;
    let exposed = request.text("uri")?;
    let (_, original, subscription) = route::resource_subscription(front, request, &exposed).await?;
    let mut notices = subscription.notices();
    let (of, known) = (Arc::downgrade(session), exposed.clone());
    let telling = tokio::spawn(async move {
        let _subscription = subscription;
        loop {
            match notices.recv().await {
                Ok(Notice::Updated { uri, params }) if uri == original => {
                    let Some(session) = Weak::upgrade(&of) else { return };
                    if let Some(message) = updated(&known, &params) {
                        session.notify(message);
                    }
                }
                Ok(_) | Err(tokio::sync::broadcast::error::RecvError::Lagged(_)) => {}
                Err(tokio::sync::broadcast::error::RecvError::Closed) => return,
            }
        }
    });
    if !session.subscribe(exposed, telling) {
        return Err(ProtocolError::InvalidParams(
            "`params.uri`: this session follows too many resources already".to_owned(),
        ));
    }
    Ok(OwnResult::to(request).reply())
}

/// Answers `resources/unsubscribe`.
pub(super) fn unsubscribe(request: &ClientRequest) -> Result<Reply, ProtocolError> {
    let session = request.session.as_ref().ok_or(ProtocolError::SessionMissing)?;
    session.unsubscribe(&request.text("uri")?);
    Ok(OwnResult::to(request).reply())
}

/// Tells a session of changed lists for as long as its GET stream is open.
pub(super) fn tell_of_lists(
    front: &Arc<Front>,
    caller: &Caller,
    endpoint: &Endpoint,
    session: &Arc<LiveSession>,
) {
    let (front, caller, endpoint) = (Arc::clone(front), caller.clone(), endpoint.clone());
    let of = Arc::downgrade(session);
    session.following(tokio::spawn(async move {
        let (sender, mut told) = mpsc::channel(64);
        let following = follow(front, caller, endpoint, sender);
        let telling = async move {
            while let Some(told) = told.recv().await {
                let Some(session) = Weak::upgrade(&of) else { return };
                let lists = match told {
                    Told::Gateways => ListKind::ALL.to_vec(),
                    Told::Tools => vec![ListKind::Tools],
                    Told::Notice(_, Notice::Changed(list)) => vec![list],
                    Told::Over => return session.close_stream(),
                    Told::Ready | Told::Notice(_, Notice::Updated { .. }) => Vec::new(),
                };
                lists.into_iter().for_each(|list| session.notify(list_changed(list.as_str())));
            }
        };
        tokio::join!(following, telling);
    }));
}

/// The notification of a changed list.
pub(crate) fn list_changed(list: &str) -> Bytes {
    format!("{{\"jsonrpc\":\"2.0\",\"method\":\"notifications/{list}/list_changed\"}}").into()
}

/// The notification of an updated resource, under the URI that the client knows.
fn updated(uri: &str, params: &RawValue) -> Option<Bytes> {
    let uri = json_string(uri);
    let meta = member(params, "_meta").and_then(|meta| edit(meta.get(), &[(wire::META_SUBSCRIPTION, None)]));
    let meta = meta.filter(|meta| meta != "{}");
    let params = edit(params.get(), &[("uri", Some(&uri)), ("_meta", meta.as_deref())])?;
    Some(
        format!("{{\"jsonrpc\":\"2.0\",\"method\":\"notifications/resources/updated\",\"params\":{params}}}")
            .into(),
    )
}
