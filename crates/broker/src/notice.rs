//! Notices: whoever set a webhook is told at once what an administrator wants to hear of. They are told from
//! the audit trail itself: in order, at least once, and by one replica. This crate opens no connection, so
//! the sender is handed in.

use crate::{Broker, BrokerError};
use doorward_domain::notice::NOTICE_GIVEN_UP_AFTER;
use doorward_domain::{AuditEvent, Notice, NoticeCursor, SweptKind};

/// What somebody wants to hear of.
const KINDS: [&str; 11] = [
    "circuit.close",
    "circuit.open",
    "cleanup.done",
    "cleanup.failed",
    "cleanup.held",
    "gateway.issuer_changed",
    "gateway.registration_accepted",
    "gateway.registration_refused",
    "grant.park",
    "grant.reauthorize_many",
    "grant.revoke_many",
];

/// Details that are told; beside them the counts of a cleanup. Never the words of a provider.
const DETAILS: [&str; 12] = [
    "code",
    "confirms",
    "count",
    "held",
    "hold_reason",
    "issuer",
    "issuer_before",
    "path",
    "provider",
    "reason",
    "since",
    "slug",
];

/// Whoever holds it tells.
const LEASE: &str = "notices";

/// So many events that are no notice are looked through anew before that is written down.
const LOOKED_THROUGH: i64 = 1_000;

impl Broker {
    /// Tells what is due, until one attempt is in vain. `send` answers whether the notice has arrived, or why
    /// not. Called on a beat; gives how many were told.
    pub async fn deliver_notices<F>(&self, send: impl Fn(Notice) -> F) -> Result<u64, BrokerError>
    where
        F: Future<Output = Result<(), String>>,
    {
        // Mostly there is nothing to tell, and then no lease is written.
        if self.due_notice().await?.is_none() {
            return Ok(0);
        }
        let Some(lease) = self.try_lease(LEASE, &mut *self.notices.lock().await).await? else { return Ok(0) };
        let told = self.deliver_due(send).await;
        lease.release().await;
        told
    }

    async fn deliver_due<F>(&self, send: impl Fn(Notice) -> F) -> Result<u64, BrokerError>
    where
        F: Future<Output = Result<(), String>>,
    {
        let mut told = 0;
        while let Some((cursor, event)) = self.due_notice().await? {
            let (seq, at, action) = (event.seq, event.at, event.action.clone());
            let (result, next) = if at.until(self.now()) > NOTICE_GIVEN_UP_AFTER {
                tracing::error!(seq, action, attempts = cursor.attempts, "a notice is given up");
                ("given_up", NoticeCursor::at(seq))
            } else {
                match send(self.notice(event).await?).await {
                    Ok(()) => ("delivered", NoticeCursor::at(seq)),
                    Err(why) => {
                        tracing::warn!(
                            seq,
                            action,
                            why,
                            "a notice could not be delivered; it is tried again"
                        );
                        ("failed", cursor.tried_again_later(self.now()))
                    }
                }
            };
            metrics::counter!("doorward_notices_total", "result" => result).increment(1);
            told += u64::from(result == "delivered");
            if !self.storage().move_notice_cursor(cursor.seq, &next).await? {
                break;
            }
        }
        Ok(told)
    }

    /// The next notice, if it may be tried now.
    async fn due_notice(&self) -> Result<Option<(NoticeCursor, AuditEvent)>, BrokerError> {
        let cursor = self.storage().notice_cursor().await?;
        if self.now() < cursor.next_attempt_at {
            return Ok(None);
        }
        let newest = self.storage().audit_head().await?.map_or(0, |(seq, _)| seq);
        let next = self.storage().next_event_of(&KINDS, cursor.seq).await?;
        if next.is_none() && newest - cursor.seq > LOOKED_THROUGH {
            self.storage().move_notice_cursor(cursor.seq, &NoticeCursor::at(newest)).await?;
        }
        Ok(next.map(|event| (cursor, event)))
    }

    async fn notice(&self, event: AuditEvent) -> Result<Notice, BrokerError> {
        let told =
            |name: &str| DETAILS.contains(&name) || SweptKind::ALL.iter().any(|kind| kind.as_str() == name);
        let gateway = self.gateway_of_event(&event).await?;
        Ok(Notice {
            id: event.id,
            seq: event.seq,
            kind: event.action,
            at: event.at,
            actor: event.actor.kind(),
            subject: event.subject,
            gateway,
            user_id: event.user_id,
            detail: event.detail.into_iter().filter(|(name, _)| told(name)).collect(),
        })
    }

    /// The slug of the gateway that an event is about: named in it, or that of its grant.
    async fn gateway_of_event(&self, event: &AuditEvent) -> Result<Option<String>, BrokerError> {
        if let Some(slug) = event.detail.get("gateway").or(event.detail.get("slug")) {
            return Ok(Some(slug.clone()));
        }
        let grant = event.subject.as_deref().filter(|_| event.action.starts_with("grant."));
        let Some(id) = grant.and_then(|id| id.parse().ok()) else { return Ok(None) };
        let Some(grant) = self.storage().grant(id).await? else { return Ok(None) };
        Ok(self.directory().await?.get(grant.gateway_id).map(|gateway| gateway.slug.to_string()))
    }
}
