//! An identity provider: a gateway that stands for a company's sign-in. What people get there is exchanged for their
//! tokens at the gateways that rely on it; it serves no tools, and its ID tokens are kept for nothing else.

use crate::connect::oauth_of;
use crate::exchanged_grant::{later, refused_in_exchange};
use crate::refresh::Refreshed;
use crate::refresh_attempt::{Need, RefreshPath};
use crate::refresh_failure::provider_down;
use crate::secret::SecretError;
use crate::{Broker, BrokerError};
use doorward_domain::{
    AccessToken, Gateway, GatewayAuthorization, GatewayId, Grant, GrantOwner, GrantState, GrantType, IdToken,
    OAuthSettings, ReauthorizationReason, Sealed, TokenSet, UserId,
};
use doorward_oauth::{RefusalKind, Subject, TokenError, id_token_end};
use doorward_vault::Place;
use std::sync::Arc;
use std::time::Duration;

/// An ID token that ends sooner than this is renewed before it is shown.
const LEEWAY: Duration = Duration::from_secs(30);

/// What is exchanged, or why there is nothing.
pub(crate) type SubjectOr = Result<Subject, Refreshed>;

impl Broker {
    /// Where users of a gateway consent: there, or at its identity provider.
    pub(crate) async fn place_of_consent(&self, gateway: &Arc<Gateway>) -> Result<Arc<Gateway>, BrokerError> {
        let Some(id) = gateway.oauth().and_then(|settings| settings.identity_provider) else {
            return Ok(Arc::clone(gateway));
        };
        let directory = self.directory().await?;
        directory.get(id).cloned().ok_or(BrokerError::NotFound { what: "gateway" })
    }

    /// The identity provider of a gateway, as typed: one where users consent themselves.
    pub(crate) async fn checked_identity_provider(
        &self,
        grant_type: GrantType,
        typed: Option<GatewayId>,
    ) -> Result<Option<GatewayId>, BrokerError> {
        let wrong = |problem: &str| Err(BrokerError::invalid("authorization.identity_provider", problem));
        match typed {
            None if grant_type.is_exchange() => {
                wrong("name the gateway where people have what is to be exchanged")
            }
            Some(_) if !grant_type.is_exchange() => {
                wrong("goes with the grant types token_exchange and identity_assertion: leave it out")
            }
            None => Ok(None),
            Some(id) => match self.directory().await?.get(id) {
                Some(provider) if oauth_of(provider).is_ok() => Ok(Some(id)),
                _ => wrong("name a gateway where each person authorizes in a browser"),
            },
        }
    }

    /// A gateway that others rely on stays one where people consent; so none relies on itself, or goes in a circle.
    pub(crate) async fn check_reliance(
        &self,
        id: GatewayId,
        after: &GatewayAuthorization,
    ) -> Result<(), BrokerError> {
        let settings = match after {
            GatewayAuthorization::OAuth(settings) => Some(settings),
            GatewayAuthorization::None | GatewayAuthorization::StaticHeader(_) => None,
        };
        if settings.is_some_and(|settings| settings.identity_provider == Some(id)) {
            let problem = "a gateway cannot be its own identity provider";
            return Err(BrokerError::invalid("authorization.identity_provider", problem));
        }
        let consents = settings.is_some_and(|settings| settings.grant_type == GrantType::AuthorizationCode);
        match self.directory().await?.relying_on(id).next() {
            Some(relying) if !consents => Err(BrokerError::invalid(
                "authorization.grant_type",
                format!(
                    "it is the identity provider of {}: people have to authorize it themselves",
                    relying.slug
                ),
            )),
            _ => Ok(()),
        }
    }

    /// The ID token among fresh tokens, where other gateways exchange it; nobody else has a use for it.
    pub(crate) async fn kept_id_token(
        &self,
        gateway: GatewayId,
        tokens: &TokenSet,
    ) -> Result<Option<IdToken>, BrokerError> {
        let exchanged = tokens.id_token.is_some() && self.directory().await?.is_identity_provider(gateway);
        Ok(tokens.id_token.clone().filter(|_| exchanged))
    }

    /// The ID token that a refresh leaves: a fresh one, or else the one there is (OpenID Connect Core §12.2). Nothing
    /// that goes wrong here may cost the fresh tokens.
    pub(crate) async fn id_token_after(&self, grant: &Grant, fresh: &TokenSet) -> Option<IdToken> {
        let kept = self.kept_id_token(grant.gateway_id, fresh).await.unwrap_or_default();
        let place = Place::grant_id_token(grant.id);
        kept.or_else(|| self.parts.vault.open(&place, grant.tokens.id_token.as_ref()?).ok())
    }

