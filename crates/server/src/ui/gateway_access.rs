//! Who may use a gateway: everyone, or these groups and people.

use crate::extract::{CheckedForm, SessionCaller};
use crate::state::AppState;
use crate::ui::access_list::{self, AccessPage, Thing};
use crate::ui::error::PageError;
use crate::ui::form::{Fields, Form};
use crate::ui::gateway::{managed, version_of};
use crate::ui::page::{Frame, Here};
use axum::extract::{Path, State};
use axum::response::Response;
use doorward_broker::GatewayInput;

/// `GET /ui/gateways/{id}/access`
pub(super) async fn show(
    State(state): State<AppState>,
    session: SessionCaller,
    Path(id): Path<String>,
) -> Result<Response, PageError> {
    let gateway = managed(&state, &session.caller, &id).await?;
    let form = access_list::filled(&state, &session.caller, Form::blank(), &gateway.access).await?;
    let frame = Frame::new(&state, &session, Here::Gateways);
    let thing = Thing::whole(format!("/ui/gateways/{id}"), &gateway.name);
    AccessPage::respond(&state, &session, frame, thing, form, gateway.version.to_string()).await
}

/// `POST /ui/gateways/{id}/access`
pub(super) async fn save(
    State(state): State<AppState>,
    session: SessionCaller,
    Path(id): Path<String>,
    CheckedForm(typed): CheckedForm<Fields>,
) -> Result<Response, PageError> {
    let caller = &session.caller;
    let gateway = managed(&state, caller, &id).await?;
    let saved = match access_list::typed(&state, caller, &typed).await {
        Ok(access) => {
            let input = GatewayInput { access: Some(access), ..GatewayInput::default() };
            state.broker.update_gateway(caller, gateway.id, Some(version_of(&typed)), input).await
        }
        Err(error) => Err(error),
    };
    let thing = Thing::whole(format!("/ui/gateways/{id}"), &gateway.name);
    AccessPage::saved(&state, &session, Here::Gateways, thing, &typed, saved).await
}
