//! All gateways, in memory: there are tens of them, and every call looks one up.

use crate::{Broker, BrokerError, Caller};
use doorward_domain::{Gateway, GatewayId, GatewayState, GroupId, Permission, Slug, User, UserId};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Every gateway, by slug order and by key.
#[derive(Debug, Default)]
pub(crate) struct Directory {
    by_slug: Vec<Arc<Gateway>>,
    by_id: HashMap<GatewayId, Arc<Gateway>>,
    identity_providers: HashSet<GatewayId>,
}

impl Directory {
    fn new(gateways: Vec<Gateway>) -> Self {
        let mut by_slug: Vec<_> = gateways.into_iter().map(Arc::new).collect();
        by_slug.sort_by(|a, b| a.slug.cmp(&b.slug));
        let by_id = by_slug.iter().map(|gateway| (gateway.id, Arc::clone(gateway))).collect();
        let identity_providers =
            by_slug.iter().filter_map(|gateway| gateway.oauth()?.identity_provider).collect();
        Self { by_slug, by_id, identity_providers }
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<Gateway>> {
        self.by_slug.iter()
    }

    pub(crate) fn get(&self, id: GatewayId) -> Option<&Arc<Gateway>> {
        self.by_id.get(&id)
    }

    /// Whether other gateways get their users' tokens in exchange for what these have there.
    pub(crate) fn is_identity_provider(&self, id: GatewayId) -> bool {
        self.identity_providers.contains(&id)
    }

    /// The gateways whose identity provider it is.
    pub(crate) fn relying_on(&self, id: GatewayId) -> impl Iterator<Item = &Arc<Gateway>> {
        let named = move |gateway: &&Arc<Gateway>| {
            gateway.oauth().is_some_and(|settings| settings.identity_provider == Some(id))
        };
        self.all().filter(named)
    }

    fn get_by_slug(&self, slug: &Slug) -> Option<&Arc<Gateway>> {
        let at = self.by_slug.binary_search_by(|gateway| gateway.slug.cmp(slug)).ok()?;
        self.by_slug.get(at)
    }
}

/// Whether a caller may look at a gateway's settings: whoever sees it, and those who read all of them.
fn reads(caller: &Caller, groups: &[GroupId], gateway: &Gateway) -> bool {
    let token_allows = caller.api_token().is_none_or(|token| token.allows(gateway.id));
    sees(caller, groups, gateway) || (caller.may(Permission::ReadGateways) && token_allows)
}

/// Whether a gateway is for a person who is in these groups: the one rule for lists, calls and pages. What
/// follows from it for grants stands in the storage's `orphan.rs`.
fn is_for(user: &User, groups: &[GroupId], gateway: &Gateway) -> bool {
    let is_named = match gateway.state {
        GatewayState::Published => gateway.access.admits(user.id, groups),
        GatewayState::Draft | GatewayState::Disabled => false,
    };
    is_named || user.role.may(Permission::ManageGateways)
}

/// Whether a caller sees a gateway at all: it is for them, and for the API token they came with.
fn sees(caller: &Caller, groups: &[GroupId], gateway: &Gateway) -> bool {
    is_for(&caller.user, groups, gateway) && caller.api_token().is_none_or(|token| token.allows(gateway.id))
}

impl Broker {
    pub(crate) async fn directory(&self) -> Result<Arc<Directory>, BrokerError> {
        let storage = self.storage();
        let load = async {
            let gateways = storage.all_gateways().await?;
            Ok::<_, BrokerError>(Some(Arc::new(Directory::new(gateways))))
        };
        let directory = self.caches.directory.get_or_load(&(), storage.feed_is_fresh(), load).await?;
        Ok(directory.unwrap_or_default())
    }

    /// The groups that a person is in.
    pub(crate) async fn groups_of(&self, user: UserId) -> Result<Arc<[GroupId]>, BrokerError> {
        let storage = self.storage();
        let load = async { Ok::<_, BrokerError>(Some(storage.groups_of(user).await?.into())) };
        let groups = self.caches.groups.get_or_load(&user, storage.feed_is_fresh(), load).await?;
        Ok(groups.unwrap_or_default())
    }

