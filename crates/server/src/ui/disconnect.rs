//! Ending a connection of one's own: the question, which says what the provider will be told, and afterwards
//! what is known of it. Neither claims more than is true.

use crate::extract::{CheckedForm, SessionCaller};
use crate::state::AppState;
use crate::ui::error::PageError;
use crate::ui::form::Fields;
use crate::ui::page::{self, Frame, Here};
use crate::ui::receipt::{Outcome, Whose, also_ends, by_hand, told};
use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use doorward_domain::{EndedGrant, Gateway, OAuthSettings, ProviderEnd, Telling, Timestamp};

/// The question; nothing has happened yet.
#[derive(Template)]
#[template(path = "disconnect.html")]
struct DisconnectPage {
    frame: Frame,
    slug: String,
    name: String,
    lines: Vec<String>,
    /// What else would end at the provider, where the reader has the choice.
    more: Option<&'static str>,
    /// Where the reader ends it by hand.
    apps_url: Option<String>,
}

/// What is known afterwards.
#[derive(Template)]
#[template(path = "disconnected.html")]
struct DisconnectedPage {
    frame: Frame,
    slug: String,
    outcome: Outcome,
}

impl DisconnectPage {
    fn new(frame: Frame, gateway: &Gateway) -> Self {
        let settings = gateway.oauth();
        let name = &gateway.name;
        let mut lines = vec![format!(
            "No call is served with your key from then on, and Doorward deletes it. The next call to {name} asks you to connect it again."
        )];
        lines.extend(settings.map(|settings| told(settings, Whose::Yours)));
        Self {
            frame,
            slug: gateway.slug.to_string(),
            name: name.clone(),
            lines,
            more: match settings.map(OAuthSettings::telling) {
                Some(Telling::EndsMore(reach)) => Some(also_ends(reach, Whose::Yours)),
                _ => None,
            },
            apps_url: settings.and_then(by_hand),
        }
    }
}

impl DisconnectedPage {
    fn new(frame: Frame, ended: &EndedGrant, now: Timestamp) -> Self {
        Self { frame, slug: ended.gateway_slug.clone(), outcome: Outcome::of(ended, now) }
    }
}

/// `GET /ui/connections/{slug}/disconnect`
pub(super) async fn ask(
    State(state): State<AppState>,
    session: SessionCaller,
    Path(slug): Path<String>,
) -> Result<Response, PageError> {
    let gateway = state.broker.gateway_by_slug(&session.caller, &slug).await?;
    let frame = Frame::new(&state, &session, Here::Connections);
    Ok(page::page(&DisconnectPage::new(frame, &gateway)))
}

/// `POST /ui/connections/{slug}/disconnect`
pub(super) async fn disconnect(
    State(state): State<AppState>,
    session: SessionCaller,
    Path(slug): Path<String>,
    CheckedForm(fields): CheckedForm<Fields>,
) -> Result<Response, PageError> {
    let gateway = state.broker.gateway_by_slug(&session.caller, &slug).await?;
    let provider = match fields.text("provider") {
        "there_too" => ProviderEnd::ThereToo,
        "here_only" => ProviderEnd::HereOnly,
        _ => ProviderEnd::UnlessWide,
    };
    let ended = state.broker.disconnect(&session.caller, gateway.id, provider).await?;
    Ok(Redirect::to(&format!("/ui/disconnected/{}", ended.grant_id)).into_response())
}

/// `GET /ui/disconnected/{id}`: what is known now; it is true whenever it is loaded.
pub(super) async fn show(
    State(state): State<AppState>,
    session: SessionCaller,
    Path(id): Path<String>,
) -> Result<Response, PageError> {
    let ended = state.broker.own_ended_grant(&session.caller, crate::ui::id(&id)?).await?;
    let frame = Frame::new(&state, &session, Here::Connections);
    Ok(page::page(&DisconnectedPage::new(frame, &ended, state.broker.clock().now())))
}

#[cfg(test)]
pub(super) fn samples() -> Vec<(&'static str, String)> {
    use crate::ui::samples::{NOW, ended_grant};
    use doorward_domain::{Receipt, RevocationReach};
    let frame = || Frame::sample(Here::Connections);
    let gateway = crate::ui::samples::oauth_gateway();
    let asked = |reach, url: Option<&str>| {
        let mut gateway = gateway.clone();
        if let doorward_domain::GatewayAuthorization::OAuth(settings) = &mut gateway.authorization {
            settings.facts.revocation_reach = reach;
            settings.revocation_url = url.map(|path| settings.token_url.join(path).unwrap());
        }
        DisconnectPage::new(frame(), &gateway).render().unwrap()
    };
    let ended = |receipt| DisconnectedPage::new(frame(), &ended_grant(receipt), NOW).render().unwrap();
    vec![
        ("disconnect", asked(RevocationReach::ThisGrant, Some("/revoke"))),
        ("disconnect-wide", asked(RevocationReach::AllOfAppForUser, Some("/revoke"))),
        ("disconnect-no-call", asked(RevocationReach::ThisGrant, None)),
        ("disconnected-pending", ended(Receipt::Pending)),
        ("disconnected-refused", ended(Receipt::Refused)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use doorward_domain::RevocationReach;

    #[test]
    fn r27_the_reader_is_told_what_else_would_end_and_chooses() {
        let page = |reach| {
            let mut gateway = crate::ui::samples::oauth_gateway();
            if let doorward_domain::GatewayAuthorization::OAuth(settings) = &mut gateway.authorization {
                settings.facts.revocation_reach = reach;
                settings.revocation_url = Some(settings.token_url.join("/revoke").unwrap());
            }
            DisconnectPage::new(Frame::sample(Here::Connections), &gateway).render().unwrap()
        };
        assert!(!page(RevocationReach::ThisGrant).contains("name=\"provider\""));
        for (reach, words) in [
            (RevocationReach::AllOfAppForUser, "connected with this application"),
            (RevocationReach::AllAppsForUser, "also those of other applications"),
        ] {
            let html = page(reach);
            assert!(html.contains(words) && html.contains("value=\"there_too\""), "{html}");
            assert!(html.contains("value=\"here_only\" checked"), "the narrow choice is the first");
        }
    }
}
