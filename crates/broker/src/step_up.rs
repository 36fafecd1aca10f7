//! An upstream wants more scopes than the token has (RFC 6750 §3.1): the user is asked for the union, at most
//! three times for the same, and never for more than the gateway's ceiling.

use crate::{Broker, BrokerError, Caller, UsedToken};
use doorward_domain::{Gateway, Grant, GrantId, NeededScopes, OAuthSettings};
use http::HeaderMap;

/// What an upstream's wish comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepUp {
    /// The user is asked.
    Ask,
    /// The upstream asks for more than an administrator allows it.
    BeyondCeiling,
    /// The user has consented so often, and it did not help.
    Exhausted,
    /// There is nothing that the user could add.
    Nothing,
}

/// How often a user is asked for the same.
const TRIES: u32 = 3;

/// The longest list that an upstream may name.
const SCOPES_MAX: usize = 50;

/// The scopes that a refusal asks for, where it is one for want of scopes.
pub fn wanted_scopes(headers: &HeaderMap) -> Option<Vec<String>> {
    let challenge = doorward_oauth::discovery::challenge::read(headers);
    (challenge.error.as_deref() == Some("insufficient_scope")).then(|| challenge.scopes.unwrap_or_default())
}

impl Broker {
    /// Decides what an upstream's wish for scopes comes to, and notes what the next consent asks for.
    pub async fn step_up(
        &self,
        caller: &Caller,
        gateway: &Gateway,
        used: &UsedToken,
        wanted: &[String],
    ) -> Result<StepUp, BrokerError> {
        let (Some(settings), Some(grant)) = (gateway.oauth(), self.storage().grant(used.grant()).await?)
        else {
            return Ok(StepUp::Nothing);
        };
        // A challenge need not name scopes: then it can only be those that the gateway asks for anyway.
        let wanted: &[String] = if wanted.is_empty() { &settings.scopes } else { wanted };
        let wanted = settings.facts.missing(wanted, &[]);
        let beyond = settings.beyond_ceiling(&wanted);
        if !beyond.is_empty() || wanted.len() > SCOPES_MAX {
            self.refuse_scopes(caller, gateway, &beyond).await?;
            return Ok(StepUp::BeyondCeiling);
        }
        self.note_wanted(gateway, &grant, &wanted).await
    }

    async fn note_wanted(
        &self,
        gateway: &Gateway,
        grant: &Grant,
        wanted: &[String],
    ) -> Result<StepUp, BrokerError> {
        let known = self.storage().needed_scopes(grant.id).await?.unwrap_or_default();
        let news: Vec<String> =
            wanted.iter().filter(|scope| !known.scopes.contains(scope)).cloned().collect();
        let lacks = wanted.iter().any(|scope| !grant.scopes_granted.contains(scope));
        if news.is_empty() && known.pending {
            return Ok(StepUp::Ask);
        }
        if !lacks {
            return Ok(StepUp::Nothing);
        }
        if news.is_empty() && known.tries >= TRIES {
            return Ok(StepUp::Exhausted);
        }
        let tries = if news.is_empty() { known.tries } else { 0 };
        let scopes = known.scopes.into_iter().chain(news).collect();
        let needed = NeededScopes { scopes, pending: true, tries };
        self.storage().note_needed_scopes(grant.id, &needed).await?;
        tracing::info!(gateway = %gateway.slug, grant = %grant.id, "an upstream wants more scopes: its user is asked");
        Ok(StepUp::Ask)
    }

    /// Shows the administrator what the upstream wanted, once.
    async fn refuse_scopes(
        &self,
        caller: &Caller,
        gateway: &Gateway,
        beyond: &[String],
    ) -> Result<(), BrokerError> {
        let beyond: Vec<String> = beyond.iter().take(SCOPES_MAX).map(|scope| printable(scope)).collect();
        let event =
            caller.event("gateway.scopes_refused").subject(gateway.id).detail("scopes", beyond.join(" "));
        self.storage().flag_refused_scopes(gateway.id, &beyond, event).await?;
        Ok(())
    }

    /// What a consent at this gateway asks for now: its scopes, and what its upstream was found to need.
    pub(crate) async fn asked_scopes(
        &self,
        settings: &OAuthSettings,
        grant: Option<GrantId>,
    ) -> Result<Vec<String>, BrokerError> {
        let mut asked = settings.scopes.clone();
        let Some(grant) = grant else { return Ok(asked) };
        let needed = self.storage().needed_scopes(grant).await?.unwrap_or_default().scopes;
        // The ceiling may have come down since.
        let beyond = settings.beyond_ceiling(&needed);
        asked.extend(
            needed.into_iter().filter(|scope| !settings.scopes.contains(scope) && !beyond.contains(scope)),
        );
        Ok(asked)
    }

    /// The user is back: what was asked for counts as one more try.
    pub(crate) async fn note_consent(&self, grant: GrantId) -> Result<(), BrokerError> {
        let Some(needed) = self.storage().needed_scopes(grant).await? else { return Ok(()) };
        let needed = NeededScopes { pending: false, tries: needed.tries.saturating_add(1), ..needed };
        Ok(self.storage().note_needed_scopes(grant, &needed).await?)
    }

    /// Whether a user is being asked for more scopes.
    pub(crate) async fn steps_up(&self, grant: GrantId) -> Result<bool, BrokerError> {
        Ok(self.storage().needed_scopes(grant).await?.is_some_and(|needed| needed.pending))
    }
}

/// A scope of an upstream's, fit to be shown.
fn printable(scope: &str) -> String {
    scope.chars().filter(char::is_ascii_graphic).take(200).collect()
}
