//! Versions of tools and prompts. A reading adds what it has not seen before; an administrator agrees.

use crate::error::StorageError;
use crate::gateway::lock;
use crate::row::{RowName, word};
use crate::storage::Storage;
use crate::transaction::Tx;
use aws_lc_rs::digest::{SHA256, digest};
use doorward_domain::catalog_version::VERSIONED;
use doorward_domain::{
    Actor, CatalogItem, CatalogVersion, Change, Gateway, GatewayId, Hex, NewAuditEvent, OnChange, Timestamp,
};
use serde_json::Value;
use std::collections::HashSet;

/// How many versions of one item are kept.
const KEPT: i64 = 20;

/// How much of what changed stands in an audit event.
const TOLD: usize = 2_000;

#[derive(sqlx::FromRow)]
struct VersionRow {
    kind: String,
    name: String,
    hash: String,
    item: String,
    approved: bool,
    baseline: bool,
    first_seen_at: i64,
}

impl VersionRow {
    fn into_version(self) -> Result<CatalogVersion, StorageError> {
        let row = RowName { table: "catalog_versions", id: &self.hash };
        Ok(CatalogVersion {
            kind: row.word("kind", &self.kind)?,
            name: self.name,
            json: self.item,
            approved: self.approved,
            baseline: self.baseline,
            first_seen_at: Timestamp::from_millis(self.first_seen_at),
            hash: self.hash,
        })
    }
}

/// The hash of an item. The order of its members is no difference.
pub fn hash_of(item: &CatalogItem) -> String {
    let mut text = String::new();
    match serde_json::from_str::<Value>(&item.json) {
        Ok(value) => canonical(&value, &mut text),
        Err(_) => text.push_str(&item.json),
    }
    let bytes: [u8; 32] = digest(&SHA256, text.as_bytes()).as_ref().try_into().unwrap_or_default();
    Hex(bytes).to_string()
}

fn canonical(value: &Value, text: &mut String) {
    match value {
        Value::Object(members) => {
            let mut sorted: Vec<_> = members.iter().collect();
            sorted.sort_by_key(|(name, _)| *name);
            text.push('{');
            for (name, value) in sorted {
                text.push_str(&Value::from(name.as_str()).to_string());
                text.push(':');
                canonical(value, text);
                text.push(',');
            }
            text.push('}');
        }
        Value::Array(items) => {
            text.push('[');
            for item in items {
                canonical(item, text);
                text.push(',');
            }
            text.push(']');
        }
        plain => text.push_str(&plain.to_string()),
    }
}

impl Storage {
    /// Every version that is kept of a gateway's tools and prompts, by kind and name, the oldest first.
    pub async fn catalog_versions(&self, gateway: GatewayId) -> Result<Vec<CatalogVersion>, StorageError> {
        let rows = read!(
            self,
            "read the versions of a catalog",
            fetch_all,
            sqlx::query_as::<_, VersionRow>(
                "SELECT kind, name, hash, item, approved, baseline, first_seen_at FROM catalog_versions \
                 WHERE gateway_id = $1 ORDER BY kind, name, first_seen_at, hash"
            )
            .bind(gateway.to_string())
        )?;
        rows.into_iter().map(VersionRow::into_version).collect()
    }

    /// Notes what a reading brought. What was not seen before is audited, but for the first reading of all; it
    /// may be served unless the gateway holds changes.
    pub async fn note_catalog_versions(
        &self,
        gateway: &Gateway,
        items: &[CatalogItem],
    ) -> Result<(), StorageError> {
        let seen: Vec<(&CatalogItem, String)> = items
            .iter()
            .filter(|item| VERSIONED.contains(&item.kind) && !item.name.contains('\0'))
            .map(|item| (item, hash_of(item)))
            .collect();
        if seen.is_empty() || self.has_all(gateway, &seen).await? {
            return Ok(());
        }
        let mut tx = self.begin("note the versions of a catalog").await?;
        // One reading at a time, whichever replica made it.
        if lock(&mut tx, gateway.id).await?.is_none() {
            return Ok(());
        }
        let known = known(&mut tx, gateway.id).await?;
        let mut told = Told::default();
        for (item, hash) in &seen {
            let (kind, baseline) = (word(item.kind), known.is_empty());
            let approved = baseline || gateway.on_change == OnChange::Allow;
            match known.iter().find(|row| row.kind == kind && row.name == item.name && row.hash == *hash) {
                Some(row) if row.approved || !approved => continue,
                Some(_) => {}
                None if baseline => {}
                None => told.note(item, known.iter().any(|row| row.kind == kind && row.name == item.name)),
            }
            let row = Row { gateway: gateway.id, item, hash, approved, baseline };
            put(&mut tx, &row).await?;
            prune(&mut tx, &row).await?;
        }
        if let Some(event) = told.event(gateway) {
            tx.audit(event);
        }
        tx.commit().await
    }

    /// Whether nothing is to be noted: the common case, without a transaction that writes.
    async fn has_all(
        &self,
        gateway: &Gateway,
        seen: &[(&CatalogItem, String)],
    ) -> Result<bool, StorageError> {
        let known = self.catalog_versions(gateway.id).await?;
        let known: HashSet<_> = known
            .iter()
            .filter(|version| version.approved || gateway.on_change == OnChange::Hold)
            .map(|version| (version.kind, version.name.as_str(), version.hash.as_str()))
            .collect();
        Ok(seen.iter().all(|(item, hash)| known.contains(&(item.kind, &*item.name, &**hash))))
    }

