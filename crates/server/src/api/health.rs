//! Probes: a word for everybody, details for administrators.

use crate::extract::AdminCaller;
use crate::state::AppState;
use axum::Json;
use axum::extract::State;
use doorward_broker::{Broker, ProviderOutage};
use doorward_domain::{Permission, Timestamp};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
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

/// What somebody asks who wants to know whether this installation answers: a random text of theirs.
pub(crate) const CHALLENGE: HeaderName = HeaderName::from_static("x-doorward-challenge");
/// What comes back: the text and our version, sealed, so that only who has the key ring can make and read it.
pub(crate) const PROOF: HeaderName = HeaderName::from_static("x-doorward-proof");
const PURPOSE: &str = "installation";
const CHALLENGE_MAX: usize = 64;

/// The version that a proof names; none where it is not the answer to this challenge, or of another key ring.
pub(crate) fn proof_of(broker: &Broker, challenge: &str, proof: &str) -> Option<String> {
    let plain = String::from_utf8(broker.open_state(PURPOSE, proof)?).ok()?;
    let (answered, version) = plain.split_once(' ')?;
    (answered == challenge).then(|| version.to_owned())
}

/// Whether the process runs. `doorward doctor` asks with `X-Doorward-Challenge`, and knows by `X-Doorward-Proof` whether
/// it is this installation that answers.
#[utoipa::path(get, path = "/health", tag = "server", security(()),
    params(("X-Doorward-Challenge" = Option<String>, Header, description = "Up to 64 letters, digits, hyphens and underscores.")),
    responses((status = 200, body = Health)))]
pub(crate) async fn health(State(state): State<AppState>, headers: HeaderMap) -> (HeaderMap, Json<Health>) {
    let asked = headers.get(CHALLENGE).and_then(|value| value.to_str().ok());
    let plain = |text: &&str| {
        text.len() <= CHALLENGE_MAX
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    let mut answer = HeaderMap::new();
    if let Some(asked) = asked.filter(plain) {
        let proof = format!("{asked} {}", env!("CARGO_PKG_VERSION"));
        let proof = HeaderValue::try_from(state.broker.seal_state(PURPOSE, proof.as_bytes()));
        answer.extend(proof.ok().map(|proof| (PROOF, proof)));
    }
    (answer, Json(Health { status: "ok", details: None }))
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
