//! The ledger of scopes that an upstream wanted and a grant had not: what a step-up asks for (RFC 6750 §3.1).

use crate::error::StorageError;
use crate::row::{RowName, json};
use crate::storage::Storage;
use doorward_domain::{GrantId, NeededScopes};

#[derive(sqlx::FromRow)]
struct NeededRow {
    grant_id: String,
    scopes: String,
    pending: bool,
    tries: i64,
}

impl NeededRow {
    fn into_needed(self) -> Result<NeededScopes, StorageError> {
        let row = RowName { table: "needed_scopes", id: &self.grant_id };
        Ok(NeededScopes {
            scopes: row.json("scopes", &self.scopes)?,
            pending: self.pending,
            tries: u32::try_from(self.tries).map_err(|error| row.corrupt("tries", error))?,
        })
    }
}

impl Storage {
    /// What a grant was found to lack; none where nothing was ever missed.
    pub async fn needed_scopes(&self, grant: GrantId) -> Result<Option<NeededScopes>, StorageError> {
        let row = read!(
            self,
            "read the scopes that a grant lacks",
            fetch_optional,
            sqlx::query_as::<_, NeededRow>(
                "SELECT grant_id, scopes, pending, tries FROM needed_scopes WHERE grant_id = $1"
            )
            .bind(grant.to_string())
        )?;
        row.map(NeededRow::into_needed).transpose()
    }

    /// Notes what a grant lacks now. Nothing is written where the grant has gone meanwhile.
    pub async fn note_needed_scopes(
        &self,
        grant: GrantId,
        needed: &NeededScopes,
    ) -> Result<(), StorageError> {
        write!(
            self,
            "note the scopes that a grant lacks",
            execute,
            sqlx::query(
                "INSERT INTO needed_scopes (grant_id, scopes, pending, tries) \
                 SELECT id, $2, $3, $4 FROM grants WHERE id = $1 \
                 ON CONFLICT (grant_id) DO UPDATE SET scopes = excluded.scopes, pending = excluded.pending, \
                 tries = excluded.tries"
            )
            .bind(grant.to_string())
            .bind(json(&needed.scopes))
            .bind(needed.pending)
            .bind(i64::from(needed.tries))
        )
        .map(drop)
    }
}
