//! Which servers do not answer, as this process finds by what people call anyway: nothing is asked for it.

use crate::Broker;
use doorward_domain::{Gateway, GatewayId};
use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

/// The gateways whose server left the last call without an answer, each as it stood then.
#[derive(Default)]
pub(crate) struct Unanswered(RwLock<HashMap<GatewayId, i64>>);

impl Unanswered {
    fn has(&self, gateway: GatewayId) -> Option<i64> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(&gateway).copied()
    }

    fn note(&self, gateway: &Gateway, answered: bool) {
        // Nearly every call is answered and changes nothing.
        if answered && self.has(gateway.id).is_none() {
            return;
        }
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if answered {
            all.remove(&gateway.id);
        } else {
            all.insert(gateway.id, gateway.version);
        }
    }
}

impl Broker {
    /// Notes whether a gateway's server gave any answer to a call.
    pub fn note_answer(&self, gateway: &Gateway, answered: bool) {
        self.unanswered.note(gateway, answered);
    }

    /// Whether the last call to a gateway, as it stands now, found nobody who answers.
    pub fn does_not_answer(&self, gateway: &Gateway) -> bool {
        self.unanswered.has(gateway.id) == Some(gateway.version)
    }
}
