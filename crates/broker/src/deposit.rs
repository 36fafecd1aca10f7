//! Tokens that were obtained elsewhere, stored for somebody by an administrator or a script. Off unless the
//! settings say otherwise; never in the place of a grant that works; no call carries them before their user has
//! accepted them, unless the settings waive that.

use crate::connect::oauth_of;
use crate::{Broker, BrokerError, Caller};
use doorward_domain::{
    AccessToken, DepositPolicy, EndedGrant, Gateway, GatewayId, Grant, GrantId, GrantOwner, GrantState,
    IdToken, OAuthSettings, Permission, ProviderEnd, ReauthorizationReason, RefreshToken, Timestamp,
    TokenSet, UserId,
};
use doorward_storage::StoredGrant;
use secrecy::ExposeSecret;
use std::sync::Arc;

/// No provider's token is longer; a header could not carry it.
const TOKEN_MAX: usize = 16_384;

/// Tokens for one person at one gateway.
pub struct Deposit {
    pub user_id: UserId,
    pub gateway_id: GatewayId,
    pub access_token: AccessToken,
    pub refresh_token: Option<RefreshToken>,
    /// Only for a gateway where others exchange it.
    pub id_token: Option<IdToken>,
    /// None: no known end.
    pub expires_at: Option<Timestamp>,
    /// None: those that the gateway asks for.
    pub scopes: Option<Vec<String>>,
}

/// A gateway where tokens can be deposited, for a form.
#[derive(Debug, Clone)]
pub struct DepositPlace {
    pub id: GatewayId,
    pub name: String,
    /// Others exchange ID tokens of it.
    pub exchanges_id_tokens: bool,
}

/// Said of whoever cannot be deposited for, known or not.
const NOT_FOR_THEM: &str = "must be an active person who may use the gateway";

impl Broker {
    /// Whether the caller may deposit anything, before a form asks for it.
    pub fn check_deposits(&self, caller: &Caller) -> Result<(), BrokerError> {
        caller.require(Permission::DepositGrants)?;
        self.deposited_state().map(drop)
    }

    /// Whether a page offers to deposit.
    pub fn offers_deposits(&self, caller: &Caller) -> bool {
        self.check_deposits(caller).is_ok()
    }

    /// Where the caller can deposit.
    pub async fn deposit_places(&self, caller: &Caller) -> Result<Vec<DepositPlace>, BrokerError> {
        caller.require(Permission::DepositGrants)?;
        let directory = self.directory().await?;
        let gateways = self.gateways(caller).await?;
        let place = |gateway: &Arc<Gateway>| DepositPlace {
            id: gateway.id,
            name: gateway.name.clone(),
            exchanges_id_tokens: directory.is_identity_provider(gateway.id),
        };
        Ok(gateways.iter().filter(|gateway| depositable(gateway).is_ok()).map(place).collect())
    }

    /// The person behind an e-mail address, as a page takes it.
    pub async fn person_to_deposit_for(&self, caller: &Caller, email: &str) -> Result<UserId, BrokerError> {
        caller.require(Permission::DepositGrants)?;
        let found = self.storage().user_by_email(email).await?;
        found.map(|user| user.id).ok_or_else(|| BrokerError::invalid("user_id", NOT_FOR_THEM))
    }

    /// The state that a deposit begins in.
    fn deposited_state(&self) -> Result<GrantState, BrokerError> {
        match self.policy().deposit {
            DepositPolicy::Off => {
                let problem = "deposits are off: set OAUTH_TOKEN_DEPOSIT to ask (or trust) to allow them";
                Err(BrokerError::conflict("oauth_token_deposit", problem))
            }
            DepositPolicy::Ask => Ok(GrantState::NeedsAuthorization(ReauthorizationReason::Deposited)),
            DepositPolicy::Trust => Ok(GrantState::Active),
        }
    }

