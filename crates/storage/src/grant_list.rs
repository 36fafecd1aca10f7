//! Pages of the list of all grants, with the person and the gateway of each in the same statement.

use crate::cursor::Slice;
use crate::error::StorageError;
use crate::grant_row::{account, owner, state};
use crate::grant_walk::{Order, Walk, Wanted};
use crate::row::{NEVER, RowName, if_ever, moment, or_never, unless_never};
use crate::sql::{Sql, bound};
use crate::storage::Storage;
use doorward_domain::{
    AccessTokenStatus, GrantCounts, GrantFilter, GrantGateway, GrantId, GrantOwner, GrantSort,
    GrantSortColumn, GrantUser, Health, ListedGrant, Page, PageRequest, Timestamp,
};
use std::collections::HashMap;

#[derive(sqlx::FromRow)]
struct ListedRow {
    id: String,
    owner_kind: String,
    user_id: Option<String>,
    user_email: Option<String>,
    user_name: Option<String>,
    gateway_id: String,
    gateway_slug: String,
    gateway_name: String,
    provider: String,
    account_subject: Option<String>,
    account_name: Option<String>,
    label: String,
    scopes_granted: String,
    state: String,
    state_reason: Option<String>,
    health: String,
    access_token_status: String,
    expires_at: i64,
    ends_at: i64,
    refreshable: bool,
    created_at: i64,
    authorized_at: i64,
    last_used_at: i64,
    last_refreshed_at: Option<i64>,
    last_error: Option<String>,
    deposited_by: Option<String>,
}

/// What a row of the list is read from; an allow list without a sealed column.
const COLUMNS: &str = "g.id, g.owner_kind, g.user_id, u.email AS user_email, u.name AS user_name, g.gateway_id, \
     w.slug AS gateway_slug, w.name AS gateway_name, g.provider, g.account_subject, g.account_name, g.label, \
     g.scopes_granted, g.state, g.state_reason, g.health, g.access_token_status, g.expires_at, g.ends_at, \
     (g.refresh_token IS NOT NULL OR g.owner_kind = 'service' OR g.exchanged) AS refreshable, g.created_at, g.authorized_at, g.last_used_at, \
     g.last_refreshed_at, g.last_error, g.deposited_by";

const JOINS: &str = " JOIN gateways AS w ON w.id = g.gateway_id LEFT JOIN users AS u ON u.id = g.user_id";

impl ListedRow {
    fn into_listed(self) -> Result<ListedGrant, StorageError> {
        let row = RowName { table: "grants", id: &self.id };
        let user = match owner(row, &self.owner_kind, self.user_id.as_deref())? {
            GrantOwner::Service => None,
            GrantOwner::User(id) => Some(GrantUser {
                id,
                email: row.required("user_id", self.user_email)?,
                name: row.required("user_id", self.user_name)?,
            }),
        };
        Ok(ListedGrant {
            id: row.parse("id", &self.id)?,
            user,
            gateway: GrantGateway {
                id: row.parse("gateway_id", &self.gateway_id)?,
                slug: self.gateway_slug,
                name: self.gateway_name,
            },
            account: account(row, self.account_subject, self.account_name)?,
            scopes_granted: row.json("scopes_granted", &self.scopes_granted)?,
            state: state(row, &self.state, self.state_reason.as_deref())?,
            health: row.word("health", &self.health)?,
            access_token_status: row.word("access_token_status", &self.access_token_status)?,
            provider: self.provider,
            label: self.label,
            expires_at: unless_never(self.expires_at),
            ends_at: unless_never(self.ends_at),
            refreshable: self.refreshable,
            created_at: Timestamp::from_millis(self.created_at),
            authorized_at: Timestamp::from_millis(self.authorized_at),
            last_used_at: if_ever(self.last_used_at),
            last_refreshed_at: moment(self.last_refreshed_at),
            last_error: self.last_error,
            deposited_by: self.deposited_by,
        })
    }
}

