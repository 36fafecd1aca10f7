//! Provider templates in use: they fill what was not typed, and are remembered with their version.

use crate::{Broker, BrokerError, Caller, OAuthInput, TemplateChoice};
use doorward_domain::{Gateway, Permission, UsedTemplate};
use doorward_oauth::template::{open_in, replace};
use doorward_oauth::{FilledTemplate, ProviderTemplate};
use std::collections::BTreeMap;
use std::sync::Arc;

impl Broker {
    /// Every provider template, in the order of the list.
    pub fn provider_templates(&self, caller: &Caller) -> Result<&[Arc<ProviderTemplate>], BrokerError> {
        caller.require(Permission::ReadGateways)?;
        Ok(self.parts.templates.all())
    }

    /// One provider template.
    pub fn provider_template(&self, caller: &Caller, id: &str) -> Result<Arc<ProviderTemplate>, BrokerError> {
        caller.require(Permission::ReadGateways)?;
        let found = self.parts.templates.get(id).cloned();
        found.ok_or(BrokerError::NotFound { what: "provider template" })
    }

    /// A template's values, filled with what was given for its placeholders.
    pub fn filled_template(
        &self,
        caller: &Caller,
        id: &str,
        inputs: &BTreeMap<String, String>,
    ) -> Result<FilledTemplate, BrokerError> {
        caller.require(Permission::ManageGateways)?;
        let template = self.chosen_template(id)?;
        fill(&template, inputs)
    }

    /// The version of a gateway's template, where that has newer values than the gateway was made from.
    pub fn newer_template(&self, gateway: &Gateway) -> Option<u32> {
        let used = gateway.oauth()?.template.as_ref()?;
        let version = self.parts.templates.get(&used.id)?.version;
        (version > used.version).then_some(version)
    }

    fn chosen_template(&self, id: &str) -> Result<Arc<ProviderTemplate>, BrokerError> {
        self.parts.templates.get(id).cloned().ok_or_else(|| {
            BrokerError::invalid(
                "authorization.provider_template",
                "there is no template of this name: GET /admin/oauth/providers lists them",
            )
        })
    }

    /// The input with every placeholder filled, and what the gateway remembers of its template. A placeholder
    /// that is open is an error at its own field.
    pub(crate) fn with_template(
        &self,
        typed: &OAuthInput,
        before: Option<&UsedTemplate>,
    ) -> Result<(OAuthInput, Option<UsedTemplate>), BrokerError> {
        let used = match &typed.template {
            Some(choice) => Some(self.used_template(choice)?),
            None => before.cloned(),
        };
        let nothing = BTreeMap::new();
        let inputs = used.as_ref().map_or(&nothing, |used| &used.inputs);
        let filled = |text: &String| replace(text, inputs);
        let typed = OAuthInput {
            grant_type: typed.grant_type,
            assertion_kid: typed.assertion_kid.clone(),
            authorization_url: filled(&typed.authorization_url),
            token_url: filled(&typed.token_url),
            revocation_url: typed.revocation_url.as_ref().map(filled),
            issuer: typed.issuer.as_ref().map(filled),
            audience: typed.audience.as_ref().map(filled),
            scopes: typed.scopes.iter().map(filled).collect(),
            authorize_params: typed
                .authorize_params
                .iter()
                .map(|(name, value)| (name.clone(), filled(value)))
                .collect(),
            ..typed.clone()
        };
        refuse_open_placeholders(&typed)?;
        Ok((typed, used))
    }

    fn used_template(&self, choice: &TemplateChoice) -> Result<UsedTemplate, BrokerError> {
        let template = self.chosen_template(&choice.id)?;
        let used = fill(&template, &choice.inputs)?.used;
        // The form says which version has filled it; later values were not seen by anybody.
        Ok(UsedTemplate { version: choice.version.unwrap_or(used.version).min(used.version), ..used })
    }
}

fn fill(
    template: &ProviderTemplate,
    inputs: &BTreeMap<String, String>,
) -> Result<FilledTemplate, BrokerError> {
    template.fill(inputs).map_err(|problem| {
        BrokerError::invalid(format!("authorization.provider_inputs.{}", problem.input), problem.problem)
    })
}

fn refuse_open_placeholders(typed: &OAuthInput) -> Result<(), BrokerError> {
    let texts = [
        ("authorization.authorization_url", Some(&typed.authorization_url)),
        ("authorization.token_url", Some(&typed.token_url)),
        ("authorization.revocation_url", typed.revocation_url.as_ref()),
        ("authorization.issuer", typed.issuer.as_ref()),
        ("authorization.audience", typed.audience.as_ref()),
    ];
    let params = typed.authorize_params.values().map(|value| ("authorization.authorize_params", Some(value)));
    for (field, text) in texts.into_iter().chain(params) {
        if let Some(name) = text.and_then(|text| open_in(text)) {
            let problem = format!("put what belongs there in the place of {{{name}}}");
            return Err(BrokerError::invalid(field, problem));
        }
    }
    Ok(())
}
