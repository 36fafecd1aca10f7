//! Catalogs, and the names under which clients see their items.

use crate::error::StorageError;
use crate::row::{RowName, json};
use crate::storage::Storage;
use doorward_domain::{Catalog, CatalogItem, CatalogKind, Change, GatewayId, Timestamp, UserId};

/// A name that clients see, and what it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExposedName {
    pub gateway_id: GatewayId,
    pub kind: CatalogKind,
    /// The upstream's own name or URI.
    pub original: String,
    /// What clients see; unique per kind.
    pub exposed: String,
}

/// Longer names are not kept: PostgreSQL's indexes take 2,700 bytes, for both names and the gateway.
const LONGEST_NAME: usize = 1_200;

#[derive(sqlx::FromRow)]
struct CatalogRow {
    items: String,
    instructions: Option<String>,
    fetched_at: i64,
}

#[derive(sqlx::FromRow)]
struct ExposedNameRow {
    gateway_id: String,
    original: String,
    exposed: String,
}

impl ExposedName {
    /// Too long for an index, or with a NUL that PostgreSQL does not store in a text.
    fn fits(&self) -> bool {
        [&self.original, &self.exposed].iter().all(|name| name.len() <= LONGEST_NAME && !name.contains('\0'))
    }
}

impl Storage {
    /// Keeps what was read of a gateway, for one user or shared, in place of what was known before.
    pub async fn put_catalog(&self, catalog: &Catalog) -> Result<(), StorageError> {
        let items: Vec<(CatalogKind, &str, &str)> =
            catalog.items.iter().map(|item| (item.kind, item.name.as_str(), item.json.as_str())).collect();
        let user = catalog.user_id.map(|id| id.to_string());
        let mut tx = self.begin("keep a catalog").await?;
        tx!(
            tx,
            execute,
            sqlx::query(
                "INSERT INTO catalogs (gateway_id, user_key, user_id, items, instructions, fetched_at) \
                 VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (gateway_id, user_key) DO UPDATE SET \
                 items = excluded.items, instructions = excluded.instructions, fetched_at = excluded.fetched_at"
            )
            .bind(catalog.gateway_id.to_string())
            .bind(user.as_deref().unwrap_or_default())
            .bind(user.as_deref())
            .bind(json(&items))
            .bind(catalog.instructions.as_ref().map(json))
            .bind(catalog.fetched_at.millis())
        )?;
        tx.change(Change::Catalog { gateway: catalog.gateway_id, user: catalog.user_id });
        tx.commit().await
    }

    /// What is known of a gateway for one user, or what is shared.
    pub async fn catalog(
        &self,
        gateway_id: GatewayId,
        user_id: Option<UserId>,
    ) -> Result<Option<Catalog>, StorageError> {
        let row = read!(
            self,
            "read a catalog",
            fetch_optional,
            sqlx::query_as::<_, CatalogRow>(
                "SELECT items, instructions, fetched_at FROM catalogs WHERE gateway_id = $1 AND user_key = $2"
            )
            .bind(gateway_id.to_string())
            .bind(user_id.map(|id| id.to_string()).unwrap_or_default())
        )?;
        let Some(row) = row else { return Ok(None) };
        let id = gateway_id.to_string();
        let name = RowName { table: "catalogs", id: &id };
        let items: Vec<(CatalogKind, String, String)> = name.json("items", &row.items)?;
        let instructions = row.instructions.map(|text| name.json("instructions", &text)).transpose()?;
        Ok(Some(Catalog {
            gateway_id,
            user_id,
            items: items.into_iter().map(|(kind, name, json)| CatalogItem { kind, name, json }).collect(),
            instructions,
            fetched_at: Timestamp::from_millis(row.fetched_at),
        }))
    }

    /// Forgets every catalog of a gateway, for example because it now points elsewhere.
    pub async fn drop_catalogs(&self, gateway_id: GatewayId) -> Result<(), StorageError> {
        let mut tx = self.begin("forget the catalogs of a gateway").await?;
        let users: Vec<Option<String>> = tx!(
            tx,
            fetch_all,
            sqlx::query_scalar("DELETE FROM catalogs WHERE gateway_id = $1 RETURNING user_id")
                .bind(gateway_id.to_string())
        )?;
        let id = gateway_id.to_string();
        for user in users {
            let user = RowName { table: "catalogs", id: &id }.parse_optional("user_id", user.as_deref())?;
            tx.change(Change::Catalog { gateway: gateway_id, user });
        }
        tx.commit().await
    }

    /// Every exposed name of one kind.
    pub async fn exposed_names(&self, kind: CatalogKind) -> Result<Vec<ExposedName>, StorageError> {
        let rows = read!(
            self,
            "read the exposed names",
            fetch_all,
            sqlx::query_as::<_, ExposedNameRow>(
                "SELECT gateway_id, original, exposed FROM exposed_names WHERE kind = $1"
            )
            .bind(kind.as_str())
        )?;
        rows.into_iter()
            .map(|row| {
                let name = RowName { table: "exposed_names", id: &row.exposed };
                let gateway_id = name.parse("gateway_id", &row.gateway_id)?;
                Ok(ExposedName { gateway_id, kind, original: row.original, exposed: row.exposed })
            })
            .collect()
    }

    /// Keeps names that are not there yet. A name that is there stays, and so does its owner: read again to see
    /// who won. Names of more than 1,200 bytes are not kept.
    pub async fn put_exposed_names(&self, names: &[ExposedName]) -> Result<(), StorageError> {
        let mut tx = self.begin("keep exposed names").await?;
        // The order is the same for every replica, so that two of them do not wait for each other in a circle.
        let mut names: Vec<&ExposedName> = names.iter().filter(|name| name.fits()).collect();
        names.sort_by(|a, b| (a.kind, &a.exposed).cmp(&(b.kind, &b.exposed)));
        for name in names {
            tx!(
                tx,
                execute,
                sqlx::query(
                    "INSERT INTO exposed_names (kind, gateway_id, original, exposed) VALUES ($1, $2, $3, $4) \
                     ON CONFLICT DO NOTHING"
                )
                .bind(name.kind.as_str())
                .bind(name.gateway_id.to_string())
                .bind(&name.original)
                .bind(&name.exposed)
            )?;
        }
        tx.commit().await
    }
}
