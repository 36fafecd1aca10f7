//! The one function that redeems a refresh token, for every path: a call, the background, the retry
//! after a 401. One flight per grant in the process, one lease per grant across replicas; the intent
//! is committed before the request leaves, and the request runs detached from whoever asked.

use crate::refresh_failure::{changed_meanwhile, count, provider_down, refresh_event};
use crate::secret::SecretError;
use crate::{Broker, BrokerError};
use doorward_domain::{
    Gateway, Grant, GrantId, GrantState, OAuthSettings, ReauthorizationReason, RefreshToken, TokenSet,
};
use doorward_vault::Place;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What a caller of the flight needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// A token that is outside its margin.
    Renew,
    /// A token other than the one that the upstream refused.
    Replace { refused: i64 },
}

/// How a flight ended.
#[derive(Debug, Clone)]
pub(crate) enum Refreshed {
    /// The grant holds a token that can be sent.
    Usable(Arc<Grant>),
    MustAuthorize,
    /// The provider does not answer; the grant is kept.
    Later {
        problem: String,
        retry_after: Option<Duration>,
    },
}

type Flight = Shared<BoxFuture<'static, Result<Refreshed, Arc<BrokerError>>>>;

/// For so long a token counts as just issued.
const FRESH: Duration = Duration::from_secs(60);

/// Takes a flight off the list when it has ended, however it ended.
struct Landing {
    flights: Flights,
    grant: GrantId,
}

impl Drop for Landing {
    fn drop(&mut self) {
        self.flights.under_way.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.grant);
    }
}

/// The token number that the last forced refresh of each grant brought.
#[derive(Clone)]
struct Forced(moka::sync::Cache<GrantId, i64>);

impl Default for Forced {
    fn default() -> Self {
        Self(moka::sync::Cache::new(100_000))
    }
}

/// The refreshes that are under way in this process, and the tokens that forced ones brought.
#[derive(Clone, Default)]
pub(crate) struct Flights {
    under_way: Arc<Mutex<HashMap<GrantId, Flight>>>,
    /// The token number that the last forced refresh of a grant brought: if the upstream refuses that
    /// one as well, refreshing is no cure (R17).
    forced: Forced,
}

impl Broker {
    /// A grant whose token meets the need, after at most one refresh. Joins the flight that is under way.
    pub(crate) async fn refreshed(
        &self,
        grant: GrantId,
        gateway: &Arc<Gateway>,
        need: Need,
    ) -> Result<Refreshed, BrokerError> {
        // A flight that was under way may have started for a lesser need; the second one is our own.
        for _ in 0..2 {
            let refreshed = self.flight(grant, gateway, need).await.map_err(|error| {
                BrokerError::Unavailable { problem: error.to_string(), retry_after: None }
            })?;
            match (&refreshed, need) {
                (Refreshed::Usable(grant), Need::Replace { refused }) if grant.refresh_number == refused => {}
                _ => return Ok(refreshed),
            }
        }
        Ok(Refreshed::MustAuthorize)
    }

    /// Starts a refresh that nobody waits for: the token that is still valid is served meanwhile.
    pub(crate) fn refresh_in_background(&self, grant: &Grant, gateway: &Arc<Gateway>) {
        let waits = grant.retry_at.is_some_and(|retry_at| self.now() < retry_at);
        if grant.tokens.refresh_token.is_some() && !waits {
            drop(self.flight(grant.id, gateway, Need::Renew));
        }
    }

    fn flight(&self, grant: GrantId, gateway: &Arc<Gateway>, need: Need) -> Flight {
        let mut under_way = self.flights.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(flight) = under_way.get(&grant) {
            return flight.clone();
        }
        let broker = self.clone();
        let gateway = Arc::clone(gateway);
        // Detached: a caller that hangs up must not stop a request that may have spent the token (R12).
        let task = tokio::spawn(async move {
            let _landing = Landing { flights: broker.flights.clone(), grant };
            broker.refresh_under_lease(grant, &gateway, need).await.map_err(Arc::new)
        });
        let flight =
            task.map(|joined| joined.unwrap_or_else(|_| Err(Arc::new(interrupted())))).boxed().shared();
        under_way.insert(grant, flight.clone());
        flight
    }

