//! The doctor, where the gateway is authorized itself: it asks for a token as a call would, and throws it away.

use crate::Broker;
use crate::gateway_check::GatewayCheck;
use doorward_domain::{Gateway, OAuthSettings};
use doorward_oauth::TokenError;

const SUBJECT: &str = "client_authentication";

impl Broker {
    /// Whether the token endpoint lets the gateway's own client in (RFC 6749 §4.4).
    pub(crate) async fn check_own_client(
        &self,
        gateway: &Gateway,
        settings: &OAuthSettings,
        check: &mut GatewayCheck,
    ) {
        let client = match self.open_client(gateway, settings) {
            Ok(client) => client,
            Err(error) => return check.wrong(SUBJECT, format!("The client secret cannot be used: {error}.")),
        };
        match self.parts.oauth.client_credentials(settings, client.credentials(), self.now()).await {
            Ok(tokens) => {
                self.throw_away(settings, client.credentials(), &tokens).await;
                check.good(
                    SUBJECT,
                    "The token endpoint lets the gateway’s own client in. The token of the check is thrown away.",
                );
            }
            Err(TokenError::Refused { code, description, .. }) => {
                let words = description.map(|words| format!(" It says: “{words}”")).unwrap_or_default();
                check.wrong(
                    SUBJECT,
                    format!(
                        "The token endpoint does not let the gateway’s own client in ('{code}'): check the client ID, the secret and the scopes, and allow the client credentials grant for it at the provider.{words}"
                    ),
                );
            }
            Err(error) => {
                check.advice(
                    SUBJECT,
                    format!("Whether the token endpoint lets the client in is open: {error}."),
                );
            }
        }
    }
}
