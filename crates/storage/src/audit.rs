//! The audit trail: writing an event that belongs to no other change, and reading.

use crate::cursor::Slice;
use crate::error::StorageError;
use crate::row::{RowName, text};
use crate::storage::Storage;
use doorward_domain::{Actor, AuditEvent, Hex, NewAuditEvent, Page, PageRequest, Timestamp, UserId};
use std::ops::Range;

/// Which events are wanted. What is not named is not asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// How the action begins, e.g. `grant.`.
    pub action_prefix: Option<String>,
    /// Events by this person, or about what is theirs.
    pub user: Option<UserId>,
    /// Events by this actor.
    pub actor: Option<Actor>,
    /// Events about this thing, by its id.
    pub subject: Option<String>,
    /// What the error that a client was shown calls the event.
    pub reference: Option<String>,
    /// Where the caller came from.
    pub address: Option<String>,
    /// From this moment on.
    pub since: Option<Timestamp>,
    /// Before this moment.
    pub until: Option<Timestamp>,
}

/// Which end of the trail is read first.
#[derive(Clone, Copy)]
enum Order {
    NewestFirst,
    OldestFirst,
}

impl Order {
    fn sql(self) -> &'static str {
        match self {
            Self::NewestFirst => "DESC",
            Self::OldestFirst => "ASC",
        }
    }
}

/// An event as its row.
#[derive(sqlx::FromRow)]
pub(crate) struct AuditEventRow {
    pub(crate) id: String,
    pub(crate) seq: i64,
    pub(crate) at: i64,
    pub(crate) actor_kind: String,
    pub(crate) actor_id: Option<String>,
    pub(crate) action: String,
    pub(crate) subject: Option<String>,
    pub(crate) user_id: Option<String>,
    pub(crate) address: Option<String>,
    pub(crate) reference: Option<String>,
    pub(crate) detail: String,
    pub(crate) previous_hash: Vec<u8>,
    pub(crate) hash: Vec<u8>,
}

impl AuditEventRow {
    /// Its columns.
    pub(crate) const COLUMNS: &str = "id, seq, at, actor_kind, actor_id, action, subject, user_id, address, reference, detail, \
                       previous_hash, hash";

