//! What runs by itself. Expired rows that nobody asks for are swept by the inserts of their own tables.

use doorward_broker::Broker;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How often the uses of grants and API tokens are written.
const FLUSH_EVERY: Duration = Duration::from_secs(60);

/// Writes when grants and API tokens were last used, until `stop`.
pub(crate) async fn flush_last_used(broker: Broker, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(FLUSH_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        if let Err(error) = broker.flush_last_used().await {
            tracing::warn!(%error, "cannot write when grants and API tokens were last used");
        }
    }
}
