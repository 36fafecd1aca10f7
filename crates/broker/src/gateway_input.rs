//! What an administrator types about a gateway, and the checks it must pass. Every error names the
//! field as REST spells it and says what to do.

use crate::BrokerError;
use doorward_domain::gateway::PROTOCOL_PARAMETERS;
use doorward_domain::{
    AccessList, CatalogSharing, ClientCertificatePem, ClientSecret, EraChoice, Gateway, GatewayAuthorization,
    GatewayId, GatewayState, GrantType, HeaderSecret, OnChange, ProviderFacts, Slug, TokenEndpointAuth,
    may_be_told,
};
use http::{HeaderName, HeaderValue};
use secrecy::ExposeSecret;
use std::collections::BTreeMap;
use url::Url;

/// An edit of a secret: secrets are write-only, so "unchanged" has to be sayable.
#[derive(Debug, Clone, Default)]
pub enum Edit<T> {
    /// Absent: stays as it is.
    #[default]
    Keep,
    /// `null`: is removed.
    Clear,
    /// Is replaced.
    Set(T),
}

impl<T> Edit<T> {
    fn is_an_edit(&self) -> bool {
        !matches!(self, Self::Keep)
    }
}

/// A gateway as typed. In an update, none means unchanged.
#[derive(Debug, Clone, Default)]
pub struct GatewayInput {
    pub slug: Option<String>,
    pub name: Option<String>,
    pub url: Option<String>,
    pub state: Option<GatewayState>,
    pub access: Option<AccessList>,
    /// Lists of single tools, all of them; the others are for everyone who may use the gateway.
    pub tool_access: Option<BTreeMap<String, AccessList>>,
    pub catalog_sharing: Option<CatalogSharing>,
    pub on_change: Option<OnChange>,
    pub era: Option<EraChoice>,
    /// What is shown in the TLS handshake.
    pub client_certificate: Edit<ClientCertificateInput>,
    pub authorization: Option<AuthorizationInput>,
}

impl GatewayInput {
    /// Whether a secret would be replaced or removed.
    pub(crate) fn changes_a_secret(&self) -> bool {
        if self.client_certificate.is_an_edit() {
            return true;
        }
        match &self.authorization {
            None | Some(AuthorizationInput::None) => false,
            Some(AuthorizationInput::StaticHeader { value, .. }) => value.is_an_edit(),
            Some(AuthorizationInput::OAuth(typed)) => typed.client_secret.is_an_edit(),
            Some(AuthorizationInput::Discover(typed)) => {
                typed.client.as_ref().is_some_and(|client| client.client_secret.is_an_edit())
            }
        }
    }
}

impl GatewayInput {
    /// Whether a secret would go because the gateway is authorized in another way from then on.
    pub(crate) fn leaves_a_secret_behind(&self, before: &Gateway) -> bool {
        let Some(after) = &self.authorization else { return false };
        match &before.authorization {
            GatewayAuthorization::None => false,
            GatewayAuthorization::StaticHeader(_) => {
                !matches!(after, AuthorizationInput::StaticHeader { .. })
            }
            GatewayAuthorization::OAuth(settings) => {
                let stays = matches!(after, AuthorizationInput::OAuth(_) | AuthorizationInput::Discover(_));
                !stays && settings.registration.client_secret.is_some()
            }
        }
    }
}

/// A client certificate and its key in PEM, as typed.
#[derive(Debug, Clone)]
pub struct ClientCertificateInput {
    /// The client's own first, then those of its authorities.
    pub certificate: String,
    pub key: ClientCertificatePem,
}

/// How users are authorized, as typed.
#[derive(Debug, Clone)]
pub enum AuthorizationInput {
    /// The upstream is open to Doorward.
    None,
    /// Ask the upstream itself (RFC 9728), and register there (RFC 7591), unless a client is known there already.
    Discover(Box<DiscoverInput>),
    StaticHeader {
        name: String,
        value: Edit<HeaderSecret>,
    },
    OAuth(Box<OAuthInput>),
}

/// What is known already where the upstream is asked for the rest.
#[derive(Debug, Clone, Default)]
pub struct DiscoverInput {
    pub grant_type: GrantType,
    /// Where users have what is exchanged, with a grant type that exchanges.
    pub identity_provider: Option<GatewayId>,
    /// What the authorization server calls the service; told to it where nobody consents.
    pub audience: Option<String>,
    /// What the upstream may ask for beyond the scopes that discovery says; none: nothing.
    pub scope_ceiling: Option<Vec<String>>,
    /// A client that was registered by hand; none: Doorward registers itself.
    pub client: Option<ClientInput>,
}

