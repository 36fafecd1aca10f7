//! A link that asks one user to authorize one gateway. One is pending per (user, gateway, client);
//! opening it consumes nothing.

use crate::clock::Timestamp;
use crate::ids::{ConnectRequestId, GatewayId, UserId};
use std::time::Duration;

/// How long a link asks; after that its owner may start again.
pub const CONNECT_REQUEST_LIFETIME: Duration = Duration::from_secs(10 * 60);

/// One pending ask. Its id is in the link: it names the ask, and is no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectRequest {
    pub id: ConnectRequestId,
    pub user_id: UserId,
    pub gateway_id: GatewayId,
    /// The MCP client's own name for itself, cut to 100 characters; empty when unknown.
    pub client_name: String,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    /// When the user had authorized.
    pub completed_at: Option<Timestamp>,
}
