//! The chain of the audit trail: what is hashed, how events are appended, and how the chain is walked.
//!
//! There is one chain for all replicas. Each writing transaction takes its numbers from one counter row and
//! so holds that row's lock until its commit anyway; the newest hash stands beside the number.

use crate::audit::{AuditEventRow, actor_columns};
use crate::error::StorageError;
use crate::row::{ROWS, is_usual, json, text};
use crate::storage::Storage;
use crate::transaction::Tx;
use aws_lc_rs::digest::{Context, SHA256};
use doorward_domain::{
    AuditEventId, AuditHash, AuditLink, ChainBreak, Entropy, Hex, NewAuditEvent, Timestamp,
};

/// Begins what is hashed, so that the form can change one day without two forms being mixed up.
const FORM: &str = "doorward audit event v1";

/// In place of the length of a field that is not there.
const ABSENT: [u8; 4] = [0xff; 4];

/// Columns of one event.
const COLUMNS: usize = 13;

/// A piece of the chain, as far as it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditWalk {
    /// In order, without a gap.
    pub links: Vec<AuditLink>,
    /// What is wrong with the event after them.
    pub broken: Option<ChainBreak>,
}

impl AuditEventRow {
    /// The hash of what the row holds, after `previous`: SHA-256 over fields, each with its length before it.
    fn computed_hash(&self, previous: AuditHash) -> AuditHash {
        let mut digest = Context::new(&SHA256);
        let mut add = |field: Option<&[u8]>| match field {
            Some(bytes) => {
                let length = u32::try_from(bytes.len()).expect("a field of an event fits into memory");
                digest.update(&length.to_be_bytes());
                digest.update(bytes);
            }
            None => digest.update(&ABSENT),
        };
        add(Some(FORM.as_bytes()));
        add(Some(&previous.0));
        add(Some(self.seq.to_string().as_bytes()));
        add(Some(self.id.as_bytes()));
        add(Some(self.at.to_string().as_bytes()));
        add(Some(self.actor_kind.as_bytes()));
        add(self.actor_id.as_deref().map(str::as_bytes));
        add(Some(self.action.as_bytes()));
        add(self.subject.as_deref().map(str::as_bytes));
        add(self.user_id.as_deref().map(str::as_bytes));
        add(self.address.as_deref().map(str::as_bytes));
        add(self.reference.as_deref().map(str::as_bytes));
        add(Some(self.detail.as_bytes()));
        Hex(digest.finish().as_ref().try_into().expect("SHA-256 has 32 bytes"))
    }

    /// Whether the row follows `before`; what is wrong if it does not.
    fn check(&self, before: AuditLink) -> Result<AuditLink, ChainBreak> {
        let seq = self.seq;
        if seq != before.seq + 1 {
            return Err(ChainBreak::Missing { seq: before.seq + 1, through: seq - 1 });
        }
        if self.previous_hash != before.hash.0 {
            return Err(ChainBreak::Unlinked { seq });
        }
        let hash = self.computed_hash(before.hash);
        if self.hash != hash.0 {
            return Err(ChainBreak::Altered { seq });
        }
        Ok(AuditLink { seq, hash, at: Timestamp::from_millis(self.at) })
    }
}

impl Storage {
    /// The newest event that was ever written, as the counter has it; none before the first.
    pub async fn audit_head(&self) -> Result<Option<(i64, AuditHash)>, StorageError> {
        let (seq, hash): (i64, Option<Vec<u8>>) = read!(
            self,
            "read the head of the audit trail",
            fetch_one,
            sqlx::query_as("SELECT value, hash FROM counters WHERE name = 'audit'")
        )?;
        hash.map(|hash| Ok((seq, head_hash(&hash)?))).transpose()
    }

    /// Checks the events after `from`, `limit` of them at most.
    pub async fn walk_audit(&self, from: AuditLink, limit: u32) -> Result<AuditWalk, StorageError> {
        let rows = self.audit_rows_after(from.seq, limit).await?;
        let mut walk = AuditWalk { links: Vec::with_capacity(rows.len()), broken: None };
        let mut before = from;
        for row in rows {
            match row.check(before) {
                Ok(link) => {
                    walk.links.push(link);
                    before = link;
                }
                Err(broken) => {
                    walk.broken = Some(broken);
                    break;
                }
            }
        }
        Ok(walk)
    }
}

