//! The one function that redeems a refresh token, for every path: a call, the background, "refresh now",
//! the retry after a 401. One flight per grant in the process, one lease per grant across replicas; the
//! intent is committed before the request leaves, and the request runs detached from whoever asked. The gateway's own
//! grant (client credentials) takes the same way, without a refresh token.

use crate::refresh_attempt::{Attempt, Need, RefreshPath};
use crate::refresh_failure::{changed_meanwhile, provider_down};
use crate::refresh_verdict::{Verdict, may_recover};
use crate::secret::SecretError;
use crate::{Broker, BrokerError};
use doorward_domain::{
    Gateway, Grant, GrantId, GrantOwner, GrantState, OAuthSettings, ReauthorizationReason, RefreshToken,
    TokenSet,
};
use doorward_oauth::Subject;
use doorward_vault::Place;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How a flight ended.
#[derive(Debug, Clone)]
pub(crate) enum Refreshed {
    /// The grant holds a token that can be sent.
    Usable(Arc<Grant>),
    MustAuthorize {
        reference: Option<String>,
    },
    /// The provider does not answer; the grant is kept.
    Later {
        problem: String,
        retry_after: Option<Duration>,
        reference: Option<String>,
    },
}

/// What a new access token is asked for with.
enum Means {
    RefreshToken(RefreshToken),
    /// The gateway's own client (RFC 6749 §4.4).
    OwnClient,
    /// What its user has at an identity provider.
    Subject(Subject),
}

impl Means {
    fn refresh_token(self) -> Option<RefreshToken> {
        match self {
            Self::RefreshToken(token) => Some(token),
            Self::OwnClient | Self::Subject(_) => None,
        }
    }
}

type Flight = Shared<BoxFuture<'static, Result<Refreshed, Arc<BrokerError>>>>;

/// For so long a token counts as just issued.
const FRESH: Duration = Duration::from_secs(60);

