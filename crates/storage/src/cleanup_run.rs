//! Runs of cleanup. One at a time writes here: the one that holds the lease.

use crate::audit::{actor, actor_columns};
use crate::cleanup_hold::release_hold;
use crate::cursor::Slice;
use crate::error::StorageError;
use crate::row::{RowName, json, millis, moment, text, word};
use crate::storage::Storage;
use doorward_domain::{CleanupRun, CleanupRunId, NewAuditEvent, Page, PageRequest, Timestamp};

macro_rules! columns {
    () => {
        "id, started_by, actor_kind, actor_id, dry_run, state, started_at, finished_at, counts, held_count, \
         hold_reason, confirms, sample, slowest_batch_ms, error"
    };
}

#[derive(sqlx::FromRow)]
struct CleanupRunRow {
    id: String,
    started_by: String,
    actor_kind: String,
    actor_id: Option<String>,
    dry_run: bool,
    state: String,
    started_at: i64,
    finished_at: Option<i64>,
    counts: String,
    held_count: i64,
    hold_reason: Option<String>,
    confirms: Option<String>,
    sample: String,
    slowest_batch_ms: i64,
    error: Option<String>,
}

impl CleanupRunRow {
    fn into_run(self) -> Result<CleanupRun, StorageError> {
        let row = RowName { table: "cleanup_runs", id: &self.id };
        let reason = self.hold_reason.as_deref().map(|reason| row.word("hold_reason", reason));
        Ok(CleanupRun {
            id: row.parse("id", &self.id)?,
            trigger: row.word("started_by", &self.started_by)?,
            actor: actor(row, &self.actor_kind, self.actor_id.as_deref())?,
            dry_run: self.dry_run,
            state: row.word("state", &self.state)?,
            started_at: Timestamp::from_millis(self.started_at),
            finished_at: moment(self.finished_at),
            counts: row.json("counts", &self.counts)?,
            held_count: self.held_count.unsigned_abs(),
            hold_reason: reason.transpose()?,
            confirms: row.parse_optional("confirms", self.confirms.as_deref())?,
            sample: row.json("sample", &self.sample)?,
            slowest_batch_ms: self.slowest_batch_ms.unsigned_abs(),
            error: self.error,
        })
    }
}

/// Runs of which the last one is asked for.
#[derive(Clone, Copy)]
enum Last {
    Scheduled,
    /// One that swept to its end.
    Finished,
}

impl Storage {
    /// Keeps a run that begins.
    pub async fn insert_cleanup_run(&self, run: &CleanupRun) -> Result<(), StorageError> {
        let (actor_kind, actor_id) = actor_columns(&run.actor);
        write!(
            self,
            "keep a run of cleanup",
            execute,
            sqlx::query(
                "INSERT INTO cleanup_runs (id, started_by, actor_kind, actor_id, dry_run, state, started_at, \
                 counts, held_count, confirms, sample, slowest_batch_ms) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0, $9, '[]', 0)"
            )
            .bind(run.id.to_string())
            .bind(word(run.trigger))
            .bind(actor_kind)
            .bind(actor_id.as_deref())
            .bind(run.dry_run)
            .bind(word(run.state))
            .bind(run.started_at.millis())
            .bind(json(&run.counts))
            .bind(run.confirms.map(|id| id.to_string()))
        )
        .map(drop)
    }

