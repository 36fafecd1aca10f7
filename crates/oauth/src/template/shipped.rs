//! The templates that there are: those that are shipped, and the operator's own, which add or replace.

use super::{ProviderTemplate, TemplateError};
use std::sync::Arc;

/// `providers/` at the root of the repository, inside the binary.
const FILES: [(&str, &str); 22] = [
    ("asana.toml", include_str!("../../../../providers/asana.toml")),
    ("atlassian.toml", include_str!("../../../../providers/atlassian.toml")),
    ("auth0.toml", include_str!("../../../../providers/auth0.toml")),
    ("bitbucket.toml", include_str!("../../../../providers/bitbucket.toml")),
    ("box.toml", include_str!("../../../../providers/box.toml")),
    ("custom.toml", include_str!("../../../../providers/custom.toml")),
    ("discord.toml", include_str!("../../../../providers/discord.toml")),
    ("dropbox.toml", include_str!("../../../../providers/dropbox.toml")),
    ("figma.toml", include_str!("../../../../providers/figma.toml")),
    ("github.toml", include_str!("../../../../providers/github.toml")),
    ("github-enterprise.toml", include_str!("../../../../providers/github-enterprise.toml")),
    ("gitlab.toml", include_str!("../../../../providers/gitlab.toml")),
    ("google.toml", include_str!("../../../../providers/google.toml")),
    ("hubspot.toml", include_str!("../../../../providers/hubspot.toml")),
    ("keycloak.toml", include_str!("../../../../providers/keycloak.toml")),
    ("linear.toml", include_str!("../../../../providers/linear.toml")),
    ("microsoft.toml", include_str!("../../../../providers/microsoft.toml")),
    ("notion.toml", include_str!("../../../../providers/notion.toml")),
    ("okta.toml", include_str!("../../../../providers/okta.toml")),
    ("salesforce.toml", include_str!("../../../../providers/salesforce.toml")),
    ("slack.toml", include_str!("../../../../providers/slack.toml")),
    ("zoom.toml", include_str!("../../../../providers/zoom.toml")),
];

/// Every template, in the order of the list.
#[derive(Debug, Clone)]
pub struct ProviderTemplates(Arc<[Arc<ProviderTemplate>]>);

impl ProviderTemplates {
    /// What is shipped, and then the operator's own files: `(name, text)`. One of the same name replaces.
    pub fn with(own: &[(String, String)]) -> Result<Self, TemplateError> {
        let mut templates: Vec<Arc<ProviderTemplate>> = Vec::new();
        let own = own.iter().map(|(name, text)| (name.as_str(), text.as_str()));
        for (file, text) in FILES.into_iter().chain(own) {
            let template = ProviderTemplate::parse(file, text)?;
            templates.retain(|known| known.id != template.id);
            templates.push(Arc::new(template));
        }
        templates.sort_by_key(|template| (template.order, template.name.to_lowercase()));
        Ok(Self(templates.into()))
    }

    /// What is shipped.
    pub fn shipped() -> Self {
        Self::with(&[]).expect("a test reads every shipped template")
    }

    /// All of them, in the order of the list.
    pub fn all(&self) -> &[Arc<ProviderTemplate>] {
        &self.0
    }

    /// The template of an id.
    pub fn get(&self, id: &str) -> Option<&Arc<ProviderTemplate>> {
        self.0.iter().find(|template| template.id == id)
    }
}
