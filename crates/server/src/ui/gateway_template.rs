//! Choosing a provider in the form of a gateway: the template fills the fields, and every one stays to be edited.

use crate::state::AppState;
use crate::ui::error::PageError;
use crate::ui::form::{Fields, Form, secrets_again};
use crate::ui::page::Note;
use crate::ui::parts::Tone;
use doorward_broker::{BrokerError, Caller, TemplateChoice};
use doorward_domain::{Gateway, TokenEndpointAuth};
use doorward_oauth::ProviderTemplate;
use doorward_oauth::template::{Source, Sureness};
use http::StatusCode;
use std::collections::BTreeMap;

pub(super) const TEMPLATE: &str = "authorization.provider_template";
const VERSION: &str = "authorization.template_version";
const INPUTS: &str = "authorization.provider_inputs.";
/// The template that leaves everything to be typed.
const CUSTOM: &str = "custom";

/// The provider's part of the form.
#[derive(Default)]
pub(super) struct ProviderPart {
    /// Id and name of every template.
    pub(super) options: Vec<(String, String)>,
    pub(super) note: Option<String>,
    pub(super) docs_url: Option<String>,
    pub(super) app_registration_url: Option<String>,
    pub(super) inputs: Vec<InputField>,
    /// What is not sure, by field.
    marks: BTreeMap<String, String>,
    /// What is not sure of the facts, a sentence each.
    pub(super) unsure_facts: Vec<String>,
    /// The gateway was filled in from older values.
    pub(super) newer: Option<String>,
}

/// The field of a placeholder.
pub(super) struct InputField {
    pub(super) name: String,
    pub(super) label: String,
    pub(super) help: String,
}

impl ProviderPart {
    /// For the template that the form has chosen.
    pub(super) fn of(state: &AppState, caller: &Caller, form: &Form) -> Result<Self, PageError> {
        let templates = state.broker.provider_templates(caller)?;
        let options = templates.iter().map(|one| (one.id.clone(), one.name.clone())).collect();
        let chosen = templates.iter().find(|one| one.id == form.value(TEMPLATE));
        Ok(Self { options, ..chosen.map_or_else(Self::default, |template| Self::chosen(template)) })
    }

    /// The same, for a gateway that exists.
    pub(super) fn at(self, state: &AppState, gateway: &Gateway) -> Self {
        let newer = state.broker.newer_template(gateway).map(|version| {
            format!(
                "The template has newer values (version {version}). This gateway keeps the ones it was filled in with; “Fill in” shows the new ones, and nothing changes until you save."
            )
        });
        Self { newer, ..self }
    }

    fn chosen(template: &ProviderTemplate) -> Self {
        let inputs = template.inputs.iter().map(|(name, input)| InputField {
            name: format!("{INPUTS}{name}"),
            label: input.label.clone(),
            help: format!("{} For example {}.", input.help.as_deref().unwrap_or_default(), input.example)
                .trim()
                .to_owned(),
        });
        let mut part = Self {
            note: template.note.clone(),
            docs_url: template.docs_url.as_ref().map(ToString::to_string),
            app_registration_url: template.app_registration_url.as_ref().map(ToString::to_string),
            inputs: inputs.collect(),
            ..Self::default()
        };
        for (field, source) in &template.sources {
            let Some(mark) = unsure(source) else { continue };
            match field.split_once('.') {
                Some(("oauth", rest)) => {
                    let field = rest.split('.').next().unwrap_or(rest);
                    part.marks.insert(format!("authorization.{field}"), mark);
                }
                Some(("facts", name)) => part.unsure_facts.push(format!("{name}: {mark}")),
                _ => {}
            }
        }
        part
    }

    /// What is not sure of a field's value; empty where nothing is known against it.
    pub(super) fn mark(&self, field: &str) -> &str {
        self.marks.get(field).map_or("", String::as_str)
    }

