//! How grants end: the rows go with their secrets, a record of who, where, why and by whom stays, and what was
//! still pending between the same person and gateway goes too. What the provider is to be told is decided and
//! written in the same transaction (`provider_revocation`): no revoke is answered and then forgotten there.
//!
//! Everything is done to whole batches at once, because cleanup and bulk revokes end thousands.

use crate::audit::actor_columns;
use crate::authorization_request::forget_authorization_requests;
use crate::connect_request::forget_connect_requests;
use crate::error::StorageError;
use crate::grant_row::{GrantName, grant_name_columns, person};
use crate::provider_revocation::{Told, queue, what_is_told};
use crate::row::{json, text, word};
use crate::storage::Storage;
use crate::transaction::Tx;
use doorward_domain::{
    Actor, BulkJobId, EndCause, GatewayId, GrantId, NewAuditEvent, ProviderEnd, Receipt, UserId,
};
use std::collections::BTreeSet;

/// How many grants one round of statements ends.
const BATCH: i64 = 500;

/// Which grants end. A list is to be some hundreds long at most.
#[derive(Clone, Copy)]
pub(crate) enum GrantsOf<'a> {
    These(&'a [GrantId]),
    User(UserId),
    Gateway(GatewayId),
}

/// Why and by whom grants end, and what is done about the provider.
#[derive(Debug, Clone)]
pub struct End<'a> {
    pub cause: EndCause,
    pub actor: Actor,
    /// Where the person who ended it called from.
    pub address: Option<&'a str>,
    /// In the words of that person.
    pub reason: Option<&'a str>,
    pub job: Option<BulkJobId>,
    pub provider: ProviderEnd,
}

impl<'a> End<'a> {
    /// An end that nobody gave a reason for, and that tells the provider unless that would end more.
    pub fn by(cause: EndCause, actor: &Actor) -> Self {
        let provider = ProviderEnd::UnlessWide;
        Self { cause, actor: actor.clone(), address: None, reason: None, job: None, provider }
    }

    /// As an edit of a person or a gateway makes it.
    pub(crate) fn with(cause: EndCause, event: &'a NewAuditEvent) -> Self {
        Self { address: event.address.as_deref(), ..Self::by(cause, &event.actor) }
    }
}

impl Storage {
    /// Ends those of the grants that are still there, whatever their versions, and whatever was pending between
    /// their owners and gateways; all in one transaction. Gives how many that were.
    pub async fn end_grants(&self, ids: &[GrantId], end: &End<'_>) -> Result<u64, StorageError> {
        let mut tx = self.begin("end grants").await?;
        let ended = end_grants(&mut tx, GrantsOf::These(ids), end).await?;
        tx.commit().await?;
        Ok(ended)
    }
}

/// Ends grants, in the transaction of whatever causes it; how many that were.
pub(crate) async fn end_grants(tx: &mut Tx, which: GrantsOf<'_>, end: &End<'_>) -> Result<u64, StorageError> {
    let mut ended = 0;
    loop {
        let grants = lock(tx, which).await?;
        end_locked(tx, &grants, end).await?;
        ended += grants.len() as u64;
        if matches!(which, GrantsOf::These(_)) || i64::try_from(grants.len()).unwrap_or(BATCH) < BATCH {
            break;
        }
    }
    // A deleted gateway takes what is pending at it along (ON DELETE CASCADE); a disabled person does not.
    if let GrantsOf::User(user) = which {
        forget_authorization_requests(tx, user).await?;
        forget_connect_requests(tx, user).await?;
    }
    Ok(ended)
}

/// Locks the next grants that end, in the order of their ids, so that two that end the same wait in turn.
async fn lock(tx: &mut Tx, which: GrantsOf<'_>) -> Result<Vec<GrantName>, StorageError> {
    let (sql, which) = match which {
        GrantsOf::These(ids) => ("id IN (EACH($1)) ORDER BY id", json(ids)),
        GrantsOf::User(id) => ("user_id = $1 ORDER BY id LIMIT $2", id.to_string()),
        GrantsOf::Gateway(id) => ("gateway_id = $1 ORDER BY id LIMIT $2", id.to_string()),
    };
    let limited = sql.ends_with("$2");
    let columns = grant_name_columns!();
    let sql = tx.connection.spell(&format!("SELECT {columns} FROM grants WHERE {sql} FOR UPDATE"));
    tx!(tx, fetch_all, {
        let query = sqlx::query_as(sql).bind(which);
        if limited { query.bind(BATCH) } else { query }
    })
}

/// Ends grants that this transaction has locked.
pub(crate) async fn end_locked(tx: &mut Tx, grants: &[GrantName], end: &End<'_>) -> Result<(), StorageError> {
    let ids: Vec<&str> = grants.iter().map(|grant| grant.id.as_str()).collect();
    let ids = &json(&ids);
    let gateways: BTreeSet<&str> = grants.iter().map(|grant| grant.gateway_id.as_str()).collect();
    let told = what_is_told(tx, &json(&gateways), end).await?;
    let mut pending = Vec::new();
    for told in &told {
        pending.extend(record(tx, ids, end, told).await?);
    }
    if !pending.is_empty() {
        queue(tx, &json(&pending)).await?;
    }
    delete(tx, ids).await?;
    forget_pending(tx, ids).await?;
    for grant in grants {
        tx.change(grant.ended()?);
        tx.audit(event(grant, end, &told)?);
    }
    Ok(())
}