    /// Stores tokens for somebody. Gives the grant's id.
    pub async fn deposit(&self, caller: &Caller, deposit: Deposit) -> Result<GrantId, BrokerError> {
        caller.require(Permission::DepositGrants)?;
        self.require_fresh_login(caller)?;
        let state = self.deposited_state()?;
        let gateway = self.gateway(caller, deposit.gateway_id).await.map_err(|error| match error {
            BrokerError::NotFound { .. } => BrokerError::invalid("gateway_id", "there is no such gateway"),
            other => other,
        })?;
        let settings = depositable(&gateway)?;
        if !self.may_use(deposit.user_id, gateway.id).await? {
            return Err(BrokerError::invalid("user_id", NOT_FOR_THEM));
        }
        self.check_tokens(&deposit)?;
        if deposit.id_token.is_some() && !self.directory().await?.is_identity_provider(gateway.id) {
            let problem = "no other gateway exchanges ID tokens of this one: leave it out";
            return Err(BrokerError::invalid("id_token", problem));
        }
        let tokens = TokenSet {
            access_token: deposit.access_token,
            refresh_token: deposit.refresh_token,
            id_token: deposit.id_token,
            expires_at: deposit.expires_at,
            scopes: deposit.scopes,
            account: None,
        };
        let owner = GrantOwner::User(deposit.user_id);
        let before = self.storage().grant_of(owner, gateway.id).await?;
        refuse_if_it_stands(before.as_ref())?;
        // Whose account it is, the provider says: whoever deposits it cannot (S13).
        let account = self.account_of(&gateway, settings, &tokens).await;
        let tokens = TokenSet { account, ..tokens };
        let given_for = settings.fingerprint(&gateway.url);
        let grant = Grant {
            state,
            deposited_by: Some(caller.user.email.clone()),
            ..self.new_grant(&gateway, owner, (&given_for, &settings.scopes), &tokens, before.as_ref())
        };
        let event = caller
            .event("grant.deposit")
            .subject(grant.id)
            .concerning(deposit.user_id)
            .detail("gateway", &gateway.slug)
            .detail("scopes", grant.scopes_granted.join(" "))
            .detail("accepted", state == GrantState::Active);
        let event = crate::grant::named(event, "account", grant.account.as_ref());
        match self.storage().store_authorized_grant(&grant, event).await? {
            StoredGrant::Stored { .. } => {}
            StoredGrant::Conflict => return Err(BrokerError::VersionMismatch),
            StoredGrant::Gone => {
                return Err(BrokerError::invalid("user_id", "the person or the gateway has just gone"));
            }
        }
        if state == GrantState::Active {
            self.taken_up(&grant).await?;
        }
        Ok(grant.id)
    }

    /// The caller takes what was deposited for them as their own; calls carry it from then on. `version` is the
    /// one that they were shown: what has changed since is not agreed to.
    pub async fn accept_deposit(
        &self,
        caller: &Caller,
        gateway: GatewayId,
        version: i64,
    ) -> Result<(), BrokerError> {
        let (gateway, grant) = self.own_deposit(caller, gateway, version).await?;
        let settings = oauth_of(&gateway)?;
        if settings.fingerprint(&gateway.url) != grant.fingerprint {
            let problem = "the gateway has moved since; authorize it yourself";
            return Err(BrokerError::conflict("version", problem));
        }
        let accepted = Grant { state: GrantState::Active, authorized_at: self.now(), ..grant };
        let accepted = Grant { ends_at: accepted.forecast(&settings.facts), ..accepted };
        let event = caller
            .event("grant.accept")
            .subject(accepted.id)
            .concerning(caller.user.id)
            .detail("gateway", &gateway.slug)
            .detail("deposited_by", accepted.deposited_by.as_deref().unwrap_or_default());
        match self.storage().store_authorized_grant(&accepted, event).await? {
            StoredGrant::Stored { .. } => self.taken_up(&accepted).await,
            StoredGrant::Conflict => Err(BrokerError::VersionMismatch),
            StoredGrant::Gone => Err(missing()),
        }
    }

