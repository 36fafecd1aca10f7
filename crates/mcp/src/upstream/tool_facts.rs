//! What a call has to know of its tool before it is sent, from the catalog that the caller sees.

use super::Inner;
use super::answer::CallError;
use super::param_headers::{ParamHeader, annotations};
use crate::envelope::{member, text_member};
use doorward_broker::Caller;
use doorward_domain::{Catalog, CatalogKind, CatalogSharing, Gateway, GatewayId, UserId};
use serde_json::value::RawValue;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Whose catalog: a gateway's, for one user or shared.
pub(crate) type CatalogOwner = (GatewayId, Option<UserId>);

/// What is special about the tools of one catalog.
#[derive(Debug, Default)]
pub(super) struct ToolFacts {
    /// Those that want headers, by name.
    headers: HashMap<String, Vec<ParamHeader>>,
    /// Those that run as tasks alone (2025-11-25).
    by_task: HashSet<String>,
}

impl ToolFacts {
    fn of(catalog: &Catalog) -> Self {
        let mut facts = Self::default();
        for tool in catalog.of_kind(CatalogKind::Tool) {
            if let Ok(headers) = annotations(&tool.json)
                && !headers.is_empty()
            {
                facts.headers.insert(tool.name.clone(), headers);
            }
            if is_by_task(&tool.json) {
                facts.by_task.insert(tool.name.clone());
            }
        }
        facts
    }

    /// The headers that a tool's schema asks for.
    pub(super) fn headers(&self, tool: &str) -> Option<&Vec<ParamHeader>> {
        self.headers.get(tool)
    }

    /// Whether a tool runs as a task alone.
    pub(super) fn is_by_task(&self, tool: &str) -> bool {
        self.by_task.contains(tool)
    }
}

fn is_by_task(tool: &str) -> bool {
    let required = |tool: &RawValue| {
        let execution = member(tool, "execution")?;
        Some(text_member(execution, "taskSupport")? == "required")
    };
    tool.contains("\"taskSupport\"")
        && serde_json::from_str::<&RawValue>(tool).ok().and_then(required).unwrap_or(false)
}

impl Inner {
    /// What is special about a gateway's tools, from the catalog that the caller sees.
    pub(super) async fn tool_facts(
        &self,
        caller: &Caller,
        gateway: &Gateway,
    ) -> Result<Arc<ToolFacts>, CallError> {
        let owner = owner_of_catalog(caller, gateway);
        let load = async {
            let catalog =
                self.storage.catalog(owner.0, owner.1).await.map_err(doorward_broker::BrokerError::from)?;
            Ok(Arc::new(catalog.as_ref().map(ToolFacts::of).unwrap_or_default()))
        };
        self.tool_facts.try_get_with(owner, load).await.map_err(|error: Arc<CallError>| (*error).clone())
    }
}

/// Whose catalog a caller sees at a gateway.
pub(crate) fn owner_of_catalog(caller: &Caller, gateway: &Gateway) -> CatalogOwner {
    match gateway.catalog_sharing {
        CatalogSharing::PerUser => (gateway.id, Some(caller.user.id)),
        CatalogSharing::Shared => (gateway.id, None),
    }
}
