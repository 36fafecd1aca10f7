//! Virtual servers: who sees them, and how they are made and changed.

use crate::gateway_input::{checked_name, checked_slug, slug_from_name};
use crate::{Broker, BrokerError, Caller};
use doorward_domain::virtual_server::{EXPOSED_NAME_MAX, is_exposable};
use doorward_domain::{
    AccessList, CatalogKind, GroupId, Permission, ServerItem, VirtualServer, VirtualServerId,
};
use doorward_storage::{Inserted, Updated};
use std::collections::BTreeSet;
use std::sync::Arc;

/// What one virtual server may offer.
const ITEMS_MAX: usize = 1_000;

/// A virtual server as typed. In an update, none means unchanged.
#[derive(Debug, Clone, Default)]
pub struct VirtualServerInput {
    pub slug: Option<String>,
    pub name: Option<String>,
    pub access: Option<AccessList>,
    pub items: Option<Vec<ServerItem>>,
}

/// Whether a virtual server is for a caller; what it shows of each gateway is another matter.
fn is_for(caller: &Caller, groups: &[GroupId], server: &VirtualServer) -> bool {
    caller.may(Permission::ManageGateways) || server.access.admits(caller.user.id, groups)
}

/// Whether a caller may look at it: whoever may use it, and those who read all settings.
fn reads(caller: &Caller, groups: &[GroupId], server: &VirtualServer) -> bool {
    caller.may(Permission::ReadGateways) || is_for(caller, groups, server)
}

impl Broker {
    async fn server_list(&self) -> Result<Arc<[Arc<VirtualServer>]>, BrokerError> {
        let storage = self.storage();
        let load = async {
            let servers = storage.virtual_servers().await?;
            Ok::<_, BrokerError>(Some(servers.into_iter().map(Arc::new).collect()))
        };
        let servers = self.caches.virtual_servers.get_or_load(&(), storage.feed_is_fresh(), load).await?;
        Ok(servers.unwrap_or_default())
    }

    /// The virtual servers that a caller may look at, by slug.
    pub async fn virtual_servers(&self, caller: &Caller) -> Result<Vec<Arc<VirtualServer>>, BrokerError> {
        let (servers, groups) = (self.server_list().await?, self.groups_of(caller.user.id).await?);
        Ok(servers.iter().filter(|server| reads(caller, &groups, server)).cloned().collect())
    }

    /// One virtual server that the caller may look at.
    pub async fn virtual_server(
        &self,
        caller: &Caller,
        id: VirtualServerId,
    ) -> Result<Arc<VirtualServer>, BrokerError> {
        let mut servers = self.virtual_servers(caller).await?.into_iter();
        servers.find(|server| server.id == id).ok_or(NO_SERVER)
    }

    /// One virtual server that the caller may use, by slug.
    pub async fn virtual_server_by_slug(
        &self,
        caller: &Caller,
        slug: &str,
    ) -> Result<Arc<VirtualServer>, BrokerError> {
        let (servers, groups) = (self.server_list().await?, self.groups_of(caller.user.id).await?);
        let found = servers.iter().find(|server| server.slug.as_str() == slug);
        found.filter(|server| is_for(caller, &groups, server)).cloned().ok_or(NO_SERVER)
    }

    /// Makes a virtual server.
    pub async fn create_virtual_server(
        &self,
        caller: &Caller,
        input: VirtualServerInput,
    ) -> Result<Arc<VirtualServer>, BrokerError> {
        caller.require(Permission::ManageGateways)?;
        let name = checked_name(input.name.as_deref().unwrap_or_default())?;
        let slug = input.slug.as_deref().map_or_else(|| slug_from_name(&name), checked_slug)?;
        let now = self.now();
        let server = VirtualServer {
            id: self.parts.entropy.id(now),
            slug,
            name,
            access: self.checked_access(input.access.unwrap_or_default()).await?,
            items: self.checked_items(input.items.unwrap_or_default(), &[]).await?,
            created_at: now,
            updated_at: now,
            version: 1,
        };
        let event = caller.event("server.create").subject(server.id).detail("slug", &server.slug);
        let event = event.detail("access", server.access.to_string()).detail("items", server.items.len());
        match self.storage().insert_virtual_server(&server, event).await? {
            Inserted::Yes => self.virtual_server(caller, server.id).await,
            Inserted::Conflict => {
                Err(BrokerError::conflict("slug", "another virtual server has this slug: choose another"))
            }
        }
    }

