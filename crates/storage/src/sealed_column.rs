//! Every sealed column there is, for what concerns them all: which keys rows need, and sealing rows anew. A test
//! reads the schema and fails when a column is not listed here.
//!
//! A row is sealed anew by compare-and-swap on its old bytes. A grant's version stays: the plain token is the
//! same, and a refresh in flight must not lose. A gateway's version is raised, because an edit writes back
//! the sealed bytes that it read, and caches hold them.

use crate::error::StorageError;
use crate::gateway;
use crate::storage::Storage;
use crate::transaction::Tx;
use doorward_domain::{Change, GatewayId, KeyId, Sealed};

/// A column of sealed bytes; beside it is one of the same name with `_key_id`.
#[derive(Debug)]
pub struct SealedColumn {
    pub table: &'static str,
    pub column: &'static str,
    count: &'static str,
    page: &'static str,
    swap: &'static str,
}

macro_rules! sealed_column {
    ($table:literal, $column:literal, $id:literal, $home:literal) => {
        SealedColumn {
            table: $table,
            column: $column,
            count: concat!(
                "SELECT ",
                $column,
                "_key_id, count(*) FROM ",
                $table,
                " WHERE ",
                $column,
                "_key_id IS NOT NULL GROUP BY ",
                $column,
                "_key_id ORDER BY ",
                $column,
                "_key_id"
            ),
            page: concat!(
                "SELECT ",
                $id,
                ", ",
                $home,
                ", ",
                $column,
                " FROM ",
                $table,
                " WHERE ",
                $column,
                "_key_id = $1 AND ",
                $id,
                " > $2 ORDER BY ",
                $id,
                " LIMIT $3"
            ),
            swap: concat!(
                "UPDATE ",
                $table,
                " SET ",
                $column,
                " = $1, ",
                $column,
                "_key_id = $2 WHERE ",
                $id,
                " = $3 AND ",
                $column,
                "_key_id = $4 AND ",
                $column,
                " = $5"
            ),
        }
    };
}

/// All of them. Rows wander from `grants` and `client_registrations` to the outboxes and never back: whoever goes through the
/// columns in this order meets each row at least once.
pub static SEALED_COLUMNS: [SealedColumn; 14] = [
    sealed_column!("grants", "access_token", "id", "id"),
    sealed_column!("grants", "refresh_token", "id", "id"),
    sealed_column!("grants", "id_token", "id", "id"),
    sealed_column!("client_registrations", "client_secret", "id", "id"),
    sealed_column!("client_registrations", "handle", "id", "id"),
    sealed_column!("client_registrations", "dpop_key", "id", "id"),
    sealed_column!("gateways", "static_header", "id", "id"),
    sealed_column!("gateways", "client_certificate", "id", "id"),
    sealed_column!("authorization_requests", "pkce_verifier", "id", "id"),
    sealed_column!("second_factors", "secret", "user_id", "user_id"),
    sealed_column!("provider_revocations", "access_token", "grant_id", "grant_id"),
    sealed_column!("provider_revocations", "refresh_token", "grant_id", "grant_id"),
    sealed_column!("provider_revocations", "client_secret", "grant_id", "client_registration_id"),
    sealed_column!("registration_removals", "handle", "registration_id", "registration_id"),
];

/// A sealed value and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedRow {
    /// The row it is in.
    pub id: String,
    /// The row it was first sealed in, which is part of its place.
    pub home: String,
    pub sealed: Sealed,
}

/// How many rows of a column are sealed with a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedCount {
    pub table: &'static str,
    pub column: &'static str,
    pub key: KeyId,
    pub rows: u64,
}

impl Storage {
    /// How many rows are sealed with which key at this moment, by column; what is sealed nowhere is not listed.
    pub async fn sealed_counts(&self) -> Result<Vec<SealedCount>, StorageError> {
        let mut counts = Vec::new();
        for of in &SEALED_COLUMNS {
            let rows: Vec<(String, i64)> =
                read!(self, "count sealed rows", fetch_all, sqlx::query_as(of.count))?;
            counts.extend(rows.into_iter().map(|(key, rows)| SealedCount {
                table: of.table,
                column: of.column,
                key: KeyId(key),
                rows: u64::try_from(rows).unwrap_or(0),
            }));
        }
        Ok(counts)
    }

    /// The next rows of a column that are sealed with a key, by id.
    pub async fn rows_sealed_with(
        &self,
        column: &SealedColumn,
        key: &KeyId,
        after: &str,
        limit: u32,
    ) -> Result<Vec<SealedRow>, StorageError> {
        let rows: Vec<(String, String, Vec<u8>)> = read!(
            self,
            "read sealed rows",
            fetch_all,
            sqlx::query_as(column.page).bind(&key.0).bind(after).bind(i64::from(limit))
        )?;
        let sealed = |bytes| Sealed { key_id: key.clone(), bytes };
        Ok(rows.into_iter().map(|(id, home, bytes)| SealedRow { id, home, sealed: sealed(bytes) }).collect())
    }

    /// Writes values that were sealed anew, in one transaction; a row that has changed since it was read keeps
    /// what it has. Gives the number of rows that were written.
    pub async fn swap_sealed(
        &self,
        column: &SealedColumn,
        rows: &[(SealedRow, Sealed)],
    ) -> Result<u64, StorageError> {
        let mut tx = self.begin("seal rows anew").await?;
        let mut written = 0;
        for (row, anew) in rows {
            // An edit of a gateway locks its row first, so this does too.
            let gateway = gateway_of(&mut tx, column, &row.id).await?;
            if let Some(id) = gateway {
                gateway::lock(&mut tx, id).await?;
            }
            let swapped = tx!(
                tx,
                execute,
                sqlx::query(column.swap)
                    .bind(anew.bytes.as_slice())
                    .bind(&anew.key_id.0)
                    .bind(&row.id)
                    .bind(&row.sealed.key_id.0)
                    .bind(row.sealed.bytes.as_slice())
            )?;
            if let Some(id) = gateway.filter(|_| swapped == 1) {
                raise_version(&mut tx, id).await?;
            }
            written += swapped;
        }
        tx.commit().await?;
        Ok(written)
    }
}

/// The gateway that a row belongs to and is cached with.
async fn gateway_of(tx: &mut Tx, column: &SealedColumn, id: &str) -> Result<Option<GatewayId>, StorageError> {
    let found: Option<String> = match column.table {
        "gateways" => Some(id.to_owned()),
        "client_registrations" => tx!(
            tx,
            fetch_optional,
            sqlx::query_scalar("SELECT gateway_id FROM client_registrations WHERE id = $1").bind(id)
        )?,
        _ => None,
    };
    let row = crate::row::RowName { table: column.table, id };
    row.parse_optional("gateway_id", found.as_deref())
}

async fn raise_version(tx: &mut Tx, id: GatewayId) -> Result<(), StorageError> {
    tx.change(Change::Gateway(id));
    tx!(
        tx,
        execute,
        sqlx::query("UPDATE gateways SET version = version + 1 WHERE id = $1").bind(id.to_string())
    )
    .map(drop)
}
