//! A user's own grants: what is connected, and how it fares.

use crate::{Broker, BrokerError, Caller};
use doorward_domain::{Gateway, GatewayId, Grant, GrantOwner, GrantType, Health, Removal};
use std::sync::Arc;

/// One gateway, and the caller's grant there.
#[derive(Debug, Clone)]
pub struct Connection {
    pub gateway: Arc<Gateway>,
    pub status: ConnectionStatus,
    pub grant: Option<Grant>,
    /// When cleanup will end it, told 14 days ahead.
    pub removal: Option<Removal>,
}

/// How a connection fares, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectionStatus {
    /// The gateway needs no authorization of the user's.
    NotNeeded,
    /// The user has not authorized it.
    NotConnected,
    /// There is a grant.
    Connected(Health),
}

impl Broker {
    /// Every gateway that the caller can use, with their grant there; what needs attention comes first.
    pub async fn connections(&self, caller: &Caller) -> Result<Vec<Connection>, BrokerError> {
        let grants = self.storage().grants_of_user(caller.user.id).await?;
        let mut connections: Vec<Connection> = self
            .usable_gateways(caller)
            .await?
            .into_iter()
            .map(|gateway| {
                let grant = grants.iter().find(|grant| grant.gateway_id == gateway.id).cloned();
                self.connection_to(gateway, grant)
            })
            .collect();
        connections.sort_by_key(|connection| attention(connection.status));
        Ok(connections)
    }

    /// The caller's own connection to one gateway.
    pub async fn connection(&self, caller: &Caller, id: GatewayId) -> Result<Connection, BrokerError> {
        let gateway = self.gateway(caller, id).await?;
        let grant = self.storage().grant_of(GrantOwner::User(caller.user.id), id).await?;
        Ok(self.connection_to(gateway, grant))
    }

    fn connection_to(&self, gateway: Arc<Gateway>, grant: Option<Grant>) -> Connection {
        let status = match &grant {
            None if gateway
                .oauth()
                .is_none_or(|settings| settings.grant_type != GrantType::AuthorizationCode) =>
            {
                ConnectionStatus::NotNeeded
            }
            None => ConnectionStatus::NotConnected,
            Some(grant) => ConnectionStatus::Connected(grant.health(self.now(), self.policy().expiring_soon)),
        };
        let kept_alive = gateway.oauth().is_some_and(|settings| settings.keep_alive);
        let cleanup = &self.policy().cleanup;
        let removal =
            grant.as_ref().and_then(|grant| grant.announced_removal(cleanup, kept_alive, self.now()));
        Connection { gateway, status, grant, removal }
    }
}

fn attention(status: ConnectionStatus) -> u8 {
    match status {
        ConnectionStatus::Connected(Health::Valid) => 2,
        ConnectionStatus::Connected(_) => 0,
        ConnectionStatus::NotConnected => 1,
        ConnectionStatus::NotNeeded => 3,
    }
}
