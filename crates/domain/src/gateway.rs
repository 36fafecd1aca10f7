//! A gateway: a registered upstream MCP server, and how users are authorized at it.

use crate::access_list::AccessList;
use crate::catalog_version::OnChange;
use crate::client_registration::ClientRegistration;
use crate::clock::Timestamp;
use crate::ids::GatewayId;
use crate::provider_facts::{ProviderFacts, SendResource};
use crate::provider_telling::{Telling, telling};
use crate::sealed::Sealed;
use crate::slug::Slug;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use url::Url;

/// Who sees and may use a gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GatewayState {
    /// For administrators only, until published.
    Draft,
    /// For everyone on its access list.
    Published,
    /// For nobody; its grants are orphaned.
    Disabled,
}

/// Whose catalog is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CatalogSharing {
    /// Each user sees what the upstream lists for that user.
    PerUser,
    /// One catalog for all, because the administrator said so or there is nothing personal.
    Shared,
}

/// How Doorward speaks with an upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EraChoice {
    /// The upstream is asked.
    #[default]
    Automatic,
    /// Revision 2026-07-28 and none before.
    Modern,
    /// `initialize` and sessions over Streamable HTTP, up to 2025-11-25.
    Legacy,
    /// The transport of 2024-11-05, HTTP with SSE.
    HttpSse,
}

/// A registered upstream MCP server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gateway {
    pub id: GatewayId,
    pub slug: Slug,
    pub name: String,
    pub url: Url,
    pub state: GatewayState,
    /// Who may use it once it is published.
    pub access: AccessList,
    /// Who of them may use which tool; those that do not stand here are for all of them.
    pub tool_access: BTreeMap<String, AccessList>,
    pub authorization: GatewayAuthorization,
    /// What Doorward shows in the TLS handshake, to the upstream and at the token endpoint.
    pub client_certificate: Option<ClientCertificate>,
    pub catalog_sharing: CatalogSharing,
    /// What happens when it offers something new, or describes something otherwise.
    pub on_change: OnChange,
    /// Which protocol is spoken with it.
    pub era: EraChoice,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// Grows by one with each update; the ETag of REST answers.
    pub version: i64,
}

impl Gateway {
    /// Which of those who may use it may use one of its tools.
    pub fn access_of_tool(&self, tool: &str) -> &AccessList {
        self.tool_access.get(tool).unwrap_or(&AccessList::Everyone)
    }
}

/// A client certificate with its key, bound to the servers it was given for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    /// Chain and key in PEM, sealed at `gateways/client_certificate/{gateway id}`.
    pub sealed: Sealed,
    /// What it was given for.
    pub fingerprint: Fingerprint,
    /// Who it says we are.
    pub subject: String,
    pub ends_at: Timestamp,
}

/// What a request to the upstream carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GatewayAuthorization {
    /// Nothing: the upstream is open to Doorward.
    None,
    /// The same header for every user.
    StaticHeader(StaticHeader),
    /// Each user's own access token.
    OAuth(Box<OAuthSettings>),
}

/// A header that an administrator set, bound to the upstream origin it was given for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StaticHeader {
    /// Lower-case header name.
    pub name: String,
    /// Sealed at `gateways/static_header/{gateway id}`.
    pub value: Sealed,
    /// What the value was given for.
    pub fingerprint: Fingerprint,
}

/// How a gateway's tokens are obtained (RFC 6749 §1.3).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GrantType {
    /// Each user authorizes in a browser (§4.1).
    #[default]
    AuthorizationCode,
    /// The gateway is authorized itself, for all its users (§4.4).
    ClientCredentials,
    /// Each user's token is got in exchange for the access token that they have at the identity provider (RFC 8693).
    TokenExchange,
    /// The identity provider says who the user is to the gateway's authorization server, in exchange for their ID
    /// token: enterprise-managed authorization, the ID-JAG profile of RFC 8693 and RFC 7523.
    IdentityAssertion,
}

