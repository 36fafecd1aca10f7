//! `/metrics` for Prometheus, on a loopback listener of its own: it names gateways and is for this machine.

use axum::Router;
use axum::routing::get;
use http::header;
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use std::time::Duration;

/// Histograms are drained this often, so that they do not grow where nobody reads them.
const UPKEEP: Duration = Duration::from_secs(30);

/// What takes seconds is counted in these buckets, so that replicas can be added up.
const BUCKETS: [f64; 10] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0];

/// Makes this process's metrics collectable. Once per process.
pub(crate) fn install() -> Result<PrometheusHandle, BuildError> {
    let seconds = Matcher::Suffix("_seconds".to_owned());
    PrometheusBuilder::new().set_buckets_for_metric(seconds, &BUCKETS)?.install_recorder()
}

/// The one route.
pub(crate) fn router(handle: PrometheusHandle) -> Router {
    let render = async move || ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], handle.render());
    Router::new().route("/metrics", get(render))
}

/// Drains histograms for as long as the process lives.
pub(crate) async fn upkeep(handle: PrometheusHandle) {
    let mut ticks = tokio::time::interval(UPKEEP);
    loop {
        ticks.tick().await;
        handle.run_upkeep();
    }
}
