//! Refreshes that nobody waits for: grants whose time has come, a small batch on every beat.

use crate::refresh_attempt::{Need, RefreshPath};
use crate::{Broker, BrokerError};
use doorward_domain::GatewayState;
use doorward_storage::DueRefresh;
use futures_util::future::join_all;
use std::time::Duration;

/// How many grants one beat looks at: with a beat a second this is also the rate at which a backlog is
/// worked off when a provider is back.
const BATCH: u32 = 32;
/// For so long nobody else looks at what was taken. A grant that is left as it is comes up again then.
const TAKEN_FOR: Duration = Duration::from_secs(60);

impl Broker {
    /// Refreshes a batch of the grants that are due; how many were looked at. Safe beside other replicas: a
    /// grant that two take all the same, they meet over at its lease.
    pub async fn refresh_due(&self) -> Result<u64, BrokerError> {
        self.forget_weather().await?;
        let due = self.storage().take_due_refreshes(BATCH, TAKEN_FOR).await?;
        let looked_at = due.len() as u64;
        join_all(due.into_iter().map(|due| self.refresh_one(due))).await;
        Ok(looked_at)
    }

    /// Refreshes one, unless somebody else has since.
    async fn refresh_one(&self, due: DueRefresh) {
        let refreshed = async {
            let directory = self.directory().await?;
            let Some(gateway) = directory.get(due.gateway) else { return Ok(()) };
            if gateway.state == GatewayState::Disabled {
                return Ok(());
            }
            let need = Need::Newer { than: due.refresh_number };
            self.refreshed(due.grant, gateway, need, RefreshPath::Background).await.map(drop)
        };
        if let Err::<(), BrokerError>(error) = refreshed.await {
            tracing::warn!(grant = %due.grant, %error, "a grant that is due was not refreshed");
        }
    }
}
