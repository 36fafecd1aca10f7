//! All watches of this process, and what makes them begin again.

use super::watch::Watch;
use doorward_domain::{GatewayId, UserId};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError, Weak};

/// A user, a gateway, and the gateway's version.
type Key = (UserId, GatewayId, i64);

/// All watches of this process.
#[derive(Default)]
pub(super) struct Watches(Mutex<HashMap<Key, Weak<Watch>>>);

impl Watches {
    /// Somebody was connected: whoever waits for that need not wait any longer.
    pub(super) fn wake(&self, user: UserId, gateway: GatewayId) {
        self.each(|of, watch| {
            if (of.0, of.1) == (user, gateway) {
                watch.woken.notify_one();
            }
        });
    }

    /// A gateway was edited: its watches end, and their listeners begin again with what it is now.
    pub(super) fn close(&self, gateway: GatewayId) {
        self.each(|of, watch| {
            if of.1 == gateway {
                watch.stop.cancel();
            }
        });
    }

    fn each(&self, act: impl Fn(&Key, &Watch)) {
        let mut all = self.lock();
        all.retain(|key, watch| watch.upgrade().inspect(|watch| act(key, watch)).is_some());
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, HashMap<Key, Weak<Watch>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
