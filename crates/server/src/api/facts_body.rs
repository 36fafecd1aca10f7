//! Provider facts as REST takes and shows them, and how the OpenAPI document spells their words.

use doorward_domain::ProviderFacts;
use serde::Deserialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// How the authorization server differs from the book: what is left out is by the book.
#[derive(Debug, Clone, Deserialize)]
#[serde(transparent)]
pub(crate) struct ProviderFactsBody(pub(super) ProviderFacts);

/// How the document spells provider facts.
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "stands for the domain's ProviderFacts in the OpenAPI document, which knows no OpenAPI"
)]
pub(crate) struct ProviderFactsName {
    /// The authorization request's name for the scopes, where it is not `scope`.
    scope_param: Option<String>,
    scope_separator_request: Option<ScopeSeparatorName>,
    scope_separator_response: Option<ScopeSeparatorName>,
    /// Scopes that are asked for and never listed among the granted ones.
    request_only_scopes: Option<Vec<String>>,
    send_resource: Option<SendResourceName>,
    token_body: Option<TokenBodyName>,
    token_response_format: Option<TokenResponseFormatName>,
    /// Words of an answer's `token_type` that mean the same as `bearer`.
    token_types: Option<Vec<String>>,
    error_in_200: Option<ErrorIn200Name>,
    /// Where in the answer the access token stands, as `a.b`.
    access_token_path: Option<String>,
    refresh_token_path: Option<String>,
    expires_in_path: Option<String>,
    scope_path: Option<String>,
    /// So many seconds an access token lives whose answer does not say.
    #[schema(minimum = 0, maximum = 4_294_967_295_u32)]
    expires_in_default: Option<u32>,
    /// Where refresh tokens are redeemed, where it is not the token endpoint; at the same origin.
    #[schema(format = "uri")]
    refresh_url: Option<String>,
    /// A refresh repeats the scopes of the consent.
    refresh_needs_scope: Option<bool>,
    refresh_rotation: Option<RefreshRotationName>,
    /// A refresh whose answer was lost may be repeated.
    replay_safe: Option<bool>,
    /// So many days after the last token it gave, the provider ends an idle grant.
    #[schema(minimum = 0, maximum = 4_294_967_295_u32)]
    idle_death_days: Option<u32>,
    /// So many days after the consent, the provider ends the grant whatever happens.
    #[schema(minimum = 0, maximum = 4_294_967_295_u32)]
    absolute_death_days: Option<u32>,
    revocation_method: Option<RevocationMethodName>,
    revocation_reach: Option<RevocationReachName>,
    /// Where a person ends it by hand.
    #[schema(format = "uri")]
    user_apps_url: Option<String>,
    whoami: Option<WhoamiName>,
}

/// How the document spells the call that tells whose account a token is of.
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "stands for the domain's Whoami in the OpenAPI document, which knows no OpenAPI"
)]
pub(crate) struct WhoamiName {
    #[schema(format = "uri")]
    url: String,
    method: Option<WhoamiMethodName>,
    /// Where in the answer the provider's stable identifier stands, as `a.b`.
    subject_path: String,
    /// Where in the answer stands what a person recognizes.
    name_path: Option<String>,
    headers: Option<BTreeMap<String, String>>,
    /// A JSON body.
    body: Option<String>,
}

/// How the document spells what stands between scopes.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "stands for a word of the domain in the OpenAPI document")]
pub(crate) enum ScopeSeparatorName {
    Space,
    Comma,
}

/// How the document spells whether `resource` is sent.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "stands for a word of the domain in the OpenAPI document")]
pub(crate) enum SendResourceName {
    Always,
    Never,
    #[schema(rename = "retry_without_on_400")]
    RetryWithoutOn400,
}

/// How the document spells the body of a token request.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "stands for a word of the domain in the OpenAPI document")]
pub(crate) enum TokenBodyName {
    Form,
    Json,
}

/// How the document spells the form of a token answer.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "stands for a word of the domain in the OpenAPI document")]
pub(crate) enum TokenResponseFormatName {
    Json,
    Form,
}

/// How the document spells what tells an error under status 200.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "stands for a word of the domain in the OpenAPI document")]
pub(crate) enum ErrorIn200Name {
    Never,
    Error,
    OkFalse,
}

/// How the document spells what becomes of a refresh token.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "stands for a word of the domain in the OpenAPI document")]
pub(crate) enum RefreshRotationName {
    Unknown,
    AlwaysSingleUse,
    ReplacedOldValid,
    Never,
    Setting,
    NoRefreshTokens,
}

/// How the document spells the ways to tell a provider.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "stands for a word of the domain in the OpenAPI document")]
pub(crate) enum RevocationMethodName {
    Rfc7009,
    GithubDelete,
    BearerCall,
    None,
}

/// How the document spells what ends when a provider is told.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "stands for a word of the domain in the OpenAPI document")]
pub(crate) enum RevocationReachName {
    ThisGrant,
    AllOfAppForUser,
    AllAppsForUser,
}

/// How the document spells the whoami call's method.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "stands for a word of the domain in the OpenAPI document")]
pub(crate) enum WhoamiMethodName {
    Get,
    Post,
}