    /// What a user has at the identity provider, ready to be exchanged at this gateway's token endpoint.
    pub(crate) async fn subject_of(
        &self,
        user: UserId,
        gateway: &Gateway,
        settings: &OAuthSettings,
    ) -> Result<SubjectOr, BrokerError> {
        let directory = self.directory().await?;
        let provider = settings.identity_provider.and_then(|id| directory.get(id).cloned());
        let Some(provider) = provider.filter(|provider| oauth_of(provider).is_ok()) else {
            let problem = format!("{} has no identity provider: ask an administrator.", gateway.name);
            return Ok(Err(later(problem, None)));
        };
        let ask = || Ok(Err(Refreshed::MustAuthorize { reference: None }));
        let Some(grant) = self.storage().grant_of(GrantOwner::User(user), provider.id).await? else {
            return ask();
        };
        if grant.orphaned_since.is_some() {
            let problem =
                format!("Your access to {} has been withdrawn; ask an administrator.", provider.name);
            return Ok(Err(later(problem, None)));
        }
        let grant = match self.lively(grant, &provider, settings.grant_type).await? {
            Ok(grant) => grant,
            Err(otherwise) => return Ok(Err(otherwise)),
        };
        match settings.grant_type {
            GrantType::TokenExchange => {
                let place = Place::grant_access_token(grant.id);
                let sealed = &grant.tokens.access_token;
                match self.open_there::<AccessToken>(&grant, &provider, &place, sealed)? {
                    Some(token) => Ok(Ok(Subject::AccessToken(token))),
                    None => ask(),
                }
            }
            _ => match self.id_token(&grant, &provider)? {
                Some(token) => self.assertion(&grant, &provider, &token, gateway, settings).await,
                None => ask(),
            },
        }
    }

    /// The grant at the identity provider with a token that can be shown now, after at most one refresh.
    async fn lively(
        &self,
        grant: Grant,
        provider: &Arc<Gateway>,
        kind: GrantType,
    ) -> Result<Result<Arc<Grant>, Refreshed>, BrokerError> {
        if matches!(grant.state, GrantState::NeedsAuthorization(_)) {
            return Ok(Err(Refreshed::MustAuthorize { reference: grant.reference }));
        }
        let lives = match kind {
            GrantType::TokenExchange => grant.access_token_lives(self.now()),
            _ => self.id_token(&grant, provider)?.is_some(),
        };
        if lives {
            return Ok(Ok(Arc::new(grant)));
        }
        if !grant.renews_itself() {
            return Ok(Err(Refreshed::MustAuthorize { reference: grant.reference }));
        }
        let need = Need::Newer { than: grant.refresh_number };
        // Boxed: a refresh of a grant that is got in exchange comes through here.
        let flight = Box::pin(self.refreshed(grant.id, provider, need, RefreshPath::Call));
        Ok(match flight.await? {
            Refreshed::Usable(grant) => Ok(grant),
            otherwise => Err(otherwise),
        })
    }

    /// The ID token of a grant, while it may still be shown.
    fn id_token(&self, grant: &Grant, provider: &Gateway) -> Result<Option<IdToken>, BrokerError> {
        let Some(sealed) = &grant.tokens.id_token else { return Ok(None) };
        let token: Option<IdToken> =
            self.open_there(grant, provider, &Place::grant_id_token(grant.id), sealed)?;
        let now = self.now().plus(LEEWAY);
        Ok(token.filter(|token| id_token_end(token).is_none_or(|end| now < end)))
    }

    /// A token of the identity provider's, opened to be shown to it; none where it was given for another place.
    fn open_there<S: From<String>>(
        &self,
        grant: &Grant,
        provider: &Gateway,
        place: &Place,
        sealed: &Sealed,
    ) -> Result<Option<S>, BrokerError> {
        let Some(used_at) = provider.fingerprint() else { return Ok(None) };
        match self.open_bound(&grant.fingerprint, &used_at, place, sealed) {
            Ok(token) => Ok(Some(token)),
            Err(SecretError::Seal(error)) => Err(error.into()),
            Err(_) => Ok(None),
        }
    }

    /// Has the identity provider say who the user is to the gateway's authorization server. Its own client shows
    /// itself there, and the ID token goes nowhere else.
    async fn assertion(
        &self,
        grant: &Grant,
        provider: &Gateway,
        token: &IdToken,
        gateway: &Gateway,
        settings: &OAuthSettings,
    ) -> Result<SubjectOr, BrokerError> {
        let at_provider = oauth_of(provider)?;
        let client = match self.open_client(provider, at_provider) {
            Ok(client) => client,
            Err(SecretError::Seal(error)) => return Err(error.into()),
            Err(error) => return Ok(Err(later(error.to_string(), None))),
        };
        let said =
            self.parts.oauth.identity_assertion(at_provider, client.credentials(), token, settings).await;
        let error = match said {
            Ok(assertion) => return Ok(Ok(Subject::Assertion(assertion))),
            Err(error) => error,
        };
        tracing::warn!(gateway = %gateway.slug, provider = %provider.slug, %error, "an identity provider says nothing of a user");
        Ok(Err(match error {
            // The ID token is not taken any more: its user signs in there again.
            TokenError::Refused { kind: RefusalKind::Grant, code, description } => {
                let why = format!("the provider refused the ID token: {code}");
                let refused = Grant { last_error: Some(why), provider_words: description, ..grant.clone() };
                self.park(&refused, ReauthorizationReason::InvalidGrant, None).await?;
                Refreshed::MustAuthorize { reference: None }
            }
            TokenError::Refused { code, .. } => match grant.owner {
                GrantOwner::User(user) => self.refused_to(user, gateway, &code),
                GrantOwner::Service => later(refused_in_exchange(gateway, &code), None),
            },
            TokenError::Temporary { retry_after, .. } => later(provider_down(gateway), retry_after),
            TokenError::NotSent { .. } | TokenError::Unanswered { .. } => later(provider_down(gateway), None),
        }))
    }
}
