//! Holding a lease while something slow runs: waited for, renewed in the background, given back.

use crate::{Broker, BrokerError};
use doorward_storage::{Lease, LeaseWatch, Storage};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// How long a lease stands still before a waiter may take it over.
const DURATION: Duration = Duration::from_secs(10);
/// How often a holder renews it.
const RENEWAL: Duration = Duration::from_secs(3);
/// How often a waiter looks.
const POLL: Duration = Duration::from_millis(50);
/// A waiter gives up after this long: longer than a lease and one token request take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A lease that renews itself until it is released.
pub(crate) struct HeldLease {
    stop: oneshot::Sender<()>,
    keeper: JoinHandle<()>,
}

impl HeldLease {
    /// Gives the lease back.
    pub(crate) async fn release(self) {
        let _ = self.stop.send(());
        let _ = self.keeper.await;
    }
}

impl Broker {
    /// Waits until this process holds the lease. The waiting ends when the holder releases it, or has
    /// not renewed it for its whole time (R3).
    pub(crate) async fn hold_lease(&self, name: &str) -> Result<HeldLease, BrokerError> {
        let mut watch = LeaseWatch::default();
        let taken = tokio::time::timeout(PATIENCE, async {
            loop {
                let tried = self.storage().acquire_lease(name, &self.holder, DURATION, &mut watch).await;
                // R9: a store that does not answer is no busy holder. It is the grants' own database too, so
                // nothing is begun without it: no intent could be committed.
                if tried.is_err() {
                    metrics::counter!("doorward_lease_unavailable_total").increment(1);
                }
                if let Some(lease) = tried? {
                    return Ok::<_, BrokerError>(lease);
                }
                tokio::time::sleep(POLL).await;
            }
        })
        .await
        .map_err(|_| BrokerError::Unavailable {
            problem: "another replica is still at work on this; try again".to_owned(),
            retry_after: Some(POLL),
        })??;
        Ok(self.kept(taken))
    }

    /// Takes the lease if nobody holds it, or its holder has not renewed it for its whole time while `watch`
    /// looked. None: somebody is at work; try again later, with the same watch.
    pub(crate) async fn try_lease(
        &self,
        name: &str,
        watch: &mut LeaseWatch,
    ) -> Result<Option<HeldLease>, BrokerError> {
        let taken = self.storage().acquire_lease(name, &self.holder, DURATION, watch).await?;
        Ok(taken.map(|lease| self.kept(lease)))
    }

    fn kept(&self, lease: Lease) -> HeldLease {
        let (stop, stopped) = oneshot::channel();
        let keeper = tokio::spawn(keep(self.storage().clone(), lease, stopped));
        HeldLease { stop, keeper }
    }
}

async fn keep(storage: Storage, mut lease: Lease, mut stopped: oneshot::Receiver<()>) {
    while tokio::time::timeout(RENEWAL, &mut stopped).await.is_err() {
        match storage.renew_lease(&mut lease).await {
            Ok(true) => {}
            // Lost: whoever has it now finds the committed intent, and does not redeem again.
            Ok(false) => return,
            Err(error) => tracing::warn!(lease = %lease.name, %error, "a lease could not be renewed"),
        }
    }
    if let Err(error) = storage.release_lease(&lease).await {
        tracing::warn!(lease = %lease.name, %error, "a lease could not be released");
    }
}