impl GrantType {
    /// Whether token requests may name an audience: by RFC 8693 §2.1, and as some authorization servers want it of a
    /// client that is authorized itself. In the ID-JAG profile the audience is the server's issuer.
    pub const fn takes_audience(self) -> bool {
        matches!(self, Self::ClientCredentials | Self::TokenExchange)
    }

    /// Whether tokens are got in exchange for what a user has at an identity provider.
    pub const fn is_exchange(self) -> bool {
        matches!(self, Self::TokenExchange | Self::IdentityAssertion)
    }

    /// As REST, forms and the database spell it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AuthorizationCode => "authorization_code",
            Self::ClientCredentials => "client_credentials",
            Self::TokenExchange => "token_exchange",
            Self::IdentityAssertion => "identity_assertion",
        }
    }
}

/// How users authorize at a gateway. Endpoints stand here; the client stands in its registration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OAuthSettings {
    pub grant_type: GrantType,
    /// The gateway where users have what is exchanged for their tokens here.
    pub identity_provider: Option<GatewayId>,
    /// Where browsers are sent; none where nobody consents.
    pub authorization_url: Option<Url>,
    pub token_url: Url,
    /// RFC 7009 revocation endpoint, where known.
    pub revocation_url: Option<Url>,
    /// The authorization server's issuer (RFC 8414 §2), where known.
    pub issuer: Option<String>,
    /// The server promised `iss` in every authorization response (RFC 9207 §3): its absence is refused.
    pub iss_promised: bool,
    /// RFC 8707 resource indicator, sent byte for byte; none where the server refuses it.
    pub resource: Option<String>,
    /// What the authorization server calls the service that tokens are for (RFC 8693 §2.1), where nobody consents.
    pub audience: Option<String>,
    /// The scopes that are asked for.
    pub scopes: Vec<String>,
    /// What the upstream may ask for beyond these; [`ANY_SCOPE`] for anything.
    pub scope_ceiling: Vec<String>,
    /// What it asked for beyond that, and an administrator has not looked at yet.
    pub refused_scopes: Vec<String>,
    /// Extra parameters of the authorization request; never a protocol parameter.
    pub authorize_params: BTreeMap<String, String>,
    /// How the authorization server differs from the book.
    pub facts: ProviderFacts,
    /// The template that the settings were made from; they do not follow it.
    pub template: Option<UsedTemplate>,
    /// Idle grants are refreshed too, before the provider ends them for being idle.
    pub keep_alive: bool,
    pub registration: ClientRegistration,
    /// What is wrong with the registration, as the provider last said; none while it works.
    pub registration_problem: Option<RegistrationProblem>,
    /// The issuer before, where the upstream named another and an administrator has not looked at that yet.
    pub former_issuer: Option<String>,
}

/// The provider template that settings were made from, for "the template has newer values".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsedTemplate {
    pub id: String,
    pub version: u32,
    /// What was given for its placeholders.
    #[serde(default)]
    pub inputs: BTreeMap<String, String>,
}

/// The authorization server refuses our registration: an administrator has to mend the gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistrationProblem {
    /// The provider's error code, e.g. `invalid_client`.
    pub code: String,
    pub since: Timestamp,
}

/// In a scope ceiling: anything.
pub const ANY_SCOPE: &str = "*";

/// Parameters of the authorization and token requests that no extra parameter may name.
pub const PROTOCOL_PARAMETERS: [&str; 16] = [
    "client_assertion",
    "client_assertion_type",
    "client_id",
    "client_secret",
    "code",
    "code_challenge",
    "code_challenge_method",
    "code_verifier",
    "grant_type",
    "redirect_uri",
    "refresh_token",
    "request",
    "resource",
    "response_type",
    "scope",
    "state",
];

/// Where a secret or a token may be sent: issuer, token endpoint, client id, upstream origin and
/// resource. A secret is used only under the fingerprint it was given for. It is plain text, one
/// part a line, so that a mismatch can be explained.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub String);