/// A client that was registered by hand, as typed.
#[derive(Debug, Clone)]
pub struct ClientInput {
    pub client_id: String,
    pub client_secret: Edit<ClientSecret>,
    /// None: `none` without a secret; with one what the server is known to offer, else `post`.
    pub token_endpoint_auth: Option<TokenEndpointAuth>,
    /// With `private_key_jwt`, whose secret is the key: what the server calls it.
    pub assertion_kid: Option<String>,
}

/// OAuth settings, as typed.
#[derive(Debug, Clone)]
pub struct OAuthInput {
    /// None: as it was, or each user's own.
    pub grant_type: Option<GrantType>,
    /// Where users have what is exchanged, with a grant type that exchanges; none: as it was.
    pub identity_provider: Option<GatewayId>,
    pub authorization_url: String,
    pub token_url: String,
    pub revocation_url: Option<String>,
    /// How the authorization server treats what it gave; none: as it was, or what is safe to assume.
    pub facts: Option<ProviderFacts>,
    /// None: as it was.
    pub keep_alive: Option<bool>,
    pub issuer: Option<String>,
    pub resource: Option<String>,
    /// What the authorization server calls the service; told to it where nobody consents.
    pub audience: Option<String>,
    pub scopes: Vec<String>,
    /// What the upstream may ask for beyond them; none: as it was.
    pub scope_ceiling: Option<Vec<String>>,
    pub authorize_params: BTreeMap<String, String>,
    pub client_id: String,
    pub client_secret: Edit<ClientSecret>,
    /// None: `post` with a secret, `none` without.
    pub token_endpoint_auth: Option<TokenEndpointAuth>,
    /// With `private_key_jwt`, whose secret is the key: what the server calls it.
    pub assertion_kid: Option<String>,
    /// The template that filled it in; none: as it was.
    pub template: Option<TemplateChoice>,
}

/// A provider template, as chosen.
#[derive(Debug, Clone)]
pub struct TemplateChoice {
    pub id: String,
    /// The version whose values were taken; none: the present one.
    pub version: Option<u32>,
    /// What was given for its placeholders.
    pub inputs: BTreeMap<String, String>,
}

const NAME_MAX: usize = 100;
const URL_MAX: usize = 2_000;
const TEXT_MAX: usize = 500;
const SECRET_MAX: usize = 8_192;
const SCOPES_MAX: usize = 100;

