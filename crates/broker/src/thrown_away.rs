//! Tokens that nobody keeps: the provider is told at once, if that ends nothing else.

use crate::Broker;
use doorward_domain::{OAuthSettings, Telling, TokenSet};
use doorward_oauth::{ClientCredentials, Revocation, Told};

/// What became of tokens that were thrown away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ThrownAway {
    /// The provider has confirmed their end.
    EndedThere,
    /// They live there until their own end, and nobody has them.
    LivesOut,
}

impl ThrownAway {
    /// For the audit trail.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::EndedThere => "ended at the provider",
            Self::LivesOut => "kept by nobody; they live there until their own end",
        }
    }
}

impl Broker {
    /// Tells the provider of tokens that are not kept. A telling that would end more than them is left out.
    pub(crate) async fn throw_away(
        &self,
        settings: &OAuthSettings,
        client: ClientCredentials<'_>,
        tokens: &TokenSet,
    ) -> ThrownAway {
        let (Telling::Ends, Some(url)) = (settings.telling(), &settings.revocation_url) else {
            return ThrownAway::LivesOut;
        };
        let revocation = Revocation {
            method: settings.facts.revocation_method,
            url,
            client,
            refresh_token: tokens.refresh_token.as_ref(),
            access_token: Some(&tokens.access_token),
        };
        match self.parts.oauth.revoke(&revocation).await {
            Told::Ended { .. } | Told::AlreadyGone { .. } => ThrownAway::EndedThere,
            Told::Refused { .. } | Told::Later { .. } => ThrownAway::LivesOut,
        }
    }
}
