//! What the change feed carries: which thing changed, by id alone. Caches drop the thing and read again.

use crate::ids::{ApiTokenId, ConnectRequestId, GatewayId, GrantId, UserId, VirtualServerId};

/// One thing that changed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Change {
    /// A gateway was created, edited or deleted.
    Gateway(GatewayId),
    /// A virtual server was created, edited or deleted.
    VirtualServer(VirtualServerId),
    /// A person was created, edited or deleted, or joined or left a group.
    User(UserId),
    /// An API token was created or ended.
    ApiToken(ApiTokenId),
    /// A user's grant was stored, refreshed or parked.
    Grant { user: UserId, gateway: GatewayId, grant: GrantId },
    /// A user's grant has ended or was orphaned: what runs under it is cut.
    GrantEnded { user: UserId, gateway: GatewayId, grant: GrantId },
    /// A gateway's own grant was stored, refreshed or parked.
    ServiceGrant { gateway: GatewayId, grant: GrantId },
    /// A gateway's own grant has ended or was orphaned: what runs under it is cut.
    ServiceGrantEnded { gateway: GatewayId, grant: GrantId },
    /// A catalog was read: one user's, or the shared one.
    Catalog { gateway: GatewayId, user: Option<UserId> },
    /// A user authorized after a call had asked.
    ConnectRequest(ConnectRequestId),
}

impl Change {
    /// Whether whoever causes it is answered only when every replica has applied it, because it may take
    /// something away: an ended grant or token, a disabled person or gateway.
    pub fn is_awaited(&self) -> bool {
        match self {
            Self::Gateway(_)
            | Self::VirtualServer(_)
            | Self::User(_)
            | Self::ApiToken(_)
            | Self::GrantEnded { .. }
            | Self::ServiceGrantEnded { .. } => true,
            Self::Grant { .. }
            | Self::ServiceGrant { .. }
            | Self::Catalog { .. }
            | Self::ConnectRequest(_) => false,
        }
    }
}