    /// Whether somebody who began to use a gateway may still use it.
    pub async fn may_use(&self, user: UserId, gateway: GatewayId) -> Result<bool, BrokerError> {
        let Some(user) = self.active_user(user).await? else { return Ok(false) };
        let (directory, groups) = (self.directory().await?, self.groups_of(user.id).await?);
        let usable = directory.get(gateway).filter(|gateway| gateway.state != GatewayState::Disabled);
        Ok(usable.is_some_and(|gateway| is_for(&user, &groups, gateway)))
    }

    /// The gateways that a caller sees, by slug: published ones that are for them, and for those who manage
    /// gateways all.
    pub async fn gateways(&self, caller: &Caller) -> Result<Vec<Arc<Gateway>>, BrokerError> {
        let (directory, groups) = (self.directory().await?, self.groups_of(caller.user.id).await?);
        Ok(directory.by_slug.iter().filter(|gateway| sees(caller, &groups, gateway)).cloned().collect())
    }

    /// The gateways that a caller may look at, by slug: for those who read settings, drafts and disabled ones
    /// too. To look is not to use.
    pub async fn readable_gateways(&self, caller: &Caller) -> Result<Vec<Arc<Gateway>>, BrokerError> {
        let (directory, groups) = (self.directory().await?, self.groups_of(caller.user.id).await?);
        Ok(directory.by_slug.iter().filter(|gateway| reads(caller, &groups, gateway)).cloned().collect())
    }

    /// One gateway that the caller may look at.
    pub async fn readable_gateway(
        &self,
        caller: &Caller,
        id: GatewayId,
    ) -> Result<Arc<Gateway>, BrokerError> {
        let (directory, groups) = (self.directory().await?, self.groups_of(caller.user.id).await?);
        let found = directory.get(id).filter(|gateway| reads(caller, &groups, gateway));
        found.cloned().ok_or(BrokerError::NotFound { what: "gateway" })
    }

    /// The gateways that a caller can use: those seen, but for disabled ones.
    pub async fn usable_gateways(&self, caller: &Caller) -> Result<Vec<Arc<Gateway>>, BrokerError> {
        let mut gateways = self.gateways(caller).await?;
        gateways.retain(|gateway| gateway.state != GatewayState::Disabled);
        Ok(gateways)
    }

    /// The usable gateways that stand for an MCP server: those but for identity providers, which only say who
    /// somebody is.
    pub async fn served_gateways(&self, caller: &Caller) -> Result<Vec<Arc<Gateway>>, BrokerError> {
        let directory = self.directory().await?;
        let mut gateways = self.usable_gateways(caller).await?;
        gateways.retain(|gateway| !directory.is_identity_provider(gateway.id));
        Ok(gateways)
    }

    /// One gateway that the caller sees.
    pub async fn gateway(&self, caller: &Caller, id: GatewayId) -> Result<Arc<Gateway>, BrokerError> {
        let (directory, groups) = (self.directory().await?, self.groups_of(caller.user.id).await?);
        let found = directory.get(id).filter(|gateway| sees(caller, &groups, gateway));
        found.cloned().ok_or(BrokerError::NotFound { what: "gateway" })
    }

    /// One gateway that the caller sees, by slug.
    pub async fn gateway_by_slug(&self, caller: &Caller, slug: &str) -> Result<Arc<Gateway>, BrokerError> {
        let (directory, groups) = (self.directory().await?, self.groups_of(caller.user.id).await?);
        let found = Slug::parse(slug)
            .ok()
            .and_then(|slug| directory.get_by_slug(&slug).cloned())
            .filter(|gateway| sees(caller, &groups, gateway));
        found.ok_or(BrokerError::NotFound { what: "gateway" })
    }
}
