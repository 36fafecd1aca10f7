//! Retention of the audit trail: the oldest events go, and a signed anchor says where the chain begins.

use crate::{Broker, BrokerError};
use doorward_domain::{Actor, AuditLink, NewAuditEvent, Timestamp};

/// Events that one transaction deletes at most: other writers wait for it no longer than for a large write.
const SWEPT_AT_ONCE: u32 = 1_000;

impl Broker {
    /// Deletes events that are older than the retention, from the oldest on, and gives their number. It stops
    /// where the chain is broken: what may be evidence is not swept away. For one replica at a time.
    pub async fn sweep_audit(&self, now: Timestamp) -> Result<u64, BrokerError> {
        let before = now.minus(self.policy().audit_retention);
        let mut swept = 0;
        while let Some(last) = self.last_old_event(before).await? {
            let anchor = self.signed_anchor(last.seq, last.hash, now);
            let event = |events: u64| {
                NewAuditEvent::new(Actor::System, "audit.sweep")
                    .detail("events", events)
                    .detail("through", last.seq)
                    .detail("before", before)
            };
            swept += self.storage().cut_audit(&anchor, event).await?;
        }
        self.sign_anchor_anew().await?;
        Ok(swept)
    }

    /// The end of the next piece that goes; none when there is nothing old, or nothing that may go.
    async fn last_old_event(&self, before: Timestamp) -> Result<Option<AuditLink>, BrokerError> {
        let anchor = self.storage().audit_anchor().await?;
        if let Some(problem) = anchor.as_ref().and_then(|anchor| self.anchor_problem(anchor)) {
            tracing::error!(target: "doorward::audit", problem, "the audit trail is not swept");
            return Ok(None);
        }
        let from = anchor.map_or(AuditLink::BEGINNING, |anchor| anchor.link());
        let walk = self.storage().walk_audit(from, SWEPT_AT_ONCE).await?;
        if let (true, Some(broken)) = (walk.links.is_empty(), walk.broken) {
            tracing::error!(target: "doorward::audit", %broken, "the audit trail is not swept any further");
        }
        Ok(walk.links.into_iter().take_while(|link| link.at < before).last())
    }

    /// After a rotation: so that the key which signed the anchor is needed no longer.
    pub(crate) async fn sign_anchor_anew(&self) -> Result<(), BrokerError> {
        let Some(anchor) = self.storage().audit_anchor().await? else { return Ok(()) };
        let anew = self.signed_anchor(anchor.seq, anchor.hash, anchor.at);
        if anew.signing_key != anchor.signing_key && self.anchor_problem(&anchor).is_none() {
            self.storage().sign_audit_anchor(&anew).await?;
        }
        Ok(())
    }
}
