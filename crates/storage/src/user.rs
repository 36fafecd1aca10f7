//! People. E-mail addresses are kept as typed and compared in lower case.

use crate::api_token::{end_api_tokens_of, forget_api_tokens_of};
use crate::cursor::Slice;
use crate::ended_grant::{End, GrantsOf, end_grants};
use crate::error::StorageError;
use crate::grant_status::Settled;
use crate::orphan::settle_orphans;
use crate::role::{custom, is_there};
use crate::row::{RowName, text, word};
use crate::session::end_sessions_of;
use crate::setup_link::forget_links_of;
use crate::storage::Storage;
use crate::transaction::Tx;
use doorward_domain::user::PasswordHash;
use doorward_domain::{
    Change, EndCause, NewAuditEvent, Page, PageRequest, Role, Timestamp, User, UserId, UserState,
};
use std::sync::Arc;

/// What became of an insert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Inserted {
    Yes,
    /// The e-mail address, slug or name is taken; nothing was written.
    Conflict,
}

/// What became of an update or a delete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Updated {
    Yes,
    /// Somebody else was faster; nothing was written. Read again.
    VersionMismatch,
    /// There is no such row.
    Missing,
}

macro_rules! columns {
    () => {
        "id, email, name, role, (SELECT permissions FROM roles WHERE roles.name = users.role) AS permissions, state, password_hash, EXISTS (SELECT 1 FROM second_factors WHERE \
         second_factors.user_id = users.id AND second_factors.confirmed) AS has_second_factor, created_at, \
         updated_at, version"
    };
}
pub(crate) use columns;

#[derive(sqlx::FromRow)]
pub(crate) struct UserRow {
    id: String,
    email: String,
    name: String,
    role: String,
    /// Of a role of the installation's own.
    permissions: Option<String>,
    state: String,
    password_hash: Option<String>,
    has_second_factor: bool,
    created_at: i64,
    updated_at: i64,
    version: i64,
}

impl UserRow {
    pub(crate) fn into_user(self) -> Result<User, StorageError> {
        let row = RowName { table: "users", id: &self.id };
        Ok(User {
            id: row.parse("id", &self.id)?,
            role: role(row, &self.role, self.permissions.as_deref())?,
            state: row.word("state", &self.state)?,
            email: self.email,
            name: self.name,
            password_hash: self.password_hash.map(PasswordHash),
            has_second_factor: self.has_second_factor,
            created_at: Timestamp::from_millis(self.created_at),
            updated_at: Timestamp::from_millis(self.updated_at),
            version: self.version,
        })
    }
}

/// A built-in role by its name, or one of the installation's own with what it may.
fn role(row: RowName<'_>, name: &str, permissions: Option<&str>) -> Result<Role, StorageError> {
    match (Role::built_in(name), permissions) {
        (Some(role), _) => Ok(role),
        (None, Some(permissions)) => Ok(Role::Custom(Arc::new(custom(name, permissions)?))),
        (None, None) => Err(row.corrupt("role", "there is no such role")),
    }
}

impl Storage {
    /// Creates a person, at version 1; `Conflict` when the e-mail address is taken.
    pub async fn insert_user(&self, user: &User, audit: NewAuditEvent) -> Result<Inserted, StorageError> {
        let mut tx = self.begin("create a person").await?;
        if !insert(&mut tx, user).await? {
            return Ok(Inserted::Conflict);
        }
        tx.audit(audit);
        tx.commit().await?;
        Ok(Inserted::Yes)
    }

    /// Creates the first administrator; false (and nothing written) when there is one already, or the
    /// e-mail address is taken. Of two that race, one wins: the counter row is their turnstile.
    pub async fn insert_first_administrator(
        &self,
        user: &User,
        audit: NewAuditEvent,
    ) -> Result<bool, StorageError> {
        let mut tx = self.begin("create the first administrator").await?;
        tx.numbers("first_administrator", 1).await?;
        let administrators: i64 = tx!(
            tx,
            fetch_one,
            sqlx::query_scalar("SELECT count(*) FROM users WHERE role = 'administrator'")
        )?;
        if administrators > 0 || !insert(&mut tx, user).await? {
            return Ok(false);
        }
        tx.audit(audit);
        tx.commit().await?;
        Ok(true)
    }

