//! The list of all grants, for those who may read them: pages, one of them closely, counts.

use crate::{Broker, BrokerError, Caller};
use doorward_domain::{
    AuditEvent, EndedGrant, Gateway, GatewayId, Grant, GrantCounts, GrantFilter, GrantId, GrantSort, Health,
    ListedGrant, Page, PageRequest, Permission, Removal, Timestamp,
};
use doorward_storage::AuditFilter;
use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::Mutex;

/// So many grants whose status the clock has changed are brought up to date before a list is read; what is
/// left over, the job does.
const SETTLED_FIRST: u32 = 200;

/// Grants per statement of the job.
const SETTLED_AT_ONCE: u32 = 500;

/// Counts are counted anew when they are older.
const COUNTS_LIVE: Duration = Duration::from_secs(5);

/// Where there are more grants than this, counting takes its time: nobody waits for it who finds counts that are
/// younger than that, and they are counted anew behind the back of who looks.
const MANY_GRANTS: u64 = 100_000;
const COUNTS_OF_MANY_LIVE: Duration = Duration::from_secs(60);

/// How many events a grant's time line shows.
const TIME_LINE: u32 = 100;

/// The counts that all callers share.
#[derive(Debug, Default)]
pub(crate) struct SharedCounts {
    last: RwLock<Option<Arc<GrantCounts>>>,
    /// Held by whoever counts.
    counting: Mutex<()>,
}

impl SharedCounts {
    /// The last counts, if they are younger than that.
    fn younger_than(&self, age: Duration, now: Timestamp) -> Option<Arc<GrantCounts>> {
        let last = self.last.read().unwrap_or_else(PoisonError::into_inner);
        last.as_ref().filter(|counts| counts.as_of.until(now) < age).map(Arc::clone)
    }
}

/// One grant, looked at closely. The sealed tokens in it are for no answer.
#[derive(Debug, Clone)]
pub struct GrantDetails {
    pub listed: ListedGrant,
    pub grant: Grant,
    pub gateway: Arc<Gateway>,
    /// When cleanup will end it if nothing happens until then; none: never, or cleanup does not run by itself.
    pub removal: Option<Removal>,
    /// What happened to it, newest first.
    pub time_line: Vec<AuditEvent>,
}

/// A grant that has ended, looked at closely.
#[derive(Debug, Clone)]
pub struct EndedDetails {
    pub ended: EndedGrant,
    /// What happened to it, newest first.
    pub time_line: Vec<AuditEvent>,
}

impl Broker {
    /// A page of the grants that a filter lets pass.
    pub async fn list_grants(
        &self,
        caller: &Caller,
        filter: &GrantFilter,
        sort: GrantSort,
        page: &PageRequest,
    ) -> Result<Page<ListedGrant>, BrokerError> {
        may_read(caller, filter)?;
        self.storage().settle_due_grants(SETTLED_FIRST).await?;
        Ok(self.storage().list_grants(filter, sort, page).await?)
    }

    /// One grant with its settings and its time line.
    pub async fn grant_details(&self, caller: &Caller, id: GrantId) -> Result<GrantDetails, BrokerError> {
        caller.require(Permission::ReadGrants)?;
        let missing = || BrokerError::NotFound { what: "OAuth token" };
        self.storage().settle_due_grants(SETTLED_FIRST).await?;
        let listed = self.storage().listed_grant(id).await?.ok_or_else(missing)?;
        let grant = self.storage().grant(id).await?.ok_or_else(missing)?;
        if caller.api_token().is_some_and(|token| !token.allows(grant.gateway_id)) {
            return Err(missing());
        }
        let gateway = self.directory().await?.get(grant.gateway_id).cloned().ok_or_else(missing)?;
        let time_line = self.time_line(id).await?;
        let cleanup = &self.policy().cleanup;
        let kept_alive = gateway.oauth().is_some_and(|settings| settings.keep_alive);
        let removal = grant.removal(cleanup, kept_alive).filter(|_| cleanup.enabled);
        Ok(GrantDetails { listed, grant, gateway, removal, time_line })
    }

    /// What is left of one grant, with its time line.
    pub async fn ended_details(&self, caller: &Caller, id: GrantId) -> Result<EndedDetails, BrokerError> {
        let ended = self.ended_grant(caller, id).await?;
        Ok(EndedDetails { ended, time_line: self.time_line(id).await? })
    }