impl Fingerprint {
    /// The fingerprint of an OAuth-protected gateway.
    pub fn of_oauth(
        upstream: &Url,
        token_url: &Url,
        issuer: Option<&str>,
        client_id: &str,
        resource: Option<&str>,
    ) -> Self {
        Self(format!(
            "upstream={}\ntoken={}\nissuer={}\nclient={}\nresource={}",
            origin(upstream),
            token_url,
            issuer.unwrap_or_default(),
            client_id,
            resource.unwrap_or_default(),
        ))
    }

    /// The fingerprint of a gateway with a static header.
    pub fn of_static_header(upstream: &Url) -> Self {
        Self(format!("upstream={}", origin(upstream)))
    }

    /// The fingerprint of a client certificate: the origins at which it is shown.
    pub fn of_client_certificate(upstream: &Url, token_url: Option<&Url>) -> Self {
        Self(format!("upstream={}\ntoken={}", origin(upstream), token_url.map(origin).unwrap_or_default()))
    }

    /// Who gave what carries this fingerprint: the issuer, or where none is known the token endpoint's origin.
    pub fn provider(&self) -> String {
        let part = |name: &str| self.0.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        let issuer = part("issuer").filter(|issuer| !issuer.is_empty());
        let token_origin = || part("token").and_then(|url| url.parse::<Url>().ok()).map(|url| origin(&url));
        issuer.map(str::to_owned).or_else(token_origin).unwrap_or_default()
    }

    /// What it would be if the authorization server were asked at these places, by this client.
    #[must_use]
    pub fn asking(&self, token_url: &Url, issuer: Option<&str>, client_id: &str) -> Self {
        let part = |line: &str| match line.split_once('=') {
            Some(("token", _)) => format!("token={token_url}"),
            Some(("issuer", _)) => format!("issuer={}", issuer.unwrap_or_default()),
            Some(("client", _)) => format!("client={client_id}"),
            _ => line.to_owned(),
        };
        Self(self.0.lines().map(part).collect::<Vec<_>>().join("\n"))
    }

    /// The names of the parts in which two fingerprints differ.
    pub fn changed_parts(&self, other: &Self) -> Vec<String> {
        let theirs: Vec<&str> = other.0.lines().collect();
        self.0
            .lines()
            .filter(|line| !theirs.contains(line))
            .filter_map(|line| line.split_once('=').map(|(name, _)| name.to_owned()))
            .collect()
    }
}

impl OAuthSettings {
    /// Where this gateway's client secret and its users' tokens may be sent.
    pub fn fingerprint(&self, upstream: &Url) -> Fingerprint {
        Fingerprint::of_oauth(
            upstream,
            &self.token_url,
            self.issuer.as_deref(),
            &self.registration.client_id,
            self.resource.as_deref(),
        )
    }

    /// What can be done at the provider when a grant ends.
    pub fn telling(&self) -> Telling {
        let (facts, url) = (&self.facts, self.revocation_url.as_ref());
        telling(facts.revocation_method, facts.revocation_reach, url, &self.token_url, self.issuer.as_deref())
    }

    /// Those of the scopes that the upstream may not ask for.
    pub fn beyond_ceiling(&self, scopes: &[String]) -> Vec<String> {
        if self.scope_ceiling.iter().any(|scope| scope == ANY_SCOPE) {
            return Vec::new();
        }
        let allowed = |scope: &&String| !self.scopes.contains(scope) && !self.scope_ceiling.contains(scope);
        scopes.iter().filter(allowed).cloned().collect()
    }

    /// Where refresh tokens are redeemed. Another address counts only where the token endpoint stands.
    pub fn refresh_url(&self) -> &Url {
        let other = self.facts.refresh_url.as_ref();
        other.filter(|url| url.origin() == self.token_url.origin()).unwrap_or(&self.token_url)
    }

    /// The `resource` of an authorization request or of a code's redemption (RFC 8707 §2).
    pub fn sent_resource(&self) -> Option<&str> {
        self.resource.as_deref().filter(|_| self.facts.send_resource != SendResource::Never)
    }

