//! A login in a browser, and a legacy MCP client's protocol session. Two different things.

use crate::clock::Timestamp;
use crate::ids::{ApiTokenId, BrowserSessionId, UserId};
use crate::policy::SessionPolicy;
use crate::sealed::TokenHash;
use std::time::Duration;

/// An MCP session ends after this long without a request.
pub const MCP_SESSION_IDLE: Duration = Duration::from_secs(24 * 3_600);

/// A login in a browser. The cookie's value is stored as a hash only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrowserSession {
    pub id: BrowserSessionId,
    pub hash: TokenHash,
    pub user_id: UserId,
    /// Where the login came from.
    pub address: Option<String>,
    pub created_at: Timestamp,
    pub last_seen_at: Timestamp,
    /// When the person last showed that it is they: at the login, or in it again.
    pub authenticated_at: Timestamp,
    pub expires_at: Timestamp,
}

impl BrowserSession {
    /// When it ends if nobody uses it any more. A limit that was shortened holds for logins from before, too.
    pub fn ends_at(&self, policy: &SessionPolicy) -> Timestamp {
        self.ends_at_the_latest(policy).min(self.last_seen_at.plus(policy.idle))
    }

    /// When it ends however much it is used.
    pub fn ends_at_the_latest(&self, policy: &SessionPolicy) -> Timestamp {
        self.expires_at.min(self.created_at.plus(policy.lifetime))
    }

    /// Whether its cookie still opens anything.
    pub fn lives(&self, policy: &SessionPolicy, now: Timestamp) -> bool {
        now < self.ends_at(policy)
    }
}

/// A legacy MCP client's protocol session, bound to the user and the API token that opened it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct McpSession {
    pub hash: TokenHash,
    pub user_id: UserId,
    pub api_token_id: ApiTokenId,
    /// What it is a session with: `/mcp` or one gateway's endpoint.
    pub endpoint: String,
    /// The negotiated protocol version, e.g. `2025-11-25`.
    pub protocol_version: String,
    pub client_name: String,
    /// The client's `capabilities` object, as it sent it (JSON).
    pub capabilities: String,
    pub created_at: Timestamp,
    pub last_seen_at: Timestamp,
}
