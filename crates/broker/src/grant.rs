//! Grants: what a consent stores, and how tokens are sealed into a row.

use crate::{Broker, BrokerError, Caller};
use doorward_domain::{
    AuthorizationRequest, Fingerprint, Gateway, Grant, GrantId, GrantOwner, GrantState, NewAuditEvent,
    ProviderAccount, SealedTokenSet, TokenSet,
};
use doorward_storage::StoredGrant;
use doorward_vault::Place;

/// How often a grant is stored anew when something else changed it in between.
const STORE_ATTEMPTS: u32 = 5;

/// What became of a consent.
pub(crate) enum Consent {
    Stored(GrantId),
    /// The gateway or the user is gone or disabled.
    GatewayGone,
    /// The grant was ended while the code was being redeemed.
    EndedMeanwhile,
}

/// The event with the account's identifier and name, where it is known.
pub(crate) fn named(
    event: NewAuditEvent,
    name: &'static str,
    account: Option<&ProviderAccount>,
) -> NewAuditEvent {
    let Some(account) = account else { return event };
    let label = account.name.as_ref().map(|label| format!(" ({label})")).unwrap_or_default();
    event.detail(name, format!("{}{label}", account.subject))
}

impl Broker {
    /// Stores what a consent brought. `before` is the grant as it stood before the code was redeemed: one
    /// that was ended since then does not come back (R23).
    pub(crate) async fn store_consent(
        &self,
        caller: &Caller,
        request: &AuthorizationRequest,
        gateway: &Gateway,
        tokens: &TokenSet,
        reference: &str,
        mut before: Option<Grant>,
    ) -> Result<Consent, BrokerError> {
        let owner = GrantOwner::User(caller.user.id);
        for _ in 0..STORE_ATTEMPTS {
            let grant = self.new_grant(
                gateway,
                owner,
                (&request.fingerprint, &request.scopes),
                tokens,
                before.as_ref(),
            );
            let event = caller
                .event("grant.authorize")
                .subject(grant.id)
                .concerning(caller.user.id)
                .reference(reference)
                .detail("gateway", &gateway.slug)
                .detail("scopes", grant.scopes_granted.join(" "));
            let event = named(event, "account", grant.account.as_ref());
            let was = before.as_ref().and_then(|before| before.account.as_ref());
            let event = named(event, "account_before", was.filter(|_| was != grant.account.as_ref()));
            match self.storage().store_authorized_grant(&grant, event).await? {
                StoredGrant::Stored { .. } => {
                    self.note_consent(grant.id).await?;
                    return Ok(Consent::Stored(grant.id));
                }
                StoredGrant::Gone => return Ok(Consent::GatewayGone),
                StoredGrant::Conflict => {}
            }
            let now_there = self.storage().grant_of(owner, gateway.id).await?;
            if before.is_some() && now_there.is_none() {
                return Ok(Consent::EndedMeanwhile);
            }
            before = now_there;
        }
        Err(BrokerError::VersionMismatch)
    }

    /// The grant that fresh tokens make: what they were given for, and for which scopes they were asked. Where there
    /// is one already, they take the place of its tokens.
    pub(crate) fn new_grant(
        &self,
        gateway: &Gateway,
        owner: GrantOwner,
        (fingerprint, scopes): (&Fingerprint, &[String]),
        tokens: &TokenSet,
        before: Option<&Grant>,
    ) -> Grant {
        let now = self.now();
        let id: GrantId = before.map_or_else(|| self.parts.entropy.id(now), |grant| grant.id);
        let grant = Grant {
            id,
            owner,
            gateway_id: gateway.id,
            label: String::new(),
            state: GrantState::Active,
            orphaned_since: None,
            fingerprint: fingerprint.clone(),
            account: tokens.account.clone(),
            scopes_requested: scopes.to_vec(),
            scopes_granted: tokens.scopes.clone().unwrap_or_else(|| scopes.to_vec()),
            tokens: self.sealed(id, tokens),
            refresh_number: before.map_or(1, |grant| grant.refresh_number + 1),
            redeeming_number: None,
            created_at: before.map_or(now, |grant| grant.created_at),
            authorized_at: now,
            issued_at: now,
            last_used_at: before.and_then(|grant| grant.last_used_at),
            last_refreshed_at: before.and_then(|grant| grant.last_refreshed_at),
            ends_at: None,
            retry_at: None,
            failures: 0,
            last_error: None,
            provider_words: None,
            reference: None,
            deposited_by: None,
            exchanged: false,
            version: before.map_or(0, |grant| grant.version),
        };
        let facts = gateway.oauth().map(|settings| &settings.facts);
        Grant { ends_at: facts.and_then(|facts| grant.forecast(facts)), ..grant }
    }

    pub(crate) fn sealed(&self, id: GrantId, tokens: &TokenSet) -> SealedTokenSet {
        let vault = &self.parts.vault;
        SealedTokenSet {
            access_token: vault.seal(&Place::grant_access_token(id), &tokens.access_token),
            refresh_token: tokens
                .refresh_token
                .as_ref()
                .map(|token| vault.seal(&Place::grant_refresh_token(id), token)),
            id_token: tokens.id_token.as_ref().map(|token| vault.seal(&Place::grant_id_token(id), token)),
            expires_at: tokens.expires_at,
        }
    }
}
