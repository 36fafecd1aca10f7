//! What a request to an upstream carries: the caller's own token, valid now, or "must authorize".
//!
//! The common case is one look into memory. Everything else goes through the row, and what needs a
//! new token goes through the one flight in `refresh`.

use crate::refresh::Refreshed;
use crate::refresh_attempt::{Need, RefreshPath};
use crate::refresh_failure::changed_meanwhile;
use crate::service_grant::refused_itself;
use crate::{Broker, BrokerError, Caller};
use doorward_domain::{
    AccessToken, Gateway, GatewayAuthorization, Grant, GrantId, GrantOwner, GrantState, GrantType,
    HeaderSecret, ReauthorizationReason, StaticHeader, Timestamp, UserId,
};
use doorward_oauth::TokenProof;
use doorward_vault::Place;
use http::{HeaderName, HeaderValue, header};
use secrecy::ExposeSecret;
use std::sync::Arc;
use std::time::Duration;

/// Whether, and with what, a caller reaches an upstream.
#[derive(Debug, Clone)]
pub enum Access {
    /// The upstream wants nothing.
    Open,
    /// The upstream gets this header.
    Header(UpstreamHeader),
    /// The user has to authorize first; no upstream call is made.
    MustAuthorize {
        /// Leads to the event in the grant's time line that says why, if there is one.
        reference: Option<String>,
    },
    /// The token has ended and the provider does not answer; the grant is kept.
    Unavailable {
        problem: String,
        retry_after: Option<Duration>,
        /// Leads to the event in the grant's time line that says why, if there is one.
        reference: Option<String>,
    },
}

/// A header to inject. Its value is marked sensitive.
#[derive(Debug, Clone)]
pub struct UpstreamHeader {
    pub name: HeaderName,
    pub value: HeaderValue,
    /// Which token it is; none for a static header.
    pub used: Option<UsedToken>,
    /// Shows with each request that the token is ours, where it is bound to a key (RFC 9449).
    pub proof: Option<TokenProof>,
}

/// Which token of which grant was sent, without the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UsedToken {
    pub(crate) grant: GrantId,
    /// The grant's `refresh_number` when the token was issued.
    pub(crate) number: i64,
}

impl UsedToken {
    /// Whose token it is.
    pub fn grant(&self) -> GrantId {
        self.grant
    }
}

/// An opened header in memory.
#[derive(Debug)]
pub(crate) struct CachedAccess {
    header: UpstreamHeader,
    /// The gateway it was opened for; an edited gateway reads the row again.
    gateway_version: i64,
    /// From here on it is renewed in the background.
    renew_at: Option<Timestamp>,
    /// From here on it is not sent.
    ends_at: Option<Timestamp>,
}

impl Broker {
    /// What a call by this caller to this gateway carries now.
    pub async fn access(&self, caller: &Caller, gateway: &Arc<Gateway>) -> Result<Access, BrokerError> {
        if let GatewayAuthorization::None = gateway.authorization {
            return Ok(Access::Open);
        }
        if self.storage().feed_is_fresh()
            && let Some(cached) = self.caches.access.get(&(caller.user.id, gateway.id))
            && cached.gateway_version == gateway.version
            && cached.renew_at.is_none_or(|renew_at| self.now() < renew_at)
        {
            return Ok(Access::Header(cached.header.clone()));
        }
        match &gateway.authorization {
            GatewayAuthorization::None => Ok(Access::Open),
            GatewayAuthorization::StaticHeader(header) => self.static_access(caller.user.id, gateway, header),
            GatewayAuthorization::OAuth(_) => self.granted_access(caller.user.id, gateway).await,
        }
    }

    /// After the upstream answered 401: a newer token, after one forced refresh, or "must authorize" (R17).
    pub async fn access_after_refusal(
        &self,
        caller: &Caller,
        gateway: &Arc<Gateway>,
        used: &UsedToken,
    ) -> Result<Access, BrokerError> {
        let stamp = self.caches.access.stamp();
        let need = Need::Replace { refused: used.number };
        let refreshed = self.refreshed(used.grant, gateway, need, RefreshPath::RefusedUpstream).await?;
        if let Refreshed::MustAuthorize { .. } = refreshed
            && owner_of(gateway, caller.user.id) != GrantOwner::Service
        {
            self.look_for_another_issuer(gateway).await;
        }
        self.outcome(caller.user.id, gateway, refreshed, stamp).await
    }

