//! How an authorization server differs from the book: how it wants to be asked, how it answers, and how it
//! treats what it gave. A provider template fills it in; an administrator may edit it; the gateway keeps it.

use crate::provider_telling::{RevocationMethod, RevocationReach};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use url::Url;

/// What is known of the authorization server behind a gateway. The default is the book (RFC 6749), and what is
/// safe to assume of a server that nothing is known of.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProviderFacts {
    /// The authorization request's name for the scopes, where it is not `scope` (Slack's `user_scope`).
    pub scope_param: Option<String>,
    /// What stands between the scopes that are asked for.
    pub scope_separator_request: ScopeSeparator,
    /// What stands between the scopes of an answer; none: a blank or a comma.
    pub scope_separator_response: Option<ScopeSeparator>,
    /// Scopes that are asked for and never listed among the granted ones.
    pub request_only_scopes: Vec<String>,
    /// Whether RFC 8707's `resource` is sent.
    pub send_resource: SendResource,
    /// How a token request is written.
    pub token_body: TokenBody,
    /// How a token answer is written.
    pub token_response_format: TokenResponseFormat,
    /// Words that an answer's `token_type` may hold besides `bearer`, and that mean the same (Slack's `user`).
    pub token_types: Vec<String>,
    /// What tells an error under status 200 from tokens.
    pub error_in_200: ErrorIn200,
    /// Where in the answer the access token stands, as `a.b`; none: `access_token`.
    pub access_token_path: Option<String>,
    /// Where in the answer the refresh token stands; none: `refresh_token`.
    pub refresh_token_path: Option<String>,
    /// Where in the answer the lifetime stands; none: `expires_in`.
    pub expires_in_path: Option<String>,
    /// Where in the answer the granted scopes stand; none: `scope`.
    pub scope_path: Option<String>,
    /// So many seconds an access token lives whose answer does not say.
    pub expires_in_default: Option<u32>,
    /// Where refresh tokens are redeemed, where it is not the token endpoint; at the same origin.
    pub refresh_url: Option<Url>,
    /// A refresh repeats the scopes of the consent.
    pub refresh_needs_scope: bool,
    /// What becomes of a refresh token that is redeemed.
    pub refresh_rotation: RefreshRotation,
    /// A refresh whose answer was lost may be repeated, because the refresh token stays good.
    pub replay_safe: bool,
    /// So many days after the last token it gave, the provider ends an idle grant.
    pub idle_death_days: Option<u32>,
    /// So many days after the consent, the provider ends a grant whatever happens.
    pub absolute_death_days: Option<u32>,
    /// How the provider is told; none of a revocation endpoint means [`RevocationMethod::None`].
    pub revocation_method: RevocationMethod,
    /// What ends when the provider is told.
    pub revocation_reach: RevocationReach,
    /// Where a person ends it by hand, for providers that cannot be told.
    pub user_apps_url: Option<Url>,
    /// Who tells whose account a token is of.
    pub whoami: Option<Whoami>,
}

/// What stands between scopes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScopeSeparator {
    /// RFC 6749 §3.3.
    #[default]
    Space,
    Comma,
}

/// Whether RFC 8707's `resource` is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SendResource {
    /// In the authorization request and in every token request.
    #[default]
    Always,
    /// Nowhere.
    Never,
    /// In the authorization request and with the code; a code that was refused with 400 is sent once more without.
    /// A refresh never carries it, because a refresh must not be tried twice.
    #[serde(rename = "retry_without_on_400")]
    RetryWithoutOn400,
}

/// How a token request is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenBody {
    #[default]
    Form,
    Json,
}

/// How a token answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenResponseFormat {
    /// As JSON; what cannot be anything but a form is read as one.
    #[default]
    Json,
    /// As a form, although JSON is asked for; JSON is read where it comes.
    Form,
}

/// What tells an error under status 200 from tokens. An answer without an access token is an error for everybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorIn200 {
    /// A status 200 with an access token is a success, whatever else it says.
    #[default]
    Never,
    /// A member `error` makes it an error (GitHub).
    Error,
    /// Only `ok: true` is a success (Slack).
    OkFalse,
}

/// What becomes of a refresh token that is redeemed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefreshRotation {
    /// Nobody knows: it is treated as single use.
    #[default]
    Unknown,
    /// The answer brings another; the old one is dead, and its return may end the grant.
    AlwaysSingleUse,
    /// The answer brings another; the old one stays good.
    ReplacedOldValid,
    /// It stays.
    Never,
    /// A switch at the provider decides.
    Setting,
    /// There are no refresh tokens.
    NoRefreshTokens,
}

impl RefreshRotation {
    /// Whether a refresh token that was sent may be sent again.
    pub fn keeps_the_old_one(self) -> bool {
        matches!(self, Self::ReplacedOldValid | Self::Never)
    }
}

/// The call that tells whose account a token is of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Whoami {
    pub url: Url,
    #[serde(default)]
    pub method: WhoamiMethod,
    /// Where in the answer the provider's stable identifier stands, as `a.b`.
    pub subject_path: String,
    /// Where in the answer stands what a person recognizes.
    #[serde(default)]
    pub name_path: Option<String>,
    /// What the call needs besides the token, such as a version.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// A JSON body (GraphQL).
    #[serde(default)]
    pub body: Option<String>,
}

/// How the whoami call is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhoamiMethod {
    #[default]
    Get,
    Post,
}

impl ProviderFacts {
    /// The scopes as one parameter's value.
    pub fn joined(&self, scopes: &[String]) -> String {
        scopes.join(match self.scope_separator_request {
            ScopeSeparator::Space => " ",
            ScopeSeparator::Comma => ",",
        })
    }

    /// Those of the wanted scopes that were not granted. What is only ever asked for is not missed.
    pub fn missing(&self, wanted: &[String], granted: &[String]) -> Vec<String> {
        let missed = |scope: &&String| !granted.contains(scope) && !self.request_only_scopes.contains(scope);
        wanted.iter().filter(missed).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_are_stored_as_words_and_unknown_ones_are_refused() {
        let stored = serde_json::to_string(&ProviderFacts::default()).unwrap();
        assert!(stored.contains(r#""revocation_method":"rfc7009""#), "{stored}");
        assert_eq!(serde_json::from_str::<ProviderFacts>(&stored).unwrap(), ProviderFacts::default());
        assert_eq!(serde_json::from_str::<ProviderFacts>("{}").unwrap(), ProviderFacts::default());
        assert!(serde_json::from_str::<ProviderFacts>(r#"{"replay":true}"#).is_err());
        assert!(serde_json::from_str::<ProviderFacts>(r#"{"whoami":{"url":"https://a/"}}"#).is_err());
    }

    #[test]
    fn what_is_only_ever_asked_for_is_not_missed() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let facts = ProviderFacts {
            request_only_scopes: words("offline_access openid"),
            scope_separator_request: ScopeSeparator::Comma,
            ..ProviderFacts::default()
        };
        assert_eq!(facts.missing(&words("openid offline_access read write"), &words("read")), ["write"]);
        assert_eq!(facts.joined(&words("read write")), "read,write");
    }
}