    /// Agrees to versions, by their hashes; how many were held till now. Whoever lists is told.
    pub async fn approve_catalog_versions(
        &self,
        gateway: GatewayId,
        hashes: &[String],
        audit: NewAuditEvent,
    ) -> Result<u64, StorageError> {
        let mut tx = self.begin("agree to the versions of a catalog").await?;
        let mut approved = 0;
        for hash in hashes {
            approved += tx!(
                tx,
                execute,
                sqlx::query(
                    "UPDATE catalog_versions SET approved = TRUE WHERE gateway_id = $1 AND hash = $2 AND NOT approved"
                )
                .bind(gateway.to_string())
                .bind(hash)
            )?;
        }
        if approved == 0 {
            return Ok(0);
        }
        catalogs_changed(&mut tx, gateway).await?;
        tx.audit(audit);
        tx.commit().await?;
        Ok(approved)
    }
}

/// Everybody's catalog of a gateway is served otherwise from now on.
pub(crate) async fn catalogs_changed(tx: &mut Tx, gateway: GatewayId) -> Result<(), StorageError> {
    let id = gateway.to_string();
    let users: Vec<Option<String>> = tx!(
        tx,
        fetch_all,
        sqlx::query_scalar("SELECT user_id FROM catalogs WHERE gateway_id = $1").bind(&id)
    )?;
    for user in users {
        let user = RowName { table: "catalogs", id: &id }.parse_optional("user_id", user.as_deref())?;
        tx.change(Change::Catalog { gateway, user });
    }
    Ok(())
}

#[derive(sqlx::FromRow)]
struct KnownRow {
    kind: String,
    name: String,
    hash: String,
    approved: bool,
}

async fn known(tx: &mut Tx, gateway: GatewayId) -> Result<Vec<KnownRow>, StorageError> {
    tx!(
        tx,
        fetch_all,
        sqlx::query_as::<_, KnownRow>(
            "SELECT kind, name, hash, approved FROM catalog_versions WHERE gateway_id = $1"
        )
        .bind(gateway.to_string())
    )
}

struct Row<'a> {
    gateway: GatewayId,
    item: &'a CatalogItem,
    hash: &'a str,
    approved: bool,
    baseline: bool,
}

async fn put(tx: &mut Tx, row: &Row<'_>) -> Result<(), StorageError> {
    let now = tx.now().millis();
    tx!(
        tx,
        execute,
        sqlx::query(
            "INSERT INTO catalog_versions (gateway_id, kind, name, hash, item, approved, baseline, first_seen_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8) \
             ON CONFLICT (gateway_id, kind, name, hash) DO UPDATE SET approved = excluded.approved"
        )
        .bind(row.gateway.to_string())
        .bind(row.item.kind.as_str())
        .bind(&row.item.name)
        .bind(row.hash)
        .bind(&row.item.json)
        .bind(row.approved)
        .bind(row.baseline)
        .bind(now)
    )
    .map(drop)
}

/// An upstream that describes a tool anew each time must not fill the table. What is served is kept.
async fn prune(tx: &mut Tx, row: &Row<'_>) -> Result<(), StorageError> {
    tx!(
        tx,
        execute,
        sqlx::query(
            "DELETE FROM catalog_versions WHERE gateway_id = $1 AND kind = $2 AND name = $3 AND hash <> $5 \
             AND hash NOT IN (SELECT hash FROM catalog_versions WHERE gateway_id = $1 AND kind = $2 AND name = $3 \
               ORDER BY first_seen_at DESC, hash LIMIT $4) \
             AND hash NOT IN (SELECT hash FROM catalog_versions WHERE gateway_id = $1 AND kind = $2 AND name = $3 \
               AND approved ORDER BY first_seen_at DESC, hash LIMIT 1)"
        )
        .bind(row.gateway.to_string())
        .bind(row.item.kind.as_str())
        .bind(&row.item.name)
        .bind(KEPT)
        .bind(row.hash)
    )
    .map(drop)
}

/// What an audit event says of a reading.
#[derive(Default)]
struct Told {
    new: Vec<String>,
    changed: Vec<String>,
}

impl Told {
    fn note(&mut self, item: &CatalogItem, was_there: bool) {
        let list = if was_there { &mut self.changed } else { &mut self.new };
        list.push(format!("{} {}", item.kind.as_str(), item.name));
    }

    fn event(self, gateway: &Gateway) -> Option<NewAuditEvent> {
        if self.new.is_empty() && self.changed.is_empty() {
            return None;
        }
        let held = gateway.on_change == OnChange::Hold;
        let mut event = NewAuditEvent::new(Actor::System, "catalog.change").subject(gateway.id);
        event = event.detail("slug", &gateway.slug).detail("held", held);
        for (name, list) in [("new", self.new), ("changed", self.changed)] {
            if !list.is_empty() {
                let told: String = list.join(", ").chars().take(TOLD).collect();
                event = event.detail(name, told);
            }
        }
        Some(event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use doorward_domain::CatalogKind;

    #[test]
    fn the_order_of_members_is_no_difference_and_everything_else_is() {
        let hash = |json: &str| {
            hash_of(&CatalogItem { kind: CatalogKind::Tool, name: "t".into(), json: json.into() })
        };
        let one = hash(r#"{"name":"t","inputSchema":{"type":"object","a":[1,2]}}"#);
        assert_eq!(one, hash(r#"{ "inputSchema": {"a":[1,2],"type":"object"}, "name":"t" }"#));
        assert_ne!(one, hash(r#"{"name":"t","inputSchema":{"type":"object","a":[2,1]}}"#));
        assert_ne!(one, hash(r#"{"name":"t","inputSchema":{"type":"object"}}"#));
        assert_eq!(one.len(), 64);
    }
}
