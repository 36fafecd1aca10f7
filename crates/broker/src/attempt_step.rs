//! What the steps of a round trip say: requests and answers without what is secret in them.

use crate::Broker;
use doorward_domain::{
    AttemptStep, AuthorizationPurpose, ExchangeProblem, Grant, OAuthSettings, Place, ProviderAccount,
    StepFact, StepKind, TokenSet, Words,
};
use doorward_oauth::TokenError;
use url::Url;

impl Broker {
    /// The consent that was given here, and the request that the browser carries away (RFC 6749 §4.1.1).
    pub(crate) fn steps_of_setting_out(
        &self,
        settings: &OAuthSettings,
        scopes: &[String],
        purpose: AuthorizationPurpose,
    ) -> Vec<AttemptStep> {
        let extra: Vec<String> = settings.authorize_params.keys().cloned().collect();
        let sent = self
            .step(StepKind::SentToProvider)
            .with_all(settings.authorization_url.as_ref().map(|url| StepFact::Endpoint(Place::new(url))))
            .with_all(client_and_redirect(settings, &self.redirect_uri()))
            .with(StepFact::Scopes(Words::list(scopes)))
            .with_all(resource(settings))
            .with_all((!extra.is_empty()).then(|| StepFact::ExtraParameters(Words::list(&extra))))
            .with_all(settings.issuer.as_deref().map(|issuer| StepFact::ExpectedIssuer(Place::read(issuer))))
            .with(StepFact::State)
            .with(StepFact::CodeChallenge);
        vec![self.step(StepKind::Agreed).with(StepFact::Purpose(purpose)), sent]
    }

    /// The token request (RFC 6749 §4.1.3).
    pub(crate) fn step_of_code_sent(&self, settings: &OAuthSettings) -> AttemptStep {
        let secret = settings.registration.client_secret.as_ref();
        self.step(StepKind::CodeSent)
            .with(StepFact::Endpoint(Place::new(&settings.token_url)))
            .with_all(client_and_redirect(settings, &self.redirect_uri()))
            .with(StepFact::ClientAuthentication(settings.registration.token_endpoint_auth))
            .with_all(resource(settings))
            .with_all(secret.map(|_| StepFact::ClientSecret))
            .with(StepFact::Code)
            .with(StepFact::CodeVerifier)
    }

    /// The token endpoint's answer (RFC 6749 §5.1).
    pub(crate) fn step_of_tokens(&self, tokens: &TokenSet) -> AttemptStep {
        let step = self.step(StepKind::TokensCame);
        let lives = tokens.expires_at.map(|end| StepFact::LivesSeconds(step.at.until(end).as_secs()));
        let refresh =
            tokens.refresh_token.as_ref().map_or(StepFact::NoRefreshToken, |_| StepFact::RefreshToken);
        step.with(StepFact::AccessToken)
            .with(refresh)
            .with_all(lives)
            .with_all(tokens.scopes.as_deref().map(|scopes| StepFact::Scopes(Words::list(scopes))))
            .with_all(tokens.account.as_ref().map(account))
    }

    /// The token endpoint's refusal (RFC 6749 §5.2), or that no answer came.
    pub(crate) fn step_of_no_tokens(&self, error: &TokenError) -> AttemptStep {
        let step = self.step(StepKind::NoTokens);
        let why = |problem, why: &str| [StepFact::ExchangeProblem(problem), StepFact::Why(Words::new(why))];
        match error {
            TokenError::Refused { code, description, .. } => step
                .with(StepFact::ExchangeProblem(ExchangeProblem::Refused))
                .with(StepFact::ErrorCode(Words::new(code)))
                .with_all(description.as_deref().map(|words| StepFact::ProviderWords(Words::new(words)))),
            TokenError::Temporary { why: text, .. } => step.with_all(why(ExchangeProblem::Temporary, text)),
            TokenError::NotSent { why: text } => step.with_all(why(ExchangeProblem::NotSent, text)),
            TokenError::Unanswered { why: text } => step.with_all(why(ExchangeProblem::Unanswered, text)),
        }
    }

    /// That the provider was asked whose account it is, where its facts say how.
    pub(crate) fn step_of_account(
        &self,
        settings: &OAuthSettings,
        found: Option<&ProviderAccount>,
    ) -> Option<AttemptStep> {
        let whoami = settings.facts.whoami.as_ref()?;
        let step = self.step(StepKind::AccountAsked).with(StepFact::Endpoint(Place::new(&whoami.url)));
        Some(step.with(found.map_or(StepFact::NoAccount, account)))
    }

    /// What was stored.
    pub(crate) fn step_of_stored(
        &self,
        grant: doorward_domain::GrantId,
        tokens: &TokenSet,
        before: Option<&Grant>,
    ) -> AttemptStep {
        let was = before.and_then(|before| before.account.as_ref());
        let was = was.filter(|was| Some(*was) != tokens.account.as_ref());
        self.step(StepKind::Stored)
            .with(StepFact::Grant(grant))
            .with_all(tokens.account.as_ref().map(account))
            .with_all(was.map(|was| StepFact::AccountBefore(named(was))))
    }
}

pub(crate) fn account(account: &ProviderAccount) -> StepFact {
    StepFact::Account(named(account))
}

pub(crate) fn named(account: &ProviderAccount) -> Words {
    Words::new(account.name.as_deref().unwrap_or(&account.subject))
}

fn client_and_redirect(settings: &OAuthSettings, redirect_uri: &Url) -> [StepFact; 2] {
    let client = Words::new(&settings.registration.client_id);
    [StepFact::ClientId(client), StepFact::RedirectUri(Place::new(redirect_uri))]
}

fn resource(settings: &OAuthSettings) -> Option<StepFact> {
    settings.sent_resource().map(|resource| StepFact::Resource(Words::new(resource)))
}
