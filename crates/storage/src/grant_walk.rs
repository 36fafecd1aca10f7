//! Which way leads to a page of grants, so that no combination of filters reads much more than it shows.
//!
//! - Grants of one gateway, health and access token status lie in one range of an index, sorted. A filter that
//!   names less of the three is a merge of several ranges: the first rows of each, and of those the first.
//! - The grants of few people are read by person, and sorted in memory.
//! - Where a search fits many people, the order is walked until the page is full, since it soon is.

use crate::cursor::Slice;
use crate::database::Merge;
use crate::error::StorageError;
use crate::grant_filter::{
    BESIDE_INDEXES, PEOPLE_KEYS, push_begins, push_columns, push_fits, push_gateways, push_people,
};
use crate::row::{text, word};
use crate::sql::{Sql, bound};
use crate::storage::Storage;
use doorward_domain::{AccessTokenStatus, GrantFilter, GrantSort, GrantSortColumn, Health};

/// So many people are looked up one by one; a search that fits more is a walk through the order.
const FEW_PEOPLE: i64 = 10_000;

/// A search that fits so many people has mostly filled its page after a short look along the order.
const SEVERAL_PEOPLE: i64 = 2_500;

/// How many rows such a look goes over.
const LOOK: i64 = 2_000;

/// Ranges that hold no more than this are walked even if hardly any of their rows is shown.
const FEW_ROWS: i64 = 40_000;

const STATUSES: [AccessTokenStatus; 3] =
    [AccessTokenStatus::Valid, AccessTokenStatus::ExpiringSoon, AccessTokenStatus::Expired];

/// The way to a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Walk {
    /// Through the whole order.
    Whole,
    /// Through the ranges of gateway, health and access token status.
    Ranges,
    /// Along the order, for a short while: what it does not find may still be there.
    Look,
    /// Over the grants of one person.
    Person,
    /// Over the grants of the people that the search fits, and through the ranges of its gateways.
    Matches,
}

impl Storage {
    /// Chooses the ways for a filter: each but the last is tried only.
    pub(crate) async fn walks(&self, filter: &GrantFilter) -> Result<Vec<Walk>, StorageError> {
        let narrowed = filter.gateway.is_some()
            || filter.provider.is_some()
            || filter.health.is_some()
            || filter.access_token_status.is_some();
        let q = match &filter.q {
            _ if filter.user.is_some() => return Ok(vec![Walk::Person]),
            None if narrowed => return Ok(vec![Walk::Ranges]),
            None => return Ok(vec![Walk::Whole]),
            Some(q) => q,
        };
        let people = self.count_people(q).await?;
        if people > FEW_PEOPLE {
            let ranged = narrowed && self.ranges_hold_few_rows(filter).await?;
            return Ok(vec![if ranged { Walk::Ranges } else { Walk::Whole }]);
        }
        let several = people > SEVERAL_PEOPLE && !narrowed;
        Ok(if several { vec![Walk::Look, Walk::Matches] } else { vec![Walk::Matches] })
    }

    /// How many people a search fits by address, or by name, whichever are more.
    async fn count_people(&self, q: &str) -> Result<i64, StorageError> {
        let mut sql = Sql::new("SELECT max(fitting) FROM (");
        for (number, key) in PEOPLE_KEYS.into_iter().enumerate() {
            sql.push(if number == 0 { "" } else { " UNION ALL " });
            sql.push("SELECT count(*) AS fitting FROM (SELECT 1 FROM users WHERE ");
            push_begins(&mut sql, self.database(), key, q);
            sql.limit(FEW_PEOPLE + 1).push(") AS people");
        }
        sql.push(") AS counted");
        read!(self, "count the people of a search", fetch_one, bound!(sql, query_scalar))
    }

    async fn ranges_hold_few_rows(&self, filter: &GrantFilter) -> Result<bool, StorageError> {
        let mut sql = Sql::new("WITH ");
        push_ranges(&mut sql, filter, None);
        sql.push(" SELECT count(*) FROM (SELECT 1 FROM ranges AS r CROSS JOIN grants AS g WHERE ")
            .push(IN_RANGE);
        sql.limit(FEW_ROWS + 1).push(") AS counted");
        let rows: i64 = read!(self, "count the rows of a filter", fetch_one, bound!(sql, query_scalar))?;
        Ok(rows <= FEW_ROWS)
    }
}

const IN_RANGE: &str =
    "g.gateway_id = r.gateway_id AND g.health = r.health AND g.access_token_status = r.status";

/// An order as SQL.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Order {
    /// The name under which cursors are good.
    pub(crate) list: &'static str,
    column: &'static str,
    direction: &'static str,
    comes_after: &'static str,
}