    /// Writes how far a run is, and with its end what the audit trail says of it. A run that finished what
    /// it was told to ends the hold.
    pub async fn update_cleanup_run(
        &self,
        run: &CleanupRun,
        ends_hold: bool,
        audit: Option<NewAuditEvent>,
    ) -> Result<(), StorageError> {
        let mut tx = self.begin("write how far a run of cleanup is").await?;
        tx!(
            tx,
            execute,
            sqlx::query(
                "UPDATE cleanup_runs SET state = $1, finished_at = $2, counts = $3, held_count = $4, \
                 hold_reason = $5, sample = $6, slowest_batch_ms = $7, error = $8 WHERE id = $9"
            )
            .bind(word(run.state))
            .bind(millis(run.finished_at))
            .bind(json(&run.counts))
            .bind(i64::try_from(run.held_count).unwrap_or(i64::MAX))
            .bind(run.hold_reason.map(word))
            .bind(json(&run.sample))
            .bind(i64::try_from(run.slowest_batch_ms).unwrap_or(i64::MAX))
            .bind(run.error.as_deref().map(text))
            .bind(run.id.to_string())
        )?;
        if ends_hold {
            release_hold(&mut tx).await?;
        }
        if let Some(event) = audit {
            tx.audit(event);
        }
        tx.commit().await
    }

    /// Whoever holds the lease finds no run at work but its own: what says so was cut off. How many that were.
    pub async fn fail_interrupted_cleanup_runs(&self, now: Timestamp) -> Result<u64, StorageError> {
        write!(
            self,
            "note the runs of cleanup that were cut off",
            execute,
            sqlx::query(
                "UPDATE cleanup_runs SET state = 'failed', finished_at = $1, error = $2 WHERE state = 'running'"
            )
            .bind(now.millis())
            .bind("Doorward stopped in the middle; the next run goes on")
        )
    }

    /// The run with an id.
    pub async fn cleanup_run(&self, id: CleanupRunId) -> Result<Option<CleanupRun>, StorageError> {
        let row = read!(
            self,
            "read a run of cleanup",
            fetch_optional,
            sqlx::query_as::<_, CleanupRunRow>(concat!(
                "SELECT ",
                columns!(),
                " FROM cleanup_runs WHERE id = $1"
            ))
            .bind(id.to_string())
        )?;
        row.map(CleanupRunRow::into_run).transpose()
    }

    /// Every run, newest first.
    pub async fn cleanup_runs(&self, request: &PageRequest) -> Result<Page<CleanupRun>, StorageError> {
        let slice = Slice::of("cleanup_runs", i64::MAX, request)?;
        let rows = read!(
            self,
            "list the runs of cleanup",
            fetch_all,
            sqlx::query_as::<_, CleanupRunRow>(concat!(
                "SELECT ",
                columns!(),
                " FROM cleanup_runs WHERE (started_at, id) < ($1, $2) ORDER BY started_at DESC, id DESC LIMIT $3"
            ))
            .bind(slice.after.0)
            .bind(&slice.after.1)
            .bind(slice.limit)
        )?;
        let runs = rows.into_iter().map(CleanupRunRow::into_run).collect::<Result<Vec<_>, _>>()?;
        Ok(slice.page(runs, |run| (run.started_at.millis(), run.id.to_string())))
    }

    /// The last run that was due by itself, whatever became of it.
    pub async fn last_scheduled_cleanup(&self) -> Result<Option<CleanupRun>, StorageError> {
        self.last_cleanup(Last::Scheduled).await
    }

    /// The last run that swept to its end; dry runs sweep nothing.
    pub async fn last_finished_cleanup(&self) -> Result<Option<CleanupRun>, StorageError> {
        self.last_cleanup(Last::Finished).await
    }

    async fn last_cleanup(&self, which: Last) -> Result<Option<CleanupRun>, StorageError> {
        macro_rules! newest {
            ($which:literal) => {
                read!(
                    self,
                    "look for the last run of cleanup",
                    fetch_optional,
                    sqlx::query_as::<_, CleanupRunRow>(concat!(
                        "SELECT ",
                        columns!(),
                        " FROM cleanup_runs WHERE ",
                        $which,
                        " ORDER BY started_at DESC, id DESC LIMIT 1"
                    ))
                )
            };
        }
        let row = match which {
            Last::Scheduled => newest!("started_by = 'scheduled'"),
            Last::Finished => newest!("state = 'done' AND NOT dry_run"),
        }?;
        row.map(CleanupRunRow::into_run).transpose()
    }
}
