//! The audit trail: reading it, and writing what belongs to no other change.

use crate::{Broker, BrokerError, Caller};
use doorward_domain::{AuditEvent, NewAuditEvent, Page, PageRequest, Permission};
use doorward_storage::AuditFilter;

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

    /// Writes an event that belongs to no other change.
    pub async fn record(&self, event: NewAuditEvent) -> Result<(), BrokerError> {
        Ok(self.storage().record(event).await?)
    }
}
