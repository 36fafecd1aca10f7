//! What runs by itself, each thing on its own beat until the server stops. A job is one use case of the
//! broker, called again and again; when it fails it says so and comes back at the next beat.

use crate::app::App;
use doorward_broker::{Broker, BrokerError};
use std::time::Duration;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// How often the uses of grants and API tokens are written.
const FLUSH_EVERY: Duration = Duration::from_secs(60);
/// How often a batch of the grants that are due is refreshed.
const REFRESH_EVERY: Duration = Duration::from_secs(1);
/// How often it is looked whether cleanup is due.
const CLEANUP_EVERY: Duration = Duration::from_secs(60);
/// How often a checkpoint of the audit trail is written, if anything has happened.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(3_600);
/// How often the outbox is looked into for what was put off; what has just ended is told of at once.
const TELL_EVERY: Duration = Duration::from_secs(30);
/// How often bulk jobs that somebody has left behind are gone on with.
const BULK_EVERY: Duration = Duration::from_secs(10);
/// How often the status of grants that the clock has changed is written anew.
const SETTLE_EVERY: Duration = Duration::from_secs(2);
/// How often grants are counted for the metrics.
const GAUGE_EVERY: Duration = Duration::from_secs(15);
/// How often what was counted for the plots is written.
const TALLY_EVERY: Duration = Duration::from_secs(60);
/// How often it is looked whether there is a notice to be told.
const NOTICES_EVERY: Duration = Duration::from_secs(10);

/// How often the key that seals is looked up, and how often rows on old keys are.
const FOLLOW_KEYS_EVERY: Duration = Duration::from_secs(10);
const RESEAL_EVERY: Duration = Duration::from_secs(60);

/// Starts every job.
pub(crate) fn start(app: &App, stop: &CancellationToken) {
    let broker = app.broker();
    let checkpoints = app.checkpoints().clone();
    every(CHECKPOINT_EVERY, "vouch for the audit trail", broker, stop, move |broker| {
        let checkpoints = checkpoints.clone();
        async move { checkpoints.write_if_new(&broker).await }
    });
    if let Some(webhook) = app.webhook().cloned() {
        every(NOTICES_EVERY, "tell notices", broker, stop, move |broker| {
            let webhook = webhook.clone();
            async move { webhook.tell(&broker).await.map(drop) }
        });
    }
    every(FLUSH_EVERY, "write when things were last used", broker, stop, |broker| async move {
        broker.flush_last_used().await
    });
    every(REFRESH_EVERY, "refresh the grants that are due", broker, stop, |broker| async move {
        broker.refresh_due().await.map(drop)
    });
    every(CLEANUP_EVERY, "run cleanup", broker, stop, |broker| async move {
        broker.run_due_cleanup().await.map(drop)
    });
    every(SETTLE_EVERY, "write the status of grants anew", broker, stop, |broker| async move {
        broker.settle_grants().await
    });
    every(GAUGE_EVERY, "count the grants for the metrics", broker, stop, |broker| async move {
        broker.gauge_grants().await
    });
    every(TALLY_EVERY, "write what was counted", broker, stop, |broker| async move {
        broker.flush_tallies().await
    });
    every(FOLLOW_KEYS_EVERY, "look up the key that seals", broker, stop, |broker| async move {
        broker.follow_sealing_key().await
    });
    every(RESEAL_EVERY, "seal rows anew", broker, stop, |broker| async move {
        broker.reseal(&mut |_| {}).await.map(drop)
    });
    tell_providers(broker, stop);
    every(BULK_EVERY, "go on with bulk jobs", broker, stop, |broker| async move {
        broker.work_on_bulk_jobs().await
    });
}

/// Tells providers what has ended: on a beat, and right after a revoke.
fn tell_providers(broker: &Broker, stop: &CancellationToken) {
    let (broker, stop) = (broker.clone(), stop.clone());
    tokio::spawn(async move {
        loop {
            if let Err(error) = broker.tell_providers().await {
                tracing::warn!(%error, "providers could not be told; the next beat tries again");
            }
            let woken = tokio::time::timeout(TELL_EVERY, broker.grants_have_ended());
            if stop.run_until_cancelled(woken).await.is_none() {
                return;
            }
        }
    });
}

/// Runs `work` at once and then on every beat, until `stop`; never twice at the same time.
fn every<F>(
    beat: Duration,
    what: &'static str,
    broker: &Broker,
    stop: &CancellationToken,
    work: impl Fn(Broker) -> F + Send + 'static,
) where
    F: Future<Output = Result<(), BrokerError>> + Send,
{
    let (broker, stop) = (broker.clone(), stop.clone());
    tokio::spawn(async move {
        let mut beats = tokio::time::interval(beat);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while stop.run_until_cancelled(beats.tick()).await.is_some() {
            if let Err(error) = work(broker.clone()).await {
                tracing::warn!(%error, what, "a job failed; it comes back at its next beat");
            }
        }
    });
}
