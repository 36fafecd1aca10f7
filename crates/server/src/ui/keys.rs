//! The key ring, for administrators: names and progress, never a value.

use crate::extract::{CheckedForm, SessionCaller};
use crate::state::AppState;
use crate::ui::confirm::Confirm;
use crate::ui::error::PageError;
use crate::ui::form::{Asked, Fields};
use crate::ui::page::{self, Frame, Here};
use crate::ui::parts::{Badge, Icon, Moment, Tone};
use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use doorward_broker::{BrokerError, KeyReport, KeyStatus, Retirement, Rotation};
use doorward_domain::{KeyId, Permission};

/// The page.
#[derive(Template)]
#[template(path = "keys.html")]
struct KeysPage {
    frame: Frame,
    rows: Vec<Row>,
    /// Values that are sealed with the key that seals, of all.
    moved: u64,
    all: u64,
    resealing: bool,
}

struct Row {
    id: String,
    badge: Badge,
    since: Option<Moment>,
    values: u64,
    may_retire: bool,
}

impl Row {
    fn new(key: &KeyStatus) -> Self {
        let badge = match (key.in_ring, key.seals) {
            (false, _) => Badge::new(Tone::Bad, Icon::Bang, "Missing here"),
            (true, true) => Badge::new(Tone::Ok, Icon::Key, "Seals"),
            (true, false) => Badge::new(Tone::Mute, Icon::Dot, "Only opens"),
        };
        Self {
            id: key.id.0.clone(),
            badge,
            since: key.sealing_since.map(Moment::exact),
            values: key.rows,
            may_retire: !key.seals && key.rows == 0,
        }
    }
}

impl KeysPage {
    fn new(frame: Frame, report: &KeyReport) -> Self {
        let sum = |keys: &mut dyn Iterator<Item = &KeyStatus>| keys.map(|key| key.rows).sum();
        Self {
            frame,
            rows: report.keys.iter().map(Row::new).collect(),
            moved: sum(&mut report.keys.iter().filter(|key| key.seals)),
            all: sum(&mut report.keys.iter()),
            resealing: report.resealing,
        }
    }
}

/// `GET /ui/keys`
pub(super) async fn show(
    State(state): State<AppState>,
    session: SessionCaller,
    Asked(asked): Asked,
) -> Result<Response, PageError> {
    let report = state.broker.keys(&session.caller).await?;
    Ok(page::page(&KeysPage::new(Frame::new(&state, &session, Here::Keys).noted(&asked), &report)))
}

/// `GET /ui/keys/rotate`
pub(super) async fn ask_rotate(
    State(state): State<AppState>,
    session: SessionCaller,
) -> Result<Response, PageError> {
    session.caller.require(Permission::ManageKeys)?;
    Ok(page::page(&Confirm {
        frame: Frame::new(&state, &session, Here::Keys),
        title: "Put a new key in front?".to_owned(),
        lines: vec![
            "A new key seals from now on. What older keys hold is sealed anew in the background, without a pause \
             for anybody; then they can be retired."
                .to_owned(),
            "Make a backup of the key ring afterwards: without its keys nothing that is sealed opens.".to_owned(),
        ],
        action: "/ui/keys/rotate".to_owned(),
        button: "Rotate",
        danger: false,
        back: "/ui/keys".to_owned(),
        version: None,
    }))
}

/// `POST /ui/keys/rotate`
pub(super) async fn rotate(
    State(state): State<AppState>,
    session: SessionCaller,
    CheckedForm(_): CheckedForm<Fields>,
) -> Result<Response, PageError> {
    match state.broker.rotate_keys(&session.caller).await? {
        Rotation::Rotated { .. } => {
            state.broker.reseal_in_background();
            Ok(Redirect::to("/ui/keys?note=key-rotated").into_response())
        }
        Rotation::ByHand { next, .. } => Err(BrokerError::Conflict {
            field: "key ring".to_owned(),
            problem: format!(
                "The key ring comes from DOORWARD_KEY_RING, which Doorward does not write: put a key '{next}' in \
                 front in every replica's ring. The command doorward keys rotate says how"
            ),
        }
        .into()),
    }
}

/// `GET /ui/keys/{id}/retire`
pub(super) async fn ask_retire(
    State(state): State<AppState>,
    session: SessionCaller,
    Path(id): Path<String>,
) -> Result<Response, PageError> {
    session.caller.require(Permission::ManageKeys)?;
    state.broker.require_fresh_login_to_ask(&session.caller)?;
    let report = state.broker.keys(&session.caller).await?;
    let key = report.keys.iter().find(|key| key.id.0 == id).ok_or(PageError::NOT_FOUND)?;
    Ok(page::page(&Confirm {
        frame: Frame::new(&state, &session, Here::Keys),
        title: format!("Retire the key “{}”?", key.id),
        lines: vec![
            format!("{} sealed values need it now. It is retired only when none does.", key.rows),
            "A backup from before still needs it: keep the ring that belongs to that backup. This cannot be undone."
                .to_owned(),
        ],
        action: format!("/ui/keys/{}/retire", key.id),
        button: "Retire for good",
        danger: true,
        back: "/ui/keys".to_owned(),
        version: None,
    }))
}

/// `POST /ui/keys/{id}/retire`
pub(super) async fn retire(
    State(state): State<AppState>,
    session: SessionCaller,
    Path(id): Path<String>,
    CheckedForm(_): CheckedForm<Fields>,
) -> Result<Response, PageError> {
    let note = match state.broker.retire_key(&session.caller, &KeyId(id)).await? {
        Retirement::Retired => "key-retired",
        Retirement::ByHand => "key-retired-by-hand",
    };
    Ok(Redirect::to(&format!("/ui/keys?note={note}")).into_response())
}

#[cfg(test)]
pub(super) fn samples() -> Vec<(&'static str, String)> {
    use crate::ui::samples::NOW;
    let key = |id: &str, seals, rows, in_ring: bool| KeyStatus {
        id: KeyId(id.into()),
        seals,
        sealing_since: in_ring.then_some(NOW),
        rows,
        in_ring,
    };
    let page = |keys, resealing| {
        KeysPage::new(Frame::sample(Here::Keys), &KeyReport { keys, resealing }).render().unwrap()
    };
    let many = vec![
        key("k3", true, 910, true),
        key("k2", false, 74, true),
        key("k1", false, 0, true),
        key("lost", false, 2, false),
    ];
    vec![("keys", page(many, true)), ("keys-one", page(vec![key("k1", true, 3, true)], false))]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_key_that_nothing_needs_offers_to_be_retired() {
        let key = |seals, rows| KeyStatus {
            id: KeyId("k".into()),
            seals,
            sealing_since: None,
            rows,
            in_ring: true,
        };
        assert!(!Row::new(&key(true, 0)).may_retire && !Row::new(&key(false, 1)).may_retire);
        assert!(Row::new(&key(false, 0)).may_retire);
        let report = KeyReport { keys: vec![key(true, 5), key(false, 2)], resealing: true };
        let page = KeysPage::new(Frame::sample(Here::Keys), &report);
        assert_eq!((page.moved, page.all), (5, 7));
    }
}
