//! Grants whose user has no access to the gateway any more: it is disabled, or it is a draft again or not for
//! the user, who does not manage gateways. They are refused and what runs under them is cut; nothing of them is
//! lost, and when access returns they are what they were.
//!
//! The version stays: no refresh writes this column, and one that is under way must not lose its answer.

use crate::error::StorageError;
use crate::grant_row::{GrantName, grant_name_columns, person};
use crate::grant_status::{Settled, settle};
use crate::transaction::Tx;
use doorward_domain::{Actor, NewAuditEvent};
use sqlx::AssertSqlSafe;

/// That the user of a grant may not use its gateway; the same as the broker's `is_for`. Administrators use
/// drafts, and what is not for everyone.
const NO_ACCESS: &str = "EXISTS (SELECT 1 FROM gateways g LEFT JOIN users u ON u.id = grants.user_id \
     WHERE g.id = grants.gateway_id AND (g.state = 'disabled' \
     OR (u.id IS NOT NULL AND u.role <> 'administrator' AND (g.state = 'draft' \
     OR (g.access = 'listed' \
     AND NOT EXISTS (SELECT 1 FROM access_rules a WHERE a.gateway_id = g.id AND a.user_id = u.id) \
     AND NOT EXISTS (SELECT 1 FROM access_rules a JOIN group_members m ON m.group_id = a.group_id \
     WHERE a.gateway_id = g.id AND m.user_id = u.id))))))";

/// Orphans the grants that lost access, and takes back those that have it again, in the transaction of
/// the edit of a gateway, a person or a group that decides it.
pub(crate) async fn settle_orphans(tx: &mut Tx, which: Settled, actor: &Actor) -> Result<(), StorageError> {
    let lost = changed(tx, which, "$1", &format!("orphaned_since IS NULL AND {NO_ACCESS}")).await?;
    let kept = format!("orphaned_since IS NOT NULL AND $1 > 0 AND NOT {NO_ACCESS}");
    let found = changed(tx, which, "NULL", &kept).await?;
    for grant in &lost {
        tx.change(grant.ended()?);
        tx.audit(event(actor, "grant.orphan", grant)?);
    }
    for grant in &found {
        tx.change(grant.change()?);
        tx.audit(event(actor, "grant.adopt", grant)?);
    }
    if lost.is_empty() && found.is_empty() {
        return Ok(());
    }
    settle(tx, which).await
}

async fn changed(
    tx: &mut Tx,
    which: Settled,
    since: &str,
    condition: &str,
) -> Result<Vec<GrantName>, StorageError> {
    let (column, id) = match which {
        Settled::One(id) => ("id", id.to_string()),
        Settled::Gateway(id) => ("gateway_id", id.to_string()),
        Settled::User(id) => ("user_id", id.to_string()),
    };
    let sql = format!(
        "UPDATE grants SET orphaned_since = {since} WHERE {column} = $2 AND {condition} RETURNING {}",
        grant_name_columns!()
    );
    let now = tx.now().millis();
    tx!(tx, fetch_all, sqlx::query_as::<_, GrantName>(AssertSqlSafe(sql)).bind(now).bind(id))
}

fn event(actor: &Actor, action: &'static str, grant: &GrantName) -> Result<NewAuditEvent, StorageError> {
    let mut event = NewAuditEvent::new(actor.clone(), action).subject(&grant.id);
    event.user_id = person(grant.owner()?);
    Ok(event)
}
