//! The audit trail: reading it, and writing what belongs to no other change.

use crate::{Broker, BrokerError, Caller};
use doorward_domain::{AuditEvent, NewAuditEvent, Page, PageRequest, Permission, UserId};
use doorward_storage::AuditFilter;
use std::ops::Range;

/// Events that an export reads at once.
const EXPORTED_AT_ONCE: u32 = 1_000;

impl Broker {
    /// The trail, newest first.
    pub async fn audit_events(
        &self,
        caller: &Caller,
        filter: &AuditFilter,
        page: &PageRequest,
    ) -> Result<Page<AuditEvent>, BrokerError> {
        caller.require(Permission::ReadAudit)?;
        Ok(self.storage().audit_events(filter, page).await?)
    }

    /// Begins an export of the trail, oldest first, as it stands now; that it was exported is part of it.
    pub async fn export_audit(
        &self,
        caller: &Caller,
        filter: AuditFilter,
        format: &'static str,
    ) -> Result<AuditExport, BrokerError> {
        caller.require(Permission::ReadAudit)?;
        self.record(caller.event("audit.export").detail("format", format)).await?;
        let newest = self.storage().audit_head().await?.map_or(0, |(seq, _)| seq);
        let span = self.storage().audit_span(&filter).await?;
        let piece = span.start..span.end.min(newest.saturating_add(1));
        Ok(AuditExport { broker: self.clone(), filter, piece })
    }

    /// Who has an e-mail address, for those who look for what they did.
    pub async fn person_of_email(&self, caller: &Caller, email: &str) -> Result<Option<UserId>, BrokerError> {
        caller.require(Permission::ReadAudit)?;
        Ok(self.storage().user_by_email(email).await?.map(|user| user.id))
    }

    /// Writes an event that belongs to no other change.
    pub async fn record(&self, event: NewAuditEvent) -> Result<(), BrokerError> {
        Ok(self.storage().record(event).await?)
    }
}

/// An export that is under way: a page at a time, whatever the length of the trail.
pub struct AuditExport {
    broker: Broker,
    filter: AuditFilter,
    piece: Range<i64>,
}

impl AuditExport {
    /// A page, oldest first; its cursor is good for this export alone.
    pub async fn page(&self, cursor: Option<String>) -> Result<Page<AuditEvent>, BrokerError> {
        let after = cursor.and_then(|seq| seq.parse::<i64>().ok());
        let piece = after.map_or(self.piece.start, |seq| seq.saturating_add(1))..self.piece.end;
        let items = self.broker.storage().audit_piece(&self.filter, piece, EXPORTED_AT_ONCE).await?;
        let is_full = items.len() == EXPORTED_AT_ONCE as usize;
        let next_cursor = items.last().filter(|_| is_full).map(|event| event.seq.to_string());
        Ok(Page { items, next_cursor })
    }
}
