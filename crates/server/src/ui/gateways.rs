//! The list of gateways, for those who manage them.

use crate::extract::SessionCaller;
use crate::state::AppState;
use crate::ui::error::PageError;
use crate::ui::form::Asked;
use crate::ui::page::{self, Frame, Here};
use crate::ui::parts::{Badge, Moment};
use askama::Template;
use axum::extract::State;
use axum::response::Response;
use doorward_domain::{Gateway, GatewayAuthorization, Permission, Timestamp};

/// The list.
#[derive(Template)]
#[template(path = "gateways.html")]
struct GatewaysPage {
    frame: Frame,
    rows: Vec<Row>,
}

struct Row {
    id: String,
    name: String,
    slug: String,
    url: String,
    host: String,
    authorization: &'static str,
    authorization_detail: String,
    badge: Badge,
    changed: Moment,
}

impl Row {
    fn new(gateway: &Gateway, now: Timestamp) -> Self {
        let (authorization, authorization_detail) = match &gateway.authorization {
            GatewayAuthorization::None => ("Nothing", String::new()),
            GatewayAuthorization::StaticHeader(header) => ("One header for everyone", header.name.clone()),
            GatewayAuthorization::OAuth(settings) => ("OAuth, each their own", settings.issuer_key()),
        };
        Self {
            id: gateway.id.to_string(),
            name: gateway.name.clone(),
            slug: gateway.slug.to_string(),
            url: gateway.url.to_string(),
            host: gateway.url.host_str().unwrap_or_default().to_owned(),
            authorization,
            authorization_detail,
            badge: Badge::gateway(gateway.state),
            changed: Moment::relative(gateway.updated_at, now),
        }
    }
}

/// `GET /ui/gateways`
pub(super) async fn show(
    State(state): State<AppState>,
    session: SessionCaller,
    Asked(asked): Asked,
) -> Result<Response, PageError> {
    session.caller.require(Permission::ReadGateways)?;
    let now = state.broker.clock().now();
    let gateways = state.broker.readable_gateways(&session.caller).await?;
    let rows = gateways.iter().map(|gateway| Row::new(gateway, now)).collect();
    let frame = Frame::new(&state, &session, Here::Gateways).noted(&asked);
    Ok(page::page(&GatewaysPage { frame, rows }))
}

#[cfg(test)]
pub(super) fn samples() -> Vec<(&'static str, String)> {
    let now = Timestamp::from_millis(1_788_340_440_000);
    let rows = crate::ui::samples::gateways().iter().map(|gateway| Row::new(gateway, now)).collect();
    let page = |rows| GatewaysPage { frame: Frame::sample(Here::Gateways), rows }.render().unwrap();
    vec![("gateways", page(rows)), ("gateways-empty", page(vec![]))]
}