/// Keeps the record of those grants of the list whose provider is told the same. Gives those whose provider
/// is still to be told.
async fn record(tx: &mut Tx, ids: &str, end: &End<'_>, told: &Told) -> Result<Vec<String>, StorageError> {
    let (actor_kind, actor_id) = actor_columns(&end.actor);
    let sql = tx.connection.spell(
        "INSERT INTO ended_grants (grant_id, owner_kind, user_id, user_email, user_email_key, gateway_id, \
         gateway_slug, provider, label, account_subject, account_name, scopes_granted, authorized_at, last_used_at, \
         access_token_expires_at, cause, reason, actor_kind, actor_id, ended_at, job_id, receipt, receipt_detail, \
         receipt_at, user_apps_url) \
         SELECT gr.id, gr.owner_kind, gr.user_id, u.email, u.email_key, gr.gateway_id, g.slug, gr.provider, gr.label, \
         gr.account_subject, gr.account_name, gr.scopes_granted, gr.authorized_at, gr.last_used_at, gr.expires_at, \
         $3, $4, $5, $6, $7, $8, \
         CASE WHEN gr.fingerprint <> COALESCE(g.fingerprint, '') THEN 'nothing_to_tell' \
           WHEN gr.expires_at > $7 THEN $9 \
           WHEN gr.refresh_token IS NOT NULL AND COALESCE(gr.state_reason, '') <> 'invalid_grant' \
             AND g.revocation_method IN ('rfc7009', 'none') THEN $9 \
           ELSE 'nothing_to_tell' END, \
         CASE WHEN gr.fingerprint <> COALESCE(g.fingerprint, '') THEN 'the gateway points elsewhere now' \
           WHEN gr.expires_at > $7 THEN $10 \
           WHEN gr.refresh_token IS NOT NULL AND COALESCE(gr.state_reason, '') <> 'invalid_grant' \
             AND g.revocation_method IN ('rfc7009', 'none') THEN $10 \
           ELSE 'its tokens had ended already' END, \
         $7, CASE WHEN gr.fingerprint = g.fingerprint THEN g.user_apps_url END \
         FROM grants gr JOIN gateways g ON g.id = gr.gateway_id LEFT JOIN users u ON u.id = gr.user_id \
         WHERE gr.id IN (EACH($1)) AND gr.gateway_id IN (EACH($2)) RETURNING grant_id, receipt",
    );
    let now = tx.now();
    let recorded: Vec<(String, String)> = tx!(
        tx,
        fetch_all,
        sqlx::query_as(sql)
            .bind(ids)
            .bind(json(&told.gateways))
            .bind(word(end.cause))
            .bind(end.reason.map(text))
            .bind(actor_kind)
            .bind(actor_id)
            .bind(now.millis())
            .bind(end.job.map(|job| job.to_string()))
            .bind(word(told.receipt))
            .bind(told.detail)
    )?;
    let (pending, settled): (Vec<_>, Vec<_>) =
        recorded.into_iter().partition(|(_, receipt)| *receipt == word(Receipt::Pending));
    // One that is pending is counted when the provider has answered.
    for (_, receipt) in settled {
        metrics::counter!("doorward_revocations_total", "receipt" => receipt).increment(1);
    }
    Ok(pending.into_iter().map(|(id, _)| id).collect())
}

async fn delete(tx: &mut Tx, ids: &str) -> Result<(), StorageError> {
    let sql = tx.connection.spell("DELETE FROM grants WHERE id IN (EACH($1))");
    tx!(tx, execute, sqlx::query(sql).bind(ids)).map(drop)
}

/// An open consent would bring the grant back (lesson R23).
async fn forget_pending(tx: &mut Tx, ids: &str) -> Result<(), StorageError> {
    let pairs = "(user_id, gateway_id) IN \
                 (SELECT user_id, gateway_id FROM ended_grants WHERE grant_id IN (EACH($1)))";
    let requests = tx.connection.spell(&format!("DELETE FROM authorization_requests WHERE {pairs}"));
    tx!(tx, execute, sqlx::query(requests).bind(ids))?;
    let links = tx.connection.spell(&format!("DELETE FROM connect_requests WHERE pending AND {pairs}"));
    tx!(tx, execute, sqlx::query(links).bind(ids)).map(drop)
}

/// The last event of the grant's time line.
fn event(grant: &GrantName, end: &End<'_>, told: &[Told]) -> Result<NewAuditEvent, StorageError> {
    let action = match end.cause {
        EndCause::Disconnected | EndCause::Revoked => "grant.revoke",
        EndCause::Swept | EndCause::Idle | EndCause::OrphanedTooLong => "grant.sweep",
        EndCause::UserDisabled | EndCause::UserDeleted | EndCause::GatewayDeleted => "grant.end",
    };
    let slug = told.iter().find_map(|told| told.slug_of(&grant.gateway_id)).unwrap_or(&grant.gateway_id);
    let mut event = NewAuditEvent::new(end.actor.clone(), action)
        .subject(&grant.id)
        .from_address(end.address.map(str::to_owned))
        .detail("cause", word(end.cause))
        .detail("gateway", slug);
    event.user_id = person(grant.owner()?);
    if let Some(reason) = end.reason {
        event = event.detail("reason", reason);
    }
    if let Some(job) = end.job {
        event = event.detail("job", job);
    }
    Ok(event)
}
