//! Doorward's own credential for clients and scripts: shown once, stored hashed, with an audience and an end.

use crate::clock::Timestamp;
use crate::ids::{ApiTokenId, GatewayId, UserId};
use crate::sealed::TokenHash;
use serde::{Deserialize, Serialize};

/// What a token opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Audience {
    /// The MCP endpoints.
    Mcp,
    /// The user's own REST: connections, catalog, API tokens.
    #[serde(rename = "self")]
    Own,
    /// Everything that the user's role may do over REST.
    Admin,
}

impl Audience {
    /// As REST and the database spell it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mcp => "mcp",
            Self::Own => "self",
            Self::Admin => "admin",
        }
    }
}

/// How every API token begins, so that scanners find leaked ones.
pub const API_TOKEN_PREFIX: &str = "dw_";

/// Days until an API token ends, where nobody says otherwise.
pub const API_TOKEN_DEFAULT_DAYS: u32 = 90;

/// An API token, without its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiToken {
    pub id: ApiTokenId,
    pub user_id: UserId,
    pub name: String,
    pub hash: TokenHash,
    /// The first characters after the prefix, for recognition.
    pub hint: String,
    pub audience: Audience,
    /// None: every gateway that the user may use.
    pub gateways: Option<Vec<GatewayId>>,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    pub last_used_at: Option<Timestamp>,
    /// When somebody ended it.
    pub ended_at: Option<Timestamp>,
}

impl ApiToken {
    /// Whether it opens anything at `now`.
    pub fn lives(&self, now: Timestamp) -> bool {
        self.ended_at.is_none() && now < self.expires_at
    }

    /// Whether it may be used at a gateway.
    pub fn allows(&self, gateway: GatewayId) -> bool {
        self.gateways.as_ref().is_none_or(|allowed| allowed.contains(&gateway))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn a_token_lives_until_its_end_and_opens_only_its_gateways() {
        let gateway = GatewayId(Uuid::from_u128(1));
        let token = ApiToken {
            id: ApiTokenId(Uuid::nil()),
            user_id: UserId(Uuid::nil()),
            name: "laptop".into(),
            hash: TokenHash([0; 32]),
            hint: "abcd".into(),
            audience: Audience::Mcp,
            gateways: Some(vec![gateway]),
            created_at: Timestamp::from_millis(0),
            expires_at: Timestamp::from_millis(10),
            last_used_at: None,
            ended_at: None,
        };
        assert!(token.lives(Timestamp::from_millis(9)));
        assert!(!token.lives(Timestamp::from_millis(10)));
        assert!(token.allows(gateway) && !token.allows(GatewayId(Uuid::nil())));
        let ended = ApiToken { ended_at: Some(Timestamp::from_millis(1)), gateways: None, ..token };
        assert!(!ended.lives(Timestamp::from_millis(2)));
        assert!(ended.allows(GatewayId(Uuid::nil())));
        assert_eq!(Audience::Own.as_str(), "self");
        assert_eq!(Audience::Admin.as_str(), "admin");
        assert_eq!(Audience::Mcp.as_str(), "mcp");
    }
}
