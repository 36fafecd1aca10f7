//! What is signed of the audit trail, with a key that is not in the database: where retention cut the
//! chain (anchors), and what its head was at a time (checkpoints).

use crate::{Broker, BrokerError};
use doorward_domain::audit_chain::signed_statement;
use doorward_domain::{AuditAnchor, AuditCheckpoint, AuditHash, Hex, KeyId, Timestamp};
use doorward_vault::is_signed_by;

/// The purpose of the signing key.
const PURPOSE: &str = "audit";

impl Broker {
    /// A signed statement of the trail's head; none while nothing was ever written.
    pub async fn audit_checkpoint(&self) -> Result<Option<AuditCheckpoint>, BrokerError> {
        let Some((seq, hash)) = self.storage().audit_head().await? else { return Ok(None) };
        let at = self.now();
        let made = self.parts.vault.sign(PURPOSE, signed_statement("checkpoint", seq, hash, at).as_bytes());
        Ok(Some(AuditCheckpoint {
            seq,
            hash,
            at,
            key_id: made.key_id.0,
            public_key: made.public_key,
            signature: made.bytes,
        }))
    }

    /// What is wrong with a checkpoint by itself. Its key has to be one of the ring's, or the pinned one.
    pub(crate) fn checkpoint_problem(
        &self,
        checkpoint: &AuditCheckpoint,
        pinned: Option<&Hex<32>>,
    ) -> Option<String> {
        let AuditCheckpoint { seq, hash, at, public_key, signature, key_id } = checkpoint;
        let statement = signed_statement("checkpoint", *seq, *hash, *at);
        let known = self.parts.vault.public_key(PURPOSE, &KeyId(key_id.clone()));
        if !is_signed_by(public_key, statement.as_bytes(), signature) {
            Some(format!("the signature of the checkpoint of event {seq} does not fit it"))
        } else if known.as_ref() != Some(public_key) && pinned != Some(public_key) {
            Some(format!(
                "the checkpoint of event {seq} is signed by a key that is neither the ring's '{key_id}' nor pinned"
            ))
        } else {
            None
        }
    }

    /// What is wrong with an anchor.
    pub(crate) fn anchor_problem(&self, anchor: &AuditAnchor) -> Option<String> {
        let AuditAnchor { seq, hash, at, signing_key, signature } = anchor;
        let Some(public_key) = self.parts.vault.public_key(PURPOSE, signing_key) else {
            return Some(format!(
                "the anchor at event {seq} is signed by key '{signing_key}', which the ring has not"
            ));
        };
        let statement = signed_statement("anchor", *seq, *hash, *at);
        let fits = is_signed_by(&public_key, statement.as_bytes(), signature);
        (!fits).then(|| format!("the anchor at event {seq} is forged: its signature does not fit it"))
    }

    /// An anchor at an event, signed with the key that seals.
    pub(crate) fn signed_anchor(&self, seq: i64, hash: AuditHash, at: Timestamp) -> AuditAnchor {
        let made = self.parts.vault.sign(PURPOSE, signed_statement("anchor", seq, hash, at).as_bytes());
        AuditAnchor { seq, hash, at, signing_key: made.key_id, signature: made.bytes }
    }
}
