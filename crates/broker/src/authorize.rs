//! Setting out for the provider: created by the POST of the connect page alone, never by opening it.

use crate::connect::{OwnRequest, consent_endpoint, oauth_of};
use crate::test_login::narrowest;
use crate::{Broker, BrokerError, Caller};
use doorward_domain::authorization_request::AUTHORIZATION_REQUEST_LIFETIME;
use doorward_domain::{
    AuthorizationPurpose, AuthorizationRequest, GatewayState, GrantOwner, PkceVerifier, SessionToken,
    StateToken,
};
use doorward_vault::Place;
use secrecy::ExposeSecret;
use url::Url;

/// A round trip that has begun: where to send the browser, and the cookie that binds it.
#[derive(Debug)]
pub struct BeganAuthorization {
    /// The authorization server's page. It carries the state, so it goes to this browser alone.
    pub redirect: Url,
    /// The cookie's bare name; two tabs have two cookies.
    pub cookie_name: String,
    pub cookie: SessionToken,
    /// How long the cookie lives.
    pub seconds: u64,
}

/// The name of the cookie that binds a state to the browser that set out with it.
pub fn authorization_cookie_name(state: &str) -> String {
    let hash = doorward_vault::hash_token(&StateToken::new(state));
    let tail: String = hash.0[..4].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("doorward-authorization-{tail}")
}

impl Broker {
    /// Where providers send the browser back to.
    pub fn redirect_uri(&self) -> Url {
        self.page_url("oauth/callback")
    }

    /// Creates the state, the PKCE verifier (RFC 7636) and the binding cookie, and says where to go. Where the
    /// caller is connected already, the same account of the provider is expected back.
    pub async fn begin_authorization(
        &self,
        caller: &Caller,
        slug: &str,
        request: Option<&str>,
    ) -> Result<BeganAuthorization, BrokerError> {
        self.begin(caller, slug, request, AuthorizationPurpose::Connect).await
    }

    /// The same, where another account may take the place of the one there (R34).
    pub async fn begin_with_any_account(
        &self,
        caller: &Caller,
        slug: &str,
        request: Option<&str>,
    ) -> Result<BeganAuthorization, BrokerError> {
        self.begin(caller, slug, request, AuthorizationPurpose::ConnectAnyAccount).await
    }

    pub(crate) async fn begin(
        &self,
        caller: &Caller,
        slug: &str,
        request: Option<&str>,
        purpose: AuthorizationPurpose,
    ) -> Result<BeganAuthorization, BrokerError> {
        let connect_request_id = match self.own_request(caller, request).await? {
            OwnRequest::Mine(request) => Some(request.id),
            OwnRequest::NotGiven | OwnRequest::Expired => None,
            OwnRequest::NotMine => return Err(BrokerError::NotFound { what: "link" }),
        };
        let gateway = self.gateway_by_slug(caller, slug).await?;
        if gateway.state == GatewayState::Disabled {
            return Err(BrokerError::invalid("gateway", "this gateway is disabled: ask an administrator"));
        }
        let settings = oauth_of(&gateway)?;
        let narrow = purpose == AuthorizationPurpose::Test;
        let present = self.storage().grant_of(GrantOwner::User(caller.user.id), gateway.id).await?;
        let asked = self.asked_scopes(settings, present.map(|grant| grant.id)).await?;
        let scopes = if narrow { narrowest(settings) } else { asked };
        let state = StateToken::new(self.parts.entropy.token());
        let verifier = PkceVerifier::new(self.parts.entropy.token());
        let (cookie, cookie_hash) = self.new_token();
        let now = self.now();
        let steps = self.steps_of_setting_out(settings, &scopes, purpose);
        let trail = self.trail_sets_out(caller, &gateway, steps).await;
        let id = trail.request_id();
        let row = AuthorizationRequest {
            id,
            user_id: caller.user.id,
            gateway_id: gateway.id,
            connect_request_id,
            state_hash: doorward_vault::hash_token(&state),
            cookie_hash,
            pkce_verifier: self.parts.vault.seal(&Place::pkce_verifier(id), &verifier),
            expected_issuer: settings.issuer.clone(),
            iss_promised: settings.iss_promised,
            fingerprint: settings.fingerprint(&gateway.url),
            scopes,
            purpose,
            created_at: now,
            expires_at: now.plus(AUTHORIZATION_REQUEST_LIFETIME),
        };
        let event = caller
            .event("authorization.begin")
            .subject(gateway.id)
            .concerning(caller.user.id)
            .reference(trail.reference)
            .detail("purpose", purpose.as_str());
        self.storage().insert_authorization_request(&row, event).await?;
        let most = self.policy().limits.authorizations_per_user;
        self.storage().limit_authorization_requests(caller.user.id, most).await?;
        let redirect = doorward_oauth::authorization_url(
            consent_endpoint(settings)?,
            settings,
            &self.redirect_uri(),
            &state,
            &verifier,
            &row.scopes,
        );
        Ok(BeganAuthorization {
            redirect,
            cookie_name: authorization_cookie_name(state.expose_secret()),
            cookie,
            seconds: AUTHORIZATION_REQUEST_LIFETIME.as_secs(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_states_have_two_cookies_and_the_name_tells_nothing_of_the_state() {
        let one = authorization_cookie_name("one");
        assert_ne!(one, authorization_cookie_name("two"));
        assert!(one.starts_with("doorward-authorization-") && one.len() == 31);
    }
}
