//! API tokens: people make and end their own. The value is shown once; only its hash is kept.

use crate::gateway_input::checked_name;
use crate::{Broker, BrokerError, Caller};
use doorward_domain::api_token::API_TOKEN_DEFAULT_DAYS;
use doorward_domain::{ApiToken, ApiTokenId, ApiTokenPlain, Audience, GatewayId, Timestamp};
use std::time::Duration;

/// A token to be made, as typed.
#[derive(Debug, Clone)]
pub struct NewApiToken {
    pub name: String,
    pub audience: Audience,
    /// None: every gateway that the user may use.
    pub gateways: Option<Vec<GatewayId>>,
    /// None: 90 days.
    pub days: Option<u32>,
}

/// A made token, with its value for the one time it is shown.
#[derive(Debug)]
pub struct CreatedApiToken {
    pub token: ApiToken,
    pub plain: ApiTokenPlain,
}

/// The longest life of an API token, in days.
const DAYS_MAX: u32 = 3_650;

impl Broker {
    /// Makes an API token for the caller. A token never makes a token that opens more than itself,
    /// or lives longer.
    pub async fn create_api_token(
        &self,
        caller: &Caller,
        new: NewApiToken,
    ) -> Result<CreatedApiToken, BrokerError> {
        let name = checked_name(&new.name)?;
        let expires_at = self.checked_end_of_token(caller, new.days)?;
        if caller.audience().is_some_and(|own| new.audience > own) {
            return Err(BrokerError::invalid(
                "audience",
                "a token cannot make one that opens more than itself",
            ));
        }
        if new.audience == Audience::Admin {
            self.require_fresh_login(caller)?;
        }
        let gateways = self.checked_gateways(caller, new.gateways).await?;
        let made = doorward_vault::new_api_token(self.parts.entropy);
        let now = self.now();
        let token = ApiToken {
            id: self.parts.entropy.id(now),
            user_id: caller.user.id,
            name,
            hash: made.hash,
            hint: made.hint,
            audience: new.audience,
            gateways,
            created_at: now,
            expires_at,
            last_used_at: None,
            ended_at: None,
        };
        let event = caller
            .event("api_token.create")
            .subject(token.id)
            .concerning(caller.user.id)
            .detail("name", &token.name)
            .detail("audience", token.audience.as_str());
        if !self.storage().insert_api_token(&token, caller.user.version, event).await? {
            return Err(BrokerError::VersionMismatch);
        }
        Ok(CreatedApiToken { token, plain: made.plain })
    }

    /// The caller's own tokens, newest first.
    pub async fn api_tokens(&self, caller: &Caller) -> Result<Vec<ApiToken>, BrokerError> {
        Ok(self.storage().api_tokens_of(caller.user.id).await?)
    }

    /// Ends one of the caller's own tokens; somebody else's is as good as unknown.
    pub async fn end_api_token(&self, caller: &Caller, id: ApiTokenId) -> Result<(), BrokerError> {
        if caller.is_narrowed() && caller.api_token().is_some_and(|own| own.id != id) {
            return Err(BrokerError::NotFound { what: "API token" });
        }
        let event = caller.event("api_token.end").subject(id).concerning(caller.user.id);
        let ended = self.storage().end_api_token(id, caller.user.id, self.now(), event).await?;
        if ended { Ok(()) } else { Err(BrokerError::NotFound { what: "API token" }) }
    }

    /// A token makes none that outlives itself: else what leaked for a day would be good for years.
    fn checked_end_of_token(&self, caller: &Caller, days: Option<u32>) -> Result<Timestamp, BrokerError> {
        let own_end = caller.api_token().map(|own| own.expires_at);
        let wanted = days.unwrap_or(API_TOKEN_DEFAULT_DAYS);
        if !(1..=DAYS_MAX).contains(&wanted) {
            return Err(BrokerError::invalid("days", "use 1 to 3650 days"));
        }
        let end = self.now().plus(Duration::from_secs(u64::from(wanted) * 24 * 3_600));
        match own_end {
            Some(own) if own < end && days.is_some() => Err(BrokerError::invalid(
                "days",
                "a token cannot make one that lives longer than itself: leave the days out, or sign in",
            )),
            Some(own) => Ok(end.min(own)),
            None => Ok(end),
        }
    }

    async fn checked_gateways(
        &self,
        caller: &Caller,
        wanted: Option<Vec<GatewayId>>,
    ) -> Result<Option<Vec<GatewayId>>, BrokerError> {
        let Some(wanted) = wanted else {
            return Ok(caller.api_token().and_then(|own| own.gateways.clone()));
        };
        if wanted.is_empty() {
            return Err(BrokerError::invalid(
                "gateways",
                "name at least one gateway, or leave the field out for all",
            ));
        }
        for id in &wanted {
            self.gateway(caller, *id)
                .await
                .map_err(|_| BrokerError::invalid("gateways", format!("there is no gateway {id}")))?;
        }
        Ok(Some(wanted))
    }
}