    /// Notes that a call was served with this token. Written in batches.
    pub fn served(&self, used: &UsedToken) {
        self.last_used.grant(used.grant, self.now());
    }

    fn static_access(
        &self,
        user: UserId,
        gateway: &Gateway,
        stored: &StaticHeader,
    ) -> Result<Access, BrokerError> {
        let stamp = self.caches.access.stamp();
        let used_at = doorward_domain::Fingerprint::of_static_header(&gateway.url);
        let opened: Result<HeaderSecret, _> =
            self.open_bound(&stored.fingerprint, &used_at, &Place::static_header(gateway.id), &stored.value);
        let (Ok(secret), Ok(name)) = (opened, HeaderName::try_from(&stored.name)) else {
            return Ok(unusable_header());
        };
        let Ok(mut value) = HeaderValue::from_str(secret.expose_secret()) else {
            return Ok(unusable_header());
        };
        value.set_sensitive(true);
        let header = UpstreamHeader { name, value, used: None, proof: None };
        self.keep((user, gateway), header.clone(), (None, None), stamp);
        Ok(Access::Header(header))
    }

    async fn granted_access(&self, user: UserId, gateway: &Arc<Gateway>) -> Result<Access, BrokerError> {
        let stamp = self.caches.access.stamp();
        let owner = owner_of(gateway, user);
        let found = self.storage().grant_of(owner, gateway.id).await?;
        if is_without_consent(gateway) && found.as_ref().is_none_or(|grant| self.is_useless(grant, gateway)) {
            let got = match owner {
                GrantOwner::Service => self.own_grant(gateway).await?,
                GrantOwner::User(user) => self.exchanged_grant(user, gateway).await?,
            };
            return self.outcome(user, gateway, got, stamp).await;
        }
        let Some(grant) = found else { return Ok(must_authorize(None)) };
        if gateway.fingerprint().as_ref() != Some(&grant.fingerprint) {
            if self.points_at_gateway(&grant).await? {
                // The caller holds the gateway as it was before an edit; the grant is for what it is now.
                return Ok(unavailable(changed_meanwhile()));
            }
            self.park(&grant, ReauthorizationReason::GatewayChanged, None).await?;
            return Ok(must_authorize(None));
        }
        let now = self.now();
        let lives = grant.access_token_lives(now);
        if grant.orphaned_since.is_some() {
            let problem =
                format!("Your access to {} has been withdrawn; ask an administrator.", gateway.name);
            return Ok(unavailable(problem));
        }
        match grant.state {
            GrantState::NeedsAuthorization(_) => Ok(must_authorize(grant.reference)),
            GrantState::Uncertain if !lives && !self.recovers(&grant, gateway) => {
                Ok(must_authorize(grant.reference))
            }
            GrantState::Uncertain | GrantState::Active if !lives => {
                let refreshed = self.refreshed(grant.id, gateway, Need::Renew, RefreshPath::Call).await?;
                self.outcome(user, gateway, refreshed, stamp).await
            }
            GrantState::Uncertain | GrantState::Active => {
                if grant.inside_margin(now) || self.recovers(&grant, gateway) {
                    self.refresh_aside(&grant, gateway);
                }
                self.opened(user, gateway, &grant, stamp)
            }
        }
    }

    /// Whether a grant was given for the gateway as it stands now, whatever a call still holds of it.
    pub(crate) async fn points_at_gateway(&self, grant: &Grant) -> Result<bool, BrokerError> {
        let directory = self.directory().await?;
        let stands = directory.get(grant.gateway_id).and_then(|gateway| gateway.fingerprint());
        Ok(stands.as_ref() == Some(&grant.fingerprint))
    }