    /// The caller does not want what was deposited for them: it is deleted here. The provider is not told, because
    /// the tokens may be in use where they come from; a disconnect tells it.
    pub async fn decline_deposit(
        &self,
        caller: &Caller,
        gateway: GatewayId,
        version: i64,
    ) -> Result<EndedGrant, BrokerError> {
        let (gateway, _) = self.own_deposit(caller, gateway, version).await?;
        self.disconnect(caller, gateway.id, ProviderEnd::HereOnly).await
    }

    async fn own_deposit(
        &self,
        caller: &Caller,
        gateway: GatewayId,
        version: i64,
    ) -> Result<(Arc<Gateway>, Grant), BrokerError> {
        let gateway = self.gateway(caller, gateway).await.map_err(|error| match error {
            BrokerError::NotFound { .. } => missing(),
            other => other,
        })?;
        let grant = self.storage().grant_of(GrantOwner::User(caller.user.id), gateway.id).await?;
        let grant = grant.filter(Grant::awaits_acceptance).ok_or_else(missing)?;
        if grant.version != version {
            return Err(BrokerError::VersionMismatch);
        }
        Ok((gateway, grant))
    }

    /// What follows once calls may carry a grant.
    async fn taken_up(&self, grant: &Grant) -> Result<(), BrokerError> {
        self.note_consent(grant.id).await?;
        if let GrantOwner::User(user) = grant.owner {
            self.tell_connected(user, grant.gateway_id).await?;
        }
        Ok(())
    }

    fn check_tokens(&self, deposit: &Deposit) -> Result<(), BrokerError> {
        checked_token("access_token", deposit.access_token.expose_secret())?;
        if let Some(token) = &deposit.refresh_token {
            checked_token("refresh_token", token.expose_secret())?;
        }
        if let Some(token) = &deposit.id_token {
            checked_token("id_token", token.expose_secret())?;
        }
        let ended = deposit.expires_at.is_some_and(|end| end <= self.now());
        if ended && deposit.refresh_token.is_none() {
            return Err(BrokerError::invalid("expires_at", "has passed, and no refresh_token renews it"));
        }
        // RFC 6749 §3.3.
        let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '\\');
        let scopes = deposit.scopes.iter().flatten();
        if scopes.clone().any(|scope| scope.is_empty() || !scope.chars().all(plain)) {
            return Err(BrokerError::invalid("scopes", "each is one word of printable ASCII"));
        }
        Ok(())
    }
}

/// The settings of a gateway whose tokens can come from elsewhere.
fn depositable(gateway: &Gateway) -> Result<&OAuthSettings, BrokerError> {
    let Ok(settings) = oauth_of(gateway) else {
        return Err(BrokerError::invalid(
            "gateway_id",
            "people do not authorize this gateway themselves, so nothing is deposited there",
        ));
    };
    if settings.registration.dpop_key.is_some() {
        let problem = "its tokens are bound to a key of Doorward's (DPoP); none from elsewhere would work";
        return Err(BrokerError::invalid("gateway_id", problem));
    }
    Ok(settings)
}

/// A person's grant that works, or that they have still to decide on, is never replaced.
fn refuse_if_it_stands(before: Option<&Grant>) -> Result<(), BrokerError> {
    let problem = match before.map(|grant| grant.state) {
        None => return Ok(()),
        Some(GrantState::NeedsAuthorization(ReauthorizationReason::Deposited)) => {
            "a deposit already waits for this person: revoke it first"
        }
        Some(GrantState::NeedsAuthorization(_)) => return Ok(()),
        Some(GrantState::Active | GrantState::Uncertain) => {
            "this person has a grant of their own at the gateway; a deposit never replaces it"
        }
    };
    Err(BrokerError::conflict("user_id", problem))
}

/// RFC 6750 §2.1 and RFC 6749 appendix A: printable ASCII. What is wrong is said without the token.
fn checked_token(field: &str, token: &str) -> Result<(), BrokerError> {
    let fits = (1..=TOKEN_MAX).contains(&token.len());
    if fits && token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(());
    }
    let problem = format!("a token is 1 to {TOKEN_MAX} printable ASCII characters without spaces");
    Err(BrokerError::invalid(field, problem))
}

fn missing() -> BrokerError {
    BrokerError::NotFound { what: "deposit" }
}
