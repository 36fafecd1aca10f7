//! What a provider says of a gateway's registration: flagged when it refuses, once, and cleared when it
//! accepts again. Neither is an edit, so the gateway's version stays.

use crate::error::StorageError;
use crate::row::json;
use crate::storage::Storage;
use doorward_domain::{Change, GatewayId, NewAuditEvent};

impl Storage {
    /// Notes that the provider refuses the gateway's registration with this code. False, and nothing is
    /// written, when that is known already or the gateway is gone.
    pub async fn flag_registration(
        &self,
        id: GatewayId,
        code: &str,
        audit: NewAuditEvent,
    ) -> Result<bool, StorageError> {
        let mut tx = self.begin("flag a gateway's registration").await?;
        let now = tx.now().millis();
        let flagged = tx!(
            tx,
            execute,
            sqlx::query(
                "UPDATE gateways SET registration_problem = $1, registration_problem_since = $2 \
                 WHERE id = $3 AND registration_problem IS NULL AND authorization_kind = 'oauth'"
            )
            .bind(code)
            .bind(now)
            .bind(id.to_string())
        )?;
        if flagged == 0 {
            return Ok(false);
        }
        tx.change(Change::Gateway(id));
        tx.audit(audit);
        tx.commit().await?;
        Ok(true)
    }

    /// Notes the scopes that the upstream asks for beyond the gateway's ceiling. False, and nothing is written,
    /// when they are known already or the gateway is gone.
    pub async fn flag_refused_scopes(
        &self,
        id: GatewayId,
        scopes: &[String],
        audit: NewAuditEvent,
    ) -> Result<bool, StorageError> {
        let mut tx = self.begin("flag the scopes that a gateway's upstream may not ask for").await?;
        let flagged = tx!(
            tx,
            execute,
            sqlx::query(
                "UPDATE gateways SET refused_scopes = $1 \
                 WHERE id = $2 AND refused_scopes <> $1 AND authorization_kind = 'oauth'"
            )
            .bind(json(scopes))
            .bind(id.to_string())
        )?;
        if flagged == 0 {
            return Ok(false);
        }
        tx.change(Change::Gateway(id));
        tx.audit(audit);
        tx.commit().await?;
        Ok(true)
    }

    /// Notes that the provider accepts the gateway's registration. False, and nothing is written, when nothing
    /// was wrong.
    pub async fn clear_registration_problem(
        &self,
        id: GatewayId,
        audit: NewAuditEvent,
    ) -> Result<bool, StorageError> {
        let mut tx = self.begin("clear the flag of a gateway's registration").await?;
        let cleared = tx!(
            tx,
            execute,
            sqlx::query(
                "UPDATE gateways SET registration_problem = NULL, registration_problem_since = NULL \
                 WHERE id = $1 AND registration_problem IS NOT NULL"
            )
            .bind(id.to_string())
        )?;
        if cleared == 0 {
            return Ok(false);
        }
        tx.change(Change::Gateway(id));
        tx.audit(audit);
        tx.commit().await?;
        Ok(true)
    }
}
