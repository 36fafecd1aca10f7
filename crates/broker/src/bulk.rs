//! Orders about many grants: looked at first, given with the number that was seen, worked off in batches.

use crate::revoke::checked_reason;
use crate::{Broker, BrokerError, Caller};
use doorward_domain::{
    BulkJob, BulkJobId, BulkJobRow, BulkKind, GrantChoice, NewBulkJob, Page, PageRequest, Permission,
    ProviderEnd,
};
use doorward_storage::{BulkBegun, ChosenGrant};
use std::time::Duration;

/// Grants of one batch; a batch is one transaction, and calls wait behind it on SQLite.
const BATCH: u32 = 200;

/// Names that a preview shows.
const NAMES: u32 = 100;

/// Ids of one order.
const IDS_MAX: usize = 1_000;

/// How long whoever gave an order waits for its end before the answer is "running".
const PATIENCE: Duration = Duration::from_secs(25);

/// An order about many grants.
#[derive(Debug, Clone)]
pub struct BulkOrder {
    pub kind: BulkKind,
    pub choice: GrantChoice,
    pub reason: String,
    pub provider: ProviderEnd,
    /// How many grants the caller believes to be meant.
    pub expected: u64,
}

/// What an order would mean.
#[derive(Debug, Clone)]
pub struct BulkPreview {
    pub count: u64,
    /// The first of them.
    pub grants: Vec<ChosenGrant>,
}

impl Broker {
    /// What an order about these grants would mean; nothing happens.
    pub async fn preview_bulk(
        &self,
        caller: &Caller,
        choice: &GrantChoice,
    ) -> Result<BulkPreview, BrokerError> {
        caller.require(Permission::RevokeGrants)?;
        check_choice(choice)?;
        let (count, grants) = self.storage().chosen_grants(choice, NAMES).await?;
        Ok(BulkPreview { count, grants })
    }

    /// Gives an order, and waits a while for its end. It goes on without whoever waits.
    pub async fn order_bulk(&self, caller: &Caller, order: BulkOrder) -> Result<BulkJob, BrokerError> {
        caller.require(Permission::RevokeGrants)?;
        self.require_fresh_login(caller)?;
        check_choice(&order.choice)?;
        let job = NewBulkJob {
            id: self.parts.entropy.id(self.now()),
            kind: order.kind,
            actor: caller.actor(),
            address: caller.address.clone(),
            reason: checked_reason(&order.reason)?,
            provider: order.provider,
            expected: Some(order.expected),
            choice: order.choice,
        };
        let event = caller.event(action(job.kind)).subject(job.id).detail("reason", &job.reason);
        if let BulkBegun::Mismatch { found } = self.storage().begin_bulk_job(&job, event).await? {
            let expected = order.expected;
            let problem = format!("{found} OAuth tokens are meant, not {expected}: look again and repeat it");
            return Err(BrokerError::conflict("expected_count", problem));
        }
        let working = tokio::spawn({
            let (broker, id) = (self.clone(), job.id);
            async move { broker.work_on(id).await }
        });
        // What failed is tried again on the next beat; the job says how far it came.
        if let Ok(Ok(Err(error))) = tokio::time::timeout(PATIENCE, working).await {
            tracing::warn!(%error, job = %job.id, "a bulk job was interrupted");
        }
        self.stored_job(job.id).await
    }

    /// An order and a page of its grants.
    pub async fn bulk_job(
        &self,
        caller: &Caller,
        id: BulkJobId,
        page: &PageRequest,
    ) -> Result<(BulkJob, Page<BulkJobRow>), BrokerError> {
        caller.require(Permission::ReadGrants)?;
        let job = self.stored_job(id).await?;
        Ok((job, self.storage().bulk_job_rows(id, page).await?))
    }

    /// Goes on with every order that is not finished: after a crash, or beside whoever gave it. Called on a beat.
    pub async fn work_on_bulk_jobs(&self) -> Result<(), BrokerError> {
        for id in self.storage().running_bulk_jobs().await? {
            self.work_on(id).await?;
        }
        Ok(())
    }

    async fn work_on(&self, id: BulkJobId) -> Result<(), BrokerError> {
        while self.storage().work_on_bulk_job(id, BATCH).await? {
            // On SQLite others wait for the one writer: let them in between two batches.
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    async fn stored_job(&self, id: BulkJobId) -> Result<BulkJob, BrokerError> {
        self.storage().bulk_job(id).await?.ok_or(BrokerError::NotFound { what: "job" })
    }
}

fn check_choice(choice: &GrantChoice) -> Result<(), BrokerError> {
    match choice {
        GrantChoice::Ids(ids) if ids.is_empty() || ids.len() > IDS_MAX => {
            Err(BrokerError::invalid("ids", format!("give 1 to {IDS_MAX} ids, or a filter")))
        }
        GrantChoice::Filter(filter) if filter.is_empty() => {
            Err(BrokerError::invalid("filter", "must say something: an empty filter would mean everybody"))
        }
        GrantChoice::Ids(_) | GrantChoice::Filter(_) => Ok(()),
    }
}

fn action(kind: BulkKind) -> &'static str {
    match kind {
        BulkKind::Revoke => "grant.revoke_many",
        BulkKind::Reauthorize => "grant.reauthorize_many",
    }
}
