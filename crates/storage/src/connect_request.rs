//! Links that ask one user to authorize one gateway: one is pending per (user, gateway, client). Ended ones
//! stay for a day, so that their owner can be offered to start again.

use crate::error::StorageError;
use crate::row::{RowName, moment, text};
use crate::storage::Storage;
use crate::transaction::Tx;
use doorward_domain::{Change, ConnectRequest, ConnectRequestId, GatewayId, Timestamp, UserId};
use std::time::Duration;

/// How long an ended link is remembered.
const REMEMBERED: Duration = Duration::from_secs(24 * 3_600);

macro_rules! columns {
    () => {
        "id, user_id, gateway_id, client_name, created_at, expires_at, completed_at"
    };
}

#[derive(sqlx::FromRow)]
struct ConnectRequestRow {
    id: String,
    user_id: String,
    gateway_id: String,
    client_name: String,
    created_at: i64,
    expires_at: i64,
    completed_at: Option<i64>,
}

impl ConnectRequestRow {
    fn into_request(self) -> Result<ConnectRequest, StorageError> {
        let row = RowName { table: "connect_requests", id: &self.id };
        Ok(ConnectRequest {
            id: row.parse("id", &self.id)?,
            user_id: row.parse("user_id", &self.user_id)?,
            gateway_id: row.parse("gateway_id", &self.gateway_id)?,
            client_name: self.client_name,
            created_at: Timestamp::from_millis(self.created_at),
            expires_at: Timestamp::from_millis(self.expires_at),
            completed_at: moment(self.completed_at),
        })
    }
}

impl Storage {
    /// The link that is pending at `now` for a user, a gateway and a client, if there is one.
    pub async fn pending_connect_request(
        &self,
        user: UserId,
        gateway: GatewayId,
        client_name: &str,
        now: Timestamp,
    ) -> Result<Option<ConnectRequest>, StorageError> {
        let row = read!(
            self,
            "look for a pending connect request",
            fetch_optional,
            sqlx::query_as::<_, ConnectRequestRow>(concat!(
                "SELECT ",
                columns!(),
                " FROM connect_requests WHERE user_id = $1 AND gateway_id = $2 AND client_name = $3 \
                 AND pending AND expires_at > $4"
            ))
            .bind(user.to_string())
            .bind(gateway.to_string())
            .bind(text(client_name))
            .bind(now.millis())
        )?;
        row.map(ConnectRequestRow::into_request).transpose()
    }

    /// Keeps a link, unless one is pending at the moment of its creation: then that one is given back.
    pub async fn upsert_connect_request(
        &self,
        request: &ConnectRequest,
    ) -> Result<ConnectRequest, StorageError> {
        let mut tx = self.begin("keep a connect request").await?;
        sweep(&mut tx, request).await?;
        let row = tx!(
            tx,
            fetch_one,
            sqlx::query_as::<_, ConnectRequestRow>(concat!(
                "INSERT INTO connect_requests (id, user_id, gateway_id, client_name, created_at, expires_at, \
                 completed_at, pending) VALUES ($1, $2, $3, $4, $5, $6, NULL, TRUE) \
                 ON CONFLICT (user_id, gateway_id, client_name) WHERE pending \
                 DO UPDATE SET pending = TRUE RETURNING ",
                columns!()
            ))
            .bind(request.id.to_string())
            .bind(request.user_id.to_string())
            .bind(request.gateway_id.to_string())
            .bind(text(&request.client_name))
            .bind(request.created_at.millis())
            .bind(request.expires_at.millis())
        )?;
        tx.commit().await?;
        row.into_request()
    }

    /// The link with an id, ended and completed ones included.
    pub async fn connect_request(
        &self,
        id: ConnectRequestId,
    ) -> Result<Option<ConnectRequest>, StorageError> {
        let row = read!(
            self,
            "read a connect request",
            fetch_optional,
            sqlx::query_as::<_, ConnectRequestRow>(concat!(
                "SELECT ",
                columns!(),
                " FROM connect_requests WHERE id = $1"
            ))
            .bind(id.to_string())
        )?;
        row.map(ConnectRequestRow::into_request).transpose()
    }

    /// Marks what was pending between a user and a gateway as done; which links that were.
    pub async fn complete_connect_requests(
        &self,
        user: UserId,
        gateway: GatewayId,
        now: Timestamp,
    ) -> Result<Vec<ConnectRequestId>, StorageError> {
        let mut tx = self.begin("complete connect requests").await?;
        let completed = complete(&mut tx, user, gateway, now).await?;
        tx.commit().await?;
        Ok(completed)
    }
}

/// Marks what was pending between a user and a gateway as done, in the transaction that made it so.
pub(crate) async fn complete(
    tx: &mut Tx,
    user: UserId,
    gateway: GatewayId,
    now: Timestamp,
) -> Result<Vec<ConnectRequestId>, StorageError> {
    let ids: Vec<String> = tx!(
        tx,
        fetch_all,
        sqlx::query_scalar(
            "UPDATE connect_requests SET completed_at = $1, pending = FALSE \
             WHERE user_id = $2 AND gateway_id = $3 AND pending RETURNING id"
        )
        .bind(now.millis())
        .bind(user.to_string())
        .bind(gateway.to_string())
    )?;
    let mut completed = Vec::with_capacity(ids.len());
    for id in &ids {
        let id = RowName { table: "connect_requests", id }.parse("id", id)?;
        tx.change(Change::ConnectRequest(id));
        completed.push(id);
    }
    Ok(completed)
}

/// Forgets what is pending between a user and any gateway.
pub(crate) async fn forget_connect_requests(tx: &mut Tx, user: UserId) -> Result<(), StorageError> {
    tx!(
        tx,
        execute,
        sqlx::query("DELETE FROM connect_requests WHERE user_id = $1 AND pending").bind(user.to_string())
    )
    .map(drop)
}

/// Makes room for a new link where the pending one has ended, and forgets what ended long ago.
async fn sweep(tx: &mut Tx, request: &ConnectRequest) -> Result<(), StorageError> {
    tx!(
        tx,
        execute,
        sqlx::query(
            "UPDATE connect_requests SET pending = FALSE WHERE user_id = $1 AND gateway_id = $2 \
             AND client_name = $3 AND pending AND expires_at <= $4"
        )
        .bind(request.user_id.to_string())
        .bind(request.gateway_id.to_string())
        .bind(text(&request.client_name))
        .bind(request.created_at.millis())
    )?;
    let before = tx.now().minus(REMEMBERED).millis();
    tx!(tx, execute, sqlx::query("DELETE FROM connect_requests WHERE expires_at < $1").bind(before)).map(drop)
}
