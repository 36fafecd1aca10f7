//! How grants end: the row goes with its secrets, a record of who, where, why and by whom stays, and what was
//! still pending between the same person and gateway goes too.

use crate::audit::actor_columns;
use crate::authorization_request::forget_authorization_requests;
use crate::connect_request::forget_connect_requests;
use crate::error::StorageError;
use crate::grant_row::{GrantName, grant_name_columns};
use crate::row::word;
use crate::transaction::Tx;
use doorward_domain::{Actor, BulkJobId, EndCause, GatewayId, GrantId, GrantOwner, ProviderEnd, UserId};

/// Which grants end.
#[derive(Clone, Copy)]
pub(crate) enum GrantsOf {
    One(GrantId),
    User(UserId),
    Gateway(GatewayId),
}

/// Why and by whom grants end.
pub(crate) struct End<'a> {
    pub(crate) cause: EndCause,
    pub(crate) actor: &'a Actor,
    pub(crate) reason: Option<&'a str>,
    pub(crate) job: Option<BulkJobId>,
    pub(crate) provider: ProviderEnd,
}

impl<'a> End<'a> {
    /// An end that nobody gave a reason for.
    pub(crate) fn by(cause: EndCause, actor: &'a Actor) -> Self {
        Self { cause, actor, reason: None, job: None, provider: ProviderEnd::UnlessWide }
    }
}

/// Ends grants, in the transaction of whatever causes it.
pub(crate) async fn end_grants(tx: &mut Tx, which: GrantsOf, end: &End<'_>) -> Result<(), StorageError> {
    for grant in delete(tx, which).await? {
        record(tx, &grant, end).await?;
        if let (GrantsOf::One(_), GrantOwner::User(user)) = (which, grant.owner()?) {
            let gateway = grant.gateway()?;
            forget_authorization_requests(tx, user, Some(gateway)).await?;
            forget_connect_requests(tx, user, Some(gateway)).await?;
        }
        tx.change(grant.ended()?);
    }
    // A deleted gateway takes what is pending at it along (ON DELETE CASCADE); a disabled person does not.
    if let GrantsOf::User(user) = which {
        forget_authorization_requests(tx, user, None).await?;
        forget_connect_requests(tx, user, None).await?;
    }
    Ok(())
}

async fn delete(tx: &mut Tx, which: GrantsOf) -> Result<Vec<GrantName>, StorageError> {
    macro_rules! delete_where {
        ($column:literal, $id:expr) => {
            tx!(
                tx,
                fetch_all,
                sqlx::query_as::<_, GrantName>(concat!(
                    "DELETE FROM grants WHERE ",
                    $column,
                    " = $1 RETURNING ",
                    grant_name_columns!()
                ))
                .bind($id.to_string())
            )
        };
    }
    match which {
        GrantsOf::One(id) => delete_where!("id", id),
        GrantsOf::User(id) => delete_where!("user_id", id),
        GrantsOf::Gateway(id) => delete_where!("gateway_id", id),
    }
}

async fn record(tx: &mut Tx, grant: &GrantName, end: &End<'_>) -> Result<(), StorageError> {
    let (actor_kind, actor_id) = actor_columns(end.actor);
    let now = tx.now();
    tx!(
        tx,
        execute,
        sqlx::query(
            "INSERT INTO ended_grants (grant_id, owner_kind, user_id, user_email, gateway_id, gateway_slug, \
             provider, label, account_name, scopes_granted, authorized_at, last_used_at, \
             access_token_expires_at, cause, reason, actor_kind, actor_id, ended_at, job_id, receipt, receipt_at) \
             VALUES ($1, $2, $3, (SELECT email FROM users WHERE id = $3), $4, \
             (SELECT slug FROM gateways WHERE id = $4), '', $5, $6, '[]', 0, 0, 0, $7, $8, $9, $10, $11, $12, \
             'nothing_to_tell', $11)"
        )
        .bind(&grant.id)
        .bind(&grant.owner_kind)
        .bind(&grant.user_id)
        .bind(&grant.gateway_id)
        .bind(&grant.label)
        .bind(&grant.account_name)
        .bind(word(end.cause))
        .bind(end.reason)
        .bind(actor_kind)
        .bind(actor_id.as_deref())
        .bind(now.millis())
        .bind(end.job.map(|job| job.to_string()))
    )
    .map(drop)
}
