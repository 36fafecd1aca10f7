//! The list of gateways, for those who manage them.

use crate::extract::SessionCaller;
use crate::state::AppState;
use crate::ui::error::PageError;
use crate::ui::form::Asked;
use crate::ui::page::{self, Frame, Here};
use crate::ui::parts::{Badge, Icon, Moment, Tone};
use askama::Template;
use axum::extract::State;
use axum::response::Response;
use doorward_domain::{Gateway, GatewayAuthorization, GatewayId, GatewayState, Permission, Timestamp};
use std::collections::BTreeSet;

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
    /// What of it there is to say beside that.
    detail: &'static str,
    changed: Moment,
}

/// What is known of how gateways fare, beside what they say themselves.
struct Known {
    now: Timestamp,
    /// Providers that do not answer at present.
    away: BTreeSet<String>,
    /// Gateways whose server left the last call without an answer.
    silent: BTreeSet<GatewayId>,
    /// Gateways that somebody is connected to.
    connected: BTreeSet<GatewayId>,
}

/// What keeps people from using it comes first; else who may use it, and whether anybody does.
fn state_of(gateway: &Gateway, known: &Known) -> (Badge, &'static str) {
    let usual = Badge::gateway(gateway.state);
    if gateway.state != GatewayState::Disabled && known.silent.contains(&gateway.id) {
        return (Badge::new(Tone::Bad, Icon::Broken, "Down"), "its server did not answer the last call");
    }
    let Some(settings) = gateway.oauth().filter(|_| gateway.state != GatewayState::Disabled) else {
        return (usual, "");
    };
    if settings.registration_problem.is_some() {
        return (Badge::new(Tone::Bad, Icon::Bang, "Registration wrong"), "its provider refuses our client");
    }
    if known.away.contains(&settings.issuer_key()) {
        return (Badge::new(Tone::Bad, Icon::Broken, "Provider down"), "it does not answer; nothing is lost");
    }
    if known.connected.contains(&gateway.id) {
        return (usual, "");
    }
    match gateway.state {
        GatewayState::Published => {
            (Badge::new(Tone::Warn, Icon::Plug, "Needs users"), "published, and nobody is connected yet")
        }
        GatewayState::Draft | GatewayState::Disabled => (usual, "nobody is connected yet"),
    }
}

impl Row {
    fn new(gateway: &Gateway, known: &Known) -> Self {
        let (badge, detail) = state_of(gateway, known);
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
            badge,
            detail,
            changed: Moment::relative(gateway.updated_at, known.now),
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
    let gateways = state.broker.readable_gateways(&session.caller).await?;
    let silent = gateways.iter().filter(|gateway| state.broker.does_not_answer(gateway));
    let known = Known {
        now: state.broker.clock().now(),
        silent: silent.map(|gateway| gateway.id).collect(),
        away: state.broker.circuits().into_iter().map(|outage| outage.provider).collect(),
        connected: state.broker.connected_gateways(&session.caller).await?,
    };
    let rows = gateways.iter().map(|gateway| Row::new(gateway, &known)).collect();
    let frame = Frame::new(&state, &session, Here::Gateways).noted(&asked);
    Ok(page::page(&GatewaysPage { frame, rows }))
}

#[cfg(test)]
pub(super) fn samples() -> Vec<(&'static str, String)> {
    let now = Timestamp::from_millis(1_788_340_440_000);
    let known = Known { now, away: BTreeSet::new(), silent: BTreeSet::new(), connected: BTreeSet::new() };
    let rows = crate::ui::samples::gateways().iter().map(|gateway| Row::new(gateway, &known)).collect();
    let page = |rows| GatewaysPage { frame: Frame::sample(Here::Gateways), rows }.render().unwrap();
    vec![("gateways", page(rows)), ("gateways-empty", page(vec![]))]
}

#[cfg(test)]
mod tests {
    use super::*;
    use doorward_domain::RegistrationProblem;

    #[test]
    fn what_keeps_people_out_comes_before_who_may_use_it() {
        let now = crate::ui::samples::NOW;
        let mut gateway = crate::ui::samples::oauth_gateway();
        gateway.state = GatewayState::Published;
        let mut known =
            Known { now, away: BTreeSet::new(), silent: BTreeSet::new(), connected: BTreeSet::new() };
        assert_eq!(state_of(&gateway, &known).0.word, "Needs users");
        known.connected.insert(gateway.id);
        assert_eq!(state_of(&gateway, &known), (Badge::gateway(GatewayState::Published), ""));
        known.away.insert(gateway.oauth().unwrap().issuer_key());
        assert_eq!(state_of(&gateway, &known).0.word, "Provider down");
        if let GatewayAuthorization::OAuth(settings) = &mut gateway.authorization {
            settings.registration_problem =
                Some(RegistrationProblem { code: "invalid_client".into(), since: now });
        }
        assert_eq!(state_of(&gateway, &known).0.word, "Registration wrong");
        known.silent.insert(gateway.id);
        assert_eq!(state_of(&gateway, &known).0.word, "Down");
        gateway.state = GatewayState::Disabled;
        assert_eq!(state_of(&gateway, &known).0.word, "Disabled");
    }
}