    /// Changes a virtual server; a list that is given replaces the one that was there.
    pub async fn update_virtual_server(
        &self,
        caller: &Caller,
        id: VirtualServerId,
        version: Option<i64>,
        input: VirtualServerInput,
    ) -> Result<Arc<VirtualServer>, BrokerError> {
        caller.require(Permission::ManageGateways)?;
        let before = self.virtual_server(caller, id).await?;
        if version.is_some_and(|version| version != before.version) {
            return Err(BrokerError::VersionMismatch);
        }
        if input.slug.as_deref().is_some_and(|slug| slug != before.slug.as_str()) {
            let problem = "a slug never changes: create another virtual server instead";
            return Err(BrokerError::invalid("slug", problem));
        }
        let mut after = VirtualServer::clone(&before);
        if let Some(name) = &input.name {
            after.name = checked_name(name)?;
        }
        if let Some(access) = input.access {
            after.access = self.checked_access(access).await?;
        }
        if let Some(items) = input.items {
            after.items = self.checked_items(items, &before.items).await?;
        }
        after.updated_at = self.now();
        let mut event = caller.event("server.update").subject(id).detail("slug", &after.slug);
        if before.access != after.access {
            event = event.detail("access_before", before.access.to_string());
            event = event.detail("access", after.access.to_string());
        }
        event = event.detail("items", after.items.len());
        match self.storage().update_virtual_server(&after, event).await? {
            Updated::Yes => self.virtual_server(caller, id).await,
            Updated::VersionMismatch => Err(BrokerError::VersionMismatch),
            Updated::Missing => Err(NO_SERVER),
        }
    }

    /// Deletes a virtual server. Its gateways and everyone's grants there stay.
    pub async fn delete_virtual_server(
        &self,
        caller: &Caller,
        id: VirtualServerId,
        version: Option<i64>,
    ) -> Result<(), BrokerError> {
        caller.require(Permission::ManageGateways)?;
        let server = self.virtual_server(caller, id).await?;
        let event = caller.event("server.delete").subject(id).detail("slug", &server.slug);
        match self.storage().delete_virtual_server(id, version, event).await? {
            Updated::Yes => Ok(()),
            Updated::VersionMismatch => Err(BrokerError::VersionMismatch),
            Updated::Missing => Err(NO_SERVER),
        }
    }

    /// Items of gateways that there are, each once, with names that clients can tell apart.
    async fn checked_items(
        &self,
        items: Vec<ServerItem>,
        before: &[ServerItem],
    ) -> Result<Vec<ServerItem>, BrokerError> {
        if items.len() > ITEMS_MAX {
            return Err(BrokerError::invalid("items", format!("choose at most {ITEMS_MAX}")));
        }
        let directory = self.directory().await?;
        let (mut chosen, mut given) = (BTreeSet::new(), BTreeSet::new());
        for item in &items {
            // A gateway that was deleted a moment ago is no mistake of whoever edits the rest.
            let is_known = directory.get(item.gateway_id).is_some()
                || before.iter().any(|before| before.gateway_id == item.gateway_id);
            if !is_known {
                let problem = format!("there is no gateway {}", item.gateway_id);
                return Err(BrokerError::invalid("items.gateway_id", problem));
            }
            if item.name.is_empty() || item.name.len() > 1_000 || item.name.contains('\0') {
                return Err(BrokerError::invalid("items.name", "use 1 to 1000 bytes"));
            }
            if !chosen.insert((item.gateway_id, item.kind, &item.name)) {
                return Err(BrokerError::invalid("items", format!("{:?} is there twice", item.name)));
            }
            let Some(exposed) = &item.exposed else { continue };
            checked_exposed(item.kind, exposed)?;
            if !given.insert((item.kind, exposed)) {
                let problem = format!("two of them cannot both be called {exposed:?}");
                return Err(BrokerError::invalid("items.exposed_name", problem));
            }
        }
        Ok(items)
    }
}

fn checked_exposed(kind: CatalogKind, exposed: &str) -> Result<(), BrokerError> {
    let problem = match kind {
        CatalogKind::Resource | CatalogKind::ResourceTemplate => {
            "resources keep their URIs: leave it out".to_owned()
        }
        CatalogKind::Tool | CatalogKind::Prompt if is_exposable(exposed) => return Ok(()),
        CatalogKind::Tool | CatalogKind::Prompt => {
            format!("use 1 to {EXPOSED_NAME_MAX} of A-Z, a-z, 0-9, '_', '.' and '-'")
        }
    };
    Err(BrokerError::invalid("items.exposed_name", problem))
}

const NO_SERVER: BrokerError = BrokerError::NotFound { what: "virtual server" };
