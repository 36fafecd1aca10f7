//! Probes: a word for everybody, details for administrators.

use crate::extract::AdminCaller;
use crate::state::AppState;
use axum::Json;
use axum::extract::State;
use doorward_broker::ProviderOutage;
use doorward_domain::{Permission, Timestamp};
use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

/// How the server fares.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Health {
    /// `ok`, `ready` or `unready`.
    status: &'static str,
    /// For administrators only.
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<Details>,
}

#[derive(Debug, Serialize, ToSchema)]
struct Details {
    version: &'static str,
    /// The database answers.
    database: bool,
    /// Nobody administers this server yet.
    setup_needed: bool,
    public_url: String,
    /// What is wrong with cleanup, in a sentence: it has not run for two intervals. It keeps nobody from calling.
    cleanup: Option<String>,
    /// The authorization servers that this process takes for down. They take nothing from its readiness.
    providers_down: Vec<ProviderDown>,
}

/// An authorization server that does not answer.
#[derive(Debug, Serialize, ToSchema)]
struct ProviderDown {
    /// Its issuer, or the origin of its token endpoint.
    provider: String,
    #[schema(value_type = String, format = DateTime)]
    since: Timestamp,
    /// Until then nothing is sent there; the first refresh after it is the probe.
    #[schema(value_type = String, format = DateTime)]
    next_probe_at: Timestamp,
}

impl From<ProviderOutage> for ProviderDown {
    fn from(outage: ProviderOutage) -> Self {
        Self { provider: outage.provider, since: outage.since, next_probe_at: outage.next_probe }
    }
}

/// Whether the process runs.
#[utoipa::path(get, path = "/health", tag = "server", security(()),
    responses((status = 200, body = Health)))]
pub(crate) async fn health() -> Json<Health> {
    Json(Health { status: "ok", details: None })
}

/// Whether the process can serve: its database answers.
#[utoipa::path(get, path = "/ready", tag = "server", security((), ("api_token" = []), ("session" = [])),
    responses((status = 200, body = Health), (status = 503, body = Health)))]
pub(crate) async fn ready(
    State(state): State<AppState>,
    caller: Option<AdminCaller>,
) -> (StatusCode, Json<Health>) {
    let setup_needed = state.broker.setup_needed().await;
    if let Err(error) = &setup_needed {
        tracing::warn!(%error, "not ready");
    }
    let administrator = caller.is_some_and(|AdminCaller(caller)| caller.may(Permission::ReadGateways));
    let cleanup = match administrator {
        true => state.broker.cleanup_overdue().await.ok().flatten(),
        false => None,
    };
    let details = administrator.then(|| Details {
        version: env!("CARGO_PKG_VERSION"),
        database: setup_needed.is_ok(),
        setup_needed: matches!(setup_needed, Ok(true)),
        public_url: state.facts.public_origin.clone(),
        cleanup,
        providers_down: state.broker.circuits().into_iter().map(Into::into).collect(),
    });
    match setup_needed {
        Ok(_) => (StatusCode::OK, Json(Health { status: "ready", details })),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, Json(Health { status: "unready", details })),
    }
}
