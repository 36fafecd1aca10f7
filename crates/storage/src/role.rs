//! Roles of an installation's own. A role that somebody has is neither deleted nor lost sight of: giving it and
//! deleting it lock the same row.

use crate::error::StorageError;
use crate::row::{RowName, text};
use crate::storage::Storage;
use crate::transaction::Tx;
use crate::user::{Inserted, Updated};
use doorward_domain::{Change, CustomRole, NewAuditEvent, Permission, Role, Slug, StoredRole, Timestamp};

#[derive(sqlx::FromRow)]
struct RoleRow {
    name: String,
    permissions: String,
    people: i64,
    created_at: i64,
    updated_at: i64,
    version: i64,
}

macro_rules! select_roles {
    () => {
        "SELECT name, permissions, (SELECT count(*) FROM users WHERE users.role = roles.name) AS people, \
         created_at, updated_at, version FROM roles"
    };
}

impl RoleRow {
    fn into_role(self) -> Result<StoredRole, StorageError> {
        Ok(StoredRole {
            role: custom(&self.name, &self.permissions)?,
            people: u64::try_from(self.people).unwrap_or(0),
            created_at: Timestamp::from_millis(self.created_at),
            updated_at: Timestamp::from_millis(self.updated_at),
            version: self.version,
        })
    }
}

/// A role from its columns.
pub(crate) fn custom(name: &str, permissions: &str) -> Result<CustomRole, StorageError> {
    let row = RowName { table: "roles", id: name };
    let name = Slug::parse(name).map_err(|error| row.corrupt("name", error))?;
    let permissions: Vec<Permission> = row.json("permissions", permissions)?;
    Ok(CustomRole { name, permissions })
}

fn permissions(role: &CustomRole) -> String {
    serde_json::to_string(&role.permissions).unwrap_or_default()
}

impl Storage {
    /// Creates a role, at version 1; `Conflict` when the name is taken.
    pub async fn insert_role(
        &self,
        stored: &StoredRole,
        audit: NewAuditEvent,
    ) -> Result<Inserted, StorageError> {
        let mut tx = self.begin("create a role").await?;
        let inserted = tx!(
            tx,
            execute,
            sqlx::query(
                "INSERT INTO roles (name, permissions, created_at, updated_at, version) \
                 VALUES ($1, $2, $3, $4, 1) ON CONFLICT (name) DO NOTHING"
            )
            .bind(stored.role.name.as_str())
            .bind(permissions(&stored.role))
            .bind(stored.created_at.millis())
            .bind(stored.updated_at.millis())
        )?;
        if inserted == 0 {
            return Ok(Inserted::Conflict);
        }
        tx.audit(audit);
        tx.commit().await?;
        Ok(Inserted::Yes)
    }

    /// The role of a name.
    pub async fn role(&self, name: &Slug) -> Result<Option<StoredRole>, StorageError> {
        let row = read!(
            self,
            "read a role",
            fetch_optional,
            sqlx::query_as::<_, RoleRow>(concat!(select_roles!(), " WHERE name = $1")).bind(name.as_str())
        )?;
        row.map(RoleRow::into_role).transpose()
    }

    /// Every role, oldest first.
    pub async fn roles(&self) -> Result<Vec<StoredRole>, StorageError> {
        let rows = read!(
            self,
            "list the roles",
            fetch_all,
            sqlx::query_as::<_, RoleRow>(concat!(select_roles!(), " ORDER BY created_at, name"))
        )?;
        rows.into_iter().map(RoleRow::into_role).collect()
    }

    /// Changes what a role of this `version` may, and raises it. It is a change of everybody who has it, and
    /// ends the links that were made for them.
    pub async fn update_role(
        &self,
        stored: &StoredRole,
        audit: NewAuditEvent,
    ) -> Result<Updated, StorageError> {
        let mut tx = self.begin("change a role").await?;
        let name = stored.role.name.as_str();
        let changed = tx!(
            tx,
            execute,
            sqlx::query(
                "UPDATE roles SET permissions = $1, updated_at = $2, version = version + 1 \
                 WHERE name = $3 AND version = $4"
            )
            .bind(permissions(&stored.role))
            .bind(stored.updated_at.millis())
            .bind(name)
            .bind(stored.version)
        )?;
        if changed == 0 {
            return Ok(lock(&mut tx, name).await?.map_or(Updated::Missing, |_| Updated::VersionMismatch));
        }
        let people: Vec<String> =
            tx!(tx, fetch_all, sqlx::query_scalar("SELECT id FROM users WHERE role = $1").bind(name))?;
        // A link is made by somebody who reached as far as the person did then.
        tx!(
            tx,
            execute,
            sqlx::query("DELETE FROM setup_links WHERE user_id IN (SELECT id FROM users WHERE role = $1)")
                .bind(name)
        )?;
        for id in people {
            let row = RowName { table: "users", id: &id };
            tx.change(Change::User(row.parse("id", &id)?));
        }
        tx.audit(audit);
        tx.commit().await?;
        Ok(Updated::Yes)
    }

    /// Deletes a role that nobody has; the number of people who have it otherwise. With a `version`, only if it is
    /// still that one.
    pub async fn delete_role(
        &self,
        name: &Slug,
        version: Option<i64>,
        audit: NewAuditEvent,
    ) -> Result<Result<Updated, u64>, StorageError> {
        let mut tx = self.begin("delete a role").await?;
        let name = name.as_str();
        match lock(&mut tx, name).await? {
            None => return Ok(Ok(Updated::Missing)),
            Some(locked) if version.is_some_and(|version| version != locked) => {
                return Ok(Ok(Updated::VersionMismatch));
            }
            Some(_) => {}
        }
        let people: i64 =
            tx!(tx, fetch_one, sqlx::query_scalar("SELECT count(*) FROM users WHERE role = $1").bind(name))?;
        if people > 0 {
            return Ok(Err(u64::try_from(people).unwrap_or(0)));
        }
        tx!(tx, execute, sqlx::query("DELETE FROM roles WHERE name = $1").bind(name))?;
        tx.audit(audit);
        tx.commit().await?;
        Ok(Ok(Updated::Yes))
    }
}

/// Locks the row of a role that somebody is given; false when it is gone. A built-in one is always there.
pub(crate) async fn is_there(tx: &mut Tx, role: &Role) -> Result<bool, StorageError> {
    match role {
        Role::Custom(role) => Ok(lock(tx, role.name.as_str()).await?.is_some()),
        Role::Administrator | Role::Operator | Role::Auditor | Role::User => Ok(true),
    }
}

/// Locks a role's row; its version. An update that changes nothing takes the lock on both databases.
async fn lock(tx: &mut Tx, name: &str) -> Result<Option<i64>, StorageError> {
    tx!(
        tx,
        fetch_optional,
        sqlx::query_scalar("UPDATE roles SET version = version WHERE name = $1 RETURNING version")
            .bind(text(name))
    )
}