impl Storage {
    /// A page of the grants that a filter lets pass. Its cursor is good for this list in this order only.
    pub async fn list_grants(
        &self,
        filter: &GrantFilter,
        sort: GrantSort,
        request: &PageRequest,
    ) -> Result<Page<ListedGrant>, StorageError> {
        let order = Order::of(sort);
        let slice = slice(order, sort, request)?;
        let mut rows = Vec::new();
        for walk in self.walks(filter).await? {
            let sql = self.page_sql(filter, order, &slice, walk);
            rows = read!(self, "list grants", fetch_all, bound!(sql, query_as::<_, ListedRow>))?;
            if i64::try_from(rows.len()) == Ok(slice.limit) {
                break;
            }
        }
        let rows = rows.into_iter().map(ListedRow::into_listed).collect::<Result<Vec<_>, _>>()?;
        Ok(slice.page(rows, |row| (key(row, sort.column), row.id.to_string())))
    }

    /// How the database reads the first page of a list: its own words, for whoever looks whether an index
    /// serves it.
    pub async fn explain_list(
        &self,
        filter: &GrantFilter,
        sort: GrantSort,
    ) -> Result<Vec<String>, StorageError> {
        let order = Order::of(sort);
        let slice = slice(order, sort, &PageRequest::default())?;
        let mut plan = Vec::new();
        for walk in self.walks(filter).await? {
            plan.extend(self.database().explain(&self.page_sql(filter, order, &slice, walk)).await?);
        }
        Ok(plan)
    }

    fn page_sql(&self, filter: &GrantFilter, order: Order, slice: &Slice, walk: Walk) -> Sql {
        let mut sql = Sql::default();
        Wanted { storage: self, filter, order, slice }.push_keys(&mut sql, walk);
        sql.push(" SELECT ")
            .push(COLUMNS)
            .push(" FROM keys AS k JOIN grants AS g ON g.id = k.id")
            .push(JOINS);
        order.push_order(&mut sql, "k.at", "k.id");
        sql
    }

    /// One grant, as the list shows it.
    pub async fn listed_grant(&self, id: GrantId) -> Result<Option<ListedGrant>, StorageError> {
        let mut sql = Sql::new("SELECT ");
        sql.push(COLUMNS).push(" FROM grants AS g").push(JOINS).push(" WHERE g.id = ").text(id.to_string());
        let row = read!(self, "read a grant", fetch_optional, bound!(sql, query_as::<_, ListedRow>))?;
        row.map(ListedRow::into_listed).transpose()
    }

    /// How many grants there are. An index is read from end to end: this is for once in a while.
    pub async fn grant_counts(&self) -> Result<GrantCounts, StorageError> {
        let as_of = self.clock().now();
        let rows: Vec<(String, String, String, i64)> = read!(
            self,
            "count all grants",
            fetch_all,
            sqlx::query_as(
                "SELECT gateway_id, health, access_token_status, count(*) FROM grants \
                 GROUP BY gateway_id, health, access_token_status"
            )
        )?;
        let mut counted: HashMap<(Health, AccessTokenStatus), u64> = HashMap::new();
        for (gateway, health, status, count) in rows {
            let row = RowName { table: "grants", id: &gateway };
            let key = (row.word("health", &health)?, row.word("access_token_status", &status)?);
            *counted.entry(key).or_default() += count.unsigned_abs();
        }
        let counted = counted.into_iter().map(|((health, status), count)| (health, status, count)).collect();
        Ok(GrantCounts { as_of, counted })
    }
}

fn slice(order: Order, sort: GrantSort, request: &PageRequest) -> Result<Slice, StorageError> {
    Slice::of(order.list, if sort.descending { NEVER } else { i64::MIN }, request)
}

fn key(row: &ListedGrant, column: GrantSortColumn) -> i64 {
    match column {
        GrantSortColumn::CreatedAt => row.created_at.millis(),
        GrantSortColumn::LastUsedAt => row.last_used_at.map_or(0, Timestamp::millis),
        GrantSortColumn::ExpiresAt => or_never(row.expires_at),
    }
}
