//! How a vendor departs from the book.

/// A vendor's ways.
#[derive(Debug, Clone)]
pub struct VendorProfile {
    /// Paths of the endpoints.
    pub authorize: &'static str,
    pub token: &'static str,
    /// Where refresh tokens are taken, where it is not the token endpoint.
    pub refresh: Option<&'static str>,
    pub client: ClientWay,
    pub body: Body,
    pub answers: Answers,
    /// The authorization request's name for scopes, and what stands between them.
    pub scope_param: &'static str,
    pub scope_separator: char,
    /// What stands between the scopes of an answer; none: the answer names no scopes.
    pub answered_separator: Option<&'static str>,
    /// Scopes that are taken and never answered.
    pub unanswered_scopes: &'static [&'static str],
    /// A parameter without which an authorization request is refused.
    pub wants: Option<(&'static str, &'static str)>,
    /// A parameter without which the tokens open no API.
    pub api_wants: Option<&'static str>,
    /// A parameter without which there is no refresh token.
    pub offline_param: Option<(&'static str, &'static str)>,
    /// A scope without which there is no refresh token.
    pub offline_scope: Option<&'static str>,
    /// From the second consent on there is a refresh token only with `prompt=consent`.
    pub only_at_fresh_consent: bool,
    /// Whether `resource` is refused: at the authorization endpoint too, or just at the token endpoint.
    pub refuses_resource: bool,
    pub refuses_resource_with_tokens: bool,
    /// A refresh without scopes is refused.
    pub refresh_wants_scope: bool,
    pub rotation: Rotation,
    /// Days after a consent at which its refresh tokens end, whatever was done with them.
    pub refresh_days: Option<u32>,
    /// The status under which a refresh token is refused.
    pub refused_refresh: u16,
    /// Seconds; none: tokens live for ever, and the answer does not say.
    pub lifetime: Option<u32>,
    /// `iss` of the redirect, after the base.
    pub iss: Option<&'static str>,
    /// Where its metadata stands, and the issuer there, after the base.
    pub metadata: Option<(&'static str, &'static str)>,
    pub revoking: Revoking,
    pub whoami: Option<Whoami>,
}

/// How a client has to show itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientWay {
    Basic,
    Post,
    Either,
}

/// How a token request has to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body {
    Form,
    Json,
}

/// How token answers look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answers {
    /// RFC 6749.
    Json,
    /// A form, and every error under status 200.
    Form,
    /// JSON with `ok`; a person's token nested beside a bot's, every error under status 200.
    Slack,
}

/// What becomes of a refresh token that is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rotation {
    /// There are none.
    NoRefreshTokens,
    /// Dead, and its return ends the family.
    SingleUse,
    /// Dead so many seconds after its first use; until then its return is answered, afterwards it ends the family.
    SingleUseAfter(u32),
    /// Replaced, and still good.
    OldStaysValid,
    /// It stays, and the answer names none.
    Stays,
}

/// How the vendor is told of an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revoking {
    Nowhere,
    /// RFC 7009.
    Rfc7009(&'static str),
    /// `DELETE` at this path, with the client's id in it.
    GithubDelete(&'static str),
    /// An empty `POST` under the token itself.
    Bearer(&'static str),
}

impl Revoking {
    pub(super) fn is_at(self, path: &str) -> bool {
        match self {
            Self::Nowhere => false,
            Self::Rfc7009(at) | Self::GithubDelete(at) | Self::Bearer(at) => at == path,
        }
    }
}

/// Who tells whose account a token is of.
#[derive(Debug, Clone, Copy)]
pub struct Whoami {
    pub method: &'static str,
    pub path: &'static str,
    /// A header that it wants.
    pub wants: Option<&'static str>,
    /// A body that it wants.
    pub wants_body: bool,
    /// The answer; `ID` and `NAME` stand for the account's.
    pub answer: &'static str,
}

impl VendorProfile {
    /// A vendor that departs in nothing.
    pub const fn by_the_book() -> Self {
        Self {
            authorize: "/authorize",
            token: "/token",
            refresh: None,
            client: ClientWay::Either,
            body: Body::Form,
            answers: Answers::Json,
            scope_param: "scope",
            scope_separator: ' ',
            answered_separator: Some(" "),
            unanswered_scopes: &[],
            wants: None,
            api_wants: None,
            offline_param: None,
            offline_scope: None,
            only_at_fresh_consent: false,
            refuses_resource: false,
            refuses_resource_with_tokens: false,
            refresh_wants_scope: false,
            rotation: Rotation::SingleUse,
            refresh_days: None,
            refused_refresh: 400,
            lifetime: Some(3600),
            iss: None,
            metadata: None,
            revoking: Revoking::Rfc7009("/revoke"),
            whoami: None,
        }
    }
}
