//! Ending a connection of one's own: the question, which says what the provider will be told, and afterwards
//! what is known of it. Neither claims more than is true.

use crate::extract::{CheckedForm, SessionCaller};
use crate::state::AppState;
use crate::ui::error::PageError;
use crate::ui::form::Fields;
use crate::ui::page::{self, Frame, Here};
use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use doorward_domain::{EndedGrant, Gateway, OAuthSettings, ProviderEnd, Receipt, RevocationReach, Telling};
use url::Url;

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
    lines: Vec<String>,
    pending: bool,
    apps_url: Option<String>,
}

impl DisconnectPage {
    fn new(frame: Frame, gateway: &Gateway) -> Self {
        let settings = gateway.oauth();
        let name = &gateway.name;
        let mut lines = vec![format!(
            "No call is served with your key from then on, and Doorward deletes it. The next call to {name} asks you to connect it again."
        )];
        lines.extend(settings.map(told));
        let telling = settings.map(OAuthSettings::telling);
        let by_hand = matches!(telling, Some(Telling::NoSuchCall | Telling::Stranger | Telling::EndsMore(_)));
        Self {
            frame,
            slug: gateway.slug.to_string(),
            name: name.clone(),
            lines,
            more: match telling {
                Some(Telling::EndsMore(reach)) => Some(also_ends(reach)),
                _ => None,
            },
            apps_url: settings
                .filter(|_| by_hand)
                .and_then(|settings| settings.facts.user_apps_url.as_ref().map(Url::to_string)),
        }
    }
}

/// What the provider will be told, in a sentence.
fn told(settings: &OAuthSettings) -> String {
    let provider = settings.issuer_key();
    match settings.telling() {
        Telling::Ends => {
            format!("{provider} is told right afterwards, and asked to end this access on its side too.")
        }
        Telling::EndsMore(_) => {
            format!("{provider} can be told too, but would end more than this connection. It is your choice.")
        }
        Telling::NoSuchCall => format!(
            "{provider} has no way to be told. Your account there goes on listing the access until you end it by hand."
        ),
        Telling::Stranger => format!(
            "{provider} is not told, because the address for it is not known to be its own. End the access in your account there as well."
        ),
    }
}

fn also_ends(reach: RevocationReach) -> &'static str {
    match reach {
        RevocationReach::ThisGrant => "nothing else",
        RevocationReach::AllOfAppForUser => {
            "everything else that you have connected with this application there"
        }
        RevocationReach::AllAppsForUser => {
            "every sign-in of yours there, also those of other applications and devices"
        }
    }
}

impl DisconnectedPage {
    fn new(frame: Frame, ended: &EndedGrant) -> Self {
        let mut lines = vec!["Blocked here now: no call is served with it any more.".to_owned()];
        lines.push(provider_side(ended));
        if !matches!(ended.receipt, Receipt::EndedAtProvider) {
            lines.extend(ended.access_token_expires_at.filter(|end| *end > ended.ended_at).map(|end| {
                format!("A copy of the key that left Doorward before could still work there until {end}.")
            }));
        }
        let by_hand = !matches!(ended.receipt, Receipt::EndedAtProvider | Receipt::Pending);
        Self {
            frame,
            slug: ended.gateway_slug.clone(),
            lines,
            pending: ended.receipt == Receipt::Pending,
            apps_url: ended.user_apps_url.clone().filter(|_| by_hand),
        }
    }
}

/// The receipt in a sentence.
fn provider_side(ended: &EndedGrant) -> String {
    let provider = &ended.provider;
    let why = ended.receipt_detail.as_ref().map(|why| format!(" ({why})")).unwrap_or_default();
    match ended.receipt {
        Receipt::Pending => format!("{provider} is being told; it has not confirmed yet."),
        Receipt::EndedAtProvider => format!("{provider} has confirmed that it ended there too{why}."),
        Receipt::NoSuchCall => format!("{provider} has no way to be told: end it in your account there."),
        Receipt::Refused => format!("{provider} was told and refused{why}: end it in your account there."),
        Receipt::GaveUp => format!("{provider} did not answer for three days{why}: end it there by hand."),
        Receipt::NotTold => format!("{provider} was not told{why}."),
        Receipt::NothingToTell => format!("There was nothing left to tell {provider} of{why}."),
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
    Ok(page::page(&DisconnectedPage::new(frame, &ended)))
}

#[cfg(test)]
pub(super) fn samples() -> Vec<(&'static str, String)> {
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
    let ended =
        |receipt| DisconnectedPage::new(frame(), &crate::ui::samples::ended_grant(receipt)).render().unwrap();
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

    #[test]
    fn a_receipt_never_claims_more_than_the_provider_said() {
        for receipt in Receipt::ALL {
            let ended = crate::ui::samples::ended_grant(receipt);
            let page = DisconnectedPage::new(Frame::sample(Here::Connections), &ended);
            let text = page.lines.join(" ");
            assert!(text.starts_with("Blocked here now"), "{text}");
            assert_eq!(text.contains("has confirmed"), receipt == Receipt::EndedAtProvider, "{text}");
            assert_eq!(text.contains("could still work"), receipt != Receipt::EndedAtProvider, "{text}");
            assert_eq!(page.pending, receipt == Receipt::Pending);
        }
    }

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