impl Order {
    pub(crate) fn of(sort: GrantSort) -> Self {
        let (list, column) = match (sort.column, sort.descending) {
            (GrantSortColumn::CreatedAt, false) => ("grants.created_at", "created_at"),
            (GrantSortColumn::CreatedAt, true) => ("grants.-created_at", "created_at"),
            (GrantSortColumn::LastUsedAt, false) => ("grants.last_used_at", "last_used_at"),
            (GrantSortColumn::LastUsedAt, true) => ("grants.-last_used_at", "last_used_at"),
            (GrantSortColumn::ExpiresAt, false) => ("grants.expires_at", "expires_at"),
            (GrantSortColumn::ExpiresAt, true) => ("grants.-expires_at", "expires_at"),
        };
        let (direction, comes_after) = if sort.descending { (" DESC", " < ") } else { ("", " > ") };
        Self { list, column, direction, comes_after }
    }

    /// Appends the order of rows that have `at` and `id`.
    pub(crate) fn push_order(self, sql: &mut Sql, at: &str, id: &str) {
        sql.push(" ORDER BY ").push(at).push(self.direction).push(", ").push(id).push(self.direction);
    }

    /// Appends the condition that `at` and `id` come after the cursor.
    fn push_after(self, sql: &mut Sql, at: &str, slice: &Slice) {
        let (number, id) = &slice.after;
        // Without a cursor the page starts at the far end, beside every id.
        let id = if id.is_empty() && !self.direction.is_empty() { "g" } else { id };
        sql.push("(").push(at).push(", g.id)").push(self.comes_after);
        sql.push("(").number(*number).push(", ").text(id).push(")");
    }
}

/// A page that is wanted, on its way to SQL.
pub(crate) struct Wanted<'a> {
    pub(crate) storage: &'a Storage,
    pub(crate) filter: &'a GrantFilter,
    pub(crate) order: Order,
    pub(crate) slice: &'a Slice,
}

impl Wanted<'_> {
    /// Appends the common table expressions of which the last, `keys (id, at)`, holds the rows of the page.
    pub(crate) fn push_keys(&self, sql: &mut Sql, walk: Walk) {
        sql.push("WITH RECURSIVE ");
        match walk {
            // What is added to the column keeps the databases from walking its index instead.
            Walk::Person => {
                self.push_scan(sql, "keys", " + 0", "grants AS g", |sql| {
                    self.push_passes(sql, self.filter, BESIDE_INDEXES);
                });
            }
            Walk::Whole => {
                self.push_scan(sql, "keys", "", "grants AS g", |sql| {
                    self.push_passes(sql, self.filter, BESIDE_INDEXES);
                });
            }
            Walk::Look => self.push_look(sql),
            Walk::Ranges => {
                push_ranges(sql, self.filter, None);
                sql.push(", ");
                self.push_merge(sql, "keys", &left_to_check(self.filter));
            }
            Walk::Matches => self.push_matches(sql),
        }
    }

    fn push_look(&self, sql: &mut Sql) {
        let at = format!("g.{}", self.order.column);
        sql.push("looked (id, at, user_id, gateway_id) AS (SELECT g.id, ").push(&at);
        sql.push(", g.user_id, g.gateway_id FROM grants AS g WHERE ");
        self.order.push_after(sql, &at, self.slice);
        self.order.push_order(sql, &at, "g.id");
        sql.limit(LOOK);
        sql.push("), keys (id, at) AS (SELECT g.id, g.at FROM looked AS g WHERE ");
        push_fits(sql, self.filter.q.as_deref().unwrap_or_default());
        self.order.push_order(sql, "g.at", "g.id");
        sql.limit(self.slice.limit).push(")");
    }

    fn push_matches(&self, sql: &mut Sql) {
        let q = self.filter.q.as_deref().unwrap_or_default();
        let others = GrantFilter { q: None, ..self.filter.clone() };
        // Person by person: a set of thousands would have to be made first.
        sql.push("people (id) AS (");
        push_people(sql, self.storage.database(), q);
        sql.push("), ");
        self.push_scan(sql, "of_people", " + 0", "people AS p CROSS JOIN grants AS g", |sql| {
            sql.push("g.user_id = p.id AND ");
            self.push_passes(sql, &others, BESIDE_INDEXES);
        });
        sql.push(", ");
        push_ranges(sql, &others, Some(q));
        sql.push(", ");
        self.push_merge(sql, "of_gateways", &left_to_check(&others));
        sql.push(", keys (id, at) AS (SELECT id, at FROM of_people UNION SELECT id, at FROM of_gateways");
        self.order.push_order(sql, "at", "id");
        sql.limit(self.slice.limit).push(")");
    }

    /// Appends the condition that a row passes. The index is chosen by the walk; only in ranges, where nothing is
    /// left to choose, the planner is to know what a column holds.
    fn push_passes(&self, sql: &mut Sql, filter: &GrantFilter, behind: &str) {
        push_columns(sql, filter, behind);
        if let Some(q) = &filter.q {
            sql.push(" AND ");
            push_fits(sql, q);
        }
    }

    /// Appends one look at the rows `g` of a table or a join, as a table `name (id, at)`.
    fn push_scan(&self, sql: &mut Sql, name: &str, plus: &str, from: &str, condition: impl FnOnce(&mut Sql)) {
        let at = format!("g.{}{plus}", self.order.column);
        sql.push(name).push(" (id, at) AS (SELECT g.id, ").push(&at);
        sql.push(" FROM ").push(from).push(" WHERE ");
        self.order.push_after(sql, &at, self.slice);
        sql.push(" AND ");
        condition(sql);
        self.order.push_order(sql, &at, "g.id");
        sql.limit(self.slice.limit).push(")");
    }

    /// Appends the merge of the first rows of all `ranges`, as a table `name (id, at)`.
    fn push_merge(&self, sql: &mut Sql, name: &str, check: &GrantFilter) {
        match self.storage.database().merge() {
            Merge::Lateral => self.push_lateral(sql, name, check),
            Merge::OrderedRecursion => self.push_recursion(sql, name, check),
        }
    }

    fn push_lateral(&self, sql: &mut Sql, name: &str, check: &GrantFilter) {
        let at = format!("g.{}", self.order.column);
        sql.push(name)
            .push(" (id, at) AS (SELECT k.id, k.at FROM ranges AS r CROSS JOIN LATERAL (SELECT g.id, ");
        sql.push(&at).push(" AS at FROM grants AS g WHERE ").push(IN_RANGE).push(" AND ");
        self.order.push_after(sql, &at, self.slice);
        sql.push(" AND ");
        self.push_passes(sql, check, "");
        self.order.push_order(sql, &at, "g.id");
        sql.limit(self.slice.limit).push(") AS k");
        self.order.push_order(sql, "k.at", "k.id");
        sql.limit(self.slice.limit).push(")");
    }

    /// The recursion's queue is ordered: it holds the next row of each range, and each row that is taken out
    /// of it is followed by its successor.
    fn push_recursion(&self, sql: &mut Sql, name: &str, check: &GrantFilter) {
        let at = format!("g.{}", self.order.column);
        let walk = format!("walk_{name}");
        let step = |sql: &mut Sql, from: &str, after: &dyn Fn(&mut Sql)| {
            sql.push("SELECT r.gateway_id, r.health, r.status, n.id, n.").push(self.order.column);
            sql.push(" FROM ")
                .push(from)
                .push(" AS r CROSS JOIN grants AS n ON n.rowid = (SELECT g.rowid FROM ");
            sql.push("grants AS g WHERE ").push(IN_RANGE).push(" AND ");
            after(sql);
            sql.push(" AND ");
            self.push_passes(sql, check, "");
            self.order.push_order(sql, &at, "g.id");
            sql.push(" LIMIT 1)");
        };
        sql.push(&walk).push(" (gateway_id, health, status, id, at) AS (");
        step(sql, "ranges", &|sql| self.order.push_after(sql, &at, self.slice));
        sql.push(" UNION ALL ");
        step(sql, &walk, &|sql| {
            // A bare column would be compared by its first part only.
            sql.push("(").push(&at).push(", g.id)").push(self.order.comes_after).push("(r.at, +r.id)");
        });
        self.order.push_order(sql, "5", "4");
        sql.limit(self.slice.limit).push("), ");
        sql.push(name).push(" (id, at) AS (SELECT id, at FROM ").push(&walk).push(")");
    }
}

