//! The audit trail as a file: a line for each event, with all that its hash covers.

use doorward_domain::{AuditEvent, AuditEventId, AuditHash, Timestamp, UserId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// The form of the file.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FileFormat {
    /// One JSON object a line.
    #[default]
    Ndjson,
    /// Comma-separated values with a header line (RFC 4180).
    Csv,
}

impl FileFormat {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Ndjson => "ndjson",
            Self::Csv => "csv",
        }
    }
}

/// All that the hash covers, in the order in which it covers it, and the hash.
#[derive(Serialize)]
pub(crate) struct Line {
    previous_hash: AuditHash,
    seq: i64,
    id: AuditEventId,
    at: Timestamp,
    actor: &'static str,
    actor_id: Option<UserId>,
    action: String,
    subject: Option<String>,
    user_id: Option<UserId>,
    address: Option<String>,
    reference: Option<String>,
    detail: BTreeMap<String, String>,
    hash: AuditHash,
}

impl From<AuditEvent> for Line {
    fn from(event: AuditEvent) -> Self {
        Self {
            previous_hash: event.previous_hash,
            seq: event.seq,
            id: event.id,
            at: event.at,
            actor: event.actor.kind(),
            actor_id: event.actor.person(),
            action: event.action,
            subject: event.subject,
            user_id: event.user_id,
            address: event.address,
            reference: event.reference,
            detail: event.detail,
            hash: event.hash,
        }
    }
}

impl Line {
    /// The names of the columns, in the order of the cells.
    pub(crate) const COLUMNS: [&'static str; 13] = [
        "previous_hash",
        "seq",
        "id",
        "at",
        "actor",
        "actor_id",
        "action",
        "subject",
        "user_id",
        "address",
        "reference",
        "detail",
        "hash",
    ];

    pub(crate) fn cells(&self) -> [String; 13] {
        let text = |field: &Option<String>| field.clone().unwrap_or_default();
        let person = |id: Option<UserId>| id.map(|id| id.to_string()).unwrap_or_default();
        [
            self.previous_hash.to_string(),
            self.seq.to_string(),
            self.id.to_string(),
            self.at.to_string(),
            self.actor.to_owned(),
            person(self.actor_id),
            self.action.clone(),
            text(&self.subject),
            person(self.user_id),
            text(&self.address),
            text(&self.reference),
            serde_json::to_string(&self.detail).expect("a map of text has a JSON form"),
            self.hash.to_string(),
        ]
    }
}
