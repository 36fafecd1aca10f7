//! Tools, resources, resource templates and prompts known of a gateway. Each item stays the JSON text
//! that the upstream sent, so that nothing is lost that we do not understand.

use crate::clock::Timestamp;
use crate::ids::{GatewayId, UserId};
use serde::{Deserialize, Serialize};

/// The four lists of MCP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CatalogKind {
    Tool,
    Resource,
    ResourceTemplate,
    Prompt,
}

impl CatalogKind {
    /// All four, in the order in which they are read.
    pub const ALL: [Self; 4] = [Self::Tool, Self::Resource, Self::ResourceTemplate, Self::Prompt];

    /// As the database spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tool => "tool",
            Self::Resource => "resource",
            Self::ResourceTemplate => "resource_template",
            Self::Prompt => "prompt",
        }
    }
}

/// One tool, resource, template or prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogItem {
    pub kind: CatalogKind,
    /// `name` of a tool or prompt, `uri` of a resource, `uriTemplate` of a template.
    pub name: String,
    /// The item as the upstream sent it.
    pub json: String,
}

/// What is known of one gateway, for one user or shared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Catalog {
    pub gateway_id: GatewayId,
    /// None: shared.
    pub user_id: Option<UserId>,
    /// In the upstream's order.
    pub items: Vec<CatalogItem>,
    /// The upstream's `instructions`, if it gave any.
    pub instructions: Option<String>,
    pub fetched_at: Timestamp,
}

impl Catalog {
    /// The items of one kind, in the upstream's order.
    pub fn of_kind(&self, kind: CatalogKind) -> impl Iterator<Item = &CatalogItem> {
        self.items.iter().filter(move |item| item.kind == kind)
    }
}
