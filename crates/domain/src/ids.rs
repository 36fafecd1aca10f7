//! Identifiers: UUIDv7, so that rows sort by birth. Each subject has a type of its own.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! id {
    ($(#[$doc:meta] $name:ident),* $(,)?) => {$(
        #[$doc]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::parse_str(text).map(Self)
            }
        }

        impl From<Uuid> for $name {
            fn from(uuid: Uuid) -> Self {
                Self(uuid)
            }
        }
    )*};
}

id! {
    /// A registered upstream MCP server.
    GatewayId,
    /// A person.
    UserId,
    /// People who are given access together.
    GroupId,
    /// A named selection out of several gateways.
    VirtualServerId,
    /// One user's standing permission at one gateway.
    GrantId,
    /// The pending browser round trip to an authorization server.
    AuthorizationRequestId,
    /// One browser round trip, as the flow inspector shows it.
    AuthorizationAttemptId,
    /// A link that asks one user to authorize one gateway.
    ConnectRequestId,
    /// Our client id and secret at one issuer for one gateway.
    ClientRegistrationId,
    /// Doorward's own credential for clients and scripts.
    ApiTokenId,
    /// One row of the audit trail.
    AuditEventId,
    /// One bulk revocation, or bulk force of re-authorization.
    BulkJobId,
    /// A login in a browser.
    BrowserSessionId,
    /// One run of cleanup.
    CleanupRunId,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_what_it_prints() {
        let text = "0190f5d2-7c1e-7000-8000-000000000001";
        let id: GatewayId = text.parse().unwrap();
        assert_eq!(id.to_string(), text);
        assert!("github".parse::<GatewayId>().is_err());
    }
}
