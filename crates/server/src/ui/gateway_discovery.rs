//! Asking a server what it says of itself, for the form of a gateway.

use crate::state::AppState;
use crate::ui::error::PageError;
use crate::ui::form::{Fields, Form, secrets_again};
use crate::ui::gateway_form;
use crate::ui::gateway_template;
use crate::ui::page::Note;
use crate::ui::parts::Tone;
use doorward_broker::{AskedUpstream, BrokerError, Caller, DiscoveredGateway};
use doorward_domain::GatewayId;
use doorward_oauth::Discovered;

/// Asks the server what it says of itself, and fills the form with it.
pub(super) async fn discover(
    state: &AppState,
    caller: &Caller,
    typed: &Fields,
    gateway: Option<GatewayId>,
) -> Result<(Form, Option<Note>), PageError> {
    let again = secrets_again(typed);
    match state.broker.discover(caller, asked(typed, gateway)).await {
        Ok(DiscoveredGateway::Open) => {
            let note = Note::new(
                Tone::Ok,
                format!("The server answers without authorization. Nothing more is needed.{again}"),
            );
            Ok((Form::again(typed).set("authorization", "none"), Some(note)))
        }
        Ok(DiscoveredGateway::OAuth { settings, can_register }) => {
            let otherwise = beside_template(state, caller, typed, &settings);
            let itself = can_register && typed.text("authorization.client_id").is_empty();
            let (way, note) = if itself {
                (
                    "discover",
                    Note::new(
                        Tone::Ok,
                        format!(
                            "{} guards this server, and Doorward can register itself there when you save. Nothing more is needed.{otherwise}{again}",
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
                            "{} guards this server. Its addresses are filled in below; the client ID is yours to give.{otherwise}{again}",
                            settings.issuer
                        ),
                    ),
                )
            };
            let form = Form::again(typed).set("authorization", way);
            let form = gateway_form::with_discovered(form, &settings);
            let form = if itself { form } else { gateway_form::with_offered_auth(form, &settings) };
            Ok((form, Some(note)))
        }
        Ok(DiscoveredGateway::ByIssuer(settings)) => {
            let otherwise = beside_template(state, caller, typed, &settings);
            let form = Form::again(typed).set("authorization", "oauth");
            let form = gateway_form::with_issuers_word(form, &settings);
            let text = format!(
                "The server names no authorization server. What {} says of itself is filled in below; the client ID is yours to give.{otherwise}{again}",
                settings.issuer
            );
            Ok((form, Some(Note::new(Tone::Info, text))))
        }
        Err(error) => Ok((Form::refused(typed, at_the_issuer(error))?, None)),
    }
}

/// Whom the form is about, and what it is shown in the TLS handshake.
fn asked(typed: &Fields, gateway: Option<GatewayId>) -> AskedUpstream {
    AskedUpstream {
        url: typed.text("url").to_owned(),
        gateway,
        issuer: typed.filled("authorization.issuer"),
        client_certificate: gateway_form::client_certificate(typed),
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

/// REST asks with an issuer of its own; here it is the gateway's field.
fn at_the_issuer(error: BrokerError) -> BrokerError {
    match error {
        BrokerError::Invalid { field, problem } if field == "issuer" => {
            BrokerError::Invalid { field: "authorization.issuer".to_owned(), problem }
        }
        other => other,
    }
}

/// REST has one field for a secret and a key; here what is wrong with a key stands where it was typed.
fn at_the_key(typed: &Fields, error: BrokerError) -> BrokerError {
    match error {
        BrokerError::Invalid { field, problem }
            if field == "authorization.client_secret"
                && typed.filled("authorization.private_key").is_some() =>
        {
            BrokerError::Invalid { field: "authorization.private_key".to_owned(), problem }
        }
        other => other,
    }
}

/// The form again, with what is wrong. Where the server registers no clients by itself, the form turns
/// to typing one, with the rest filled in.
pub(super) async fn refused(
    state: &AppState,
    caller: &Caller,
    typed: &Fields,
    gateway: Option<GatewayId>,
    error: BrokerError,
) -> Result<Form, PageError> {
    let error = at_the_key(typed, error);
    let wants_client = typed.text("authorization") == "discover"
        && matches!(&error, BrokerError::Invalid { field, .. } if field == "authorization.client_id");
    let parts = ["authorization.facts", "authorization.authorize_params"];
    let mut form = parts.iter().fold(Form::refused(typed, error)?, |form, field| form.gathered(field));
    if wants_client {
        form = form.set("authorization", "oauth");
        if let Ok(DiscoveredGateway::OAuth { settings, .. }) =
            state.broker.discover(caller, asked(typed, gateway)).await
        {
            form = gateway_form::with_offered_auth(form, &settings);
            form = gateway_form::with_discovered(form, &settings);
        }
    }
    Ok(form)
}
