//! Asking a server what it says of itself, for the form of a gateway.

use crate::state::AppState;
use crate::ui::error::PageError;
use crate::ui::form::{Fields, Form};
use crate::ui::gateway_form;
use crate::ui::gateway_template;
use crate::ui::page::Note;
use crate::ui::parts::Tone;
use doorward_broker::{BrokerError, Caller, DiscoveredGateway};
use doorward_oauth::Discovered;

/// Asks the server what it says of itself, and fills the form with it.
pub(super) async fn discover(
    state: &AppState,
    caller: &Caller,
    typed: &Fields,
) -> Result<(Form, Option<Note>), PageError> {
    match state.broker.discover(caller, typed.text("url")).await {
        Ok(DiscoveredGateway::Open) => {
            let note =
                Note::new(Tone::Ok, "The server answers without authorization. Nothing more is needed.");
            Ok((Form::again(typed).set("authorization", "none"), Some(note)))
        }
        Ok(DiscoveredGateway::OAuth { settings, can_register }) => {
            let otherwise = beside_template(state, caller, typed, &settings);
            let form = gateway_form::with_discovered(Form::again(typed), &settings);
            let itself = can_register && typed.text("authorization.client_id").is_empty();
            let (way, note) = if itself {
                (
                    "discover",
                    Note::new(
                        Tone::Ok,
                        format!(
                            "{} guards this server, and Doorward can register itself there when you save. Nothing more is needed.{otherwise}",
                            settings.issuer
                        ),
                    ),
                )
            } else {
                (
                    "oauth",
                    Note::new(
                        Tone::Info,
                        format!(
                            "{} guards this server. Its addresses are filled in below; the client ID is yours to give.{otherwise}",
                            settings.issuer
                        ),
                    ),
                )
            };
            Ok((form.set("authorization", way), Some(note)))
        }
        Err(error) => Ok((Form::refused(typed, error)?, None)),
    }
}

/// What the template that is chosen in the form says otherwise than the server; empty where they agree. Hosted MCP
/// servers of a vendor often have other addresses than its APIs, so the server's own word counts.
fn beside_template(state: &AppState, caller: &Caller, typed: &Fields, found: &Discovered) -> String {
    let Some(choice) = gateway_template::choice(typed) else { return String::new() };
    let Ok(filled) = state.broker.filled_template(caller, &choice.id, &choice.inputs) else {
        return String::new();
    };
    let pairs = [
        ("authorization URL", found.authorization_url.as_str(), filled.oauth.authorization_url),
        ("token URL", found.token_url.as_str(), filled.oauth.token_url),
        ("issuer", found.issuer.as_str(), filled.oauth.issuer),
    ];
    let other = pairs.into_iter().filter_map(|(name, says, template)| {
        template.filter(|template| template != says).map(|template| format!("{name} {template}"))
    });
    let other: Vec<String> = other.collect();
    if other.is_empty() {
        return String::new();
    }
    format!(" The template says otherwise ({}); what the server says is filled in.", other.join(", "))
}

/// The form again, with what is wrong. Where the server registers no clients by itself, the form turns
/// to typing one, with the rest filled in.
pub(super) async fn refused(
    state: &AppState,
    caller: &Caller,
    typed: &Fields,
    error: BrokerError,
) -> Result<Form, PageError> {
    let wants_client = typed.text("authorization") == "discover"
        && matches!(&error, BrokerError::Invalid { field, .. } if field == "authorization.client_id");
    let parts = ["authorization.facts", "authorization.authorize_params"];
    let mut form = parts.iter().fold(Form::refused(typed, error)?, |form, field| form.gathered(field));
    if wants_client {
        form = form.set("authorization", "oauth");
        if let Ok(DiscoveredGateway::OAuth { settings, .. }) =
            state.broker.discover(caller, typed.text("url")).await
        {
            form = gateway_form::with_discovered(form, &settings);
        }
    }
    Ok(form)
}