    /// The person with an id.
    pub async fn user(&self, id: UserId) -> Result<Option<User>, StorageError> {
        let row = read!(
            self,
            "read a person",
            fetch_optional,
            sqlx::query_as::<_, UserRow>(concat!("SELECT ", columns!(), " FROM users WHERE id = $1"))
                .bind(id.to_string())
        )?;
        row.map(UserRow::into_user).transpose()
    }

    /// The person with an e-mail address, in whatever case it is typed.
    pub async fn user_by_email(&self, email: &str) -> Result<Option<User>, StorageError> {
        let row = read!(
            self,
            "look for a person by e-mail address",
            fetch_optional,
            sqlx::query_as::<_, UserRow>(concat!("SELECT ", columns!(), " FROM users WHERE email_key = $1"))
                .bind(text(email).to_lowercase())
        )?;
        row.map(UserRow::into_user).transpose()
    }

    /// Everybody, oldest first.
    pub async fn users(&self, request: &PageRequest) -> Result<Page<User>, StorageError> {
        let slice = Slice::of("users", i64::MIN, request)?;
        let rows = read!(
            self,
            "list the people",
            fetch_all,
            sqlx::query_as::<_, UserRow>(concat!(
                "SELECT ",
                columns!(),
                " FROM users WHERE (created_at, id) > ($1, $2) ORDER BY created_at, id LIMIT $3"
            ))
            .bind(slice.after.0)
            .bind(&slice.after.1)
            .bind(slice.limit)
        )?;
        let users = rows.into_iter().map(UserRow::into_user).collect::<Result<Vec<_>, _>>()?;
        Ok(slice.page(users, |user| (user.created_at.millis(), user.id.to_string())))
    }

    /// Whether anybody is an administrator, disabled ones included.
    pub async fn administrator_exists(&self) -> Result<bool, StorageError> {
        let count: i64 = read!(
            self,
            "look for an administrator",
            fetch_one,
            sqlx::query_scalar("SELECT count(*) FROM users WHERE role = 'administrator'")
        )?;
        Ok(count > 0)
    }

    /// Changes a person whose `version` is the one that was read, and raises it. Links that were made for the person as
    /// they were end. Disabling ends their grants, pending authorizations, sessions and API tokens. An e-mail address that somebody else took
    /// meanwhile counts as a version mismatch: look again and say who has it.
    pub async fn update_user(&self, user: &User, audit: NewAuditEvent) -> Result<Updated, StorageError> {
        let mut tx = self.begin("change a person").await?;
        if !is_there(&mut tx, &user.role).await? {
            return Ok(Updated::VersionMismatch);
        }
        let changed = tx!(
            tx,
            execute,
            sqlx::query(
                "UPDATE users SET email = $1, email_key = $2, name = $3, name_key = $4, role = $5, state = $6, \
                 password_hash = $7, updated_at = $8, version = version + 1 WHERE id = $9 AND version = $10"
            )
            .bind(text(&user.email))
            .bind(text(&user.email).to_lowercase())
            .bind(text(&user.name))
            .bind(text(&user.name).to_lowercase())
            .bind(text(user.role.as_str()))
            .bind(word(user.state))
            .bind(user.password_hash.as_ref().map(|hash| hash.0.as_str()))
            .bind(user.updated_at.millis())
            .bind(user.id.to_string())
            .bind(user.version)
        );
        match changed {
            Ok(0) => return why_not(&mut tx, user.id).await,
            Ok(_) => {}
            Err(error) if error.is_unique_violation() => return Ok(Updated::VersionMismatch),
            Err(error) => return Err(error),
        }
        forget_links_of(&mut tx, user.id).await?;
        if user.state == UserState::Disabled {
            end_grants(&mut tx, GrantsOf::User(user.id), &End::with(EndCause::UserDisabled, &audit)).await?;
            end_sessions_of(&mut tx, user.id).await?;
            end_api_tokens_of(&mut tx, user.id).await?;
        }
        settle_orphans(&mut tx, Settled::User(user.id), &audit.actor).await?;
        tx.change(Change::User(user.id));
        tx.audit(audit);
        tx.commit().await?;
        Ok(Updated::Yes)
    }

