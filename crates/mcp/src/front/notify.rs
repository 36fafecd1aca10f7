//! A legacy client's notifications on their way to the servers behind its session: its changed roots to all of them, what
//! Doorward does not know to the one server of an endpoint that is nothing else.

use super::Front;
use super::request::Endpoint;
use crate::envelope::Envelope;
use crate::live_session::LiveSession;
use doorward_broker::Caller;
use std::sync::Arc;

/// What concerns this hop alone, or names what only Doorward gave this client.
const NOT_PASSED: [&str; 4] = [
    "notifications/cancelled",
    "notifications/initialized",
    "notifications/message",
    "notifications/progress",
];

/// Hands a notification on, in the background.
pub(super) fn pass_up(
    front: &Arc<Front>,
    (caller, endpoint): (&Caller, &Endpoint),
    session: &Arc<LiveSession>,
    message: &Envelope<'_>,
) {
    let Some(method) = message.method.filter(|method| !NOT_PASSED.contains(method)) else { return };
    if !matches!(endpoint, Endpoint::One(_)) && method != "notifications/roots/list_changed" {
        return;
    }
    let (front, caller, endpoint) = (Arc::clone(front), caller.clone(), endpoint.clone());
    let (session, text) = (Arc::clone(session), message.text.to_owned());
    tokio::spawn(async move {
        for gateway in front.gateways_at(&caller, &endpoint).await.unwrap_or_default() {
            front.upstreams.notify(&caller, &gateway, &session.facts, text.clone()).await;
        }
    });
}
