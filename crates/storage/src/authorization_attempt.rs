//! The flow inspector's record of browser round trips.

use crate::cursor::Slice;
use crate::error::StorageError;
use crate::row::{NEVER, RowName, json, text, word};
use crate::sql::{Sql, bound};
use crate::storage::Storage;
use crate::transaction::Tx;
use doorward_domain::authorization_attempt::STEPS_MAX;
use doorward_domain::authorization_request::AUTHORIZATION_REQUEST_LIFETIME;
use doorward_domain::{
    AttemptFilter, AttemptGateway, AttemptState, AttemptStep, AuthorizationAttempt, AuthorizationAttemptId,
    GatewayId, Page, PageRequest, Timestamp, UserId,
};

/// An attempt that has been begun: an opened one of the same person and gateway, or a new one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BegunAttempt {
    pub id: AuthorizationAttemptId,
    pub reference: String,
    pub user_id: UserId,
    /// None: the answer belonged to no known round trip.
    pub gateway_id: Option<GatewayId>,
}

const SELECT: &str = "SELECT a.id, a.reference, a.user_id, u.email, a.gateway_id, g.slug, a.state, a.started_at \
     FROM authorization_attempts a JOIN users u ON u.id = a.user_id LEFT JOIN gateways g ON g.id = a.gateway_id";

#[derive(sqlx::FromRow)]
struct AttemptRow {
    id: String,
    reference: String,
    user_id: String,
    email: String,
    gateway_id: Option<String>,
    slug: Option<String>,
    state: String,
    started_at: i64,
}

#[derive(sqlx::FromRow)]
struct StepRow {
    at: i64,
    kind: String,
    facts: String,
}

impl AttemptRow {
    fn into_attempt(self) -> Result<AuthorizationAttempt, StorageError> {
        let row = RowName { table: "authorization_attempts", id: &self.id };
        let gateway = match (row.parse_optional("gateway_id", self.gateway_id.as_deref())?, self.slug) {
            (Some(id), Some(slug)) => Some(AttemptGateway { id, slug }),
            _ => None,
        };
        Ok(AuthorizationAttempt {
            id: row.parse("id", &self.id)?,
            user_id: row.parse("user_id", &self.user_id)?,
            user_email: self.email,
            gateway,
            state: row.word("state", &self.state)?,
            started_at: Timestamp::from_millis(self.started_at),
            reference: self.reference,
        })
    }
}

impl Storage {
    /// Notes that a link was opened, unless one of the same person and gateway is open already.
    pub async fn open_attempt(&self, new: &BegunAttempt, step: &AttemptStep) -> Result<(), StorageError> {
        let mut tx = self.begin("note that a link was opened").await?;
        if opened(&mut tx, new, step.at).await?.is_none() {
            insert(&mut tx, new, AttemptState::Opened, step.at).await?;
            append(&mut tx, new.id, None, std::slice::from_ref(step), STEPS_MAX).await?;
        }
        tx.commit().await
    }

    /// Sets out on the round trip that an opened link led to, or else on the new one that is given.
    pub async fn begin_attempt(
        &self,
        new: &BegunAttempt,
        steps: &[AttemptStep],
        now: Timestamp,
    ) -> Result<BegunAttempt, StorageError> {
        let mut tx = self.begin("begin an attempt").await?;
        let begun = match opened(&mut tx, new, now).await? {
            Some((id, reference)) if claim(&mut tx, id).await? => {
                BegunAttempt { id, reference, ..new.clone() }
            }
            _ => {
                insert(&mut tx, new, AttemptState::SetOut, now).await?;
                new.clone()
            }
        };
        append(&mut tx, begun.id, None, steps, STEPS_MAX).await?;
        tx.commit().await?;
        Ok(begun)
    }

    /// Keeps one of which nothing was known before.
    pub async fn keep_attempt(
        &self,
        new: &BegunAttempt,
        state: AttemptState,
        steps: &[AttemptStep],
        now: Timestamp,
    ) -> Result<(), StorageError> {
        let mut tx = self.begin("keep an attempt").await?;
        insert(&mut tx, new, state, now).await?;
        append(&mut tx, new.id, None, steps, STEPS_MAX).await?;
        tx.commit().await
    }

    /// Adds what happened next, and perhaps how it ended. Beyond `most` steps nothing is kept but the end.
    pub async fn continue_attempt(
        &self,
        id: AuthorizationAttemptId,
        state: Option<AttemptState>,
        steps: &[AttemptStep],
        most: i64,
    ) -> Result<(), StorageError> {
        let mut tx = self.begin("note a step of an authorization").await?;
        append(&mut tx, id, state, steps, most).await?;
        tx.commit().await
    }

    /// One attempt.
    pub async fn attempt(
        &self,
        id: AuthorizationAttemptId,
    ) -> Result<Option<AuthorizationAttempt>, StorageError> {
        let mut sql = Sql::new(SELECT);
        sql.push(" WHERE a.id = ").text(id.to_string());
        let row = read!(self, "read an attempt", fetch_optional, bound!(sql, query_as::<_, AttemptRow>))?;
        row.map(AttemptRow::into_attempt).transpose()
    }

