//! "Refresh now": an administrator asks for a fresh token, and is told what came of it.

use crate::refresh::Refreshed;
use crate::refresh_attempt::{Need, RefreshPath};
use crate::{Broker, BrokerError, Caller};
use doorward_domain::{Grant, GrantId, GrantOwner, GrantState, Permission};
use std::sync::Arc;
use std::time::Duration;

/// What came of it.
#[derive(Debug, Clone)]
pub enum RefreshedNow {
    /// There is a fresh token.
    Fresh(Arc<Grant>),
    /// Only its user, or whoever gives the access back, can mend it.
    Lasting { problem: String, reference: Option<String> },
    /// Not just now; the grant is kept.
    Later { problem: String, retry_after: Option<Duration>, reference: Option<String> },
}

impl Broker {
    /// Refreshes one grant, whoever's it is and however long its token would still live.
    pub async fn refresh_now(&self, caller: &Caller, id: GrantId) -> Result<RefreshedNow, BrokerError> {
        caller.require(Permission::RevokeGrants)?;
        let missing = || BrokerError::NotFound { what: "OAuth token" };
        let grant = self.storage().grant(id).await?.ok_or_else(missing)?;
        let directory = self.directory().await?;
        let gateway = directory.get(grant.gateway_id).ok_or_else(missing)?;
        let mut event = caller.event("grant.refresh_now").subject(id).detail("gateway", &gateway.slug);
        if let GrantOwner::User(user) = grant.owner {
            event = event.concerning(user);
        }
        self.storage().record(event).await?;
        if let Some(problem) = hopeless(&grant) {
            return Ok(RefreshedNow::Lasting { problem: problem.to_owned(), reference: grant.reference });
        }
        let need = Need::Newer { than: grant.refresh_number };
        Ok(match self.refreshed(id, gateway, need, RefreshPath::RefreshNow).await? {
            Refreshed::Usable(fresh) => RefreshedNow::Fresh(fresh),
            Refreshed::MustAuthorize { reference } => RefreshedNow::Lasting {
                problem: "The provider gave no token: the user has to authorize again.".to_owned(),
                reference,
            },
            Refreshed::Later { problem, retry_after, reference } => {
                RefreshedNow::Later { problem, retry_after, reference }
            }
        })
    }
}

/// Why no refresh can help, where that is known before.
fn hopeless(grant: &Grant) -> Option<&'static str> {
    if grant.orphaned_since.is_some() {
        return Some("The user has no access to the gateway: give it back first.");
    }
    match grant.state {
        GrantState::NeedsAuthorization(_) => Some("The user has to authorize again; a refresh cannot help."),
        _ if !grant.renews_itself() => {
            Some("The provider gave no refresh token: only the user can renew this, by authorizing again.")
        }
        GrantState::Active | GrantState::Uncertain => None,
    }
}
