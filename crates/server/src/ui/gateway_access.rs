//! Who may use a gateway: everyone, or these groups and people.

use crate::extract::{CheckedForm, SessionCaller};
use crate::state::AppState;
use crate::ui::access_list::{self, GroupChoice};
use crate::ui::error::PageError;
use crate::ui::form::{Fields, Form};
use crate::ui::gateway::{managed, version_of};
use crate::ui::page::{self, Frame, Here};
use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use doorward_broker::GatewayInput;
use doorward_domain::Gateway;

/// The form.
#[derive(Template)]
#[template(path = "gateway_access.html")]
struct AccessPage {
    frame: Frame,
    id: String,
    name: String,
    form: Form,
    version: String,
    groups: Vec<GroupChoice>,
}

async fn shown(
    state: &AppState,
    session: &SessionCaller,
    gateway: &Gateway,
    form: Form,
    version: String,
) -> Result<Response, PageError> {
    let groups = access_list::choices(state, &session.caller, &form).await?;
    let frame = Frame::new(state, session, Here::Gateways);
    let (id, name, status) = (gateway.id.to_string(), gateway.name.clone(), form.status);
    Ok(page::with_status(status, &AccessPage { frame, id, name, form, version, groups }))
}

/// `GET /ui/gateways/{id}/access`
pub(super) async fn show(
    State(state): State<AppState>,
    session: SessionCaller,
    Path(id): Path<String>,
) -> Result<Response, PageError> {
    let gateway = managed(&state, &session.caller, &id).await?;
    let form = access_list::filled(&state, &session.caller, Form::blank(), &gateway.access).await?;
    shown(&state, &session, &gateway, form, gateway.version.to_string()).await
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
    match saved {
        Ok(_) => Ok(Redirect::to(&format!("/ui/gateways/{id}?note=access-saved")).into_response()),
        Err(error) => {
            let version = typed.text("version").to_owned();
            shown(&state, &session, &gateway, Form::refused(&typed, error)?, version).await
        }
    }
}

#[cfg(test)]
pub(super) fn samples() -> Vec<(&'static str, String)> {
    let groups = crate::ui::samples::groups();
    let page = AccessPage {
        frame: Frame::sample(Here::Gateways),
        id: "1".into(),
        name: "GitHub <i>https".into(),
        form: Form::with([("access", "listed"), ("access.groups", groups[0].id.to_string().as_str())])
            .problem(
                http::StatusCode::BAD_REQUEST,
                "access.users",
                "nobody has the e-mail address <script>no",
            ),
        version: "3".into(),
        groups: groups.iter().map(GroupChoice::of).collect(),
    };
    vec![("gateway-access", page.render().unwrap())]
}