/// What the ranges of a filter leave to be checked row by row.
fn left_to_check(filter: &GrantFilter) -> GrantFilter {
    GrantFilter { provider: filter.provider.clone(), q: filter.q.clone(), ..GrantFilter::default() }
}

/// Appends the table `ranges (gateway_id, health, status)` of a filter; of the gateways that `q` fits, where
/// it is given. A range that is empty costs one look.
fn push_ranges(sql: &mut Sql, filter: &GrantFilter, q: Option<&str>) {
    sql.push(
        "ranges (gateway_id, health, status) AS (SELECT w.id, h.word, s.word FROM gateways AS w CROSS JOIN (",
    );
    push_words(sql, filter.health.map_or_else(|| Health::ALL.map(word).to_vec(), |one| vec![word(one)]));
    sql.push(") AS h CROSS JOIN (");
    push_words(
        sql,
        filter.access_token_status.map_or_else(|| STATUSES.map(word).to_vec(), |one| vec![word(one)]),
    );
    sql.push(") AS s WHERE 1 = 1");
    if let Some(gateway) = filter.gateway {
        sql.push(" AND w.id = ").text(gateway.to_string());
    }
    if let Some(provider) = &filter.provider {
        // The next gateway of the provider in the order of an index, so that nothing is read to find it. SQLite
        // would make a join of EXISTS and walk each range first; PostgreSQL would look for it row by row.
        sql.push(" AND (SELECT p.gateway_id FROM grants AS p WHERE p.provider = ").text(text(provider));
        sql.push(" AND p.gateway_id >= w.id ORDER BY p.gateway_id LIMIT 1) = w.id");
    }
    if let Some(q) = q {
        sql.push(" AND w.id IN (");
        push_gateways(sql, q);
        sql.push(")");
    }
    sql.push(")");
}

fn push_words(sql: &mut Sql, words: Vec<String>) {
    for (number, word) in words.into_iter().enumerate() {
        sql.push(if number == 0 { "SELECT " } else { " UNION ALL SELECT " }).text(word).push(" AS word");
    }
}
