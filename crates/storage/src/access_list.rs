//! Access lists as rows: who may use what is not for everyone.

use crate::error::StorageError;
use crate::row::RowName;
use crate::transaction::Tx;
use doorward_domain::{AccessList, GatewayId, VirtualServerId};
use sqlx::AssertSqlSafe;
use std::collections::BTreeSet;
use std::fmt::Display;
use std::str::FromStr;

/// The columns of which an access list is read: its word, and the ids on it.
macro_rules! access_columns {
    ($owner:literal, $table:literal) => {
        concat!(
            $table,
            ".access, (SELECT string_agg(a.group_id, ',') FROM access_rules a WHERE a.",
            $owner,
            " = ",
            $table,
            ".id) AS access_groups, (SELECT string_agg(a.user_id, ',') FROM access_rules a WHERE a.",
            $owner,
            " = ",
            $table,
            ".id) AS access_users"
        )
    };
}
pub(crate) use access_columns;

/// The word for an access list.
pub(crate) fn word_of(access: &AccessList) -> &'static str {
    match access {
        AccessList::Everyone => "everyone",
        AccessList::Only { .. } => "listed",
    }
}

/// An access list out of its columns.
pub(crate) fn of_columns(
    row: RowName<'_>,
    word: &str,
    (groups, users): (Option<&str>, Option<&str>),
) -> Result<AccessList, StorageError> {
    match word {
        "everyone" => Ok(AccessList::Everyone),
        "listed" => Ok(AccessList::Only {
            groups: ids(row, "access_groups", groups)?,
            users: ids(row, "access_users", users)?,
        }),
        _ => Err(row.corrupt("access", "not one of the words that this column may hold")),
    }
}

fn ids<T: Ord + FromStr<Err: Display>>(
    row: RowName<'_>,
    column: &'static str,
    text: Option<&str>,
) -> Result<BTreeSet<T>, StorageError> {
    text.unwrap_or_default().split(',').filter(|id| !id.is_empty()).map(|id| row.parse(column, id)).collect()
}

/// Whose access list it is.
#[derive(Clone, Copy)]
pub(crate) enum AccessOf {
    Gateway(GatewayId),
    VirtualServer(VirtualServerId),
}

impl AccessOf {
    /// The table that has the word, the column of `access_rules`, and the id.
    fn place(self) -> (&'static str, &'static str, String) {
        match self {
            Self::Gateway(id) => ("gateways", "gateway_id", id.to_string()),
            Self::VirtualServer(id) => ("virtual_servers", "virtual_server_id", id.to_string()),
        }
    }
}

/// Writes an access list anew. Whom it names and who is gone meanwhile is left out.
pub(crate) async fn put(tx: &mut Tx, of: AccessOf, access: &AccessList) -> Result<(), StorageError> {
    let (table, column, id) = of.place();
    let set = format!("UPDATE {table} SET access = $1 WHERE id = $2");
    tx!(tx, execute, sqlx::query(AssertSqlSafe(set.clone())).bind(word_of(access)).bind(&id))?;
    let clear = format!("DELETE FROM access_rules WHERE {column} = $1");
    tx!(tx, execute, sqlx::query(AssertSqlSafe(clear.clone())).bind(&id))?;
    let AccessList::Only { groups, users } = access else { return Ok(()) };
    let groups = groups.iter().map(|group| ("group_id", "groups", group.to_string()));
    let users = users.iter().map(|user| ("user_id", "users", user.to_string()));
    for (whom, from, named) in groups.chain(users) {
        let add =
            format!("INSERT INTO access_rules ({column}, {whom}) SELECT $1, id FROM {from} WHERE id = $2");
        tx!(tx, execute, sqlx::query(AssertSqlSafe(add.clone())).bind(&id).bind(&named))?;
    }
    Ok(())
}
