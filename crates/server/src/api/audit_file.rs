//! The audit trail as a file: a line for each event, written piece by piece while it is read.

use axum::body::{Body, Bytes};
use axum::response::{IntoResponse, Response};
use doorward_broker::{AuditExport, BrokerError};
use doorward_domain::{AuditEvent, AuditEventId, AuditHash, Timestamp, UserId};
use futures_util::stream;
use http::header;
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

    fn content_type(self) -> &'static str {
        match self {
            Self::Ndjson => "application/x-ndjson",
            Self::Csv => "text/csv; charset=utf-8; header=present",
        }
    }
}

/// All that the hash covers, in the order in which it covers it, and the hash.
#[derive(Serialize)]
struct Line {
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

const HEADER: &str =
    "previous_hash,seq,id,at,actor,actor_id,action,subject,user_id,address,reference,detail,hash\r\n";

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
    fn ndjson(&self) -> String {
        json(self) + "\n"
    }

    fn csv(&self) -> String {
        let text = |field: Option<String>| field.unwrap_or_default();
        let fields = [
            self.previous_hash.to_string(),
            self.seq.to_string(),
            self.id.to_string(),
            self.at.to_string(),
            self.actor.to_owned(),
            text(self.actor_id.map(|id| id.to_string())),
            self.action.clone(),
            text(self.subject.clone()),
            text(self.user_id.map(|id| id.to_string())),
            text(self.address.clone()),
            text(self.reference.clone()),
            json(&self.detail),
            self.hash.to_string(),
        ];
        fields.map(|field| quoted(&field)).join(",") + "\r\n"
    }
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("text, numbers and maps of text have a JSON form")
}

/// A field as RFC 4180 section 2 wants it.
fn quoted(field: &str) -> String {
    if field.contains(['"', ',', '\r', '\n']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}

/// The file as an answer.
pub(crate) struct AuditFile {
    format: FileFormat,
    export: AuditExport,
    started: bool,
}

impl AuditFile {
    pub(crate) fn new(format: FileFormat, export: AuditExport) -> Self {
        Self { format, export, started: false }
    }

    async fn next(mut self) -> Result<Option<(Bytes, Self)>, BrokerError> {
        let header = if self.started || matches!(self.format, FileFormat::Ndjson) { "" } else { HEADER };
        self.started = true;
        let lines = self.export.next().await?.into_iter().map(Line::from);
        let text: String = match self.format {
            FileFormat::Ndjson => lines.map(|line| line.ndjson()).collect(),
            FileFormat::Csv => lines.map(|line| line.csv()).collect(),
        };
        let text = header.to_owned() + &text;
        Ok((!text.is_empty()).then(|| (Bytes::from(text), self)))
    }
}

impl IntoResponse for AuditFile {
    /// A failure on the way cuts the answer off, so that half a file is never taken for a whole one.
    fn into_response(self) -> Response {
        let headers = [
            (header::CONTENT_TYPE, self.format.content_type().to_owned()),
            (
                header::CONTENT_DISPOSITION,
                format!("attachment; filename=\"doorward-audit.{}\"", self.format.word()),
            ),
        ];
        let body = Body::from_stream(stream::try_unfold(self, |file| async move {
            file.next()
                .await
                .inspect_err(|error| tracing::error!(%error, "an export of the audit trail broke off"))
        }));
        (headers, body).into_response()
    }
}
