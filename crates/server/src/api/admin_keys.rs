//! The key ring: names and what needs them, never a value.

use super::Problem;
use super::error::ApiError;
use crate::extract::{AdminCaller, KeyName};
use crate::state::AppState;
use axum::Json;
use axum::extract::State;
use doorward_broker::{BrokerError, KeyStatus, Retirement, Rotation};
use doorward_domain::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

/// A key of the ring.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct KeyView {
    id: String,
    /// It seals what is written; every other key only opens.
    seals: bool,
    /// When it began to seal.
    #[schema(value_type = Option<String>, format = "date-time")]
    sealing_since: Option<Timestamp>,
    /// How many sealed values need it at this moment.
    rows: u64,
    /// False: values need it, and this process does not have it.
    in_ring: bool,
}

impl From<KeyStatus> for KeyView {
    fn from(key: KeyStatus) -> Self {
        let KeyStatus { id, seals, sealing_since, rows, in_ring } = key;
        Self { id: id.0, seals, sealing_since, rows, in_ring }
    }
}

/// Every key, and whether values are being sealed anew.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct KeysView {
    items: Vec<KeyView>,
    /// Whether values on older keys are being sealed anew.
    resealing: bool,
}

/// A key that took over.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RotatedView {
    /// The key that seals now.
    sealing: String,
    /// The key that sealed before.
    replaced: String,
}

/// A key that was taken out of use.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RetiredView {
    id: String,
    /// The ring comes from a setting: take the key out of the setting of every process.
    remove_from_setting: bool,
}

/// The keys by name: which seals, and how many sealed values need each. Wants the permission `manage_keys`.
#[utoipa::path(get, path = "/admin/keys", tag = "administration",
    responses((status = 200, body = KeysView), (status = 401, body = Problem), (status = 403, body = Problem)))]
pub(crate) async fn list(
    State(state): State<AppState>,
    AdminCaller(caller): AdminCaller,
) -> Result<Json<KeysView>, ApiError> {
    let report = state.broker.keys(&caller).await?;
    let items = report.keys.into_iter().map(Into::into).collect();
    Ok(Json(KeysView { items, resealing: report.resealing }))
}

/// Puts a new key in front: it seals from now on, and what older keys hold is sealed anew in the background.
/// A ring that comes from a setting is the operator's to write (409). Wants the permission `manage_keys`.
#[utoipa::path(post, path = "/admin/keys/rotate", tag = "administration",
    responses((status = 200, body = RotatedView), (status = 401, body = Problem), (status = 403, body = Problem), (status = 409, body = Problem)))]
pub(crate) async fn rotate(
    State(state): State<AppState>,
    AdminCaller(caller): AdminCaller,
) -> Result<Json<RotatedView>, ApiError> {
    match state.broker.rotate_keys(&caller).await? {
        Rotation::Rotated { new, old } => {
            state.broker.reseal_in_background();
            Ok(Json(RotatedView { sealing: new.0, replaced: old.0 }))
        }
        Rotation::ByHand { next, .. } => {
            let problem = format!(
                "it comes from DOORWARD_KEY_RING, which Doorward does not write: put a key '{next}' in front in every \
                 replica's ring (doorward keys rotate says how)"
            );
            Err(BrokerError::Conflict { field: "key ring".to_owned(), problem }.into())
        }
    }
}

/// Takes a key out of use that nothing needs any more; refused, with the count, while something does.
/// Wants the permission `manage_keys`.
#[utoipa::path(post, path = "/admin/keys/{id}/retire", tag = "administration", params(("id" = String, Path)),
    responses((status = 200, body = RetiredView), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(crate) async fn retire(
    State(state): State<AppState>,
    AdminCaller(caller): AdminCaller,
    KeyName(id): KeyName,
) -> Result<Json<RetiredView>, ApiError> {
    let retirement = state.broker.retire_key(&caller, &id).await?;
    Ok(Json(RetiredView { id: id.0, remove_from_setting: retirement == Retirement::ByHand }))
}