    /// The fields that show their own problem.
    pub(super) fn shown<'a>(&'a self, fields: &[&'a str]) -> Vec<&'a str> {
        fields.iter().copied().chain(self.inputs.iter().map(|input| input.name.as_str())).collect()
    }
}

/// How unsure a value is, in words; none where it is sure.
fn unsure(source: &Source) -> Option<String> {
    let from = source.from.as_deref().map(|from| format!(" ({from})")).unwrap_or_default();
    match source.sure {
        Sureness::High => None,
        Sureness::Medium => Some(format!("Not confirmed by the provider{from}.")),
        Sureness::Low => Some(format!("Unverified{from}: check it.")),
    }
}

/// The choice that a form carries; none where no template is chosen.
pub(super) fn choice(typed: &Fields) -> Option<TemplateChoice> {
    let id = typed.filled(TEMPLATE)?;
    Some(TemplateChoice { id, version: typed.text(VERSION).parse().ok(), inputs: inputs(typed) })
}

/// What was given for placeholders. Fields of a template that is no longer chosen do not count.
fn inputs(typed: &Fields) -> BTreeMap<String, String> {
    let of = typed.text("authorization.inputs_of");
    if of != typed.text(TEMPLATE) {
        return BTreeMap::new();
    }
    let fields = typed.starting_with(INPUTS);
    fields.map(|(name, text)| (name.to_owned(), text.trim().to_owned())).collect()
}

/// A stored gateway's template as form fields.
pub(super) fn with_used(form: Form, gateway: &Gateway) -> Form {
    let Some(used) = gateway.oauth().and_then(|settings| settings.template.as_ref()) else { return form };
    let form = form.set(TEMPLATE, &*used.id).set(VERSION, used.version.to_string());
    used.inputs.iter().fold(form, |form, (name, text)| form.set(&format!("{INPUTS}{name}"), &**text))
}

/// The form with the values of the template that it has chosen.
pub(super) fn fill(
    state: &AppState,
    caller: &Caller,
    typed: &Fields,
) -> Result<(Form, Option<Note>), PageError> {
    let form = Form::again(typed).set("authorization", "oauth");
    let Some(choice) = choice(typed) else {
        let note = Note::new(Tone::Info, "Choose a provider first, or type the settings.");
        return Ok((form, Some(note)));
    };
    let template = match state.broker.provider_template(caller, &choice.id) {
        Ok(template) => template,
        Err(BrokerError::NotFound { .. }) => {
            return Ok((form.problem(StatusCode::BAD_REQUEST, TEMPLATE, "there is no such template"), None));
        }
        Err(error) => return Err(error.into()),
    };
    let form = with_template(form, &template, &choice.inputs);
    Ok(match template.fill(&choice.inputs) {
        Ok(_) => (form, Some(filled_note(&template, secrets_again(typed)))),
        Err(open) if choice.inputs.get(&open.input).is_none_or(String::is_empty) => {
            let label = template.inputs.get(&open.input).map_or(&*open.input, |input| &*input.label);
            let text =
                format!("{} needs to know more: give “{label}” and press “Fill in” again.", template.name);
            (form, Some(Note::new(Tone::Info, text)))
        }
        Err(wrong) => {
            (form.problem(StatusCode::BAD_REQUEST, format!("{INPUTS}{}", wrong.input), &wrong.problem), None)
        }
    })
}

fn filled_note(template: &ProviderTemplate, again: &str) -> Note {
    if template.id == CUSTOM {
        return Note::new(Tone::Info, format!("Every field is yours to type.{again}"));
    }
    Note::new(
        Tone::Ok,
        format!("Filled in for {}. Every field can be changed; nothing is saved yet.{again}", template.name),
    )
}

/// The template's values in their fields. Custom has none, and leaves what was typed.
pub(super) fn with_template(
    form: Form,
    template: &ProviderTemplate,
    inputs: &BTreeMap<String, String>,
) -> Form {
    let form = form.set(TEMPLATE, &*template.id).set(VERSION, template.version.to_string());
    if template.id == CUSTOM {
        return form;
    }
    let defaults = template.inputs.iter().filter_map(|(name, input)| Some((name, input.default.clone()?)));
    let form = defaults.fold(form, |form, (name, default)| {
        let field = format!("{INPUTS}{name}");
        if form.value(&field).is_empty() { form.set(&field, default) } else { form }
    });
    let draft = template.draft(inputs);
    let oauth = draft.oauth;
    let params: Vec<String> =
        oauth.authorize_params.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let auth = oauth.token_endpoint_auth.map_or("", TokenEndpointAuth::as_str);
    form.set("authorization.authorization_url", oauth.authorization_url.unwrap_or_default())
        .set("authorization.token_url", oauth.token_url.unwrap_or_default())
        .set("authorization.revocation_url", oauth.revocation_url.unwrap_or_default())
        .set("authorization.issuer", oauth.issuer.unwrap_or_default())
        .set("authorization.audience", oauth.audience.unwrap_or_default())
        .set("authorization.scopes", oauth.scopes.join(" "))
        .set("authorization.authorize_params", params.join("\n"))
        .set("authorization.token_endpoint_auth", auth)
        .set("authorization.facts", draft.facts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use doorward_oauth::ProviderTemplates;

    #[test]
    fn what_is_not_sure_is_marked_at_its_field() {
        let templates = ProviderTemplates::shipped();
        let part = ProviderPart::chosen(templates.get("asana").unwrap());
        assert!(part.mark("authorization.revocation_url").starts_with("Unverified ("));
        assert_eq!(part.mark("authorization.token_url"), "");
        assert!(part.unsure_facts.iter().any(|fact| fact.starts_with("replay_safe: Unverified")));
        let okta = ProviderPart::chosen(templates.get("okta").unwrap());
        assert_eq!(okta.inputs.len(), 2);
        assert!(okta.shown(&["url"]).contains(&"authorization.provider_inputs.domain"));
    }

    #[test]
    fn the_placeholders_of_another_template_do_not_count() {
        let typed = |text: &str| serde_urlencoded::from_str::<Fields>(text).unwrap();
        let fields = "authorization.provider_template=okta&authorization.provider_inputs.domain=+a.example+";
        assert_eq!(
            choice(&typed(&format!("{fields}&authorization.inputs_of=okta"))).unwrap().inputs["domain"],
            "a.example"
        );
        assert!(
            choice(&typed(&format!("{fields}&authorization.inputs_of=auth0"))).unwrap().inputs.is_empty()
        );
        assert!(choice(&typed("authorization.provider_template=")).is_none());
    }
}
