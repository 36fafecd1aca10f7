//! [`GrantFilter`] as SQL, for whatever works on the grants that a filter chose: lists, counts, bulk jobs.

use crate::database::Database;
use crate::error::StorageError;
use crate::row::{RowName, text, word};
use crate::sql::{Sql, bound};
use crate::storage::Storage;
use doorward_domain::{GrantFilter, GrantId};

impl Storage {
    /// How many grants a filter lets pass; counting stops at `most`.
    pub async fn count_grants(&self, filter: &GrantFilter, most: u32) -> Result<u64, StorageError> {
        let mut sql = Sql::new("SELECT count(*) FROM (SELECT 1 FROM grants AS g WHERE ");
        push_filter(&mut sql, self.database(), filter);
        sql.limit(i64::from(most)).push(") AS counted");
        let count: i64 = read!(self, "count grants", fetch_one, bound!(sql, query_scalar))?;
        Ok(count.unsigned_abs())
    }

    /// The ids of grants that a filter lets pass, in the order of their ids, after one of them: a batch.
    pub async fn grant_ids(
        &self,
        filter: &GrantFilter,
        after: Option<GrantId>,
        limit: u32,
    ) -> Result<Vec<GrantId>, StorageError> {
        let mut sql = Sql::new("SELECT g.id FROM grants AS g WHERE g.id > ");
        sql.text(after.map(|id| id.to_string()).unwrap_or_default()).push(" AND ");
        push_filter(&mut sql, self.database(), filter);
        sql.push(" ORDER BY g.id").limit(i64::from(limit));
        let ids: Vec<String> = read!(self, "choose grants", fetch_all, bound!(sql, query_scalar))?;
        ids.iter().map(|id| RowName { table: "grants", id }.parse("id", id)).collect()
    }
}

/// Appends the condition that a row `g` of grants passes.
pub(crate) fn push_filter(sql: &mut Sql, database: &Database, filter: &GrantFilter) {
    push_columns(sql, filter, "");
    if let Some(q) = &filter.q {
        sql.push(" AND (g.user_id IN (");
        push_people(sql, database, q);
        sql.push(") OR g.gateway_id IN (");
        push_gateways(sql, q);
        sql.push("))");
    }
}

/// Put behind a column, it keeps the databases from looking the column up in an index of their own choice.
pub(crate) const BESIDE_INDEXES: &str = " || ''";

/// Appends what a filter says of the columns of a row `g` of grants. All but the user's have `behind` behind them.
pub(crate) fn push_columns(sql: &mut Sql, filter: &GrantFilter, behind: &str) {
    sql.push("1 = 1");
    if let Some(user) = filter.user {
        sql.push(" AND g.user_id = ").text(user.to_string());
    }
    let mut is = |column: &str, value: Option<String>| {
        if let Some(value) = value {
            sql.push(" AND g.").push(column).push(behind).push(" = ").text(value);
        }
    };
    is("gateway_id", filter.gateway.map(|id| id.to_string()));
    is("provider", filter.provider.as_deref().map(|provider| text(provider).into_owned()));
    is("health", filter.health.map(word));
    is("access_token_status", filter.access_token_status.map(word));
}

/// The last character there is: it follows every text that begins with what it is put behind.
const LAST: char = '\u{10ffff}';

/// The columns in which people are searched.
pub(crate) const PEOPLE_KEYS: [&str; 2] = ["email_key", "name_key"];

/// Appends a query for the ids of the people whose e-mail address or name begins with `q`, each once.
pub(crate) fn push_people(sql: &mut Sql, database: &Database, q: &str) {
    let [email, name] = PEOPLE_KEYS;
    sql.push("SELECT id FROM users WHERE ");
    push_begins(sql, database, email, q);
    sql.push(" UNION ALL SELECT id FROM users WHERE ");
    push_begins(sql, database, name, q);
    sql.push(" AND NOT (");
    push_begins(sql, database, email, q);
    sql.push(")");
}

/// Appends the condition that a column of users begins with `q`, as a range of an index.
pub(crate) fn push_begins(sql: &mut Sql, database: &Database, key: &str, q: &str) {
    let (prefix, bytes) = (text(q).to_lowercase(), database.by_bytes());
    sql.push(key).push(" ").push(bytes).push(" >= ").text(prefix.as_str()).push(" AND ");
    sql.push(key).push(" ").push(bytes).push(" < ").text(format!("{prefix}{LAST}"));
}

/// Appends a query for the ids of the gateways whose slug or name begins with `q`; there are few of them.
pub(crate) fn push_gateways(sql: &mut Sql, q: &str) {
    let prefix = text(q).to_lowercase();
    sql.push("SELECT id FROM gateways WHERE substr(slug, 1, length(").text(prefix.as_str());
    sql.push(")) = ").text(prefix.as_str()).push(" OR substr(name_key, 1, length(");
    sql.text(prefix.as_str()).push(")) = ").text(prefix.as_str());
}

/// Appends the condition that the person or the gateway of a row `g` fits `q`: for walks that look at row after
/// row, and soon have enough of them.
pub(crate) fn push_fits(sql: &mut Sql, q: &str) {
    let prefix = text(q).to_lowercase();
    sql.push("((SELECT 1 FROM users AS f WHERE f.id = g.user_id AND (substr(f.email_key, 1, length(");
    sql.text(prefix.as_str()).push(")) = ").text(prefix.as_str());
    sql.push(" OR substr(f.name_key, 1, length(").text(prefix.as_str()).push(")) = ").text(prefix.as_str());
    sql.push(")) = 1 OR g.gateway_id IN (");
    push_gateways(sql, q);
    sql.push("))");
}
