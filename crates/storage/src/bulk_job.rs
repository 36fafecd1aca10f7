//! Orders about many grants. The first transaction settles which grants are meant, so that nobody is hit who
//! came later; batches work them off, each in a transaction of its own that also notes how far it came. A
//! process that dies in between loses nothing: the next that looks goes on.

use crate::audit::{actor, actor_columns};
use crate::cursor::Slice;
use crate::ended_grant::{End, GrantsOf, end_grants};
use crate::error::StorageError;
use crate::grant_filter::push_filter;
use crate::reauthorize::require_authorization;
use crate::row::{RowName, json, moment, text, word};
use crate::sql::{Sql, bound};
use crate::storage::Storage;
use crate::transaction::Tx;
use doorward_domain::{
    BulkJob, BulkJobId, BulkJobRow, BulkKind, EndCause, GrantChoice, GrantId, NewAuditEvent, NewBulkJob,
    Page, PageRequest, Timestamp,
};

/// What became of a new order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum BulkBegun {
    /// So many grants are meant.
    Yes { total: u64 },
    /// Another number is meant than was expected; nothing was written.
    Mismatch { found: u64 },
}

/// A grant that an order would mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChosenGrant {
    pub id: GrantId,
    /// None: the gateway's own grant.
    pub user_email: Option<String>,
    pub gateway_slug: String,
}

#[derive(sqlx::FromRow)]
struct JobRow {
    id: String,
    kind: String,
    actor_kind: String,
    actor_id: Option<String>,
    address: Option<String>,
    reason: String,
    provider: String,
    created_at: i64,
    finished_at: Option<i64>,
}

macro_rules! job_columns {
    () => {
        "id, kind, actor_kind, actor_id, address, reason, provider, created_at, finished_at"
    };
}

#[derive(sqlx::FromRow)]
struct GrantOfJob {
    number: i64,
    grant_id: String,
    user_email: Option<String>,
    gateway_slug: String,
    result: String,
    receipt: Option<String>,
    receipt_detail: Option<String>,
}

impl JobRow {
    fn into_job(self, counts: &[(String, i64)]) -> Result<BulkJob, StorageError> {
        let row = RowName { table: "bulk_jobs", id: &self.id };
        let count = |result: &str| {
            counts.iter().find(|(name, _)| name == result).map_or(0, |(_, count)| count.unsigned_abs())
        };
        Ok(BulkJob {
            id: row.parse("id", &self.id)?,
            kind: row.word("kind", &self.kind)?,
            actor: actor(row, &self.actor_kind, self.actor_id.as_deref())?,
            provider: row.word("provider", &self.provider)?,
            waiting: count("waiting"),
            done: count("done"),
            gone: count("gone"),
            reason: self.reason,
            created_at: Timestamp::from_millis(self.created_at),
            finished_at: moment(self.finished_at),
        })
    }
}

impl Storage {
    /// How many grants a choice means, and the first of them by name.
    pub async fn chosen_grants(
        &self,
        choice: &GrantChoice,
        names: u32,
    ) -> Result<(u64, Vec<ChosenGrant>), StorageError> {
        let mut count = Sql::new("SELECT count(*) FROM grants AS g WHERE ");
        push_choice(&mut count, self, choice);
        let total: i64 = read!(self, "count the chosen grants", fetch_one, bound!(count, query_scalar))?;
        let mut sql = Sql::new(
            "SELECT g.id, u.email, w.slug FROM grants AS g JOIN gateways AS w ON w.id = g.gateway_id \
             LEFT JOIN users AS u ON u.id = g.user_id WHERE ",
        );
        push_choice(&mut sql, self, choice);
        sql.push(" ORDER BY g.id").limit(i64::from(names));
        let rows: Vec<(String, Option<String>, String)> =
            read!(self, "name the chosen grants", fetch_all, bound!(sql, query_as))?;
        let named = |(id, user_email, gateway_slug): (String, Option<String>, String)| {
            let id = RowName { table: "grants", id: &id }.parse("id", &id)?;
            Ok(ChosenGrant { id, user_email, gateway_slug })
        };
        let named = rows.into_iter().map(named).collect::<Result<Vec<_>, StorageError>>()?;
        Ok((total.unsigned_abs(), named))
    }

