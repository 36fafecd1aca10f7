//! Calls of modern clients that wait in the middle: their legacy server has asked the client something, the
//! client was told by an `input_required` result, and the server's stream stays open here until it comes back
//! with the answers, or until its time is over. A parked call lives in this process alone.

use super::reply::Relay;
use super::waiting::Pushed;
use doorward_domain::{Entropy, GatewayId, UserId};
use serde_json::value::RawValue;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio_util::task::AbortOnDropHandle;

/// For so long a client may think about its answers.
pub(super) const PARKED_FOR: Duration = Duration::from_secs(10 * 60);

/// Parked calls of one user, and of all.
const MAX_OF_USER: usize = 16;
const MAX_PARKED: usize = 1_000;

/// A call that waits, and what its server wants to know.
pub(super) struct ParkedCall {
    pub(super) relay: Relay,
    /// Each under the key that the client was given.
    pub(super) asked: Vec<(String, Pushed)>,
}

impl ParkedCall {
    /// Hands the answers that there are to the server; what has none stays asked.
    pub(super) fn hand_on<'a>(&mut self, answer: impl Fn(&str) -> Option<&'a RawValue>) {
        let Self { relay, asked } = self;
        asked.retain(|(key, pushed)| match answer(key) {
            Some(answer) => {
                relay.answer(pushed, answer);
                false
            }
            None => true,
        });
    }
}

struct Parked {
    user: UserId,
    gateway: GatewayId,
    call: ParkedCall,
    /// Ends the call when its time is over, or its grant.
    _end: AbortOnDropHandle<()>,
}

/// All parked calls of this process, by handle.
#[derive(Default)]
pub(super) struct ParkedCalls(Mutex<HashMap<String, Parked>>);

impl ParkedCalls {
    /// Parks a call; gives it back where too many are parked already.
    pub(super) fn park(
        self: &Arc<Self>,
        (user, gateway): (UserId, GatewayId),
        call: ParkedCall,
    ) -> Result<String, Box<ParkedCall>> {
        let handle = Entropy.token();
        let mut all = self.lock();
        let of_user = all.values().filter(|parked| parked.user == user).count();
        if of_user >= MAX_OF_USER || all.len() >= MAX_PARKED {
            return Err(Box::new(call));
        }
        let (run, weak, key) = (call.relay.run(), Arc::downgrade(self), handle.clone());
        let end = AbortOnDropHandle::new(tokio::spawn(async move {
            let is_over = tokio::select! {
                () = run.cut() => false,
                () = tokio::time::sleep(PARKED_FOR) => true,
            };
            end(&weak, &key, is_over);
        }));
        all.insert(handle.clone(), Parked { user, gateway, call, _end: end });
        Ok(handle)
    }

    /// Takes a call back, if it is this user's at this gateway.
    pub(super) fn take(&self, handle: &str, user: UserId, gateway: GatewayId) -> Option<ParkedCall> {
        let mut all = self.lock();
        all.get(handle).filter(|parked| parked.user == user && parked.gateway == gateway)?;
        all.remove(handle).map(|parked| parked.call)
    }

    /// Whether a call waits under this handle.
    pub(super) fn holds(&self, handle: &str) -> bool {
        self.lock().contains_key(handle)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Parked>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Nobody came back: the server is told so, unless it may not hear from this user any more. Dropping the call
/// cancels it.
fn end(all: &Weak<ParkedCalls>, handle: &str, is_over: bool) {
    let Some(all) = all.upgrade() else { return };
    let parked = all.lock().remove(handle);
    if let Some(parked) = parked.filter(|_| is_over) {
        parked.call.asked.iter().for_each(|(_, pushed)| parked.call.relay.refuse(pushed));
    }
}