fn head_hash(bytes: &[u8]) -> Result<AuditHash, StorageError> {
    bytes.try_into().map(Hex).map_err(|_| StorageError::Corrupt {
        table: "counters",
        column: "hash",
        id: "audit".to_owned(),
        why: format!("a hash has 32 bytes, not {}", bytes.len()),
    })
}

/// Writes what a transaction recorded; part of its commit.
pub(crate) async fn append(tx: &mut Tx) -> Result<(), StorageError> {
    let events = tx.take_audit();
    if events.is_empty() {
        return Ok(());
    }
    let now = tx.now();
    let count = i64::try_from(events.len()).unwrap_or(i64::MAX);
    let (last, head): (i64, Option<Vec<u8>>) = tx!(
        tx,
        fetch_one,
        sqlx::query_as("UPDATE counters SET value = value + $1 WHERE name = 'audit' RETURNING value, hash")
            .bind(count)
    )?;
    let mut previous = head.as_deref().map_or(Ok(AuditHash::ZEROS), head_hash)?;
    let rows: Vec<AuditEventRow> = (last - count + 1..)
        .zip(events)
        .map(|(seq, event)| {
            let (row, hash) = chained(event, seq, now, previous);
            previous = hash;
            row
        })
        .collect();
    for rows in rows.chunks(ROWS) {
        insert(tx, rows).await?;
    }
    tx!(
        tx,
        execute,
        sqlx::query("UPDATE counters SET hash = $1 WHERE name = 'audit'").bind(previous.0.as_slice())
    )?;
    Ok(())
}

fn chained(
    event: NewAuditEvent,
    seq: i64,
    now: Timestamp,
    previous: AuditHash,
) -> (AuditEventRow, AuditHash) {
    let id: AuditEventId = Entropy.id(now);
    let (actor_kind, actor_id) = actor_columns(&event.actor);
    let plain = |field: Option<String>| field.map(|field| text(&field).into_owned());
    let mut row = AuditEventRow {
        id: id.to_string(),
        seq,
        at: now.millis(),
        actor_kind: actor_kind.to_owned(),
        actor_id,
        action: event.action.to_owned(),
        subject: plain(event.subject),
        user_id: event.user_id.map(|id| id.to_string()),
        address: plain(event.address),
        reference: plain(event.reference),
        detail: json(&event.detail),
        previous_hash: previous.0.to_vec(),
        hash: Vec::new(),
    };
    let hash = row.computed_hash(previous);
    row.hash = hash.0.to_vec();
    (row, hash)
}

async fn insert(tx: &mut Tx, rows: &[AuditEventRow]) -> Result<(), StorageError> {
    let sql = format!(
        "INSERT INTO audit_events (id, seq, at, actor_kind, actor_id, action, subject, user_id, address, \
         reference, detail, previous_hash, hash) VALUES {}",
        tx.connection.values(rows.len(), COLUMNS)
    );
    tx!(tx, execute, {
        let mut query = sqlx::query(sqlx::AssertSqlSafe(sql.as_str()));
        for row in rows {
            query = query
                .bind(&row.id)
                .bind(row.seq)
                .bind(row.at)
                .bind(&row.actor_kind)
                .bind(&row.actor_id)
                .bind(&row.action)
                .bind(&row.subject)
                .bind(&row.user_id)
                .bind(&row.address)
                .bind(&row.reference)
                .bind(&row.detail)
                .bind(&row.previous_hash)
                .bind(&row.hash);
        }
        query.persistent(is_usual(rows.len()))
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The value was computed by another program from the description in docs/security.md.
    #[test]
    fn the_hash_is_the_one_that_the_documentation_describes() {
        let row = AuditEventRow {
            id: "019b0000-0000-7000-8000-000000000001".into(),
            seq: 7,
            at: 1_800_000_000_123,
            actor_kind: "user".into(),
            actor_id: Some("019b0000-0000-7000-8000-000000000002".into()),
            action: "grant.revoke".into(),
            subject: Some("thing".into()),
            user_id: None,
            address: Some(String::new()),
            reference: None,
            detail: r#"{"reason":"J\u0001\"é"}"#.into(),
            previous_hash: Vec::new(),
            hash: Vec::new(),
        };
        let hash = row.computed_hash(Hex([1; 32]));
        assert_eq!(hash.to_string(), "ccc3ad9fe9c8cc71db117b7c59296d0709a9475304558cec5249cc4c417bcf92");
    }
}