    /// Settles which grants an order means, and keeps it to be worked off.
    pub async fn begin_bulk_job(
        &self,
        job: &NewBulkJob,
        audit: NewAuditEvent,
    ) -> Result<BulkBegun, StorageError> {
        let mut tx = self.begin("begin a bulk job").await?;
        insert(&mut tx, job).await?;
        let mut sql = Sql::new(
            "INSERT INTO bulk_job_rows (job_id, number, grant_id, user_email, gateway_slug, result) SELECT ",
        );
        sql.text(job.id.to_string()).push(
            ", ROW_NUMBER() OVER (ORDER BY g.id), g.id, u.email, w.slug, 'waiting' FROM grants AS g \
             JOIN gateways AS w ON w.id = g.gateway_id LEFT JOIN users AS u ON u.id = g.user_id WHERE ",
        );
        push_choice(&mut sql, self, &job.choice);
        let total = tx!(tx, execute, bound!(sql, query))?;
        if job.expected.is_some_and(|expected| expected != total) {
            return Ok(BulkBegun::Mismatch { found: total });
        }
        let chosen = match &job.choice {
            GrantChoice::Filter(filter) => json(filter),
            GrantChoice::Ids(ids) => format!("{} ids", ids.len()),
        };
        tx.audit(audit.detail("chosen", chosen).detail("count", total));
        tx.commit().await?;
        Ok(BulkBegun::Yes { total })
    }

