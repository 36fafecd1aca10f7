//! Provider templates: what is known of an authorization server, as data. A template fills a form and is then
//! forgotten: the gateway keeps the values, so that a mended template never changes a live gateway.

mod facts_text;
mod fill;
mod input;
mod shipped;

pub use facts_text::{facts_from_text, facts_to_text};
pub use fill::{DraftTemplate, FilledTemplate, open_in, replace};
pub use input::{InputKind, InputProblem, TemplateInput};
pub use shipped::ProviderTemplates;

use doorward_domain::TokenEndpointAuth;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use url::Url;

/// One template, as its file says it; `{name}` in a value stands for what the administrator gives.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProviderTemplate {
    /// The file's name without its ending.
    #[serde(skip)]
    pub id: String,
    /// Raised with each change of a value, so that gateways made from an older one can say so.
    pub version: u32,
    pub name: String,
    /// Where it stands in the list: small numbers first, then by name.
    #[serde(default = "late")]
    pub order: u32,
    /// What an administrator should know before choosing it.
    #[serde(default)]
    pub note: Option<String>,
    /// The provider's own pages about OAuth.
    #[serde(default)]
    pub docs_url: Option<Url>,
    /// Where an administrator registers the client.
    #[serde(default)]
    pub app_registration_url: Option<Url>,
    /// What the administrator must give.
    #[serde(default)]
    pub inputs: BTreeMap<String, TemplateInput>,
    #[serde(default)]
    pub oauth: TemplateOAuth,
    /// [`doorward_domain::ProviderFacts`], with placeholders.
    #[serde(default)]
    pub facts: Map<String, Value>,
    /// Where a value comes from and how sure it is, by the field's name.
    #[serde(default)]
    pub sources: BTreeMap<String, Source>,
}

fn late() -> u32 {
    100
}

/// The OAuth settings of a template, with placeholders.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TemplateOAuth {
    pub authorization_url: Option<String>,
    pub token_url: Option<String>,
    pub revocation_url: Option<String>,
    pub issuer: Option<String>,
    /// The metadata's address, where the provider has such a document (OpenID Connect Discovery, RFC 8414).
    pub discovery_url: Option<String>,
    /// Of token requests, with the grant types that take one.
    pub audience: Option<String>,
    pub scopes: Vec<String>,
    pub authorize_params: BTreeMap<String, String>,
    pub token_endpoint_auth: Option<TokenEndpointAuth>,
}

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    pub sure: Sureness,
    /// Who says so.
    #[serde(default)]
    pub from: Option<String>,
}

/// How sure a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sureness {
    /// The vendor says so, or two independent sources do.
    High,
    /// One source.
    Medium,
    /// General knowledge, or sources disagree.
    Low,
}

/// What is wrong with a template's file. The sentence names the file and the field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}: {problem}")]
pub struct TemplateError {
    pub file: String,
    pub problem: String,
}

impl ProviderTemplate {
    /// Reads a template's file, and checks it by filling it with its own examples.
    pub fn parse(file: &str, text: &str) -> Result<Self, TemplateError> {
        let wrong = |problem: String| TemplateError { file: file.to_owned(), problem };
        let mut template: Self = basic_toml::from_str(text).map_err(|error| wrong(error.to_string()))?;
        template.id = checked_id(file)
            .ok_or_else(|| wrong("name the file with a-z, 0-9 and '-', for example acme.toml".to_owned()))?;
        template.check().map_err(wrong)?;
        Ok(template)
    }

    fn check(&self) -> Result<(), String> {
        if self.name.trim().is_empty() {
            return Err("name: is empty".to_owned());
        }
        let mut examples = BTreeMap::new();
        for (name, input) in &self.inputs {
            input.check(&input.example).map_err(|problem| format!("inputs.{name}.example: {problem}"))?;
            examples.insert(name.clone(), input.example.clone());
        }
        self.fill(&examples).map_err(|problem| problem.to_string())?;
        for field in self.sources.keys() {
            if !self.has(field) {
                return Err(format!("sources.{field}: the template has no such value"));
            }
        }
        Ok(())
    }

    /// Whether a field of this name, such as `oauth.token_url` or `facts.replay_safe`, has a value here.
    fn has(&self, field: &str) -> bool {
        let whole = serde_json::json!({ "oauth": self.oauth, "facts": self.facts });
        let found = field.split('.').try_fold(&whole, |value, name| value.get(name));
        found.is_some_and(|value| !value.is_null())
    }
}

/// The id in a file's name.
fn checked_id(file: &str) -> Option<String> {
    let name = file.rsplit('/').next()?.strip_suffix(".toml")?;
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (!name.is_empty() && name.len() <= 64 && name.bytes().all(plain)).then(|| name.to_owned())
}

#[cfg(test)]
#[path = "template/tests.rs"]
mod tests;
