//! What other subjects leave behind and cleanup sweeps, a few rows at a time: each statement is short, so
//! that on SQLite no call waits long for the one writer.

use crate::error::StorageError;
use crate::storage::Storage;
use doorward_domain::{SweptKind, Timestamp};

/// Counts and deletes by the same condition, in which `$1` is the moment before which rows go.
macro_rules! leftovers {
    ($($kind:ident: $table:literal, $key:literal, $gone:literal;)*) => {
        /// The statements of a kind: one that counts, one that deletes up to `$2` rows.
        fn statements(kind: SweptKind) -> Option<(&'static str, &'static str)> {
            match kind {
                $(SweptKind::$kind => Some((
                    concat!("SELECT count(*) FROM ", $table, " WHERE ", $gone),
                    concat!(
                        "DELETE FROM ", $table, " WHERE (", $key, ") IN (SELECT ", $key, " FROM ", $table,
                        " WHERE ", $gone, " LIMIT $2)"
                    ),
                )),)*
                // Those leave a signed anchor behind, which is made where the keys are.
                SweptKind::AuditEvents |
                SweptKind::StaleGrants | SweptKind::IdleGrants | SweptKind::OrphanedGrants => None,
            }
        }
    };
}

leftovers! {
    AuthorizationRequests: "authorization_requests", "id", "expires_at < $1";
    // Their steps go with them.
    AuthorizationAttempts: "authorization_attempts", "id", "started_at < $1";
    ConnectRequests: "connect_requests", "id", "expires_at < $1";
    BrowserSessions: "browser_sessions", "hash", "expires_at < $1 OR last_seen_at < $1";
    McpSessions: "mcp_sessions", "hash", "last_seen_at < $1";
    SetupLinks: "setup_links", "hash", "expires_at < $1";
    ApiTokens: "api_tokens", "id", "expires_at < $1 OR ended_at < $1";
    // One that no gateway uses has no age: it is gone for good, because each gateway writes its own anew.
    ClientRegistrations: "client_registrations", "id",
        "$1 > 0 AND id NOT IN (SELECT client_registration_id FROM gateways WHERE client_registration_id IS NOT NULL)";
    // One whose provider is still to be told waits for the receipt.
    EndedGrants: "ended_grants", "grant_id",
        "ended_at < $1 AND grant_id NOT IN (SELECT grant_id FROM provider_revocations)";
    // Row by row, because a job may have a million of them.
    BulkJobRows: "bulk_job_rows", "job_id, number",
        "job_id IN (SELECT id FROM bulk_jobs WHERE finished_at < $1)";
    BulkJobs: "bulk_jobs", "id", "finished_at < $1";
    CleanupRuns: "cleanup_runs", "id", "started_at < $1 AND state <> 'running'";
}

impl Storage {
    /// How many rows of a kind would go; none are grants.
    pub async fn count_leftovers(&self, kind: SweptKind, before: Timestamp) -> Result<u64, StorageError> {
        let count = match statements(kind) {
            Some((count, _)) => count,
            None if kind == SweptKind::AuditEvents => "SELECT count(*) FROM audit_events WHERE at < $1",
            None => return Ok(0),
        };
        let count: i64 = read!(
            self,
            "count what cleanup would sweep",
            fetch_one,
            sqlx::query_scalar(count).bind(before.millis())
        )?;
        Ok(count.unsigned_abs())
    }

    /// Deletes up to `limit` rows of a kind; how many that were.
    pub async fn sweep_leftovers(
        &self,
        kind: SweptKind,
        before: Timestamp,
        limit: u32,
    ) -> Result<u64, StorageError> {
        let Some((_, delete)) = statements(kind) else { return Ok(0) };
        write!(
            self,
            "sweep what others left behind",
            execute,
            sqlx::query(delete).bind(before.millis()).bind(i64::from(limit))
        )
    }
}