/// How long a caller waits when Doorward's own database does not answer.
const DATABASE_WAIT: Duration = Duration::from_secs(5);

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
        path: RefreshPath,
    ) -> Result<Refreshed, BrokerError> {
        // A flight that was under way may have started for a lesser need; the second one is our own.
        for _ in 0..2 {
            let flight = self.flight(grant, gateway, need, path);
            let refreshed = flight.await.map_err(|error| not_done(&error))?;
            match &refreshed {
                Refreshed::Usable(grant) if need.unmet_by() == Some(grant.refresh_number) => {}
                _ => return Ok(refreshed),
            }
        }
        Ok(Refreshed::Later { problem: changed_meanwhile(), retry_after: None, reference: None })
    }

    /// Starts a refresh that nobody waits for: the token that is still valid is served meanwhile.
    pub(crate) fn refresh_aside(&self, grant: &Grant, gateway: &Arc<Gateway>) {
        let waits = grant.retry_at.is_some_and(|retry_at| self.now() < retry_at);
        if grant.renews_itself() && !waits {
            drop(self.flight(grant.id, gateway, Need::Renew, RefreshPath::Call));
        }
    }

    fn flight(&self, grant: GrantId, gateway: &Arc<Gateway>, need: Need, path: RefreshPath) -> Flight {
        let mut under_way = self.flights.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(flight) = under_way.get(&grant) {
            return flight.clone();
        }
        let broker = self.clone();
        let gateway = Arc::clone(gateway);
        let attempt = Attempt::new(need, path, self.parts.entropy);
        // Detached: a caller that hangs up must not stop a request that may have spent the token (R12).
        let task = tokio::spawn(async move {
            let _landing = Landing { flights: broker.flights.clone(), grant };
            broker.refresh_in_turn(grant, &gateway, &attempt).await.map_err(Arc::new)
        });
        let flight =
            task.map(|joined| joined.unwrap_or_else(|_| Err(Arc::new(interrupted())))).boxed().shared();
        under_way.insert(grant, flight.clone());
        flight
    }

    /// Waits for a turn at the provider, and starts nothing while that is down.
    async fn refresh_in_turn(
        &self,
        id: GrantId,
        gateway: &Gateway,
        attempt: &Attempt,
    ) -> Result<Refreshed, BrokerError> {
        let Some(settings) = gateway.oauth() else { return Ok(attempt.must_authorize()) };
        let _turn = self.turn_at(&settings.issuer_key()).await;
        if let Some(outage) = self.outage_at(gateway, settings).await? {
            return Ok(self.during(outage, gateway));
        }
        let lease = self.hold_lease(&format!("refresh/{id}")).await?;
        let result = self.refresh(id, gateway, settings, attempt).await;
        lease.release().await;
        result
    }

    /// Under the lease: read the row again, and redeem only what still needs it.
    async fn refresh(
        &self,
        id: GrantId,
        gateway: &Gateway,
        settings: &OAuthSettings,
        attempt: &Attempt,
    ) -> Result<Refreshed, BrokerError> {
        // An interrupted refresh is uncertain first, and then perhaps repeated.
        for _ in 0..2 {
            let Some(grant) = self.storage().grant(id).await? else {
                return Ok(Refreshed::MustAuthorize { reference: None });
            };
            match self.judge(&grant, gateway, attempt) {
                Verdict::Serve => return Ok(Refreshed::Usable(Arc::new(grant))),
                Verdict::Ask => return Ok(Refreshed::MustAuthorize { reference: grant.reference }),
                Verdict::Wait { until } => {
                    return Ok(Refreshed::Later {
                        problem: provider_down(gateway),
                        retry_after: Some(self.now().until(until)),
                        reference: grant.reference,
                    });
                }
                Verdict::Park(ReauthorizationReason::GatewayChanged)
                    if self.points_at_gateway(&grant).await? =>
                {
                    return Ok(attempt.later(changed_meanwhile(), None));
                }
                Verdict::Park(reason) => {
                    self.park(&grant, reason, Some(attempt)).await?;
                    return Ok(attempt.must_authorize());
                }
                Verdict::Interrupted => {
                    let why = "an earlier refresh was interrupted before its answer was stored";
                    self.uncertain(&grant, gateway, attempt, why).await?;
                }
                Verdict::Redeem => return self.renew(grant, gateway, settings, attempt).await,
            }
        }
        Ok(attempt.later(changed_meanwhile(), None))
    }

    /// Asks for a new token, with the grant's refresh token or as the gateway's own client.
    async fn renew(
        &self,
        grant: Grant,
        gateway: &Gateway,
        settings: &OAuthSettings,
        attempt: &Attempt,
    ) -> Result<Refreshed, BrokerError> {
        let used_at = settings.fingerprint(&gateway.url);
        let place = Place::grant_refresh_token(grant.id);
        let means = match (grant.owner, &grant.tokens.refresh_token) {
            (GrantOwner::Service, _) => Means::OwnClient,
            (GrantOwner::User(user), None) if grant.exchanged => {
                match self.subject_of(user, gateway, settings).await? {
                    Ok(subject) => Means::Subject(subject),
                    Err(otherwise) => return Ok(otherwise),
                }
            }
            (GrantOwner::User(_), None) => return Ok(attempt.must_authorize()),
            (GrantOwner::User(_), Some(sealed)) => {
                match self.open_bound::<RefreshToken>(&grant.fingerprint, &used_at, &place, sealed) {
                    Ok(token) => Means::RefreshToken(token),
                    Err(SecretError::Seal(error)) => return Err(error.into()),
                    Err(
                        SecretError::GivenElsewhere { .. } | SecretError::Key(_) | SecretError::Identity(_),
                    ) => {
                        return Ok(attempt.must_authorize());
                    }
                }
            }
        };
        let client = match self.open_client(gateway, settings) {
            Ok(client) => client,
            Err(SecretError::Seal(error)) => return Err(error.into()),
            Err(
                error @ (SecretError::GivenElsewhere { .. } | SecretError::Key(_) | SecretError::Identity(_)),
            ) => {
                return Ok(attempt.later(error.to_string(), None));
            }
        };
        let leave = match self.admit(gateway, settings).await? {
            Ok(leave) => leave,
            Err(outage) => return Ok(self.during(outage, gateway)),
        };
        // The intent is committed before the request leaves: whoever finds it without an answer knows
        // that this refresh token may be spent.
        let Some(version) = self.storage().begin_refresh(grant.id, grant.version).await? else {
            return Ok(attempt.later(changed_meanwhile(), None));
        };
        let grant = Grant { version, redeeming_number: Some(grant.refresh_number), ..grant };
        let begun = Instant::now();
        let (oauth, proof) = (&self.parts.oauth, client.credentials());
        let answer = match &means {
            Means::RefreshToken(token) => {
                oauth.refresh(settings, proof, token, &grant.scopes_requested, self.now()).await
            }
            Means::OwnClient => oauth.client_credentials(settings, proof, self.now()).await,
            Means::Subject(subject) => oauth.exchange(settings, proof, subject, self.now()).await,
        };
        metrics::histogram!("doorward_refresh_seconds").record(begun.elapsed().as_secs_f64());
        match answer {
            Ok(tokens) => {
                // R10: an answer without a refresh token keeps the one there is. It is sealed anew, so that
                // both secrets of a row are under the key that seals now (R11).
                let id_token = self.id_token_after(&grant, &tokens).await;
                let refresh_token = tokens.refresh_token.or(means.refresh_token());
                let tokens = TokenSet { refresh_token, id_token, ..tokens };
                self.store_refreshed(grant, gateway, settings, tokens, attempt).await
            }
            Err(error) => self.after_failure(grant, gateway, settings, attempt, leave, error).await,
        }
    }

    /// Stores a fresh token set before anything else looks at it (R6).
    async fn store_refreshed(
        &self,
        grant: Grant,
        gateway: &Gateway,
        settings: &OAuthSettings,
        tokens: TokenSet,
        attempt: &Attempt,
    ) -> Result<Refreshed, BrokerError> {
        let now = self.now();
        let fresh = Grant {
            tokens: self.sealed(grant.id, &tokens),
            scopes_granted: tokens.scopes.clone().unwrap_or_else(|| grant.scopes_granted.clone()),
            account: grant.account.clone().or_else(|| tokens.account.clone()),
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
        let event = attempt.event(&fresh, "grant.refresh");
        let stored = self.storage().finish_refresh(&fresh, fresh.version, event).await;
        self.count(attempt, if matches!(stored, Ok(true)) { "refreshed" } else { "not_stored" });
        self.provider_answered(settings).await;
        if !stored? {
            return self.dropped(&fresh, gateway, attempt).await;
        }
        if let Need::Replace { .. } = attempt.need {
            self.flights.forced.0.insert(fresh.id, fresh.refresh_number);
        }
        if let Err(error) = self.registration_works(gateway).await {
            tracing::warn!(%error, gateway = %gateway.slug, "a gateway's flag could not be cleared");
        }
        Ok(Refreshed::Usable(Arc::new(Grant { version: fresh.version + 1, ..fresh })))
    }

    /// The grant was revoked, parked or authorized anew while the provider answered: what came is dropped,
    /// and nothing that ended comes back (R24). The provider is told of tokens whose grant has ended.
    async fn dropped(
        &self,
        fresh: &Grant,
        gateway: &Gateway,
        attempt: &Attempt,
    ) -> Result<Refreshed, BrokerError> {
        tracing::info!(grant = %fresh.id, gateway = %gateway.slug, "a refresh came too late for its grant");
        if self.storage().tell_of_late_tokens(gateway, fresh).await? {
            self.ended.notify_one();
        }
        self.after_lost_race(fresh.id, gateway, attempt).await
    }

    /// Whether a token that the upstream refuses was brought by a forced refresh just now: then another
    /// refresh is no cure. One that has worked for a while may simply have ended.
    pub(crate) fn was_forced(&self, grant: &Grant, number: i64) -> bool {
        let fresh = grant.issued_at.until(self.now()) < FRESH;
        fresh && self.flights.forced.0.get(&grant.id) == Some(number)
    }

    /// Somebody else was quicker: what they left is used, if it meets the need.
    pub(crate) async fn after_lost_race(
        &self,
        id: GrantId,
        gateway: &Gateway,
        attempt: &Attempt,
    ) -> Result<Refreshed, BrokerError> {
        match self.storage().grant(id).await? {
            Some(grant) if matches!(self.judge(&grant, gateway, attempt), Verdict::Serve) => {
                Ok(Refreshed::Usable(Arc::new(grant)))
            }
            _ => Ok(attempt.later(changed_meanwhile(), None)),
        }
    }

    /// Whether a lost refresh of this grant can still be made good.
    pub(crate) fn recovers(&self, grant: &Grant, gateway: &Gateway) -> bool {
        grant.renews_itself() && may_recover(grant, gateway)
    }
}

/// What a caller is told of a flight that failed on our own side. Its cause is logged here, once.
fn not_done(error: &BrokerError) -> BrokerError {
    let (problem, retry_after) = match error {
        BrokerError::Unavailable { problem, retry_after } => (problem.clone(), *retry_after),
        BrokerError::Storage(error) => {
            tracing::error!(%error, "a refresh could not be carried out");
            ("Doorward's database does not answer; try again shortly.".to_owned(), Some(DATABASE_WAIT))
        }
        error => {
            tracing::error!(%error, "a refresh could not be carried out");
            ("Doorward failed on the inside; its log says more.".to_owned(), None)
        }
    };
    BrokerError::Unavailable { problem, retry_after }
}

/// Work that stopped in the middle.
pub(crate) fn interrupted() -> BrokerError {
    BrokerError::Unavailable {
        problem: "The request to the provider was interrupted; try again.".to_owned(),
        retry_after: None,
    }
}