    /// What happened to a grant, newest first, also after it has ended: its events in the audit trail.
    async fn time_line(&self, id: GrantId) -> Result<Vec<AuditEvent>, BrokerError> {
        let filter = AuditFilter { subject: Some(id.to_string()), ..AuditFilter::default() };
        let newest = PageRequest { limit: TIME_LINE, cursor: None };
        Ok(self.storage().audit_events(&filter, &newest).await?.items)
    }

    /// How many grants there are, at most five seconds ago, or a minute where there are so many that counting takes
    /// its time; counted once for all who ask.
    pub async fn grant_counts(&self, caller: &Caller) -> Result<Arc<GrantCounts>, BrokerError> {
        may_read(caller, &GrantFilter::default())?;
        self.shared_counts().await
    }

    /// Which gateways anybody is connected to.
    pub async fn connected_gateways(&self, caller: &Caller) -> Result<BTreeSet<GatewayId>, BrokerError> {
        caller.require(Permission::ReadGateways)?;
        Ok(self.storage().gateways_with_grants().await?)
    }

    pub(crate) async fn shared_counts(&self) -> Result<Arc<GrantCounts>, BrokerError> {
        if let Some(counts) = self.grant_counts.younger_than(COUNTS_LIVE, self.now()) {
            return Ok(counts);
        }
        let of_many = self.grant_counts.younger_than(COUNTS_OF_MANY_LIVE, self.now());
        if let Some(counts) = of_many.filter(|counts| counts.total() > MANY_GRANTS) {
            self.count_grants_aside();
            return Ok(counts);
        }
        self.count_grants().await
    }

    fn count_grants_aside(&self) {
        if self.grant_counts.counting.try_lock().is_err() {
            return;
        }
        let broker = self.clone();
        tokio::spawn(async move {
            if let Err(error) = broker.count_grants().await {
                tracing::warn!(%error, "the grants could not be counted; whoever asks next tries again");
            }
        });
    }

    /// Counts, unless somebody else has just done so.
    async fn count_grants(&self) -> Result<Arc<GrantCounts>, BrokerError> {
        // Whoever comes while they are counted waits here, and finds them.
        let _counting = self.grant_counts.counting.lock().await;
        if let Some(counts) = self.grant_counts.younger_than(COUNTS_LIVE, self.now()) {
            return Ok(counts);
        }
        self.storage().settle_due_grants(SETTLED_FIRST).await?;
        let counts = Arc::new(self.storage().grant_counts().await?);
        let mut last = self.grant_counts.last.write().unwrap_or_else(PoisonError::into_inner);
        *last = Some(Arc::clone(&counts));
        Ok(counts)
    }

    /// Writes the status anew of all grants that the clock has changed. Called every few seconds.
    pub async fn settle_grants(&self) -> Result<(), BrokerError> {
        if self.storage().expiring_soon_has_changed().await? {
            self.follow_expiring_soon().await?;
        }
        while self.storage().settle_due_grants(SETTLED_AT_ONCE).await? == u64::from(SETTLED_AT_ONCE) {}
        Ok(())
    }

    /// What is stored goes by the setting as it was when it was written; after a start with another one, all of
    /// it is computed anew.
    async fn follow_expiring_soon(&self) -> Result<(), BrokerError> {
        let mut after = None;
        while let Some(last) = self.storage().follow_expiring_soon(after, SETTLED_AT_ONCE).await? {
            after = Some(last);
        }
        Ok(self.storage().expiring_soon_is_followed().await?)
    }

    /// Tells the metrics how many grants there are of each health.
    pub async fn gauge_grants(&self) -> Result<(), BrokerError> {
        let counts = self.shared_counts().await?;
        for health in Health::ALL {
            metrics::gauge!("doorward_grants", "health" => health.as_str())
                .set(counts.of_health(health) as f64);
        }
        Ok(())
    }
}

/// An API token that opens some gateways only shows the grants of one of these at a time.
fn may_read(caller: &Caller, filter: &GrantFilter) -> Result<(), BrokerError> {
    caller.require(Permission::ReadGrants)?;
    let shown = |gateway| caller.api_token().is_none_or(|token| token.allows(gateway));
    if caller.is_narrowed() && !filter.gateway.is_some_and(shown) {
        return Err(BrokerError::Forbidden { need: Permission::ReadGrants });
    }
    Ok(())
}
