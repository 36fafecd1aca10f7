//! Whose account at the provider a token is of (R34, S13).

use crate::Broker;
use crate::checked_facts::Places;
use doorward_domain::{Gateway, OAuthSettings, ProviderAccount, TokenSet};

impl Broker {
    /// The account behind fresh tokens: by the provider's own call where the facts name one, else by the ID
    /// token. None where nobody says: a guess would be worse.
    pub(crate) async fn account_of(
        &self,
        gateway: &Gateway,
        settings: &OAuthSettings,
        tokens: &TokenSet,
    ) -> Option<ProviderAccount> {
        let Some(whoami) = &settings.facts.whoami else { return tokens.account.clone() };
        let places = Places {
            upstream: &gateway.url,
            token_url: &settings.token_url,
            issuer: settings.issuer.as_deref(),
            template: settings.template.as_ref(),
        };
        if !self.whoami_may_be_asked(whoami, &places) {
            tracing::warn!(gateway = %gateway.slug, "the whoami address is not the provider's: nobody is asked");
            return tokens.account.clone();
        }
        self.parts.oauth.whoami(whoami, &tokens.access_token).await
    }
}
