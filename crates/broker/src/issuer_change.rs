//! An upstream may move to another authorization server. Where Doorward found the first one by asking, it asks again
//! when tokens are refused: at another issuer it registers anew, what was given by the first is used nowhere else, and
//! administrators are shown that it happened. A client that an administrator registered is never replaced: that its
//! server is no longer the one that the upstream names is the setup doctor's to say.

use crate::gateway_discovery::discovered_by;
use crate::{Broker, BrokerError};
use doorward_domain::{
    Actor, Gateway, GatewayAuthorization, GatewayId, NewAuditEvent, OAuthSettings, ReauthorizationReason,
    RegistrationKind,
};
use doorward_oauth::{Discovered, Discovery};
use std::time::Duration;

/// A gateway's upstream is asked at most once in so long, however many of its users are refused.
const ASKED_ONCE_IN: Duration = Duration::from_secs(60);

/// What providers ask for where they want a refresh token to be wished for (OpenID Connect Core §11).
pub(crate) const OFFLINE_ACCESS: &str = "offline_access";

/// Which gateways were asked lately.
pub(crate) struct AskedLately(moka::sync::Cache<GatewayId, ()>);

impl Default for AskedLately {
    fn default() -> Self {
        Self(moka::sync::Cache::builder().max_capacity(10_000).time_to_live(ASKED_ONCE_IN).build())
    }
}

impl Broker {
    /// The upstream refused a token that cannot be renewed: perhaps it believes another authorization server now.
    /// Whatever goes wrong here only means that the user is asked as before.
    pub(crate) async fn look_for_another_issuer(&self, gateway: &Gateway) {
        if !self.issuers_asked.0.entry(gateway.id).or_insert(()).is_fresh() {
            return;
        }
        if let Err(error) = self.follow_issuer(gateway).await {
            tracing::info!(gateway = %gateway.slug, %error, "where the users of a gateway authorize could not be found again");
        }
    }

    async fn follow_issuer(&self, gateway: &Gateway) -> Result<(), BrokerError> {
        let lease = self.hold_lease(&format!("issuer/{}", gateway.id)).await?;
        let followed = self.follow_issuer_alone(gateway.id).await;
        lease.release().await;
        followed
    }

    async fn follow_issuer_alone(&self, id: GatewayId) -> Result<(), BrokerError> {
        // Read under the lease: another replica may have been here.
        let Some(before) = self.storage().gateway(id).await? else { return Ok(()) };
        let Some(settings) = before.oauth() else { return Ok(()) };
        let Some(issuer) = settings.issuer.clone() else { return Ok(()) };
        if settings.registration.kind == RegistrationKind::PreRegistered {
            return Ok(());
        }
        let asking = self.asking_for(&before)?.anew();
        let Discovery::OAuth(found) = discovered_by(&asking, &before.url).await? else { return Ok(()) };
        if found.issuer == issuer {
            return Ok(());
        }
        let registration = self.new_registration(&asking, &before.url, &found, &before.name).await?;
        let event = changed_event(&before, &issuer, &found);
        let moved = OAuthSettings {
            authorization_url: Some(found.authorization_url),
            token_url: found.token_url,
            revocation_url: found.revocation_url,
            issuer: Some(found.issuer),
            iss_promised: found.iss_promised,
            resource: found.resource,
            scopes: kept_scopes(&settings.scopes, &found.scopes),
            registration,
            registration_problem: None,
            former_issuer: Some(issuer),
            ..settings.clone()
        };
        let after = Gateway {
            authorization: GatewayAuthorization::OAuth(Box::new(moved)),
            updated_at: self.now(),
            ..before
        };
        let park = Some(ReauthorizationReason::GatewayChanged);
        // A version mismatch is somebody's edit meanwhile, and they know better.
        let update = self.storage().update_gateway(&after, park, event).await?;
        tracing::info!(gateway = %after.slug, outcome = ?update.outcome, parked = update.parked, "a gateway was registered at another authorization server");
        Ok(())
    }
}

fn changed_event(gateway: &Gateway, issuer: &str, found: &Discovered) -> NewAuditEvent {
    tracing::warn!(gateway = %gateway.slug, before = issuer, now = found.issuer, "an upstream names another authorization server");
    NewAuditEvent::new(Actor::System, "gateway.issuer_changed")
        .subject(gateway.id)
        .detail("slug", &gateway.slug)
        .detail("issuer", &found.issuer)
        .detail("issuer_before", issuer)
}

/// What is asked for stays what the administrator agreed to; only the wish for a refresh token follows the server.
fn kept_scopes(agreed: &[String], found: &[String]) -> Vec<String> {
    let offered = found.iter().any(|scope| scope == OFFLINE_ACCESS);
    agreed.iter().filter(|scope| *scope != OFFLINE_ACCESS || offered).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_issuer_is_asked_for_nothing_new() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(kept_scopes(&words("read offline_access"), &words("read admin")), ["read"]);
        assert_eq!(
            kept_scopes(&words("read offline_access"), &words("offline_access")),
            words("read offline_access")
        );
    }
}