    async fn refresh_under_lease(
        &self,
        id: GrantId,
        gateway: &Gateway,
        need: Need,
    ) -> Result<Refreshed, BrokerError> {
        let lease = self.hold_lease(&format!("refresh/{id}")).await?;
        let result = self.refresh(id, gateway, need).await;
        lease.release().await;
        result
    }

    /// Under the lease: read the row again, and redeem only what still needs it.
    async fn refresh(&self, id: GrantId, gateway: &Gateway, need: Need) -> Result<Refreshed, BrokerError> {
        let Some(grant) = self.storage().grant(id).await? else { return Ok(Refreshed::MustAuthorize) };
        match self.judge(&grant, gateway, need) {
            Verdict::Serve => Ok(Refreshed::Usable(Arc::new(grant))),
            Verdict::Ask => Ok(Refreshed::MustAuthorize),
            Verdict::Wait { problem, retry_after } => Ok(Refreshed::Later { problem, retry_after }),
            Verdict::Park(ReauthorizationReason::GatewayChanged)
                if self.points_at_gateway(&grant).await? =>
            {
                Ok(Refreshed::Later { problem: changed_meanwhile(), retry_after: None })
            }
            Verdict::Park(reason) => {
                self.park(&grant, reason, None).await?;
                Ok(Refreshed::MustAuthorize)
            }
            Verdict::Interrupted => {
                self.uncertain(&grant, "an earlier refresh was interrupted before its answer was stored")
                    .await?;
                Ok(self.still_usable(grant, need))
            }
            Verdict::Redeem => self.redeem_refresh_token(grant, gateway, need).await,
        }
    }

    fn judge(&self, grant: &Grant, gateway: &Gateway, need: Need) -> Verdict {
        let now = self.now();
        if grant.orphaned_since.is_some() {
            return Verdict::Ask;
        }
        match grant.state {
            GrantState::NeedsAuthorization(_) => return Verdict::Ask,
            // What was refused is not sent again, and the refresh token may be spent: nothing is left to try.
            GrantState::Uncertain if need == (Need::Replace { refused: grant.refresh_number }) => {
                return Verdict::Park(ReauthorizationReason::RefusedFreshToken);
            }
            GrantState::Uncertain if grant.access_token_lives(now) => return Verdict::Serve,
            GrantState::Uncertain => return Verdict::Ask,
            GrantState::Active => {}
        }
        if gateway.fingerprint().as_ref() != Some(&grant.fingerprint) {
            return Verdict::Park(ReauthorizationReason::GatewayChanged);
        }
        let met = match need {
            Need::Renew => grant.access_token_lives(now) && !grant.inside_margin(now),
            Need::Replace { refused } => grant.refresh_number != refused,
        };
        if met {
            return Verdict::Serve;
        }
        if let Need::Replace { refused } = need
            && self.was_forced(grant, refused)
        {
            return Verdict::Park(ReauthorizationReason::RefusedFreshToken);
        }
        if grant.redeeming_number.is_some() {
            return match need {
                Need::Renew => Verdict::Interrupted,
                Need::Replace { .. } => Verdict::Park(ReauthorizationReason::RefusedFreshToken),
            };
        }
        match (&grant.tokens.refresh_token, grant.retry_at) {
            (None, _) if need == Need::Renew && grant.access_token_lives(now) => Verdict::Serve,
            (None, _) => Verdict::Park(ReauthorizationReason::NothingToRefreshWith),
            (Some(_), Some(retry_at)) if now < retry_at => {
                Verdict::Wait { problem: provider_down(gateway), retry_after: Some(now.until(retry_at)) }
            }
            (Some(_), _) => Verdict::Redeem,
        }
    }

