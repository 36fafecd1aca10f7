//! "Recently ended": what is left of grants, newest first.

use crate::audit::actor;
use crate::cursor::Slice;
use crate::error::StorageError;
use crate::grant_row::{account, owner};
use crate::row::{NEVER, RowName, if_ever, unless_never, word};
use crate::sql::{Sql, bound};
use crate::storage::Storage;
use doorward_domain::{
    BulkJobId, EndCause, EndedGrant, GatewayId, GrantId, Page, PageRequest, Receipt, Timestamp, UserId,
};

/// Which ended grants are wanted: those that pass every part that is set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EndedFilter {
    pub user: Option<UserId>,
    pub gateway: Option<GatewayId>,
    pub cause: Option<EndCause>,
    pub receipt: Option<Receipt>,
    pub job: Option<BulkJobId>,
}

const COLUMNS: &str = "grant_id, owner_kind, user_id, user_email, gateway_id, gateway_slug, provider, label, \
     account_subject, account_name, scopes_granted, authorized_at, last_used_at, access_token_expires_at, cause, \
     reason, actor_kind, actor_id, ended_at, job_id, receipt, receipt_detail, receipt_at, user_apps_url";

#[derive(sqlx::FromRow)]
struct EndedRow {
    grant_id: String,
    owner_kind: String,
    user_id: Option<String>,
    user_email: Option<String>,
    gateway_id: String,
    gateway_slug: String,
    provider: String,
    label: String,
    account_subject: Option<String>,
    account_name: Option<String>,
    scopes_granted: String,
    authorized_at: i64,
    last_used_at: i64,
    access_token_expires_at: i64,
    cause: String,
    reason: Option<String>,
    actor_kind: String,
    actor_id: Option<String>,
    ended_at: i64,
    job_id: Option<String>,
    receipt: String,
    receipt_detail: Option<String>,
    receipt_at: i64,
    user_apps_url: Option<String>,
}

impl EndedRow {
    fn into_ended(self) -> Result<EndedGrant, StorageError> {
        let row = RowName { table: "ended_grants", id: &self.grant_id };
        Ok(EndedGrant {
            grant_id: row.parse("grant_id", &self.grant_id)?,
            owner: owner(row, &self.owner_kind, self.user_id.as_deref())?,
            gateway_id: row.parse("gateway_id", &self.gateway_id)?,
            account: account(row, self.account_subject, self.account_name)?,
            scopes_granted: row.json("scopes_granted", &self.scopes_granted)?,
            cause: row.word("cause", &self.cause)?,
            actor: actor(row, &self.actor_kind, self.actor_id.as_deref())?,
            job: row.parse_optional("job_id", self.job_id.as_deref())?,
            receipt: row.word("receipt", &self.receipt)?,
            user_email: self.user_email,
            gateway_slug: self.gateway_slug,
            provider: self.provider,
            label: self.label,
            authorized_at: Timestamp::from_millis(self.authorized_at),
            last_used_at: if_ever(self.last_used_at),
            access_token_expires_at: unless_never(self.access_token_expires_at),
            reason: self.reason,
            ended_at: Timestamp::from_millis(self.ended_at),
            receipt_detail: self.receipt_detail,
            receipt_at: Timestamp::from_millis(self.receipt_at),
            user_apps_url: self.user_apps_url,
        })
    }
}

impl Storage {
    /// What is left of one grant.
    pub async fn ended_grant(&self, id: GrantId) -> Result<Option<EndedGrant>, StorageError> {
        let mut sql = Sql::new("SELECT ");
        sql.push(COLUMNS).push(" FROM ended_grants WHERE grant_id = ").text(id.to_string());
        let row = read!(self, "read an ended grant", fetch_optional, bound!(sql, query_as::<_, EndedRow>))?;
        row.map(EndedRow::into_ended).transpose()
    }

    /// A page of ended grants, newest first.
    pub async fn ended_grants(
        &self,
        filter: &EndedFilter,
        request: &PageRequest,
    ) -> Result<Page<EndedGrant>, StorageError> {
        let slice = Slice::of("ended", NEVER, request)?;
        let (number, id) = &slice.after;
        // Without a cursor the page starts behind every id.
        let id = if id.is_empty() { "g" } else { id };
        let mut sql = Sql::new("SELECT ");
        sql.push(COLUMNS).push(" FROM ended_grants WHERE (ended_at, grant_id) < (").number(*number);
        sql.push(", ").text(id).push(")");
        let mut only = |column: &str, value: Option<String>| {
            if let Some(value) = value {
                sql.push(" AND ").push(column).push(" = ").text(value);
            }
        };
        only("user_id", filter.user.map(|id| id.to_string()));
        only("gateway_id", filter.gateway.map(|id| id.to_string()));
        only("cause", filter.cause.map(word));
        only("receipt", filter.receipt.map(word));
        only("job_id", filter.job.map(|id| id.to_string()));
        sql.push(" ORDER BY ended_at DESC, grant_id DESC").limit(slice.limit);
        let rows = read!(self, "list ended grants", fetch_all, bound!(sql, query_as::<_, EndedRow>))?;
        let rows = rows.into_iter().map(EndedRow::into_ended).collect::<Result<Vec<_>, _>>()?;
        Ok(slice.page(rows, |row| (row.ended_at.millis(), row.grant_id.to_string())))
    }
}
