//! How far the notices have been told. They are events of the audit trail, so that there is nothing to queue:
//! one cursor says which were dealt with.

use crate::audit::AuditEventRow;
use crate::error::StorageError;
use crate::row::values;
use crate::storage::Storage;
use doorward_domain::{AuditEvent, NoticeCursor, Timestamp};

#[derive(sqlx::FromRow)]
struct CursorRow {
    seq: i64,
    attempts: i64,
    next_attempt_at: i64,
}

impl Storage {
    /// The cursor. Where there is none it begins at the newest event: what is past is nobody's news.
    pub async fn notice_cursor(&self) -> Result<NoticeCursor, StorageError> {
        if let Some(cursor) = self.stored_notice_cursor().await? {
            return Ok(cursor);
        }
        write!(
            self,
            "begin to tell notices",
            execute,
            sqlx::query(
                "INSERT INTO notice_cursor (name, seq, attempts, next_attempt_at) \
                 SELECT 'webhook', value, 0, 0 FROM counters WHERE name = 'audit' ON CONFLICT (name) DO NOTHING"
            )
        )?;
        Ok(self.stored_notice_cursor().await?.unwrap_or_default())
    }

    async fn stored_notice_cursor(&self) -> Result<Option<NoticeCursor>, StorageError> {
        let row = read!(
            self,
            "read how far notices were told",
            fetch_optional,
            sqlx::query_as::<_, CursorRow>(
                "SELECT seq, attempts, next_attempt_at FROM notice_cursor WHERE name = 'webhook'"
            )
        )?;
        Ok(row.map(|row| NoticeCursor {
            seq: row.seq,
            attempts: u32::try_from(row.attempts).unwrap_or(u32::MAX),
            next_attempt_at: Timestamp::from_millis(row.next_attempt_at),
        }))
    }

    /// Writes how far notices are told, unless somebody else has moved on from `seq` meanwhile.
    pub async fn move_notice_cursor(&self, seq: i64, to: &NoticeCursor) -> Result<bool, StorageError> {
        let moved = write!(
            self,
            "write how far notices were told",
            execute,
            sqlx::query(
                "UPDATE notice_cursor SET seq = $1, attempts = $2, next_attempt_at = $3 \
                 WHERE name = 'webhook' AND seq = $4"
            )
            .bind(to.seq)
            .bind(i64::from(to.attempts))
            .bind(to.next_attempt_at.millis())
            .bind(seq)
        )?;
        Ok(moved == 1)
    }

    /// The first event after `seq` with one of these actions.
    pub async fn next_event_of(
        &self,
        actions: &[&'static str],
        seq: i64,
    ) -> Result<Option<AuditEvent>, StorageError> {
        let sql = format!(
            "SELECT {} FROM audit_events WHERE action IN {} AND seq > ${} ORDER BY seq LIMIT 1",
            AuditEventRow::COLUMNS,
            values(1, actions.len()),
            actions.len() + 1
        );
        let row = read!(self, "look for the next notice", fetch_optional, {
            let query = sqlx::query_as::<_, AuditEventRow>(sqlx::AssertSqlSafe(sql.as_str()));
            actions.iter().fold(query, |query, action| query.bind(*action)).bind(seq)
        })?;
        row.map(AuditEventRow::into_event).transpose()
    }
}
