//! The doctor, where tokens are got in exchange: it gets one for the administrator who asks, as their own call would.

use crate::gateway_check::GatewayCheck;
use crate::refresh::Refreshed;
use crate::{Broker, BrokerError, Caller};
use doorward_domain::{Gateway, GrantOwner, OAuthSettings};

const SUBJECT: &str = "exchange";

impl Broker {
    /// Whether what the administrator has at the identity provider is exchanged. Their own grant stays as it is: what
    /// the check gets is thrown away.
    pub(crate) async fn check_exchange(
        &self,
        caller: &Caller,
        gateway: &Gateway,
        settings: &OAuthSettings,
        check: &mut GatewayCheck,
    ) -> Result<(), BrokerError> {
        let directory = self.directory().await?;
        let provider = settings.identity_provider.and_then(|id| directory.get(id));
        let name = provider.map_or("the identity provider", |provider| provider.name.as_str()).to_owned();
        if let Some(provider) = provider {
            let owner = GrantOwner::User(caller.user.id);
            if self.storage().grant_of(owner, provider.id).await?.is_none() {
                check.advice(
                    SUBJECT,
                    format!("You have not authorized {name} yourself: do so, and check again to see whether the exchange works."),
                );
                return Ok(());
            }
        }
        let subject = match self.subject_of(caller.user.id, gateway, settings).await? {
            Ok(subject) => subject,
            Err(Refreshed::Later { problem, .. }) => {
                check.wrong(SUBJECT, format!("{name} gives nothing to exchange. {problem}"));
                return Ok(());
            }
            Err(Refreshed::MustAuthorize { .. } | Refreshed::Usable(_)) => {
                check.advice(
                    SUBJECT,
                    format!("What you have at {name} cannot be exchanged any more, or was given before a gateway relied on it: authorize it again, with the scope openid."),
                );
                return Ok(());
            }
        };
        let client = match self.open_client(gateway, settings) {
            Ok(client) => client,
            Err(error) => {
                check.wrong("client_authentication", format!("The client secret cannot be used: {error}."));
                return Ok(());
            }
        };
        match self.parts.oauth.exchange(settings, client.credentials(), &subject, self.now()).await {
            Ok(tokens) => {
                self.throw_away(settings, client.credentials(), &tokens).await;
                check.good(
                    SUBJECT,
                    format!("What you have at {name} is exchanged for a token here. The token of the check is thrown away."),
                );
            }
            Err(error) => check.wrong(
                SUBJECT,
                format!("The authorization server gives no token in exchange: {error}. Check the client, the issuer and the resource, and whether it trusts {name}."),
            ),
        }
        Ok(())
    }
}