    /// Deletes a person and all that was theirs; their grants are kept as ended. With a `version`, only if it
    /// is still that one.
    pub async fn delete_user(
        &self,
        id: UserId,
        version: Option<i64>,
        audit: NewAuditEvent,
    ) -> Result<Updated, StorageError> {
        let mut tx = self.begin("delete a person").await?;
        match lock(&mut tx, id).await? {
            None => return Ok(Updated::Missing),
            Some(locked) if version.is_some_and(|version| version != locked.version) => {
                return Ok(Updated::VersionMismatch);
            }
            Some(_) => delete(&mut tx, id, &audit).await?,
        }
        tx.audit(audit);
        tx.commit().await?;
        Ok(Updated::Yes)
    }
}

/// A person's row, locked until the end of the transaction.
#[derive(sqlx::FromRow)]
pub(crate) struct LockedUser {
    pub(crate) state: String,
    pub(crate) version: i64,
}

/// Locks a person's row. An update that changes nothing takes the lock on both databases.
pub(crate) async fn lock(tx: &mut Tx, id: UserId) -> Result<Option<LockedUser>, StorageError> {
    tx!(
        tx,
        fetch_optional,
        sqlx::query_as::<_, LockedUser>(
            "UPDATE users SET version = version WHERE id = $1 RETURNING state, version"
        )
        .bind(id.to_string())
    )
}

/// Whether a person may sign in, and is the one of a version. Their row stays locked, so that it holds until the end
/// of the transaction.
pub(crate) async fn is_still(tx: &mut Tx, id: UserId, version: i64) -> Result<bool, StorageError> {
    let locked = lock(tx, id).await?;
    Ok(locked.is_some_and(|user| user.version == version && user.state == word(UserState::Active)))
}

async fn insert(tx: &mut Tx, user: &User) -> Result<bool, StorageError> {
    if !is_there(tx, &user.role).await? {
        return Ok(false);
    }
    let inserted = tx!(
        tx,
        execute,
        sqlx::query(
            "INSERT INTO users (id, email, email_key, name, name_key, role, state, password_hash, created_at, \
             updated_at, version) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 1) \
             ON CONFLICT (email_key) DO NOTHING"
        )
        .bind(user.id.to_string())
        .bind(text(&user.email))
        .bind(text(&user.email).to_lowercase())
        .bind(text(&user.name))
        .bind(text(&user.name).to_lowercase())
        .bind(text(user.role.as_str()))
        .bind(word(user.state))
        .bind(user.password_hash.as_ref().map(|hash| hash.0.as_str()))
        .bind(user.created_at.millis())
        .bind(user.updated_at.millis())
    )?;
    tx.change(Change::User(user.id));
    Ok(inserted == 1)
}

async fn delete(tx: &mut Tx, id: UserId, audit: &NewAuditEvent) -> Result<(), StorageError> {
    end_grants(tx, GrantsOf::User(id), &End::with(EndCause::UserDeleted, audit)).await?;
    forget_api_tokens_of(tx, id).await?;
    // Sessions, links and catalogs go with the row (ON DELETE CASCADE).
    tx!(tx, execute, sqlx::query("DELETE FROM users WHERE id = $1").bind(id.to_string()))?;
    tx.change(Change::User(id));
    Ok(())
}

async fn why_not(tx: &mut Tx, id: UserId) -> Result<Updated, StorageError> {
    Ok(lock(tx, id).await?.map_or(Updated::Missing, |_| Updated::VersionMismatch))
}
