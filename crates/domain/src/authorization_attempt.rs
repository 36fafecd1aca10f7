//! The flow inspector: what happened at each browser round trip, step by step, for administrators. A step
//! holds known facts alone. Codes, states, verifiers, secrets and tokens are facts without a value: that one
//! was there can be kept, what it was cannot.

use crate::authorization_request::AuthorizationPurpose;
use crate::client_registration::TokenEndpointAuth;
use crate::clock::Timestamp;
use crate::ids::{AuthorizationAttemptId, GatewayId, GrantId, UserId};
use serde::{Deserialize, Serialize};
use std::fmt::{Display, Formatter, Result as Written};
use std::time::Duration;
use url::Url;

/// How long attempts are kept.
pub const ATTEMPTS_KEPT: Duration = Duration::from_secs(14 * 86_400);

/// Steps that one attempt keeps at most: whoever repeats a callback does not fill the database.
pub const STEPS_MAX: i64 = 40;

/// The longest text from outside that a fact keeps, in characters.
const WORDS_MAX: usize = 300;

/// How far an attempt has come, or how it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttemptState {
    /// The link was opened; nobody has agreed yet.
    Opened,
    /// The browser was sent to the provider and has not come back.
    SetOut,
    Connected,
    /// A test login, or another account than the one that is connected: what came was thrown away.
    Tested,
    OtherAccount,
    /// The person said no at the provider.
    Denied,
    Refused,
}

impl AttemptState {
    /// Every state, in the order in which pages offer them.
    pub const ALL: [Self; 7] = [
        Self::Refused,
        Self::Denied,
        Self::OtherAccount,
        Self::SetOut,
        Self::Opened,
        Self::Connected,
        Self::Tested,
    ];
}

/// One browser round trip.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorizationAttempt {
    /// Also the id of its authorization request, once there is one.
    pub id: AuthorizationAttemptId,
    /// What the page that its user was shown calls it.
    pub reference: String,
    pub user_id: UserId,
    pub user_email: String,
    /// None: the answer belonged to no round trip that is known.
    pub gateway: Option<AttemptGateway>,
    pub state: AttemptState,
    pub started_at: Timestamp,
}

/// The gateway of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptGateway {
    pub id: GatewayId,
    pub slug: String,
}

/// Which attempts are wanted: those that pass every part that is set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AttemptFilter {
    pub user: Option<UserId>,
    pub gateway: Option<GatewayId>,
    pub state: Option<AttemptState>,
    /// What the page that its user was shown calls it.
    pub reference: Option<String>,
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptStep {
    pub at: Timestamp,
    pub kind: StepKind,
    pub facts: Vec<StepFact>,
}

impl AttemptStep {
    pub fn new(at: Timestamp, kind: StepKind) -> Self {
        Self { at, kind, facts: Vec::new() }
    }

    /// Adds a fact.
    #[must_use]
    pub fn with(mut self, fact: StepFact) -> Self {
        self.facts.push(fact);
        self
    }

    /// Adds facts that may not be there.
    #[must_use]
    pub fn with_all(mut self, facts: impl IntoIterator<Item = StepFact>) -> Self {
        self.facts.extend(facts);
        self
    }
}

/// What a step was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepKind {
    LinkOpened,
    Agreed,
    /// The redirect to the provider: the request, without what is secret in it.
    SentToProvider,
    /// The callback: the answer, likewise.
    CameBack,
    CodeSent,
    TokensCame,
    /// The token endpoint gave none.
    NoTokens,
    AccountAsked,
    Stored,
    Tested,
    OtherAccount,
    Denied,
    Refused,
}

/// What was refused, as the table of likely fixes knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttemptProblem {
    NoState,
    UnknownState,
    Expired,
    OtherUser,
    OtherBrowser,
    WrongIssuer,
    NoCode,
    ProviderError,
    GatewayChanged,
    EndedMeanwhile,
    ExchangeFailed,
}