/// Headers that Doorward or the connection itself sets.
const FORBIDDEN_HEADERS: [&str; 18] = [
    "accept",
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "keep-alive",
    "last-event-id",
    "origin",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Tokens go to a revocation endpoint too, so it has to stand where they came from.
pub(crate) fn checked_revocation_place(
    token_url: &Url,
    issuer: Option<&str>,
    revocation_url: Option<&Url>,
) -> Result<(), BrokerError> {
    match revocation_url {
        Some(url) if !may_be_told(token_url, issuer, url) => Err(BrokerError::invalid(
            "authorization.revocation_url",
            "give a URL at the host of the token endpoint or of the issuer: tokens are sent nowhere else",
        )),
        _ => Ok(()),
    }
}

pub(crate) fn checked_name(name: &str) -> Result<String, BrokerError> {
    let name = name.trim();
    if name.is_empty() || name.chars().count() > NAME_MAX || name.chars().any(char::is_control) {
        return Err(BrokerError::invalid("name", "use 1 to 100 printable characters"));
    }
    Ok(name.to_owned())
}

pub(crate) fn checked_slug(slug: &str) -> Result<Slug, BrokerError> {
    Slug::parse(slug).map_err(|error| BrokerError::invalid("slug", error.to_string()))
}

/// A slug made from a name, for those who gave none.
pub(crate) fn slug_from_name(name: &str) -> Result<Slug, BrokerError> {
    let mut slug = String::new();
    for c in name.chars().map(|c| c.to_ascii_lowercase()) {
        if c.is_ascii_lowercase() || c.is_ascii_digit() {
            slug.push(c);
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    slug.truncate(32);
    checked_slug(slug.trim_end_matches('-')).map_err(|_| {
        BrokerError::invalid("slug", "give a slug of a-z, 0-9 and '-'; the name does not yield one")
    })
}

/// An absolute http(s) URL without user, password or fragment. Whether it may be reached is the
/// outbound guard's to say.
pub(crate) fn checked_url(field: &str, text: &str) -> Result<Url, BrokerError> {
    let problem = |problem: &str| BrokerError::invalid(field, problem);
    if text.len() > URL_MAX {
        return Err(problem("use at most 2000 characters"));
    }
    let url = Url::parse(text.trim())
        .map_err(|_| problem("give an absolute URL such as https://example.com/path"))?;
    if !matches!(url.scheme(), "https" | "http") || !url.has_host() {
        return Err(problem("the URL must begin with https://"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(problem("the URL must not contain a user name or password"));
    }
    if url.fragment().is_some() {
        return Err(problem("the URL must not contain a '#' part"));
    }
    Ok(url)
}

pub(crate) fn checked_optional_url(field: &str, text: Option<&str>) -> Result<Option<Url>, BrokerError> {
    text.map(|text| checked_url(field, text)).transpose()
}

/// An issuer or resource indicator: kept byte for byte, so only its form is checked.
pub(crate) fn checked_identifier(field: &str, text: Option<&str>) -> Result<Option<String>, BrokerError> {
    let Some(text) = text else { return Ok(None) };
    checked_url(field, text)?;
    Ok(Some(text.trim().to_owned()))
}

/// RFC 8693 §2.1: a logical name, which only the authorization server can judge.
pub(crate) fn checked_audience(text: Option<&str>) -> Result<Option<String>, BrokerError> {
    text.map(|text| checked_text("authorization.audience", text.trim())).transpose()
}

pub(crate) fn checked_text(field: &str, text: &str) -> Result<String, BrokerError> {
    if text.is_empty() || text.len() > TEXT_MAX || text.chars().any(char::is_control) {
        return Err(BrokerError::invalid(field, "use 1 to 500 characters without control characters"));
    }
    Ok(text.to_owned())
}

/// RFC 6749 §3.3: `scope-token = 1*( %x21 / %x23-5B / %x5D-7E )`.
pub(crate) fn checked_scopes(scopes: &[String]) -> Result<Vec<String>, BrokerError> {
    checked_scopes_at("authorization.scopes", scopes)
}

pub(crate) fn checked_scopes_at(field: &str, scopes: &[String]) -> Result<Vec<String>, BrokerError> {
    if scopes.len() > SCOPES_MAX {
        return Err(BrokerError::invalid(field, "use at most 100 scopes"));
    }
    let mut checked: Vec<String> = Vec::with_capacity(scopes.len());
    for scope in scopes {
        let plain = scope.bytes().all(|b| matches!(b, 0x21 | 0x23..=0x5B | 0x5D..=0x7E));
        if scope.is_empty() || scope.len() > TEXT_MAX || !plain {
            return Err(BrokerError::invalid(
                field,
                "each scope is one word of printable ASCII without blanks, quotes or backslashes",
            ));
        }
        if !checked.contains(scope) {
            checked.push(scope.clone());
        }
    }
    Ok(checked)
}

/// Extra authorize parameters may not name what the protocol sets itself.
pub(crate) fn checked_authorize_params(
    params: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, BrokerError> {
    for (name, value) in params {
        let field = format!("authorization.authorize_params.{}", name.escape_default());
        if PROTOCOL_PARAMETERS.contains(&name.to_ascii_lowercase().as_str()) {
            return Err(BrokerError::invalid(field, "Doorward sets this parameter itself: remove it"));
        }
        checked_text(&field, name)?;
        checked_text(&field, value)?;
    }
    Ok(params.clone())
}

/// The query of an authorization endpoint may not name what the protocol sets itself, either.
pub(crate) fn checked_authorize_query(url: &Url) -> Result<(), BrokerError> {
    let planted =
        url.query_pairs().find(|(name, _)| PROTOCOL_PARAMETERS.contains(&name.to_ascii_lowercase().as_str()));
    match planted {
        None => Ok(()),
        Some((name, _)) => Err(BrokerError::invalid(
            "authorization.authorization_url",
            format!("Doorward sets the parameter '{name}' itself: remove it from the URL"),
        )),
    }
}

/// A header name that an administrator may set.
pub(crate) fn checked_header_name(name: &str) -> Result<String, BrokerError> {
    checked_header_name_at("authorization.name", name)
}

pub(crate) fn checked_header_name_at(field: &str, name: &str) -> Result<String, BrokerError> {
    let name = HeaderName::from_bytes(name.trim().as_bytes())
        .map_err(|_| BrokerError::invalid(field, "this is not a header name"))?;
    let lower = name.as_str();
    if FORBIDDEN_HEADERS.contains(&lower) || lower.starts_with("mcp-") {
        return Err(BrokerError::invalid(
            field,
            "this header belongs to the connection or the protocol: choose another",
        ));
    }
    Ok(lower.to_owned())
}

/// A header value without line breaks or other control characters.
pub(crate) fn checked_header_value(value: &HeaderSecret) -> Result<(), BrokerError> {
    let text = value.expose_secret();
    if text.is_empty() || text.len() > SECRET_MAX || HeaderValue::from_str(text).is_err() {
        return Err(BrokerError::invalid(
            "authorization.value",
            "use 1 to 8192 visible ASCII characters, without line breaks",
        ));
    }
    Ok(())
}

pub(crate) fn checked_client_secret(secret: &ClientSecret) -> Result<(), BrokerError> {
    let text = secret.expose_secret();
    if text.is_empty() || text.len() > SECRET_MAX || text.chars().any(char::is_control) {
        return Err(BrokerError::invalid(
            "authorization.client_secret",
            "use 1 to 8192 characters without control characters",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem_field(error: &BrokerError) -> &str {
        match error {
            BrokerError::Invalid { field, .. } => field,
            other => panic!("{other}"),
        }
    }

    #[test]
    fn a_url_is_absolute_and_carries_nothing_hidden() {
        assert!(checked_url("url", "https://a.example/mcp?x=1").is_ok());
        for bad in [
            "javascript:alert(1)",
            "file:///etc/passwd",
            "/mcp",
            "https://user@a.example/",
            "https://:pw@a.example/",
            "https://a.example/#f",
            "https://",
            &format!("https://a.example/{}", "x".repeat(2_000)),
        ] {
            assert_eq!(problem_field(&checked_url("url", bad).unwrap_err()), "url", "{bad}");
        }
        assert_eq!(checked_identifier("issuer", Some(" https://i/ ")).unwrap().unwrap(), "https://i/");
        assert!(checked_optional_url("u", None).unwrap().is_none());
    }

    #[test]
    fn extra_parameters_cannot_name_a_protocol_parameter() {
        for name in ["state", "State", "redirect_uri", "resource", "code_challenge"] {
            let params = BTreeMap::from([(name.to_owned(), "x".to_owned())]);
            let error = checked_authorize_params(&params).unwrap_err();
            assert!(problem_field(&error).starts_with("authorization.authorize_params."));
        }
        let fine = BTreeMap::from([("access_type".to_owned(), "offline".to_owned())]);
        assert_eq!(checked_authorize_params(&fine).unwrap(), fine);
        let planted =
            Url::parse("https://as.example/authorize?tenant=t&Redirect_uri=https://evil.example").unwrap();
        assert_eq!(
            problem_field(&checked_authorize_query(&planted).unwrap_err()),
            "authorization.authorization_url"
        );
        let empty = BTreeMap::from([("prompt".to_owned(), "a\nb".to_owned())]);
        assert!(checked_authorize_params(&empty).is_err());
    }

    #[test]
    fn a_static_header_is_neither_the_connections_nor_the_protocols() {
        for bad in ["Host", "Connection", "Mcp-Session-Id", "transfer-encoding", "a b", "x\r\ny", ""] {
            assert!(checked_header_name(bad).is_err(), "{bad}");
        }
        assert_eq!(checked_header_name("X-Api-Key").unwrap(), "x-api-key");
        assert!(checked_header_value(&HeaderSecret::new("a\r\nb: c")).is_err());
        assert!(checked_header_value(&HeaderSecret::new("")).is_err());
        assert!(checked_header_value(&HeaderSecret::new("Bearer abc")).is_ok());
    }

    #[test]
    fn scopes_are_single_words_and_do_not_repeat() {
        let scopes = ["repo".to_owned(), "repo".to_owned(), "user:email".to_owned()];
        assert_eq!(checked_scopes(&scopes).unwrap(), ["repo", "user:email"]);
        for bad in ["a b", "", "\"", "é"] {
            assert!(checked_scopes(&[bad.to_owned()]).is_err());
        }
        assert!(checked_scopes(&vec!["s".to_owned(); 101]).is_err());
    }

    #[test]
    fn names_slugs_and_secrets_have_bounds() {
        assert_eq!(checked_name("  GitHub ").unwrap(), "GitHub");
        assert!(checked_name("").is_err());
        assert!(checked_name("a\u{7}").is_err());
        assert_eq!(slug_from_name("My GitHub (work)!").unwrap().as_str(), "my-github-work");
        assert!(slug_from_name("你好").is_err());
        assert!(checked_slug("UPPER").is_err());
        assert!(checked_client_secret(&ClientSecret::new("")).is_err());
        assert!(checked_client_secret(&ClientSecret::new("ok")).is_ok());
        assert!(checked_text("client_id", "").is_err());
    }
}