    pub(crate) fn into_event(self) -> Result<AuditEvent, StorageError> {
        let row = RowName { table: "audit_events", id: &self.id };
        let actor = actor(row, &self.actor_kind, self.actor_id.as_deref())?;
        Ok(AuditEvent {
            seq: self.seq,
            previous_hash: Hex(row.hash("previous_hash", &self.previous_hash)?.0),
            hash: Hex(row.hash("hash", &self.hash)?.0),
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
        let span = self.audit_span(filter).await?;
        let piece = span.start..span.end.min(slice.after.0);
        let rows = self.audit_rows(filter, piece, Order::NewestFirst, slice.limit).await?;
        let rows = slice.page(rows, |row| (row.seq, String::new()));
        let items = rows.items.into_iter().map(AuditEventRow::into_event).collect::<Result<_, _>>()?;
        Ok(Page { items, next_cursor: rows.next_cursor })
    }

    /// A piece of the trail, oldest first, `limit` events at most. For the next one begin after the last.
    pub async fn audit_piece(
        &self,
        filter: &AuditFilter,
        piece: Range<i64>,
        limit: u32,
    ) -> Result<Vec<AuditEvent>, StorageError> {
        let rows = self.audit_rows(filter, piece, Order::OldestFirst, i64::from(limit)).await?;
        rows.into_iter().map(AuditEventRow::into_event).collect()
    }

    /// The numbers between which a filter's times lie.
    pub async fn audit_span(&self, filter: &AuditFilter) -> Result<Range<i64>, StorageError> {
        let first = self.first_event_since(filter.since).await?;
        Ok(first..self.end_of_events_until(filter.until).await?)
    }

    async fn audit_rows(
        &self,
        filter: &AuditFilter,
        piece: Range<i64>,
        order: Order,
        limit: i64,
    ) -> Result<Vec<AuditEventRow>, StorageError> {
        let since = filter.since.map_or(i64::MIN, Timestamp::millis);
        let until = filter.until.map_or(i64::MAX, Timestamp::millis);
        let (conditions, values) = conditions(filter);
        let order = order.sql();
        let sql = format!(
            "SELECT {} FROM audit_events WHERE seq >= $1 AND seq < $2 AND at >= $3 AND at < $4{conditions} \
             ORDER BY seq {order} LIMIT $5",
            AuditEventRow::COLUMNS
        );
        read!(self, "read the audit trail", fetch_all, {
            let query = sqlx::query_as::<_, AuditEventRow>(sqlx::AssertSqlSafe(sql.as_str()));
            let query = query.bind(piece.start).bind(piece.end).bind(since).bind(until).bind(limit);
            values.iter().fold(query, sqlx::query::QueryAs::bind)
        })
    }

    /// Where to begin to look: clocks may step back, so that the numbers are not in the order of the times.
    async fn first_event_since(&self, since: Option<Timestamp>) -> Result<i64, StorageError> {
        let Some(since) = since else { return Ok(0) };
        let first: Option<i64> = read!(
            self,
            "find the first event of a time",
            fetch_one,
            sqlx::query_scalar("SELECT min(seq) FROM audit_events WHERE at >= $1").bind(since.millis())
        )?;
        Ok(first.unwrap_or(i64::MAX))
    }

    /// Where to stop (exclusive).
    async fn end_of_events_until(&self, until: Option<Timestamp>) -> Result<i64, StorageError> {
        let Some(until) = until else { return Ok(i64::MAX) };
        let last: Option<i64> = read!(
            self,
            "find the last event of a time",
            fetch_one,
            sqlx::query_scalar("SELECT max(seq) FROM audit_events WHERE at < $1").bind(until.millis())
        )?;
        Ok(last.map_or(0, |last| last.saturating_add(1)))
    }

    /// The rows after a number, oldest first, unread: a hand in the database may have spoilt them.
    pub(crate) async fn audit_rows_after(
        &self,
        seq: i64,
        limit: u32,
    ) -> Result<Vec<AuditEventRow>, StorageError> {
        let sql = format!(
            "SELECT {} FROM audit_events WHERE seq > $1 ORDER BY seq LIMIT $2",
            AuditEventRow::COLUMNS
        );
        read!(
            self,
            "walk the audit trail",
            fetch_all,
            sqlx::query_as::<_, AuditEventRow>(sqlx::AssertSqlSafe(sql.as_str()))
                .bind(seq)
                .bind(i64::from(limit))
        )
    }
}

/// An actor from its two columns.
pub(crate) fn actor(row: RowName<'_>, kind: &str, id: Option<&str>) -> Result<Actor, StorageError> {
    Ok(match (kind, id) {
        ("user", Some(id)) => Actor::User(row.parse("actor_id", id)?),
        ("anonymous", None) => Actor::Anonymous,
        ("system", None) => Actor::System,
        ("command_line", None) => Actor::CommandLine,
        _ => return Err(row.corrupt("actor_kind", "no such kind of actor, or actor_id does not fit it")),
    })
}

/// The two columns of an actor.
pub(crate) fn actor_columns(actor: &Actor) -> (&'static str, Option<String>) {
    (actor.kind(), actor.person().map(|id| id.to_string()))
}

/// ` AND ...` for what the filter names beyond times, and the values, which are bound from `$6` on.
fn conditions(filter: &AuditFilter) -> (String, Vec<String>) {
    let (mut sql, mut values) = (String::new(), Vec::new());
    let mut add = |condition: &str, value: Option<String>| {
        if let Some(value) = value {
            values.push(text(&value).into_owned());
            sql.push_str(" AND ");
            sql.push_str(&condition.replace('?', &format!("${}", values.len() + 5)));
        }
    };
    add("substr(action, 1, length(?)) = ?", filter.action_prefix.clone());
    add("(user_id = ? OR (actor_kind = 'user' AND actor_id = ?))", filter.user.map(|user| user.to_string()));
    if let Some(actor) = &filter.actor {
        let (kind, id) = actor_columns(actor);
        add("actor_kind = ?", Some(kind.to_owned()));
        // Only people have an id; the others are told apart by their kind.
        add("actor_id = ?", id);
    }
    add("subject = ?", filter.subject.clone());
    add("reference = ?", filter.reference.clone());
    add("address = ?", filter.address.clone());
    (sql, values)
}
