//! Who may use a single tool: one rule for lists and calls.

use crate::{Broker, BrokerError, Caller};
use doorward_domain::{AccessList, CatalogKind, Gateway, GatewayId, Permission};
use std::collections::{BTreeMap, BTreeSet};

/// Tools of one gateway that may have lists of their own.
const LISTED_MAX: usize = 500;

/// The longest name of a tool that may have one, in characters.
const NAME_MAX: usize = 256;

impl Broker {
    /// The tools of a gateway that are not for this caller, who may use the gateway.
    pub async fn hidden_tools(
        &self,
        caller: &Caller,
        gateway: &Gateway,
    ) -> Result<BTreeSet<String>, BrokerError> {
        // Those who manage gateways may use everything.
        if gateway.tool_access.is_empty() || caller.may(Permission::ManageGateways) {
            return Ok(BTreeSet::new());
        }
        let groups = self.groups_of(caller.user.id).await?;
        let hidden = gateway.tool_access.iter().filter(|(_, access)| !access.admits(caller.user.id, &groups));
        Ok(hidden.map(|(tool, _)| tool.clone()).collect())
    }

    /// The tools that a gateway is known to have, and those that have lists.
    pub async fn known_tools(&self, caller: &Caller, id: GatewayId) -> Result<BTreeSet<String>, BrokerError> {
        caller.require(Permission::ReadGateways)?;
        let gateway = self.readable_gateway(caller, id).await?;
        let versions = self.storage().catalog_versions(id).await?;
        let tools = versions.into_iter().filter(|version| version.kind == CatalogKind::Tool);
        Ok(tools.map(|tool| tool.name).chain(gateway.tool_access.keys().cloned()).collect())
    }

    /// Lists of tools whose groups and people exist; those for everyone are none.
    pub(crate) async fn checked_tool_access(
        &self,
        tools: BTreeMap<String, AccessList>,
    ) -> Result<BTreeMap<String, AccessList>, BrokerError> {
        if tools.len() > LISTED_MAX {
            let problem =
                format!("at most {LISTED_MAX} tools may have lists: give access to the gateway instead");
            return Err(BrokerError::invalid("tool_access", problem));
        }
        let mut checked = BTreeMap::new();
        for (tool, access) in tools {
            let is_name =
                !tool.is_empty() && tool.chars().count() <= NAME_MAX && !tool.chars().any(char::is_control);
            if !is_name {
                let problem = format!("a tool's name has 1 to {NAME_MAX} characters, and no line breaks");
                return Err(BrokerError::invalid("tool_access", problem));
            }
            if access.is_narrowed() {
                checked.insert(tool, self.checked_access(access).await?);
            }
        }
        Ok(checked)
    }
}

/// What an edit changes for single tools, as the audit trail tells it.
pub(crate) fn told_change(before: &Gateway, after: &Gateway) -> Option<String> {
    let all: BTreeSet<&String> = before.tool_access.keys().chain(after.tool_access.keys()).collect();
    let changed = all.into_iter().filter(|tool| before.access_of_tool(tool) != after.access_of_tool(tool));
    let told = |tool: &String| {
        format!("{tool}: {} (before: {})", after.access_of_tool(tool), before.access_of_tool(tool))
    };
    let told: Vec<String> = changed.map(told).collect();
    (!told.is_empty()).then(|| told.join("; ").chars().take(4_000).collect())
}
