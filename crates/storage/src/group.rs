//! Groups and who is in them. Names are kept as typed and compared in lower case.

use crate::cursor::Slice;
use crate::error::StorageError;
use crate::grant_status::Settled;
use crate::orphan::settle_orphans;
use crate::row::{RowName, text};
use crate::storage::Storage;
use crate::transaction::Tx;
use crate::user::{self, Inserted, Updated};
use doorward_domain::{
    Change, GatewayId, Group, GroupId, NewAuditEvent, Page, PageRequest, Timestamp, User, UserId,
};

macro_rules! select_groups {
    () => {
        "SELECT g.id, g.name, g.created_at, g.updated_at, g.version, \
         (SELECT count(*) FROM group_members m WHERE m.group_id = g.id) AS members FROM groups g"
    };
}

#[derive(sqlx::FromRow)]
struct GroupRow {
    id: String,
    name: String,
    members: i64,
    created_at: i64,
    updated_at: i64,
    version: i64,
}

impl GroupRow {
    fn into_group(self) -> Result<Group, StorageError> {
        let row = RowName { table: "groups", id: &self.id };
        Ok(Group {
            id: row.parse("id", &self.id)?,
            name: self.name,
            members: u64::try_from(self.members).unwrap_or(0),
            created_at: Timestamp::from_millis(self.created_at),
            updated_at: Timestamp::from_millis(self.updated_at),
            version: self.version,
        })
    }
}

impl Storage {
    /// Creates a group, at version 1 and with nobody in it; `Conflict` when the name is taken.
    pub async fn insert_group(&self, group: &Group, audit: NewAuditEvent) -> Result<Inserted, StorageError> {
        let mut tx = self.begin("create a group").await?;
        let inserted = tx!(
            tx,
            execute,
            sqlx::query(
                "INSERT INTO groups (id, name, name_key, created_at, updated_at, version) \
                 VALUES ($1, $2, $3, $4, $5, 1) ON CONFLICT (name_key) DO NOTHING"
            )
            .bind(group.id.to_string())
            .bind(text(&group.name))
            .bind(text(&group.name).to_lowercase())
            .bind(group.created_at.millis())
            .bind(group.updated_at.millis())
        )?;
        if inserted == 0 {
            return Ok(Inserted::Conflict);
        }
        tx.audit(audit);
        tx.commit().await?;
        Ok(Inserted::Yes)
    }

    /// The group with an id.
    pub async fn group(&self, id: GroupId) -> Result<Option<Group>, StorageError> {
        let row = read!(
            self,
            "read a group",
            fetch_optional,
            sqlx::query_as::<_, GroupRow>(concat!(select_groups!(), " WHERE g.id = $1")).bind(id.to_string())
        )?;
        row.map(GroupRow::into_group).transpose()
    }

    /// A page of groups, oldest first.
    pub async fn groups(&self, request: &PageRequest) -> Result<Page<Group>, StorageError> {
        let slice = Slice::of("groups", i64::MIN, request)?;
        let rows = read!(
            self,
            "list the groups",
            fetch_all,
            sqlx::query_as::<_, GroupRow>(concat!(
                select_groups!(),
                " WHERE (g.created_at, g.id) > ($1, $2) ORDER BY g.created_at, g.id LIMIT $3"
            ))
            .bind(slice.after.0)
            .bind(&slice.after.1)
            .bind(slice.limit)
        )?;
        let groups = rows.into_iter().map(GroupRow::into_group).collect::<Result<Vec<_>, _>>()?;
        Ok(slice.page(groups, |group| (group.created_at.millis(), group.id.to_string())))
    }

    /// The group with a name, in whatever case it is typed.
    pub async fn group_by_name(&self, name: &str) -> Result<Option<Group>, StorageError> {
        let row = read!(
            self,
            "look for a group by name",
            fetch_optional,
            sqlx::query_as::<_, GroupRow>(concat!(select_groups!(), " WHERE g.name_key = $1"))
                .bind(text(name).to_lowercase())
        )?;
        row.map(GroupRow::into_group).transpose()
    }

    /// Renames a group whose `version` is the one that was read, and raises it. A name that another group took
    /// meanwhile counts as a version mismatch: look again and say which has it.
    pub async fn update_group(&self, group: &Group, audit: NewAuditEvent) -> Result<Updated, StorageError> {
        let mut tx = self.begin("change a group").await?;
        let changed = tx!(
            tx,
            execute,
            sqlx::query(
                "UPDATE groups SET name = $1, name_key = $2, updated_at = $3, version = version + 1 \
                 WHERE id = $4 AND version = $5"
            )
            .bind(text(&group.name))
            .bind(text(&group.name).to_lowercase())
            .bind(group.updated_at.millis())
            .bind(group.id.to_string())
            .bind(group.version)
        );
        match changed {
            Ok(0) => return why_not(&mut tx, group.id).await,
            Ok(_) => {}
            Err(error) if error.is_unique_violation() => return Ok(Updated::VersionMismatch),
            Err(error) => return Err(error),
        }
        tx.audit(audit);
        tx.commit().await?;
        Ok(Updated::Yes)
    }

    /// Deletes a group. Whoever had access by it alone loses it. With a `version`, only if it is still that one.
    pub async fn delete_group(
        &self,
        id: GroupId,
        version: Option<i64>,
        audit: NewAuditEvent,
    ) -> Result<Updated, StorageError> {
        let mut tx = self.begin("delete a group").await?;
        match lock(&mut tx, id).await? {
            None => return Ok(Updated::Missing),
            Some(locked) if version.is_some_and(|version| version != locked) => {
                return Ok(Updated::VersionMismatch);
            }
            Some(_) => {}
        }
        let gateways = gateways_for(&mut tx, id).await?;
        let members = member_ids(&mut tx, id).await?;
        tx!(tx, execute, sqlx::query("DELETE FROM groups WHERE id = $1").bind(id.to_string()))?;
        for gateway in gateways {
            settle_orphans(&mut tx, Settled::Gateway(gateway), &audit.actor).await?;
            tx.change(Change::Gateway(gateway));
        }
        for member in members {
            tx.change(Change::User(member));
        }
        tx.audit(audit);
        tx.commit().await?;
        Ok(Updated::Yes)
    }