impl AttemptProblem {
    /// As REST spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoState => "no_state",
            Self::UnknownState => "unknown_state",
            Self::Expired => "expired",
            Self::OtherUser => "other_user",
            Self::OtherBrowser => "other_browser",
            Self::WrongIssuer => "wrong_issuer",
            Self::NoCode => "no_code",
            Self::ProviderError => "provider_error",
            Self::GatewayChanged => "gateway_changed",
            Self::EndedMeanwhile => "ended_meanwhile",
            Self::ExchangeFailed => "exchange_failed",
        }
    }
}

/// What went wrong at the token endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExchangeProblem {
    /// The provider refused, with an error code.
    Refused,
    /// It could not just now.
    Temporary,
    /// Nothing left this machine.
    NotSent,
    /// It was sent, and no readable answer came.
    Unanswered,
    /// Our own client secret could not be opened.
    SecretUnusable,
}

impl ExchangeProblem {
    /// As REST spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Temporary => "temporary",
            Self::NotSent => "not_sent",
            Self::Unanswered => "unanswered",
            Self::SecretUnusable => "secret_unusable",
        }
    }
}

/// A fact of a step. Those without a value stand for what is never kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepFact {
    Client(Words),
    Purpose(AuthorizationPurpose),
    Endpoint(Place),
    ClientId(Words),
    ClientAuthentication(TokenEndpointAuth),
    RedirectUri(Place),
    Scopes(Vec<Words>),
    Resource(Words),
    ExtraParameters(Vec<Words>),
    ExpectedIssuer(Place),
    ReceivedIssuer(Place),
    Problem(AttemptProblem),
    ExchangeProblem(ExchangeProblem),
    /// An OAuth error code.
    ErrorCode(Words),
    /// The provider's own prose, without what could be a secret.
    ProviderWords(Words),
    /// Our own words for what happened.
    Why(Words),
    LivesSeconds(u64),
    Account(Words),
    AccountBefore(Words),
    Grant(GrantId),
    Passes(bool),
    State,
    CodeChallenge,
    Code,
    CodeVerifier,
    ClientSecret,
    AccessToken,
    RefreshToken,
    NoRefreshToken,
    NoAccount,
}

/// What stands in the place of what is never kept.
pub const WITHHELD: &str = "[withheld]";

impl StepFact {
    /// The name that REST and pages know it by: the parameter's, where it is one.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Client(_) => "client_name",
            Self::Purpose(_) => "purpose",
            Self::Endpoint(_) => "endpoint",
            Self::ClientId(_) => "client_id",
            Self::ClientAuthentication(_) => "client_authentication",
            Self::RedirectUri(_) => "redirect_uri",
            Self::Scopes(_) => "scope",
            Self::Resource(_) => "resource",
            Self::ExtraParameters(_) => "extra_parameters",
            Self::ExpectedIssuer(_) => "expected_issuer",
            Self::ReceivedIssuer(_) => "iss",
            Self::Problem(_) => "problem",
            Self::ExchangeProblem(_) => "exchange_problem",
            Self::ErrorCode(_) => "error",
            Self::ProviderWords(_) => "error_description",
            Self::Why(_) => "why",
            Self::LivesSeconds(_) => "expires_in",
            Self::Account(_) | Self::NoAccount => "account",
            Self::AccountBefore(_) => "account_before",
            Self::Grant(_) => "grant",
            Self::Passes(_) => "passes",
            Self::State => "state",
            Self::CodeChallenge => "code_challenge",
            Self::Code => "code",
            Self::CodeVerifier => "code_verifier",
            Self::ClientSecret => "client_secret",
            Self::AccessToken => "access_token",
            Self::RefreshToken | Self::NoRefreshToken => "refresh_token",
        }
    }

    /// Its value in words.
    pub fn text(&self) -> String {
        let joined = |words: &[Words]| words.iter().map(Words::as_str).collect::<Vec<_>>().join(" ");
        match self {
            Self::Client(words)
            | Self::ClientId(words)
            | Self::Resource(words)
            | Self::ErrorCode(words)
            | Self::ProviderWords(words)
            | Self::Why(words)
            | Self::Account(words)
            | Self::AccountBefore(words) => words.to_string(),
            Self::Endpoint(place)
            | Self::RedirectUri(place)
            | Self::ExpectedIssuer(place)
            | Self::ReceivedIssuer(place) => place.to_string(),
            Self::Scopes(words) | Self::ExtraParameters(words) => joined(words),
            Self::Purpose(purpose) => purpose.as_str().to_owned(),
            Self::ClientAuthentication(way) => way.as_str().to_owned(),
            Self::Problem(problem) => problem.as_str().to_owned(),
            Self::ExchangeProblem(problem) => problem.as_str().to_owned(),
            Self::LivesSeconds(seconds) => seconds.to_string(),
            Self::Grant(id) => id.to_string(),
            Self::Passes(passes) => passes.to_string(),
            Self::NoRefreshToken | Self::NoAccount => "none".to_owned(),
            Self::State
            | Self::CodeChallenge
            | Self::Code
            | Self::CodeVerifier
            | Self::ClientSecret
            | Self::AccessToken
            | Self::RefreshToken => WITHHELD.to_owned(),
        }
    }
}