    /// The `audience` of a token request without a consent; by default there is none.
    pub fn sent_audience(&self) -> Option<&str> {
        self.audience.as_deref().filter(|_| self.grant_type.takes_audience())
    }

    /// The `resource` of a refresh: it may be left out (RFC 8707 §2.2), and is where it could be refused.
    pub fn refreshed_resource(&self) -> Option<&str> {
        self.resource.as_deref().filter(|_| self.facts.send_resource == SendResource::Always)
    }

    /// The issuer, or where none is known the token endpoint's origin: the key of a registration.
    pub fn issuer_key(&self) -> String {
        issuer_key(self.issuer.as_deref(), &self.token_url)
    }
}

/// The issuer, or where none is known the token endpoint's origin.
pub fn issuer_key(issuer: Option<&str>, token_url: &Url) -> String {
    issuer.map_or_else(|| origin(token_url), str::to_owned)
}

impl Gateway {
    /// The OAuth settings, when users authorize at this gateway.
    pub fn oauth(&self) -> Option<&OAuthSettings> {
        match &self.authorization {
            GatewayAuthorization::OAuth(settings) => Some(settings),
            GatewayAuthorization::None | GatewayAuthorization::StaticHeader(_) => None,
        }
    }

    /// Where this gateway's secrets may be sent now; none where it has no secret.
    pub fn fingerprint(&self) -> Option<Fingerprint> {
        match &self.authorization {
            GatewayAuthorization::None => None,
            GatewayAuthorization::StaticHeader(_) => Some(Fingerprint::of_static_header(&self.url)),
            GatewayAuthorization::OAuth(settings) => Some(settings.fingerprint(&self.url)),
        }
    }
}

/// `scheme://host[:port]` of a URL, as RFC 6454 §6.1 serializes it.
pub fn origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn print(upstream: &str, token: &str) -> Fingerprint {
        Fingerprint::of_oauth(
            &upstream.parse().unwrap(),
            &token.parse().unwrap(),
            Some("https://as.example"),
            "client",
            None,
        )
    }

    #[test]
    fn a_fingerprint_names_what_changed() {
        let before = print("https://a.example/mcp", "https://as.example/token");
        let same_origin = print("https://a.example/other", "https://as.example/token");
        let moved = print("https://b.example/mcp", "https://as.example/token2");
        assert_eq!(before, same_origin);
        assert_eq!(before.changed_parts(&moved), ["upstream", "token"]);
        assert!(before.changed_parts(&same_origin).is_empty());
    }

    #[test]
    fn a_fingerprint_stays_the_same_only_while_the_same_server_is_asked() {
        let given = print("https://a.example/mcp", "https://as.example/token");
        let asking = |token: &str, issuer, client| given.asking(&token.parse().unwrap(), issuer, client);
        assert_eq!(asking("https://as.example/token", Some("https://as.example"), "client"), given);
        assert_ne!(asking("https://evil.example/token", Some("https://as.example"), "client"), given);
        assert_ne!(asking("https://as.example/token", None, "client"), given);
        assert_ne!(asking("https://as.example/token", Some("https://as.example"), "other"), given);
    }

    #[test]
    fn a_fingerprint_names_its_provider() {
        let known = print("https://a.example/mcp", "https://as.example/token");
        assert_eq!(known.provider(), "https://as.example");
        let token = "https://as.example:8443/t".parse().unwrap();
        let unknown = Fingerprint::of_oauth(&"https://a.example".parse().unwrap(), &token, None, "c", None);
        assert_eq!(unknown.provider(), "https://as.example:8443");
        assert_eq!(Fingerprint::of_static_header(&token).provider(), "");
    }

    #[test]
    fn without_an_issuer_the_token_origin_keys_the_registration() {
        let token: Url = "https://as.example:8443/t".parse().unwrap();
        assert_eq!(issuer_key(None, &token), "https://as.example:8443");
        assert_eq!(issuer_key(Some("https://i"), &token), "https://i");
    }
}