    async fn redeem_refresh_token(
        &self,
        grant: Grant,
        gateway: &Gateway,
        need: Need,
    ) -> Result<Refreshed, BrokerError> {
        let (Some(settings), Some(sealed)) = (gateway.oauth(), &grant.tokens.refresh_token) else {
            return Ok(Refreshed::MustAuthorize);
        };
        let used_at = settings.fingerprint(&gateway.url);
        let place = Place::grant_refresh_token(grant.id);
        let token = match self.open_bound::<RefreshToken>(&grant.fingerprint, &used_at, &place, sealed) {
            Ok(token) => token,
            Err(SecretError::Seal(error)) => return Err(error.into()),
            Err(SecretError::GivenElsewhere { .. }) => return Ok(Refreshed::MustAuthorize),
        };
        let client = match self.open_client(gateway, settings) {
            Ok(client) => client,
            Err(SecretError::Seal(error)) => return Err(error.into()),
            Err(error @ SecretError::GivenElsewhere { .. }) => {
                return Ok(Refreshed::Later { problem: error.to_string(), retry_after: None });
            }
        };
        // The intent is committed before the request leaves: whoever finds it without an answer knows
        // that this refresh token may be spent.
        let Some(version) = self.storage().begin_refresh(grant.id, grant.version).await? else {
            return Ok(Refreshed::Later { problem: changed_meanwhile(), retry_after: None });
        };
        let grant = Grant { version, redeeming_number: Some(grant.refresh_number), ..grant };
        let answer = self.parts.oauth.refresh(settings, client.credentials(), &token, self.now()).await;
        match answer {
            Ok(tokens) => self.store_refreshed(grant, settings, tokens, need).await,
            Err(error) => self.after_failure(grant, gateway, need, error).await,
        }
    }

    /// Stores a fresh token set before anything else looks at it (R6).
    async fn store_refreshed(
        &self,
        grant: Grant,
        settings: &OAuthSettings,
        tokens: TokenSet,
        need: Need,
    ) -> Result<Refreshed, BrokerError> {
        count("refreshed");
        let now = self.now();
        let mut sealed = self.sealed(grant.id, &tokens);
        // R10: an answer without a refresh token keeps the one there is.
        sealed.refresh_token = sealed.refresh_token.or_else(|| grant.tokens.refresh_token.clone());
        let fresh = Grant {
            tokens: sealed,
            scopes_granted: tokens.scopes.unwrap_or_else(|| grant.scopes_granted.clone()),
            account: tokens.account.or_else(|| grant.account.clone()),
            refresh_number: grant.refresh_number + 1,
            redeeming_number: None,
            state: GrantState::Active,
            issued_at: now,
            last_refreshed_at: Some(now),
            retry_at: None,
            failures: 0,
            last_error: None,
            provider_words: None,
            reference: None,
            ..grant
        };
        let fresh = Grant { ends_at: fresh.forecast(&settings.facts), ..fresh };
        let event = refresh_event(&fresh, "grant.refresh");
        if !self.storage().finish_refresh(&fresh, fresh.version, event).await? {
            // The grant was revoked or authorized anew while the provider answered: what came is dropped (R24).
            return Ok(Refreshed::Later { problem: changed_meanwhile(), retry_after: None });
        }
        if let Need::Replace { .. } = need {
            self.note_forced(fresh.id, fresh.refresh_number);
        }
        Ok(Refreshed::Usable(Arc::new(Grant { version: fresh.version + 1, ..fresh })))
    }

    /// Whether a token that the upstream refuses was brought by a forced refresh just now: then another
    /// refresh is no cure. One that has worked for a while may simply have ended.
    fn was_forced(&self, grant: &Grant, number: i64) -> bool {
        let fresh = grant.issued_at.until(self.now()) < FRESH;
        fresh && self.flights.forced.0.get(&grant.id) == Some(number)
    }

    fn note_forced(&self, id: GrantId, number: i64) {
        self.flights.forced.0.insert(id, number);
    }
}

/// What the row says about a need.
enum Verdict {
    Serve,
    Ask,
    Wait {
        problem: String,
        retry_after: Option<Duration>,
    },
    Park(ReauthorizationReason),
    /// The intent of an earlier refresh is there, and nobody is working on it.
    Interrupted,
    Redeem,
}

/// Work that stopped in the middle.
pub(crate) fn interrupted() -> BrokerError {
    BrokerError::Unavailable {
        problem: "The request to the provider was interrupted; try again.".to_owned(),
        retry_after: None,
    }
}
