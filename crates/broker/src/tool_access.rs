//! Who may use a single tool: one rule for lists and calls.

use crate::{Broker, BrokerError, Caller};
use doorward_domain::{AccessList, CatalogKind, Gateway, GatewayId, Permission, User, UserId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

/// Tools of one gateway that may have lists of their own.
const LISTED_MAX: usize = 500;

/// The longest name of a tool that may have one, in characters.
const NAME_MAX: usize = 256;

/// What is hidden from most people at most gateways.
static NONE: LazyLock<Arc<BTreeSet<String>>> = LazyLock::new(Arc::default);

impl Broker {
    /// The tools of a gateway as it stands now that are not for this person, who may use the gateway. It is the same set
    /// until something changes.
    pub async fn hidden_tools(
        &self,
        user: &User,
        gateway: GatewayId,
    ) -> Result<Arc<BTreeSet<String>>, BrokerError> {
        let directory = self.directory().await?;
        let found = directory.get(gateway).filter(|gateway| !gateway.tool_access.is_empty());
        // Those who manage gateways may use everything.
        let Some(gateway) = found.filter(|_| !user.role.may(Permission::ManageGateways)) else {
            return Ok(Arc::clone(&NONE));
        };
        let id = gateway.id;
        // What is kept is made of what is read from here on: a change meanwhile makes it anew.
        let find = async {
            let (directory, groups) = (self.directory().await?, self.groups_of(user.id).await?);
            let lists = directory.get(id).into_iter().flat_map(|gateway| &gateway.tool_access);
            let hidden = lists.filter(|(_, access)| !access.admits(user.id, &groups));
            let hidden: BTreeSet<String> = hidden.map(|(tool, _)| tool.clone()).collect();
            Ok::<_, BrokerError>(Some(Arc::new(hidden)))
        };
        let fresh = self.storage().feed_is_fresh();
        let hidden = self.caches.hidden_tools.get_or_load(&(user.id, id), fresh, find).await?;
        Ok(hidden.unwrap_or_else(|| Arc::clone(&NONE)))
    }

    /// Whether somebody who began to use a tool may still use it, as far as its own list says.
    pub async fn may_use_tools(
        &self,
        user: UserId,
        gateway: GatewayId,
    ) -> Result<impl Fn(&str) -> bool + use<>, BrokerError> {
        let user = self.active_user(user).await?;
        let hidden = match &user {
            Some(user) => self.hidden_tools(user, gateway).await?,
            None => Arc::clone(&NONE),
        };
        Ok(move |tool: &str| user.is_some() && !hidden.contains(tool))
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
