//! Retention: the oldest events go, and a signed anchor says where the chain begins from then on. The
//! signature is made outside: this crate sees no key.

use crate::error::StorageError;
use crate::row::RowName;
use crate::storage::Storage;
use doorward_domain::{AuditAnchor, Hex, KeyId, NewAuditEvent, Timestamp};

#[derive(sqlx::FromRow)]
struct AnchorRow {
    seq: i64,
    hash: Vec<u8>,
    at: i64,
    signing_key: String,
    signature: Vec<u8>,
}

impl Storage {
    /// Where the chain was cut last; none while it is whole.
    pub async fn audit_anchor(&self) -> Result<Option<AuditAnchor>, StorageError> {
        let row = read!(
            self,
            "read where the audit trail was cut",
            fetch_optional,
            sqlx::query_as::<_, AnchorRow>(
                "SELECT seq, hash, at, signing_key, signature FROM audit_anchors ORDER BY seq DESC LIMIT 1"
            )
        )?;
        row.map(AnchorRow::into_anchor).transpose()
    }

    /// Deletes the events up to an anchor, leaves the anchor in their place, and records that it was done.
    /// Earlier anchors go with the events they stood for. Gives how many events were deleted.
    pub async fn cut_audit(
        &self,
        anchor: &AuditAnchor,
        event: impl FnOnce(u64) -> NewAuditEvent,
    ) -> Result<u64, StorageError> {
        let mut tx = self.begin("cut the audit trail").await?;
        let deleted =
            tx!(tx, execute, sqlx::query("DELETE FROM audit_events WHERE seq <= $1").bind(anchor.seq))?;
        tx!(tx, execute, sqlx::query("DELETE FROM audit_anchors WHERE seq < $1").bind(anchor.seq))?;
        tx!(
            tx,
            execute,
            sqlx::query(
                "INSERT INTO audit_anchors (seq, hash, at, signing_key, signature) VALUES ($1, $2, $3, $4, $5) \
                 ON CONFLICT (seq) DO NOTHING"
            )
            .bind(anchor.seq)
            .bind(anchor.hash.0.as_slice())
            .bind(anchor.at.millis())
            .bind(&anchor.signing_key.0)
            .bind(anchor.signature.0.as_slice())
        )?;
        if deleted > 0 {
            tx.audit(event(deleted));
        }
        tx.commit().await?;
        Ok(deleted)
    }

    /// Puts another signature under an anchor.
    pub async fn sign_audit_anchor(&self, anchor: &AuditAnchor) -> Result<(), StorageError> {
        write!(
            self,
            "sign where the audit trail was cut",
            execute,
            sqlx::query(
                "UPDATE audit_anchors SET signing_key = $1, signature = $2 WHERE seq = $3 AND hash = $4"
            )
            .bind(&anchor.signing_key.0)
            .bind(anchor.signature.0.as_slice())
            .bind(anchor.seq)
            .bind(anchor.hash.0.as_slice())
        )
        .map(drop)
    }
}

impl AnchorRow {
    fn into_anchor(self) -> Result<AuditAnchor, StorageError> {
        let id = self.seq.to_string();
        let row = RowName { table: "audit_anchors", id: &id };
        Ok(AuditAnchor {
            seq: self.seq,
            hash: Hex(row.hash("hash", &self.hash)?.0),
            at: Timestamp::from_millis(self.at),
            signing_key: KeyId(self.signing_key),
            signature: (self.signature.as_slice().try_into().map(Hex))
                .map_err(|_| row.corrupt("signature", "a signature has 64 bytes"))?,
        })
    }
}
