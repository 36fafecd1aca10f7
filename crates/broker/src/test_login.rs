//! The doctor's test login: an administrator signs in at the provider as a user would, with the narrowest scopes,
//! and what comes back is looked at and thrown away. It never runs by itself, and revokes no more than its own token.

use crate::gateway_check::GatewayCheck;
use crate::thrown_away::ThrownAway;
use crate::{BeganAuthorization, Broker, BrokerError, Caller};
use doorward_domain::{
    AuthorizationPurpose, AuthorizationRequest, Gateway, GatewayId, GrantOwner, OAuthSettings, Permission,
    RefreshRotation, TokenSet,
};

impl Broker {
    /// What a test login does at this gateway's provider, to be read before it.
    pub async fn test_login_warning(
        &self,
        caller: &Caller,
        gateway: &Gateway,
    ) -> Result<Vec<String>, BrokerError> {
        let settings = crate::connect::oauth_of(gateway)?;
        let scopes = narrowest(settings).join(", ");
        let scopes = if scopes.is_empty() { "no scopes".to_owned() } else { format!("only {scopes}") };
        let end = if settings.revocation_url.is_some() && !settings.facts.revocation_reach.is_wide() {
            "Its tokens are thrown away, and the provider is told to end them."
        } else {
            "Its tokens are thrown away. The provider is not told, because it could end more than them: they live there until their end."
        };
        let mut lines = vec![
            format!("You sign in at the provider as a user would. It is asked for {scopes}."),
            end.to_owned(),
        ];
        let own = self.storage().grant_of(GrantOwner::User(caller.user.id), gateway.id).await?;
        if own.is_some() {
            lines.push("You are connected to this gateway yourself. Some providers end a person's earlier grant when the same app asks anew: then you have to authorize again.".to_owned());
        }
        Ok(lines)
    }

    /// Sets out on a test login.
    pub async fn begin_test_login(
        &self,
        caller: &Caller,
        id: GatewayId,
    ) -> Result<BeganAuthorization, BrokerError> {
        caller.require(Permission::ManageGateways)?;
        let gateway = self.gateway(caller, id).await?;
        self.begin(caller, gateway.slug.as_str(), None, AuthorizationPurpose::Test).await
    }
}

/// As few scopes as still show whether a refresh token comes: those that are only ever asked for, else the first.
pub(crate) fn narrowest(settings: &OAuthSettings) -> Vec<String> {
    let only_asked = |scope: &&String| settings.facts.request_only_scopes.contains(scope);
    let narrow: Vec<String> = settings.scopes.iter().filter(only_asked).cloned().collect();
    if narrow.is_empty() { settings.scopes.iter().take(1).cloned().collect() } else { narrow }
}

/// What the tokens of a test login say.
pub(crate) fn tested(
    request: &AuthorizationRequest,
    settings: &OAuthSettings,
    tokens: &TokenSet,
    thrown_away: ThrownAway,
) -> GatewayCheck {
    let mut check = GatewayCheck { findings: Vec::new() };
    check.good("login", "The provider knows the client and the redirect URI, and gave tokens for its code.");
    check_refresh_token(settings, tokens, &mut check);
    match tokens.expires_at {
        Some(end) => check.good("lifetime", format!("This access token would live until {end}.")),
        None => check.advice(
            "lifetime",
            "The provider does not say how long access tokens live: they are renewed when a call is refused.",
        ),
    }
    let granted = tokens.scopes.as_deref().unwrap_or(&request.scopes);
    let missing = settings.facts.missing(&request.scopes, granted);
    if missing.is_empty() {
        check.good("scopes", "The scopes that were asked for were granted.");
    } else {
        check.advice("scopes", format!("Not granted: {}.", missing.join(", ")));
    }
    match &tokens.account {
        Some(account) => {
            let name = account.name.as_deref().unwrap_or(&account.subject);
            check.good("account", format!("The provider says that this is the account {name}."));
        }
        None => {
            check.advice("account", "The provider does not say whose account it is; connections show none.");
        }
    }
    match thrown_away {
        ThrownAway::EndedThere => check.good("revocation", "The provider has ended the tokens of this test."),
        ThrownAway::LivesOut => {
            check.advice(
                "revocation",
                "The tokens of this test were thrown away; at the provider they live until their end.",
            );
        }
    }
    check
}

fn check_refresh_token(settings: &OAuthSettings, tokens: &TokenSet, check: &mut GatewayCheck) {
    let (subject, ends) = ("refresh_token", tokens.expires_at.is_some());
    if tokens.refresh_token.is_some() {
        check.good(subject, "A refresh token came with it: people authorize once.");
    } else if !ends || settings.facts.refresh_rotation == RefreshRotation::NoRefreshTokens {
        check.advice(subject, "No refresh token came. Nothing needs one while access tokens have no end.");
    } else {
        check.wrong(
            subject,
            "No refresh token came, so people have to authorize again when the access token ends: ask for the offline scope (often offline_access) or the extra parameter that the provider wants (such as access_type=offline with prompt=consent), and allow the refresh token grant for the client.",
        );
    }
}
