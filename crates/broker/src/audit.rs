//! The audit trail: reading it, and writing what belongs to no other change.

use crate::{Broker, BrokerError, Caller};
use doorward_domain::{AuditEvent, NewAuditEvent, Page, PageRequest, Permission};
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

    /// Writes an event that belongs to no other change.
    pub async fn record(&self, event: NewAuditEvent) -> Result<(), BrokerError> {
        Ok(self.storage().record(event).await?)
    }
}

/// An export that is under way: a piece at a time, whatever the length of the trail.
pub struct AuditExport {
    broker: Broker,
    filter: AuditFilter,
    piece: Range<i64>,
}

impl AuditExport {
    /// The next piece; empty at the end.
    pub async fn next(&mut self) -> Result<Vec<AuditEvent>, BrokerError> {
        let storage = self.broker.storage();
        let events = storage.audit_piece(&self.filter, self.piece.clone(), EXPORTED_AT_ONCE).await?;
        self.piece.start = events.last().map_or(self.piece.end, |event| event.seq + 1);
        Ok(events)
    }
}
