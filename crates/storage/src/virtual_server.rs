//! Virtual servers with their access lists and items: one thing in the domain, three tables here.

use crate::access_list::{self, AccessOf, access_columns};
use crate::error::StorageError;
use crate::row::{ROWS, RowName, text, values};
use crate::storage::Storage;
use crate::transaction::Tx;
use crate::user::{Inserted, Updated};
use doorward_domain::{Change, NewAuditEvent, ServerItem, Slug, Timestamp, VirtualServer, VirtualServerId};
use sqlx::AssertSqlSafe;

#[derive(sqlx::FromRow)]
struct ServerRow {
    id: String,
    slug: String,
    name: String,
    access: String,
    access_groups: Option<String>,
    access_users: Option<String>,
    created_at: i64,
    updated_at: i64,
    version: i64,
}

#[derive(sqlx::FromRow)]
struct ItemRow {
    virtual_server_id: String,
    gateway_id: String,
    kind: String,
    name: String,
    exposed: Option<String>,
}

impl ServerRow {
    fn into_server(self) -> Result<VirtualServer, StorageError> {
        let row = RowName { table: "virtual_servers", id: &self.id };
        let named = (self.access_groups.as_deref(), self.access_users.as_deref());
        Ok(VirtualServer {
            id: row.parse("id", &self.id)?,
            slug: Slug::parse(&self.slug).map_err(|error| row.corrupt("slug", error))?,
            access: access_list::of_columns(row, &self.access, named)?,
            name: self.name,
            items: Vec::new(),
            created_at: Timestamp::from_millis(self.created_at),
            updated_at: Timestamp::from_millis(self.updated_at),
            version: self.version,
        })
    }
}

impl ItemRow {
    fn into_item(self) -> Result<(VirtualServerId, ServerItem), StorageError> {
        let row = RowName { table: "virtual_server_items", id: &self.virtual_server_id };
        let item = ServerItem {
            gateway_id: row.parse("gateway_id", &self.gateway_id)?,
            kind: row.word("kind", &self.kind)?,
            name: self.name,
            exposed: self.exposed,
        };
        Ok((row.parse("virtual_server_id", &self.virtual_server_id)?, item))
    }
}

impl Storage {
    /// Creates a virtual server, at version 1; `Conflict` when the slug is taken.
    pub async fn insert_virtual_server(
        &self,
        server: &VirtualServer,
        audit: NewAuditEvent,
    ) -> Result<Inserted, StorageError> {
        let mut tx = self.begin("create a virtual server").await?;
        let inserted = tx!(
            tx,
            execute,
            sqlx::query(
                "INSERT INTO virtual_servers (id, slug, name, access, created_at, updated_at, version) \
                 VALUES ($1, $2, $3, 'everyone', $4, $5, 1) ON CONFLICT (slug) DO NOTHING"
            )
            .bind(server.id.to_string())
            .bind(server.slug.as_str())
            .bind(text(&server.name))
            .bind(server.created_at.millis())
            .bind(server.updated_at.millis())
        )?;
        if inserted == 0 {
            return Ok(Inserted::Conflict);
        }
        put_parts(&mut tx, server).await?;
        tx.change(Change::VirtualServer(server.id));
        tx.audit(audit);
        tx.commit().await?;
        Ok(Inserted::Yes)
    }

    /// Every virtual server, by slug: there are tens of them, and caches hold them all.
    pub async fn virtual_servers(&self) -> Result<Vec<VirtualServer>, StorageError> {
        let rows = read!(
            self,
            "read the virtual servers",
            fetch_all,
            sqlx::query_as::<_, ServerRow>(concat!(
                "SELECT s.id, s.slug, s.name, s.created_at, s.updated_at, s.version, ",
                access_columns!("virtual_server_id", "s"),
                " FROM virtual_servers s ORDER BY s.slug"
            ))
        )?;
        let items = read!(
            self,
            "read what virtual servers offer",
            fetch_all,
            sqlx::query_as::<_, ItemRow>(
                "SELECT virtual_server_id, gateway_id, kind, name, exposed FROM virtual_server_items \
                 ORDER BY virtual_server_id, position"
            )
        )?;
        let mut servers = rows.into_iter().map(ServerRow::into_server).collect::<Result<Vec<_>, _>>()?;
        for item in items {
            let (id, item) = item.into_item()?;
            // One that was deleted between the two readings is in neither.
            if let Some(server) = servers.iter_mut().find(|server| server.id == id) {
                server.items.push(item);
            }
        }
        Ok(servers)
    }