/// Text from outside, fit to be kept: no control characters, cut. A secret has no way in but through
/// `expose_secret`, which is called behind a few doors only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Words(String);

impl Words {
    pub fn new(text: &str) -> Self {
        Self(text.chars().filter(|c| !c.is_control()).take(WORDS_MAX).collect())
    }

    /// Each of a list.
    pub fn list(texts: &[String]) -> Vec<Self> {
        texts.iter().map(|text| Self::new(text)).collect()
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Display for Words {
    fn fmt(&self, f: &mut Formatter<'_>) -> Written {
        f.write_str(&self.0)
    }
}

/// An address without what could be secret in one: no credentials, no query, no fragment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Place(String);

impl Place {
    pub fn new(url: &Url) -> Self {
        if url.cannot_be_a_base() {
            return Self(format!("{}:", url.scheme()));
        }
        let text = format!("{}{}", url.origin().ascii_serialization(), url.path());
        Self(Words::new(&text).0)
    }

    /// An address that somebody sent; what is none is not repeated.
    pub fn read(text: &str) -> Self {
        Url::parse(text)
            .map_or_else(|_| Self("something that is no address".to_owned()), |url| Self::new(&url))
    }
}

impl Display for Place {
    fn fmt(&self, f: &mut Formatter<'_>) -> Written {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_kept_without_what_could_be_secret_in_it() {
        let place = |text: &str| Place::read(text).to_string();
        assert_eq!(place("https://u:p@as.example:444/t/token?code=x#y"), "https://as.example:444/t/token");
        assert_eq!(place("data:text/html,secret"), "data:");
        assert_eq!(place("a-code"), "something that is no address");
    }

    #[test]
    fn words_from_outside_are_cut_and_hold_no_control_characters() {
        assert_eq!(Words::new("a\u{0}b\nc").as_str(), "abc");
        assert_eq!(Words::new(&"x".repeat(1_000)).as_str().len(), 300);
    }

    #[test]
    fn what_is_secret_has_no_room_for_a_value() {
        let facts = [
            StepFact::State,
            StepFact::CodeChallenge,
            StepFact::Code,
            StepFact::CodeVerifier,
            StepFact::ClientSecret,
            StepFact::AccessToken,
            StepFact::RefreshToken,
        ];
        for fact in facts {
            let json = serde_json::to_value(&fact).unwrap();
            assert_eq!(json, fact.name(), "a name alone");
            assert_eq!(fact.text(), WITHHELD);
        }
    }
}