    /// The people in a group, oldest first.
    pub async fn group_members(
        &self,
        id: GroupId,
        request: &PageRequest,
    ) -> Result<Page<User>, StorageError> {
        let slice = Slice::of("group members", i64::MIN, request)?;
        let rows = read!(
            self,
            "list the members of a group",
            fetch_all,
            sqlx::query_as::<_, user::UserRow>(concat!(
                "SELECT ",
                user::columns!(),
                " FROM users WHERE id IN (SELECT user_id FROM group_members WHERE group_id = $1) \
                 AND (created_at, id) > ($2, $3) ORDER BY created_at, id LIMIT $4"
            ))
            .bind(id.to_string())
            .bind(slice.after.0)
            .bind(&slice.after.1)
            .bind(slice.limit)
        )?;
        let users = rows.into_iter().map(user::UserRow::into_user).collect::<Result<Vec<_>, _>>()?;
        Ok(slice.page(users, |user| (user.created_at.millis(), user.id.to_string())))
    }

    /// The groups that a person is in.
    pub async fn groups_of(&self, user: UserId) -> Result<Vec<GroupId>, StorageError> {
        let rows: Vec<String> = read!(
            self,
            "read the groups of a person",
            fetch_all,
            sqlx::query_scalar("SELECT group_id FROM group_members WHERE user_id = $1 ORDER BY group_id")
                .bind(user.to_string())
        )?;
        let id = |text: &String| RowName { table: "group_members", id: text }.parse("group_id", text);
        rows.iter().map(id).collect()
    }

    /// Puts a person into a group, and gives their grants back what they have access to by it. False when they
    /// are in it already; none when the group or the person is gone.
    pub async fn join_group(
        &self,
        group: GroupId,
        user: UserId,
        audit: NewAuditEvent,
    ) -> Result<Option<bool>, StorageError> {
        let mut tx = self.begin("put a person into a group").await?;
        if lock(&mut tx, group).await?.is_none() || user::lock(&mut tx, user).await?.is_none() {
            return Ok(None);
        }
        let joined = tx!(
            tx,
            execute,
            sqlx::query(
                "INSERT INTO group_members (group_id, user_id) VALUES ($1, $2) \
                 ON CONFLICT (group_id, user_id) DO NOTHING"
            )
            .bind(group.to_string())
            .bind(user.to_string())
        )?;
        if joined == 0 {
            return Ok(Some(false));
        }
        moved(tx, user, audit).await?;
        Ok(Some(true))
    }

    /// Takes a person out of a group, and orphans their grants at what they had access to by it alone. False
    /// when they are not in it.
    pub async fn leave_group(
        &self,
        group: GroupId,
        user: UserId,
        audit: NewAuditEvent,
    ) -> Result<bool, StorageError> {
        let mut tx = self.begin("take a person out of a group").await?;
        let left = tx!(
            tx,
            execute,
            sqlx::query("DELETE FROM group_members WHERE group_id = $1 AND user_id = $2")
                .bind(group.to_string())
                .bind(user.to_string())
        )?;
        if left == 0 {
            return Ok(false);
        }
        moved(tx, user, audit).await?;
        Ok(true)
    }
}

/// Somebody has joined or left a group.
async fn moved(mut tx: Tx, user: UserId, audit: NewAuditEvent) -> Result<(), StorageError> {
    settle_orphans(&mut tx, Settled::User(user), &audit.actor).await?;
    tx.change(Change::User(user));
    tx.audit(audit);
    tx.commit().await
}

/// Locks a group's row and gives its version. An update that changes nothing takes the lock on both databases.
async fn lock(tx: &mut Tx, id: GroupId) -> Result<Option<i64>, StorageError> {
    tx!(
        tx,
        fetch_optional,
        sqlx::query_scalar("UPDATE groups SET version = version WHERE id = $1 RETURNING version")
            .bind(id.to_string())
    )
}

async fn why_not(tx: &mut Tx, id: GroupId) -> Result<Updated, StorageError> {
    Ok(lock(tx, id).await?.map_or(Updated::Missing, |_| Updated::VersionMismatch))
}

/// The gateways that a group may use.
async fn gateways_for(tx: &mut Tx, id: GroupId) -> Result<Vec<GatewayId>, StorageError> {
    let rows: Vec<String> = tx!(
        tx,
        fetch_all,
        sqlx::query_scalar(
            "SELECT gateway_id FROM access_rules WHERE group_id = $1 AND gateway_id IS NOT NULL \
             UNION SELECT gateway_id FROM tool_access_rules WHERE group_id = $1 ORDER BY gateway_id"
        )
        .bind(id.to_string())
    )?;
    rows.iter().map(|text| RowName { table: "access_rules", id: text }.parse("gateway_id", text)).collect()
}

async fn member_ids(tx: &mut Tx, id: GroupId) -> Result<Vec<UserId>, StorageError> {
    let rows: Vec<String> = tx!(
        tx,
        fetch_all,
        sqlx::query_scalar("SELECT user_id FROM group_members WHERE group_id = $1 ORDER BY user_id")
            .bind(id.to_string())
    )?;
    rows.iter().map(|text| RowName { table: "group_members", id: text }.parse("user_id", text)).collect()
}
