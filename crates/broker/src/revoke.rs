//! Ending grants by a person's hand, and asking for a new authorization short of that. What is answered is true:
//! no later call is served, on any replica. What the provider is told of comes afterwards (`provider_told`).

use crate::{Broker, BrokerError, Caller};
use doorward_domain::{
    EndCause, EndedGrant, GatewayId, GrantId, GrantOwner, Page, PageRequest, Permission, ProviderEnd,
};
use doorward_storage::{End, EndedFilter};

/// The longest reason that is kept, in characters.
const REASON_MAX: usize = 500;

const MISSING: BrokerError = BrokerError::NotFound { what: "OAuth token" };

impl Broker {
    /// Ends anybody's grant.
    pub async fn revoke(
        &self,
        caller: &Caller,
        id: GrantId,
        reason: Option<&str>,
        provider: ProviderEnd,
    ) -> Result<EndedGrant, BrokerError> {
        caller.require(Permission::RevokeGrants)?;
        let reason = reason.map(checked_reason).transpose()?;
        self.end(caller, id, EndCause::Revoked, reason.as_deref(), provider).await?.ok_or(MISSING)
    }

    /// Ends the caller's own grant at a gateway.
    pub async fn disconnect(
        &self,
        caller: &Caller,
        id: GatewayId,
        provider: ProviderEnd,
    ) -> Result<EndedGrant, BrokerError> {
        let missing = || BrokerError::NotFound { what: "connection" };
        if caller.api_token().is_some_and(|token| !token.allows(id)) {
            return Err(missing());
        }
        let owner = GrantOwner::User(caller.user.id);
        let grant = self.storage().grant_of(owner, id).await?.ok_or_else(missing)?;
        self.end(caller, grant.id, EndCause::Disconnected, None, provider).await?.ok_or_else(missing)
    }

    async fn end(
        &self,
        caller: &Caller,
        id: GrantId,
        cause: EndCause,
        reason: Option<&str>,
        provider: ProviderEnd,
    ) -> Result<Option<EndedGrant>, BrokerError> {
        let address = caller.address.as_deref();
        let end = End { address, reason, provider, ..End::by(cause, &caller.actor()) };
        if self.storage().end_grants(&[id], &end).await? == 0 {
            return Ok(None);
        }
        Ok(self.storage().ended_grant(id).await?)
    }

    /// Makes a grant ask its user to authorize again at the next use; other grants live on (M7).
    pub async fn require_authorization(
        &self,
        caller: &Caller,
        id: GrantId,
        reason: Option<&str>,
    ) -> Result<(), BrokerError> {
        caller.require(Permission::RevokeGrants)?;
        let mut event = caller.event("grant.reauthorize");
        if let Some(reason) = reason {
            event = event.detail("reason", checked_reason(reason)?);
        }
        match self.storage().require_authorization(&[id], &event).await? {
            0 => Err(MISSING),
            _ => Ok(()),
        }
    }

    /// What is left of grants, newest first.
    pub async fn ended_grants(
        &self,
        caller: &Caller,
        filter: &EndedFilter,
        page: &PageRequest,
    ) -> Result<Page<EndedGrant>, BrokerError> {
        caller.require(Permission::ReadGrants)?;
        Ok(self.storage().ended_grants(filter, page).await?)
    }

    /// What is left of a grant that was the caller's own.
    pub async fn own_ended_grant(&self, caller: &Caller, id: GrantId) -> Result<EndedGrant, BrokerError> {
        let ended = self.storage().ended_grant(id).await?;
        let own = ended.filter(|ended| ended.owner == GrantOwner::User(caller.user.id));
        own.ok_or(BrokerError::NotFound { what: "ended connection" })
    }

    /// What is left of one grant.
    pub async fn ended_grant(&self, caller: &Caller, id: GrantId) -> Result<EndedGrant, BrokerError> {
        caller.require(Permission::ReadGrants)?;
        self.storage().ended_grant(id).await?.ok_or(BrokerError::NotFound { what: "ended OAuth token" })
    }
}

/// A reason in somebody's words: one line that is not empty, and not too long.
pub(crate) fn checked_reason(reason: &str) -> Result<String, BrokerError> {
    let reason = reason.trim();
    if reason.is_empty() || reason.chars().count() > REASON_MAX || reason.chars().any(char::is_control) {
        let problem = format!("say why in one line of at most {REASON_MAX} characters");
        return Err(BrokerError::invalid("reason", problem));
    }
    Ok(reason.to_owned())
}