    async fn outcome(
        &self,
        user: UserId,
        gateway: &Arc<Gateway>,
        refreshed: Refreshed,
        stamp: u64,
    ) -> Result<Access, BrokerError> {
        match refreshed {
            Refreshed::Usable(grant) => self.opened(user, gateway, &grant, stamp),
            // There is nobody to ask: the gateway's own client was refused.
            Refreshed::MustAuthorize { reference } if owner_of(gateway, user) == GrantOwner::Service => {
                Ok(Access::Unavailable { problem: refused_itself(gateway), retry_after: None, reference })
            }
            Refreshed::MustAuthorize { reference } => Ok(must_authorize(reference)),
            Refreshed::Later { problem, retry_after, reference } => {
                Ok(Access::Unavailable { problem, retry_after, reference })
            }
        }
    }

    /// Opens a grant's access token into a header, and keeps it in memory.
    fn opened(
        &self,
        user: UserId,
        gateway: &Gateway,
        grant: &Grant,
        stamp: u64,
    ) -> Result<Access, BrokerError> {
        let Some(used_at) = gateway.fingerprint() else { return Ok(must_authorize(None)) };
        let place = Place::grant_access_token(grant.id);
        let opened: Result<AccessToken, _> =
            self.open_bound(&grant.fingerprint, &used_at, &place, &grant.tokens.access_token);
        let token = match opened {
            Ok(token) => token,
            Err(crate::secret::SecretError::Seal(error)) => return Err(error.into()),
            Err(_) => {
                return Ok(must_authorize(None));
            }
        };
        let key = match gateway.oauth().map(|settings| self.open_dpop_key(settings)).transpose() {
            Ok(key) => key.flatten(),
            Err(crate::secret::SecretError::Seal(error)) => return Err(error.into()),
            Err(_) => return Ok(must_authorize(None)),
        };
        // RFC 6750 §2.1, RFC 9449 §7.1.
        let scheme = if key.is_some() { "DPoP" } else { "Bearer" };
        let Ok(mut value) = HeaderValue::from_str(&format!("{scheme} {}", token.expose_secret())) else {
            tracing::warn!(grant = %grant.id, "the provider gave an access token that no header can carry");
            return Ok(must_authorize(None));
        };
        value.set_sensitive(true);
        let used = UsedToken { grant: grant.id, number: grant.refresh_number };
        let proof = key.map(|key| TokenProof::new(Arc::new(key), &token));
        let header = UpstreamHeader { name: header::AUTHORIZATION, value, used: Some(used), proof };
        self.keep((user, gateway), header.clone(), (renew_at(grant), grant.tokens.expires_at), stamp);
        Ok(Access::Header(header))
    }

    fn keep(
        &self,
        (user, gateway): (UserId, &Gateway),
        header: UpstreamHeader,
        (renew_at, ends_at): (Option<Timestamp>, Option<Timestamp>),
        stamp: u64,
    ) {
        let cached = CachedAccess { header, gateway_version: gateway.version, renew_at, ends_at };
        if cached.ends_at.is_none_or(|end| self.now() < end) {
            self.caches.access.keep((user, gateway.id), Arc::new(cached), stamp);
        }
    }
}

/// From when on a token is looked at again: where its refresh margin begins, or, with nothing to
/// refresh it with, its end.
fn renew_at(grant: &Grant) -> Option<Timestamp> {
    let end = grant.tokens.expires_at?;
    if !grant.renews_itself() {
        return Some(end);
    }
    Some(end.minus(grant.margin()))
}

/// Whose grant a user's calls go under.
fn owner_of(gateway: &Gateway, user: UserId) -> GrantOwner {
    match gateway.oauth().map(|settings| settings.grant_type) {
        Some(GrantType::ClientCredentials) => GrantOwner::Service,
        Some(GrantType::AuthorizationCode | GrantType::TokenExchange | GrantType::IdentityAssertion)
        | None => GrantOwner::User(user),
    }
}

/// Whether its grants are got without anybody's consent there.
fn is_without_consent(gateway: &Gateway) -> bool {
    gateway.oauth().is_some_and(|settings| settings.grant_type != GrantType::AuthorizationCode)
}

fn must_authorize(reference: Option<String>) -> Access {
    Access::MustAuthorize { reference }
}

fn unavailable(problem: String) -> Access {
    Access::Unavailable { problem, retry_after: None, reference: None }
}

fn unusable_header() -> Access {
    unavailable("The gateway's static header cannot be used: an administrator must set it again.".to_owned())
}
