//! Putting what the administrator gives into a template's values.

use super::facts_text::toml_lines;
use super::{InputProblem, ProviderTemplate, TemplateInput, TemplateOAuth};
use doorward_domain::{ProviderFacts, UsedTemplate};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// A template whose placeholders all have their values.
#[derive(Debug, Clone)]
pub struct FilledTemplate {
    pub used: UsedTemplate,
    pub oauth: TemplateOAuth,
    pub facts: ProviderFacts,
}

/// A template for a form: what was not given yet still stands as `{name}`.
#[derive(Debug, Clone)]
pub struct DraftTemplate {
    pub oauth: TemplateOAuth,
    /// [`ProviderFacts`], as lines of TOML.
    pub facts: String,
}

impl ProviderTemplate {
    /// The values with every placeholder filled; one that is open or wrong is named.
    pub fn fill(&self, given: &BTreeMap<String, String>) -> Result<FilledTemplate, InputProblem> {
        let inputs = self.checked_inputs(given)?;
        let (oauth, facts) = self.replaced(&inputs);
        let facts = serde_json::from_value(Value::Object(facts))
            .map_err(|error| InputProblem { input: "facts".to_owned(), problem: error.to_string() })?;
        if let Some(open) = open_placeholder(&oauth) {
            return Err(InputProblem {
                input: format!("inputs.{open}"),
                problem: "is not declared".to_owned(),
            });
        }
        let used = UsedTemplate { id: self.id.clone(), version: self.version, inputs };
        Ok(FilledTemplate { used, oauth, facts })
    }

    /// The values as far as they can be filled by now.
    pub fn draft(&self, given: &BTreeMap<String, String>) -> DraftTemplate {
        let fits = |(name, text): &(String, String)| {
            self.inputs.get(name).is_some_and(|input| input.check(text).is_ok())
        };
        let inputs = self.with_defaults(given).into_iter().filter(fits).collect();
        let (oauth, facts) = self.replaced(&inputs);
        DraftTemplate { oauth, facts: toml_lines("", &facts) }
    }

    /// What was given, and the defaults for what was not.
    fn with_defaults(&self, given: &BTreeMap<String, String>) -> BTreeMap<String, String> {
        let of = |(name, input): (&String, &TemplateInput)| {
            let text = given.get(name).map(|text| text.trim()).filter(|text| !text.is_empty());
            Some((name.clone(), text.map(str::to_owned).or_else(|| input.default.clone())?))
        };
        self.inputs.iter().filter_map(of).collect()
    }

    fn checked_inputs(
        &self,
        given: &BTreeMap<String, String>,
    ) -> Result<BTreeMap<String, String>, InputProblem> {
        if let Some(unknown) = given.keys().find(|name| !self.inputs.contains_key(*name)) {
            let problem = format!("the template {} asks for no such thing: leave it out", self.id);
            return Err(InputProblem { input: unknown.clone(), problem });
        }
        let inputs = self.with_defaults(given);
        for (name, input) in &self.inputs {
            let text = inputs.get(name).map_or("", String::as_str);
            input.check(text).map_err(|problem| InputProblem { input: name.clone(), problem })?;
        }
        Ok(inputs)
    }

    fn replaced(&self, inputs: &BTreeMap<String, String>) -> (TemplateOAuth, Map<String, Value>) {
        let text = |text: &String| replace(text, inputs);
        let oauth = TemplateOAuth {
            authorization_url: self.oauth.authorization_url.as_ref().map(text),
            token_url: self.oauth.token_url.as_ref().map(text),
            revocation_url: self.oauth.revocation_url.as_ref().map(text),
            issuer: self.oauth.issuer.as_ref().map(text),
            discovery_url: self.oauth.discovery_url.as_ref().map(text),
            audience: self.oauth.audience.as_ref().map(text),
            scopes: self.oauth.scopes.iter().map(text).collect(),
            authorize_params: self
                .oauth
                .authorize_params
                .iter()
                .map(|(name, value)| (name.clone(), replace(value, inputs)))
                .collect(),
            token_endpoint_auth: self.oauth.token_endpoint_auth,
        };
        let facts = self.facts.iter().map(|(name, value)| (name.clone(), in_value(value, inputs)));
        (oauth, facts.collect())
    }
}

/// What stands in a value for what is filled in later: Microsoft's open issuer, and our client id at GitHub.
const FILLED_LATER: [&str; 2] = ["tenantid", "client_id"];

/// A placeholder that nothing was given for.
fn open_placeholder(oauth: &TemplateOAuth) -> Option<String> {
    let texts =
        [&oauth.authorization_url, &oauth.token_url, &oauth.revocation_url, &oauth.issuer, &oauth.audience];
    let mut all = texts.into_iter().flatten().chain(&oauth.scopes).chain(oauth.authorize_params.values());
    all.find_map(|text| open_in(text))
}

/// The name of a placeholder that is still open in a text.
pub fn open_in(text: &str) -> Option<String> {
    text.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(name, _)| name.to_owned()).find(
        |name| {
            let word = name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
            word && !name.is_empty() && !FILLED_LATER.contains(&name.as_str())
        },
    )
}

/// The text with every placeholder that something was given for.
pub fn replace(text: &str, inputs: &BTreeMap<String, String>) -> String {
    inputs.iter().fold(text.to_owned(), |text, (name, value)| text.replace(&format!("{{{name}}}"), value))
}

fn in_value(value: &Value, inputs: &BTreeMap<String, String>) -> Value {
    match value {
        Value::String(text) => Value::String(replace(text, inputs)),
        Value::Array(list) => list.iter().map(|one| in_value(one, inputs)).collect(),
        Value::Object(members) => {
            let replaced = members.iter().map(|(name, value)| (name.clone(), in_value(value, inputs)));
            Value::Object(replaced.collect())
        }
        other => other.clone(),
    }
}
