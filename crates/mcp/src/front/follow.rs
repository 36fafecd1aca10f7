//! What a client's stream follows: every gateway at its endpoint, as gateways come and go. Each gateway has a
//! watch of its own, and a slow one delays nobody but itself.

use super::Front;
use super::request::Endpoint;
use crate::catalog_reader::ourselves;
use crate::upstream::{Notice, Watch};
use doorward_broker::Caller;
use doorward_domain::{Change, Gateway, GatewayId};
use futures_util::future::join_all;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

/// A stream begins although an upstream's is not open after this time.
const OPENED_WITHIN: Duration = Duration::from_secs(3);

/// What a followed gateway tells, or what is told of the gateways themselves.
pub(super) enum Told {
    /// Every gateway's stream is open, or known not to be.
    Ready,
    /// Gateways came or went: any list may be another.
    Gateways,
    /// Tools were given to the caller, or taken away.
    Tools,
    Notice(GatewayId, Notice),
    /// The caller may not be here any more.
    Over,
}

/// Follows the gateways of an endpoint until the receiver is gone, or the caller may not be here any more.
pub(super) async fn follow(front: Arc<Front>, caller: Caller, endpoint: Endpoint, told: mpsc::Sender<Told>) {
    let mut changes = front.storage.changes();
    let mut followed: HashMap<(GatewayId, i64), AbortOnDropHandle<()>> = HashMap::new();
    let mut is_new = true;
    let mut hidden = Vec::new();
    loop {
        let Some(gateways) = gateways(&front, &caller, &endpoint).await else {
            let _ = told.send(Told::Over).await;
            return;
        };
        let before = std::mem::replace(&mut hidden, hidden_tools(&front, &caller, &gateways).await);
        let changed = keep_following(&front, &caller, gateways, &mut followed, &told).await;
        let news = match (is_new, changed, hidden == before) {
            (true, ..) => Some(Told::Ready),
            (false, true, _) => Some(Told::Gateways),
            (false, false, false) => Some(Told::Tools),
            (false, false, true) => None,
        };
        is_new = false;
        if let Some(news) = news
            && told.send(news).await.is_err()
        {
            return;
        }
        loop {
            let change = tokio::select! {
                change = changes.recv() => change,
                () = told.closed() => return,
            };
            match change {
                Ok(applied) if concerns(&applied.change, &caller) => break,
                Ok(_) => {}
                Err(RecvError::Lagged(_)) => break,
                Err(RecvError::Closed) => return,
            }
        }
    }
}

fn concerns(change: &Change, caller: &Caller) -> bool {
    match change {
        Change::Gateway(_) | Change::VirtualServer(_) => true,
        Change::User(user) => *user == caller.user.id,
        Change::ApiToken(token) => Some(*token) == crate::live_session::api_token_of(caller),
        _ => false,
    }
}

/// The gateways that the caller may use here now; none when they may not be here.
async fn gateways(front: &Front, caller: &Caller, endpoint: &Endpoint) -> Option<Vec<Arc<Gateway>>> {
    if !front.broker.still_may(caller).await.unwrap_or(false) {
        return None;
    }
    let endpoint = front.endpoint_now(caller, endpoint).await.ok()?;
    front.gateways_at(caller, &endpoint).await.ok()
}

/// What of each gateway is not for the caller.
async fn hidden_tools(
    front: &Front,
    caller: &Caller,
    gateways: &[Arc<Gateway>],
) -> Vec<(GatewayId, Arc<BTreeSet<String>>)> {
    let mut hidden = Vec::new();
    for gateway in gateways {
        match front.broker.hidden_tools(&caller.user, gateway.id).await {
            Ok(tools) => hidden.push((gateway.id, tools)),
            Err(error) => tracing::warn!(%error, "who may use which tool is not known just now"),
        }
    }
    hidden
}

/// Begins to follow what is new, and lets go of what is not there any more.
async fn keep_following(
    front: &Arc<Front>,
    caller: &Caller,
    gateways: Vec<Arc<Gateway>>,
    followed: &mut HashMap<(GatewayId, i64), AbortOnDropHandle<()>>,
    told: &mpsc::Sender<Told>,
) -> bool {
    let before = followed.len();
    followed.retain(|(id, version), _| {
        gateways.iter().any(|gateway| (gateway.id, gateway.version) == (*id, *version))
    });
    let mut changed = followed.len() != before;
    let mut opening = Vec::new();
    for gateway in gateways {
        let key = (gateway.id, gateway.version);
        if followed.contains_key(&key) {
            continue;
        }
        changed = true;
        let watch = front.upstreams.watch(caller, &gateway, &ourselves());
        let notices = watch.notices();
        let passing_on = pass_on(gateway.id, Arc::clone(&watch), notices, told.clone());
        followed.insert(key, AbortOnDropHandle::new(tokio::spawn(passing_on)));
        opening.push(async move { watch.opened().await });
    }
    let _ = tokio::time::timeout(OPENED_WITHIN, join_all(opening)).await;
    changed
}

async fn pass_on(
    gateway: GatewayId,
    watch: Arc<Watch>,
    mut notices: tokio::sync::broadcast::Receiver<Notice>,
    told: mpsc::Sender<Told>,
) {
    loop {
        let notice = tokio::select! {
            notice = notices.recv() => notice,
            () = watch.stopped() => return,
        };
        let news = match notice {
            Ok(notice) => Told::Notice(gateway, notice),
            // What was missed may have been any of them.
            Err(RecvError::Lagged(_)) => Told::Gateways,
            Err(RecvError::Closed) => return,
        };
        if told.send(news).await.is_err() {
            return;
        }
    }
}
