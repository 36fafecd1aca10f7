//! A virtual server: a named selection out of several gateways, at an address of its own.

use crate::access_list::AccessList;
use crate::catalog::CatalogKind;
use crate::clock::Timestamp;
use crate::ids::{GatewayId, VirtualServerId};
use crate::slug::Slug;

/// A named selection of tools, resources and prompts of several gateways.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VirtualServer {
    pub id: VirtualServerId,
    /// Its address is `/servers/{slug}/mcp`; it never changes.
    pub slug: Slug,
    pub name: String,
    /// Who may use it. What it shows of a gateway is for those alone who may use that gateway too.
    pub access: AccessList,
    /// In the order in which they were chosen.
    pub items: Vec<ServerItem>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// Grows by one with each update; the ETag of REST answers.
    pub version: i64,
}

/// One thing that a virtual server offers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ServerItem {
    pub gateway_id: GatewayId,
    pub kind: CatalogKind,
    /// What the gateway calls it: the name of a tool or prompt, the URI of a resource, a URI template.
    pub name: String,
    /// What clients see in place of the usual name; of tools and prompts alone.
    pub exposed: Option<String>,
}

impl VirtualServer {
    /// Whether it offers something of a gateway.
    pub fn has_gateway(&self, gateway: GatewayId) -> bool {
        self.items.iter().any(|item| item.gateway_id == gateway)
    }

    /// The item that stands for something of a gateway, if it is chosen.
    pub fn item(&self, gateway: GatewayId, kind: CatalogKind, name: &str) -> Option<&ServerItem> {
        self.items.iter().find(|item| item.gateway_id == gateway && item.kind == kind && item.name == name)
    }

    /// The item to which a name was given.
    pub fn given(&self, kind: CatalogKind, exposed: &str) -> Option<&ServerItem> {
        self.items.iter().find(|item| item.kind == kind && item.exposed.as_deref() == Some(exposed))
    }
}

/// The longest name that clients accept (2025-11-25, tools).
pub const EXPOSED_NAME_MAX: usize = 128;

/// Whether a name may be given to a tool or prompt: `[A-Za-z0-9_.-]{1,128}`.
pub fn is_exposable(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    (1..=EXPOSED_NAME_MAX).contains(&name.len()) && name.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_given_name_is_one_that_clients_accept() {
        for good in ["search", "a.b-c_D9", &"x".repeat(128)] {
            assert!(is_exposable(good), "{good}");
        }
        for bad in ["", "a b", "ä", "a/b", &"x".repeat(129)] {
            assert!(!is_exposable(bad), "{bad}");
        }
    }
}
