//! The audit trail. Events are numbered in the order of their commits; the columns for a hash chain wait
//! for a later issue.

use crate::cursor::Slice;
use crate::error::StorageError;
use crate::row::{ROWS, RowName, json, text, values};
use crate::storage::Storage;
use crate::transaction::Tx;
use doorward_domain::{
    Actor, AuditEvent, AuditEventId, Entropy, NewAuditEvent, Page, PageRequest, Timestamp, UserId,
};
use sqlx::AssertSqlSafe;

/// The one stream there is so far.
const STREAM: &str = "main";

/// Which events are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// How the action begins, e.g. `grant.`.
    pub action_prefix: Option<String>,
    /// Events by this person, or about what is theirs.
    pub user: Option<UserId>,
}

#[derive(sqlx::FromRow)]
struct AuditEventRow {
    id: String,
    seq: i64,
    at: i64,
    actor_kind: String,
    actor_id: Option<String>,
    action: String,
    subject: Option<String>,
    user_id: Option<String>,
    address: Option<String>,
    reference: Option<String>,
    detail: String,
}

impl AuditEventRow {
    fn into_event(self) -> Result<AuditEvent, StorageError> {
        let row = RowName { table: "audit_events", id: &self.id };
        let actor = match (self.actor_kind.as_str(), self.actor_id.as_deref()) {
            ("user", Some(id)) => Actor::User(row.parse("actor_id", id)?),
            ("anonymous", None) => Actor::Anonymous,
            ("system", None) => Actor::System,
            ("command_line", None) => Actor::CommandLine,
            _ => return Err(row.corrupt("actor_kind", "no such kind of actor, or actor_id does not fit it")),
        };
        Ok(AuditEvent {
            id: row.parse("id", &self.id)?,
            at: Timestamp::from_millis(self.at),
            actor,
            user_id: row.parse_optional("user_id", self.user_id.as_deref())?,
            detail: row.json("detail", &self.detail)?,
            action: self.action,
            subject: self.subject,
            address: self.address,
            reference: self.reference,
        })
    }
}

impl Storage {
    /// Writes an event that belongs to no other change.
    pub async fn record(&self, event: NewAuditEvent) -> Result<(), StorageError> {
        let mut tx = self.begin("write an audit event").await?;
        tx.audit(event);
        tx.commit().await
    }

    /// The trail, newest first.
    pub async fn audit_events(
        &self,
        filter: &AuditFilter,
        request: &PageRequest,
    ) -> Result<Page<AuditEvent>, StorageError> {
        let slice = Slice::of("audit", i64::MAX, request)?;
        let rows = read!(
            self,
            "read the audit trail",
            fetch_all,
            sqlx::query_as::<_, AuditEventRow>(
                "SELECT id, seq, at, actor_kind, actor_id, action, subject, user_id, address, reference, \
                 detail \
                 FROM audit_events WHERE stream = $1 AND seq < $2 \
                 AND ($3 = '' OR substr(action, 1, length($3)) = $3) \
                 AND ($4 = '' OR user_id = $4 OR actor_id = $4) ORDER BY seq DESC LIMIT $5"
            )
            .bind(STREAM)
            .bind(slice.after.0)
            .bind(text(filter.action_prefix.as_deref().unwrap_or_default()))
            .bind(filter.user.map(|id| id.to_string()).unwrap_or_default())
            .bind(slice.limit)
        )?;
        let rows = slice.page(rows, |row| (row.seq, String::new()));
        let items = rows.items.into_iter().map(AuditEventRow::into_event).collect::<Result<_, _>>()?;
        Ok(Page { items, next_cursor: rows.next_cursor })
    }
}

/// The two columns of an actor.
pub(crate) fn actor_columns(actor: &Actor) -> (&'static str, Option<String>) {
    match actor {
        Actor::User(id) => ("user", Some(id.to_string())),
        Actor::Anonymous => ("anonymous", None),
        Actor::System => ("system", None),
        Actor::CommandLine => ("command_line", None),
    }
}

/// Writes what a transaction recorded; part of its commit.
pub(crate) async fn append(tx: &mut Tx) -> Result<(), StorageError> {
    let events = tx.take_audit();
    if events.is_empty() {
        return Ok(());
    }
    let now = tx.now();
    let first = tx.numbers("audit", events.len()).await?;
    let mut numbered = (first..).zip(&events).peekable();
    while numbered.peek().is_some() {
        let rows: Vec<_> = numbered.by_ref().take(ROWS).collect();
        insert(tx, now, &rows).await?;
    }
    Ok(())
}

async fn insert(tx: &mut Tx, now: Timestamp, rows: &[(i64, &NewAuditEvent)]) -> Result<(), StorageError> {
    let sql = format!(
        "INSERT INTO audit_events (id, stream, seq, at, actor_kind, actor_id, action, subject, user_id, address, \
         reference, detail) VALUES {}",
        values(rows.len(), 12)
    );
    tx!(tx, execute, {
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for (seq, event) in rows {
            let id: AuditEventId = Entropy.id(now);
            let (actor_kind, actor_id) = actor_columns(&event.actor);
            query = query
                .bind(id.to_string())
                .bind(STREAM)
                .bind(*seq)
                .bind(now.millis())
                .bind(actor_kind)
                .bind(actor_id)
                .bind(event.action)
                .bind(event.subject.as_deref().map(text))
                .bind(event.user_id.map(|id| id.to_string()))
                .bind(event.address.as_deref().map(text))
                .bind(event.reference.as_deref().map(text))
                .bind(json(&event.detail));
        }
        query
    })
    .map(drop)
}