    /// Works off up to `limit` grants of an order; false when it is finished. Of two that work on the same
    /// order, one waits for the other.
    pub async fn work_on_bulk_job(&self, id: BulkJobId, limit: u32) -> Result<bool, StorageError> {
        let mut tx = self.begin("work on a bulk job").await?;
        let Some(job) = lock(&mut tx, id).await? else { return Ok(false) };
        let grants = next_grants(&mut tx, id, limit).await?;
        if grants.is_empty() {
            let now = tx.now().millis();
            let finish = "UPDATE bulk_jobs SET finished_at = $1 WHERE id = $2";
            tx!(tx, execute, sqlx::query(finish).bind(now).bind(id.to_string()))?;
            tx.commit().await?;
            return Ok(false);
        }
        let row = RowName { table: "bulk_jobs", id: &job.id };
        let by = actor(row, &job.actor_kind, job.actor_id.as_deref())?;
        let done = match row.word("kind", &job.kind)? {
            BulkKind::Revoke => {
                let end = End {
                    address: job.address.as_deref(),
                    reason: Some(&job.reason),
                    job: Some(id),
                    provider: row.word("provider", &job.provider)?,
                    ..End::by(EndCause::Revoked, &by)
                };
                end_grants(&mut tx, GrantsOf::These(&grants), &end).await?;
                ended_by(&mut tx, id, &grants).await?
            }
            BulkKind::Reauthorize => {
                let event = NewAuditEvent::new(by, "grant.reauthorize")
                    .from_address(job.address.clone())
                    .detail("reason", &job.reason)
                    .detail("job", id);
                require_authorization(&mut tx, &grants, &event).await?
            }
        };
        note(&mut tx, id, &grants, &done).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Orders that are not finished, oldest first.
    pub async fn running_bulk_jobs(&self) -> Result<Vec<BulkJobId>, StorageError> {
        let ids: Vec<String> = read!(
            self,
            "look for running bulk jobs",
            fetch_all,
            sqlx::query_scalar("SELECT id FROM bulk_jobs WHERE finished_at IS NULL ORDER BY created_at, id")
        )?;
        ids.iter().map(|id| RowName { table: "bulk_jobs", id }.parse("id", id)).collect()
    }

    /// An order, and how far it has come.
    pub async fn bulk_job(&self, id: BulkJobId) -> Result<Option<BulkJob>, StorageError> {
        let row = read!(
            self,
            "read a bulk job",
            fetch_optional,
            sqlx::query_as::<_, JobRow>(concat!("SELECT ", job_columns!(), " FROM bulk_jobs WHERE id = $1"))
                .bind(id.to_string())
        )?;
        let counts: Vec<(String, i64)> = read!(
            self,
            "count the grants of a bulk job",
            fetch_all,
            sqlx::query_as("SELECT result, count(*) FROM bulk_job_rows WHERE job_id = $1 GROUP BY result")
                .bind(id.to_string())
        )?;
        row.map(|row| row.into_job(&counts)).transpose()
    }

    /// A page of the grants of an order, with what is known of the provider's side.
    pub async fn bulk_job_rows(
        &self,
        id: BulkJobId,
        request: &PageRequest,
    ) -> Result<Page<BulkJobRow>, StorageError> {
        let slice = Slice::of("bulk_job", 0, request)?;
        let rows = read!(
            self,
            "list the grants of a bulk job",
            fetch_all,
            sqlx::query_as::<_, GrantOfJob>(
                "SELECT r.number, r.grant_id, r.user_email, r.gateway_slug, r.result, e.receipt, e.receipt_detail \
                 FROM bulk_job_rows r LEFT JOIN ended_grants e ON e.grant_id = r.grant_id \
                 WHERE r.job_id = $1 AND r.number > $2 ORDER BY r.number LIMIT $3"
            )
            .bind(id.to_string())
            .bind(slice.after.0)
            .bind(slice.limit)
        )?;
        let page = slice.page(rows, |row| (row.number, String::new()));
        let items = page.items.into_iter().map(GrantOfJob::into_row).collect::<Result<_, _>>()?;
        Ok(Page { items, next_cursor: page.next_cursor })
    }
}

impl GrantOfJob {
    fn into_row(self) -> Result<BulkJobRow, StorageError> {
        let row = RowName { table: "bulk_job_rows", id: &self.grant_id };
        Ok(BulkJobRow {
            grant_id: row.parse("grant_id", &self.grant_id)?,
            result: row.word("result", &self.result)?,
            receipt: self.receipt.as_deref().map(|receipt| row.word("receipt", receipt)).transpose()?,
            user_email: self.user_email,
            gateway_slug: self.gateway_slug,
            receipt_detail: self.receipt_detail,
        })
    }
}

/// Appends the condition that a row `g` of grants is meant.
fn push_choice(sql: &mut Sql, storage: &Storage, choice: &GrantChoice) {
    match choice {
        GrantChoice::Filter(filter) => push_filter(sql, storage.database(), filter),
        GrantChoice::Ids(ids) => {
            sql.push("g.id IN (EACH(").text(json(ids)).push("))");
            sql.text = storage.database().spell(&sql.text);
        }
    }
}

async fn insert(tx: &mut Tx, job: &NewBulkJob) -> Result<(), StorageError> {
    let (actor_kind, actor_id) = actor_columns(&job.actor);
    let now = tx.now().millis();
    tx!(
        tx,
        execute,
        sqlx::query(
            "INSERT INTO bulk_jobs (id, kind, actor_kind, actor_id, address, reason, provider, created_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)"
        )
        .bind(job.id.to_string())
        .bind(word(job.kind))
        .bind(actor_kind)
        .bind(actor_id)
        .bind(job.address.as_deref().map(text))
        .bind(text(&job.reason))
        .bind(word(job.provider))
        .bind(now)
    )
    .map(drop)
}

async fn lock(tx: &mut Tx, id: BulkJobId) -> Result<Option<JobRow>, StorageError> {
    tx!(
        tx,
        fetch_optional,
        sqlx::query_as::<_, JobRow>(concat!(
            "UPDATE bulk_jobs SET kind = kind WHERE id = $1 AND finished_at IS NULL RETURNING ",
            job_columns!()
        ))
        .bind(id.to_string())
    )
}

async fn next_grants(tx: &mut Tx, id: BulkJobId, limit: u32) -> Result<Vec<GrantId>, StorageError> {
    let ids: Vec<String> = tx!(
        tx,
        fetch_all,
        sqlx::query_scalar(
            "SELECT grant_id FROM bulk_job_rows WHERE job_id = $1 AND result = 'waiting' ORDER BY number LIMIT $2"
        )
        .bind(id.to_string())
        .bind(i64::from(limit))
    )?;
    ids.iter().map(|id| RowName { table: "bulk_job_rows", id }.parse("grant_id", id)).collect()
}

/// Which of the grants this order has ended; the others had ended before.
async fn ended_by(tx: &mut Tx, job: BulkJobId, grants: &[GrantId]) -> Result<Vec<String>, StorageError> {
    let sql =
        tx.connection.spell("SELECT grant_id FROM ended_grants WHERE job_id = $2 AND grant_id IN (EACH($1))");
    tx!(tx, fetch_all, sqlx::query_scalar(sql).bind(json(grants)).bind(job.to_string()))
}

/// Notes what became of the grants whose turn it was.
async fn note(tx: &mut Tx, job: BulkJobId, grants: &[GrantId], done: &[String]) -> Result<(), StorageError> {
    let sql = tx.connection.spell(
        "UPDATE bulk_job_rows SET result = CASE WHEN grant_id IN (EACH($2)) THEN 'done' ELSE 'gone' END \
         WHERE job_id = $3 AND result = 'waiting' AND grant_id IN (EACH($1))",
    );
    tx!(tx, execute, sqlx::query(sql).bind(json(grants)).bind(json(done)).bind(job.to_string())).map(drop)
}