    /// Its steps, as they happened.
    pub async fn attempt_steps(&self, id: AuthorizationAttemptId) -> Result<Vec<AttemptStep>, StorageError> {
        let id = id.to_string();
        let rows = read!(
            self,
            "read the steps of an attempt",
            fetch_all,
            sqlx::query_as::<_, StepRow>(
                "SELECT at, kind, facts FROM authorization_steps WHERE attempt_id = $1 ORDER BY number"
            )
            .bind(&id)
        )?;
        let row = RowName { table: "authorization_steps", id: &id };
        let step = |found: StepRow| {
            Ok(AttemptStep {
                at: Timestamp::from_millis(found.at),
                kind: row.word("kind", &found.kind)?,
                facts: row.json("facts", &found.facts)?,
            })
        };
        rows.into_iter().map(step).collect()
    }

    /// A page of attempts, newest first.
    pub async fn attempts(
        &self,
        filter: &AttemptFilter,
        request: &PageRequest,
    ) -> Result<Page<AuthorizationAttempt>, StorageError> {
        let slice = Slice::of("attempts", NEVER, request)?;
        let (number, id) = &slice.after;
        // Without a cursor the page starts behind every id.
        let id = if id.is_empty() { "g" } else { id };
        let mut sql = Sql::new(SELECT);
        sql.push(" WHERE (a.started_at, a.id) < (").number(*number).push(", ").text(id).push(")");
        let mut only = |column: &str, value: Option<String>| {
            if let Some(value) = value {
                sql.push(" AND ").push(column).push(" = ").text(value);
            }
        };
        only("a.user_id", filter.user.map(|id| id.to_string()));
        only("a.gateway_id", filter.gateway.map(|id| id.to_string()));
        only("a.state", filter.state.map(word));
        only("a.reference", filter.reference.as_deref().map(|asked| text(asked).into_owned()));
        sql.push(" ORDER BY a.started_at DESC, a.id DESC").limit(slice.limit);
        let rows = read!(self, "list attempts", fetch_all, bound!(sql, query_as::<_, AttemptRow>))?;
        let rows = rows.into_iter().map(AttemptRow::into_attempt).collect::<Result<Vec<_>, _>>()?;
        Ok(slice.page(rows, |row| (row.started_at.millis(), row.id.to_string())))
    }
}

/// The link of the same person and gateway that was opened and not gone on with, while it is young.
async fn opened(
    tx: &mut Tx,
    new: &BegunAttempt,
    now: Timestamp,
) -> Result<Option<(AuthorizationAttemptId, String)>, StorageError> {
    let found: Option<(String, String)> = tx!(
        tx,
        fetch_optional,
        sqlx::query_as(
            "SELECT id, reference FROM authorization_attempts WHERE user_id = $1 AND gateway_id = $2 \
             AND started_at > $3 AND state = 'opened' ORDER BY started_at DESC LIMIT 1"
        )
        .bind(new.user_id.to_string())
        .bind(new.gateway_id.map(|id| id.to_string()))
        .bind(now.minus(AUTHORIZATION_REQUEST_LIFETIME).millis())
    )?;
    let Some((id, reference)) = found else { return Ok(None) };
    let row = RowName { table: "authorization_attempts", id: &id };
    Ok(Some((row.parse("id", &id)?, reference)))
}

/// Of two tabs that go on from one link, one takes its attempt.
async fn claim(tx: &mut Tx, id: AuthorizationAttemptId) -> Result<bool, StorageError> {
    let claimed = tx!(
        tx,
        execute,
        sqlx::query("UPDATE authorization_attempts SET state = 'set_out' WHERE id = $1 AND state = 'opened'")
            .bind(id.to_string())
    )?;
    Ok(claimed == 1)
}

async fn insert(
    tx: &mut Tx,
    new: &BegunAttempt,
    state: AttemptState,
    now: Timestamp,
) -> Result<(), StorageError> {
    tx!(
        tx,
        execute,
        sqlx::query(
            "INSERT INTO authorization_attempts (id, reference, user_id, gateway_id, state, started_at, steps) \
             VALUES ($1, $2, $3, $4, $5, $6, 0)"
        )
        .bind(new.id.to_string())
        .bind(&new.reference)
        .bind(new.user_id.to_string())
        .bind(new.gateway_id.map(|id| id.to_string()))
        .bind(word(state))
        .bind(now.millis())
    )
    .map(drop)
}

async fn append(
    tx: &mut Tx,
    id: AuthorizationAttemptId,
    state: Option<AttemptState>,
    steps: &[AttemptStep],
    most: i64,
) -> Result<(), StorageError> {
    // The row is locked here, so that the numbers of two writers differ.
    let there: Option<i64> = tx!(
        tx,
        fetch_optional,
        sqlx::query_scalar(
            "UPDATE authorization_attempts SET state = COALESCE($1, state) WHERE id = $2 RETURNING steps"
        )
        .bind(state.map(word))
        .bind(id.to_string())
    )?;
    // Swept, or its person or gateway is gone.
    let Some(there) = there else { return Ok(()) };
    let room = usize::try_from(most - there).unwrap_or_default();
    let mut number = there;
    for step in steps.iter().take(room) {
        number += 1;
        tx!(
            tx,
            execute,
            sqlx::query(
                "INSERT INTO authorization_steps (attempt_id, number, at, kind, facts) VALUES ($1, $2, $3, $4, $5)"
            )
            .bind(id.to_string())
            .bind(number)
            .bind(step.at.millis())
            .bind(word(step.kind))
            .bind(json(&step.facts))
        )?;
    }
    tx!(
        tx,
        execute,
        sqlx::query("UPDATE authorization_attempts SET steps = $1 WHERE id = $2")
            .bind(number)
            .bind(id.to_string())
    )
    .map(drop)
}
