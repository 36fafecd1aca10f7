//! Publishing, disabling and deleting a gateway: each after a question.

use crate::extract::{CheckedForm, SessionCaller};
use crate::state::AppState;
use crate::ui::confirm::Confirm;
use crate::ui::error::PageError;
use crate::ui::form::Fields;
use crate::ui::gateway::{managed, version_of};
use crate::ui::page::{self, Frame, Here};
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use doorward_broker::GatewayInput;
use doorward_domain::{Gateway, GatewayState};

/// What can be done with a gateway as a whole.
#[derive(Debug, Clone, Copy)]
enum Verb {
    Publish,
    Disable,
    Delete,
}

impl Verb {
    fn parse(text: &str) -> Result<Self, PageError> {
        match text {
            "publish" => Ok(Self::Publish),
            "disable" => Ok(Self::Disable),
            "delete" => Ok(Self::Delete),
            _ => Err(PageError::NOT_FOUND),
        }
    }

    fn question(self, gateway: &Gateway) -> (String, Vec<String>, &'static str) {
        let name = &gateway.name;
        match self {
            Self::Publish => (
                format!("Publish {name}?"),
                vec![
                    "Everyone on its access list sees it, and its tools appear in their clients.".to_owned(),
                    "Where it needs an authorization, each person is asked for their own.".to_owned(),
                ],
                "Publish",
            ),
            Self::Disable => (
                format!("Disable {name}?"),
                vec![
                    "From now on no call is served, for nobody. Its tools disappear from clients.".to_owned(),
                    "People's authorizations are kept and come back when you enable it again.".to_owned(),
                ],
                "Disable",
            ),
            Self::Delete => (
                format!("Delete {name}?"),
                vec![
                    "Its settings go, and so does everyone's authorization at it. Nobody's call is served any more.".to_owned(),
                    "This cannot be undone. To pause it, disable it instead.".to_owned(),
                ],
                "Delete for good",
            ),
        }
    }
}

/// `GET /ui/gateways/{id}/{verb}`
pub(super) async fn ask(
    State(state): State<AppState>,
    session: SessionCaller,
    Path((id, verb)): Path<(String, String)>,
) -> Result<Response, PageError> {
    let gateway = managed(&state, &session.caller, &id).await?;
    let (title, lines, button) = Verb::parse(&verb)?.question(&gateway);
    Ok(page::page(&Confirm {
        frame: Frame::new(&state, &session, Here::Gateways),
        title,
        lines,
        action: format!("/ui/gateways/{id}/{verb}"),
        button,
        danger: verb != "publish",
        back: format!("/ui/gateways/{id}"),
        version: Some(gateway.version),
    }))
}

/// `POST /ui/gateways/{id}/{verb}`
pub(super) async fn perform(
    State(state): State<AppState>,
    session: SessionCaller,
    Path((id, verb)): Path<(String, String)>,
    CheckedForm(typed): CheckedForm<Fields>,
) -> Result<Response, PageError> {
    let caller = &session.caller;
    let gateway = managed(&state, caller, &id).await?;
    let version = Some(version_of(&typed));
    let (to, note) = match Verb::parse(&verb)? {
        Verb::Delete => {
            state.broker.delete_gateway(caller, gateway.id, version).await?;
            return Ok(Redirect::to("/ui/gateways?note=deleted").into_response());
        }
        Verb::Publish => (GatewayState::Published, "published"),
        Verb::Disable => (GatewayState::Disabled, "disabled"),
    };
    let input = GatewayInput { state: Some(to), ..GatewayInput::default() };
    state.broker.update_gateway(caller, gateway.id, version, input).await?;
    Ok(Redirect::to(&format!("/ui/gateways/{id}?note={note}")).into_response())
}
