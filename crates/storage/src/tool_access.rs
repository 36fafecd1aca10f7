//! Who may use single tools of a gateway, as rows: one for each group and person that is named, and one that names
//! nobody, so that a tool whose list has lost everybody is still on a list.

use crate::error::StorageError;
use crate::row::RowName;
use crate::transaction::Tx;
use doorward_domain::{AccessList, Gateway};
use sqlx::AssertSqlSafe;
use std::collections::{BTreeMap, BTreeSet};

/// Writes all lists of a gateway's tools anew. Whom they name and who is gone meanwhile is left out.
pub(crate) async fn put(tx: &mut Tx, gateway: &Gateway) -> Result<(), StorageError> {
    let id = gateway.id.to_string();
    tx!(tx, execute, sqlx::query("DELETE FROM tool_access_rules WHERE gateway_id = $1").bind(&id))?;
    for (tool, access) in &gateway.tool_access {
        let AccessList::Only { groups, users } = access else { continue };
        tx!(
            tx,
            execute,
            sqlx::query("INSERT INTO tool_access_rules (gateway_id, tool) VALUES ($1, $2)")
                .bind(&id)
                .bind(tool)
        )?;
        let groups = groups.iter().map(|group| ("group_id", "groups", group.to_string()));
        let users = users.iter().map(|user| ("user_id", "users", user.to_string()));
        for (whom, from, named) in groups.chain(users) {
            let add = format!(
                "INSERT INTO tool_access_rules (gateway_id, tool, {whom}) SELECT $1, $2, id FROM {from} WHERE id = $3"
            );
            tx!(tx, execute, sqlx::query(AssertSqlSafe(add.clone())).bind(&id).bind(tool).bind(&named))?;
        }
    }
    Ok(())
}

/// The lists out of their column: a rule a line, `tool group user`. Ids have no blanks, and no tool's name here a line
/// break.
pub(crate) fn of_column(
    row: RowName<'_>,
    rules: Option<&str>,
) -> Result<BTreeMap<String, AccessList>, StorageError> {
    let mut lists: BTreeMap<String, (BTreeSet<_>, BTreeSet<_>)> = BTreeMap::new();
    for rule in rules.unwrap_or_default().lines() {
        let mut words = rule.rsplitn(3, ' ');
        let (user, group, tool) = (words.next(), words.next(), words.next());
        let (Some(user), Some(group), Some(tool)) = (user, group, tool) else {
            return Err(row.corrupt("tool_access", "a rule is no tool, group and person"));
        };
        let (groups, users) = lists.entry(tool.to_owned()).or_default();
        if !group.is_empty() {
            groups.insert(row.parse("tool_access", group)?);
        }
        if !user.is_empty() {
            users.insert(row.parse("tool_access", user)?);
        }
    }
    Ok(lists.into_iter().map(|(tool, (groups, users))| (tool, AccessList::Only { groups, users })).collect())
}
