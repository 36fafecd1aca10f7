//! Asking a user to authorize again, short of a revoke: the tokens stay, are no longer served, and give way to
//! what the next consent brings (lesson M7).

use crate::error::StorageError;
use crate::grant_row::{GrantName, grant_name_columns, person};
use crate::grant_status::{Settled, settle};
use crate::row::json;
use crate::storage::Storage;
use crate::transaction::Tx;
use doorward_domain::{GrantId, NewAuditEvent};

impl Storage {
    /// Makes those of the grants that are still there ask their users again; how many that were. `audit` is
    /// written for each, under its id.
    pub async fn require_authorization(
        &self,
        grants: &[GrantId],
        audit: &NewAuditEvent,
    ) -> Result<u64, StorageError> {
        let mut tx = self.begin("force a new authorization").await?;
        let asked = require_authorization(&mut tx, grants, audit).await?;
        tx.commit().await?;
        Ok(asked.len() as u64)
    }
}

/// As [`Storage::require_authorization`], in a transaction; gives the ids of those that were there.
pub(crate) async fn require_authorization(
    tx: &mut Tx,
    grants: &[GrantId],
    audit: &NewAuditEvent,
) -> Result<Vec<String>, StorageError> {
    // The new version makes a refresh that is under way lose its answer: the user is asked in any case.
    let sql = tx.connection.spell(concat!(
        "UPDATE grants SET state = 'needs_authorization', state_reason = 'forced', redeeming_number = NULL, \
         retry_at = NULL, version = version + 1 \
         WHERE id IN (SELECT id FROM grants WHERE id IN (EACH($1)) ORDER BY id FOR UPDATE) RETURNING ",
        grant_name_columns!()
    ));
    let asked = tx!(tx, fetch_all, sqlx::query_as::<_, GrantName>(sql).bind(json(grants)))?;
    for grant in &asked {
        let mut event = audit.clone().subject(&grant.id);
        event.user_id = person(grant.owner()?);
        tx.audit(event);
        tx.change(grant.change()?);
        settle(tx, Settled::One(grant.parsed_id()?)).await?;
    }
    Ok(asked.into_iter().map(|grant| grant.id).collect())
}