    /// Changes a virtual server whose `version` is the one that was read, and raises it. The slug stays.
    pub async fn update_virtual_server(
        &self,
        server: &VirtualServer,
        audit: NewAuditEvent,
    ) -> Result<Updated, StorageError> {
        let mut tx = self.begin("change a virtual server").await?;
        let changed = tx!(
            tx,
            execute,
            sqlx::query(
                "UPDATE virtual_servers SET name = $1, updated_at = $2, version = version + 1 \
                 WHERE id = $3 AND version = $4"
            )
            .bind(text(&server.name))
            .bind(server.updated_at.millis())
            .bind(server.id.to_string())
            .bind(server.version)
        )?;
        if changed == 0 {
            return why_not(&mut tx, server.id).await;
        }
        put_parts(&mut tx, server).await?;
        tx.change(Change::VirtualServer(server.id));
        tx.audit(audit);
        tx.commit().await?;
        Ok(Updated::Yes)
    }

    /// Deletes a virtual server. With a `version`, only if it is still that one.
    pub async fn delete_virtual_server(
        &self,
        id: VirtualServerId,
        version: Option<i64>,
        audit: NewAuditEvent,
    ) -> Result<Updated, StorageError> {
        let mut tx = self.begin("delete a virtual server").await?;
        let deleted = tx!(
            tx,
            execute,
            sqlx::query("DELETE FROM virtual_servers WHERE id = $1 AND ($2 < 0 OR version = $2)")
                .bind(id.to_string())
                .bind(version.unwrap_or(-1))
        )?;
        if deleted == 0 {
            return why_not(&mut tx, id).await;
        }
        tx.change(Change::VirtualServer(id));
        tx.audit(audit);
        tx.commit().await?;
        Ok(Updated::Yes)
    }
}

async fn why_not(tx: &mut Tx, id: VirtualServerId) -> Result<Updated, StorageError> {
    let found: Option<i64> = tx!(
        tx,
        fetch_optional,
        sqlx::query_scalar("SELECT version FROM virtual_servers WHERE id = $1").bind(id.to_string())
    )?;
    Ok(found.map_or(Updated::Missing, |_| Updated::VersionMismatch))
}

/// Writes the access list and the items anew. An item of a gateway that is gone meanwhile is left out.
async fn put_parts(tx: &mut Tx, server: &VirtualServer) -> Result<(), StorageError> {
    let id = server.id.to_string();
    access_list::put(tx, AccessOf::VirtualServer(server.id), &server.access).await?;
    tx!(tx, execute, sqlx::query("DELETE FROM virtual_server_items WHERE virtual_server_id = $1").bind(&id))?;
    let gateways: Vec<String> = tx!(tx, fetch_all, sqlx::query_scalar("SELECT id FROM gateways"))?;
    let kept = server.items.iter().enumerate();
    let kept: Vec<_> = kept.filter(|(_, item)| gateways.contains(&item.gateway_id.to_string())).collect();
    for rows in kept.chunks(ROWS / 2) {
        let sql = format!(
            "INSERT INTO virtual_server_items (virtual_server_id, position, gateway_id, kind, name, exposed) \
             VALUES {}",
            values(rows.len(), 6)
        );
        tx!(tx, execute, {
            let mut query = sqlx::query(AssertSqlSafe(sql));
            for (position, item) in rows {
                query = query
                    .bind(&id)
                    .bind(i64::try_from(*position).unwrap_or(i64::MAX))
                    .bind(item.gateway_id.to_string())
                    .bind(item.kind.as_str())
                    .bind(&item.name)
                    .bind(item.exposed.as_deref());
            }
            query
        })?;
    }
    Ok(())
}
