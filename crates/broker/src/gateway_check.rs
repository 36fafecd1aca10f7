//! The setup doctor: what is wrong with a gateway before its first user finds out, in sentences that say what to
//! change. It runs when somebody asks, gets no token and ends none: it asks for metadata, opens an authorization
//! request that nobody sees, and shows the token endpoint a refresh token that never was one.

use crate::client_certificate::CertificateEnd;
use crate::gateway_discovery::Asking;
use crate::metadata_check::{check_revisions, differs};
use crate::{Broker, BrokerError, Caller};
use doorward_domain::{
    Gateway, GatewayAuthorization, GatewayId, GrantType, OAuthSettings, Permission, PkceVerifier,
    RefreshToken, StateToken, TokenEndpointAuth,
};
use doorward_oauth::{Discovered, Discovery, ProbedAuthorization, RefusalKind, TokenError};

/// What the doctor found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayCheck {
    pub findings: Vec<CheckFinding>,
}

/// One finding: a sentence, and what to change where something is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckFinding {
    pub verdict: CheckVerdict,
    /// What was looked at, such as `client_authentication`.
    pub subject: &'static str,
    pub text: String,
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckVerdict {
    Good,
    /// It works, or may work, and could be better.
    Advice,
    /// It will not work.
    Wrong,
}

impl GatewayCheck {
    /// Whether nothing is wrong.
    pub fn passes(&self) -> bool {
        self.findings.iter().all(|finding| finding.verdict != CheckVerdict::Wrong)
    }

    pub(crate) fn good(&mut self, subject: &'static str, text: impl Into<String>) {
        self.add(CheckVerdict::Good, subject, text);
    }

    pub(crate) fn advice(&mut self, subject: &'static str, text: impl Into<String>) {
        self.add(CheckVerdict::Advice, subject, text);
    }

    pub(crate) fn wrong(&mut self, subject: &'static str, text: impl Into<String>) {
        self.add(CheckVerdict::Wrong, subject, text);
    }

    fn add(&mut self, verdict: CheckVerdict, subject: &'static str, text: impl Into<String>) {
        self.findings.push(CheckFinding { verdict, subject, text: text.into() });
    }
}

/// Stands where a refresh token would: the provider is to refuse it, and to say whether it knew the client.
const NO_TOKEN: &str = "doorward-setup-check";

impl Broker {
    /// Examines a gateway. Nothing of it changes.
    pub async fn check_gateway(&self, caller: &Caller, id: GatewayId) -> Result<GatewayCheck, BrokerError> {
        caller.require(Permission::ManageGateways)?;
        let gateway = self.gateway(caller, id).await?;
        let mut check = GatewayCheck { findings: Vec::new() };
        let discovery = match self.asking_for(&gateway) {
            Ok(asking) => {
                self.check_certificate(&gateway, &mut check);
                let discovery = check_upstream(&asking.anew(), &gateway, &mut check).await;
                check_revisions(&asking, &gateway.url, &mut check).await;
                discovery
            }
            Err(error) => {
                check.wrong("client_certificate", format!("{error}."));
                None
            }
        };
        if let Some(settings) = gateway.oauth() {
            match &discovery {
                Some(Discovery::OAuth(found)) => compare(settings, found, &mut check),
                _ => self.check_metadata(settings, &mut check).await,
            }
            self.check_template(settings, &mut check);
            match settings.grant_type {
                GrantType::AuthorizationCode => {
                    self.check_authorization(settings, &mut check).await;
                    self.check_client(&gateway, settings, &mut check).await;
                    check_offline(settings, &mut check);
                }
                GrantType::ClientCredentials => self.check_own_client(&gateway, settings, &mut check).await,
                GrantType::TokenExchange | GrantType::IdentityAssertion => {
                    self.check_exchange(caller, &gateway, settings, &mut check).await?;
                }
            }
            check_end(settings, &mut check);
        }
        let event = caller.event("gateway.check").subject(id).detail("passes", check.passes());
        self.storage().record(event.detail("slug", &gateway.slug)).await?;
        Ok(check)
    }

    /// Whether the authorization endpoint knows the client and the redirect URI.
    async fn check_authorization(&self, settings: &OAuthSettings, check: &mut GatewayCheck) {
        let (state, verifier) = (self.parts.entropy.token(), self.parts.entropy.token());
        let redirect_uri = self.redirect_uri();
        let Some(endpoint) = &settings.authorization_url else { return };
        let request = doorward_oauth::authorization_url(
            endpoint,
            settings,
            &redirect_uri,
            &StateToken::new(state),
            &PkceVerifier::new(verifier),
            &settings.scopes,
        );
        match self.parts.oauth.probe_authorization(&request, &redirect_uri).await {
            Err(error) => {
                check.wrong("authorization_url", format!("The authorization URL cannot be opened: {error}."));
            }
            Ok(ProbedAuthorization::Taken) => check.good(
                "redirect_uri",
                "The authorization endpoint takes the request; whether it knows the redirect URI may show only after the login.",
            ),
            Ok(ProbedAuthorization::SentBack { error }) => check.wrong(
                "authorization_url",
                format!("The provider refuses the authorization request with '{error}': check the scopes and the extra parameters."),
            ),
            Ok(ProbedAuthorization::Refused { status }) => check.wrong(
                "redirect_uri",
                format!(
                    "The provider refuses the authorization request (status {status}): register {redirect_uri} there, and check the client ID."
                ),
            ),
        }
    }

    /// Whether the client certificate will last.
    fn check_certificate(&self, gateway: &Gateway, check: &mut GatewayCheck) {
        let Some(certificate) = &gateway.client_certificate else { return };
        let subject = "client_certificate";
        let told =
            format!("The client certificate ({}) ends at {}", certificate.subject, certificate.ends_at);
        match self.certificate_end(certificate) {
            CertificateEnd::Over => check.wrong(subject, format!("{told}: it is over. Give another.")),
            CertificateEnd::Near => check.advice(subject, format!("{told}: give another before.")),
            CertificateEnd::Far => check.good(subject, format!("{told}.")),
        }
    }

    /// Whether the token endpoint knows the client, by what it says to a refresh token that never was one.
    async fn check_client(&self, gateway: &Gateway, settings: &OAuthSettings, check: &mut GatewayCheck) {
        let subject = "client_authentication";
        let client = match self.open_client(gateway, settings) {
            Ok(client) => client,
            Err(error) => return check.wrong(subject, format!("The client secret cannot be used: {error}.")),
        };
        let token = RefreshToken::new(NO_TOKEN);
        let (client, scopes) = (client.credentials(), &settings.scopes);
        match self.parts.oauth.refresh(settings, client, &token, scopes, self.now()).await {
            Err(TokenError::Refused { kind: RefusalKind::Grant, .. }) => {
                check.good(
                    subject,
                    "The token endpoint knows the client: it refused only the token of the check.",
                );
            }
            Err(TokenError::Refused { code, description, .. }) => {
                let words = description.map(|words| format!(" It says: “{words}”")).unwrap_or_default();
                check.wrong(subject, format!("{}{words}", client_remedy(&code, settings)));
            }
            Err(error) => check
                .advice(subject, format!("Whether the token endpoint knows the client is open: {error}.")),
            Ok(_) => check.wrong(subject, "The token endpoint gave a token for nothing: do not trust it."),
        }
    }
}

/// Whether the MCP server answers, and what it wants.
async fn check_upstream(asking: &Asking, gateway: &Gateway, check: &mut GatewayCheck) -> Option<Discovery> {
    let found = match asking.oauth.discover(&gateway.url).await {
        Ok(found) => found,
        Err(error) if gateway.oauth().is_some() => {
            let told = asking.told(&error);
            check.advice("mcp_server", format!("{told}. With a token it may answer otherwise."));
            return None;
        }
        Err(error) => {
            check.wrong("mcp_server", format!("{}.", asking.told(&error)));
            return None;
        }
    };
    match (&found, &gateway.authorization) {
        (Discovery::NotNeeded, GatewayAuthorization::None) => {
            check.good("mcp_server", "The MCP server answers without authorization, as the gateway expects.");
        }
        (Discovery::NotNeeded, _) => check.advice(
            "mcp_server",
            "The MCP server answers its first request without authorization; perhaps it asks for it later.",
        ),
        (Discovery::OAuth(found), GatewayAuthorization::None) => check.wrong(
            "mcp_server",
            format!("The MCP server wants OAuth of {}: choose how people are authorized.", found.issuer),
        ),
        (Discovery::OAuth(_), _) => {
            check.good("mcp_server", "The MCP server answers and asks for authorization.");
        }
    }
    Some(found)
}

fn client_remedy(code: &str, settings: &OAuthSettings) -> String {
    match code {
        "invalid_client" | "incorrect_client_credentials" => {
            let way = match settings.registration.token_endpoint_auth {
                TokenEndpointAuth::Basic => "in the Authorization header (basic)",
                TokenEndpointAuth::Post => "in the form (post)",
                TokenEndpointAuth::None => "not at all (public client)",
                TokenEndpointAuth::PrivateKeyJwt => "by a signed assertion (private_key_jwt)",
            };
            format!(
                "The token endpoint does not know the client ('{code}'): check the client ID and secret. The secret is sent {way}; some providers want it otherwise."
            )
        }
        "invalid_target" => "The token endpoint refuses the resource ('invalid_target'): empty it, or set send_resource = \"never\".".to_owned(),
        "unauthorized_client" | "unsupported_grant_type" => format!(
            "The client may not use refresh tokens ('{code}'): allow the refresh token grant for it at the provider."
        ),
        code => format!("The token endpoint refuses the client's request with '{code}'."),
    }
}

/// What the MCP server's own discovery says, beside the settings.
fn compare(settings: &OAuthSettings, found: &Discovered, check: &mut GatewayCheck) {
    match settings.issuer.as_deref() {
        Some(issuer) if issuer == found.issuer => check.good("issuer", "The issuer is the one that the MCP server names."),
        Some(issuer) => check.wrong(
            "issuer",
            format!("The MCP server names the issuer {}, and the gateway {issuer}: tokens of another are refused there.", found.issuer),
        ),
        None => check.advice("issuer", format!("Give the issuer {}, so that answers of another are refused.", found.issuer)),
    }
    if let Some(ours) = &settings.authorization_url {
        differs(check, "authorization_url", ours, &found.authorization_url);
    }
    differs(check, "token_url", &settings.token_url, &found.token_url);
    if settings.resource != found.resource {
        let wanted = found.resource.as_deref().unwrap_or("none");
        check.advice(
            "resource",
            format!("The MCP server's resource is {wanted}; the gateway asks for another."),
        );
    }
    check_method(settings, found.token_endpoint_auth_methods.as_deref(), check);
    check.good("pkce", "The provider offers PKCE with S256.");
}

pub(crate) fn check_method(settings: &OAuthSettings, offered: Option<&[String]>, check: &mut GatewayCheck) {
    let ours = match settings.registration.token_endpoint_auth {
        TokenEndpointAuth::Basic => "client_secret_basic",
        TokenEndpointAuth::Post => "client_secret_post",
        TokenEndpointAuth::None => "none",
        TokenEndpointAuth::PrivateKeyJwt => "private_key_jwt",
    };
    // RFC 8414 §2: left out, it is client_secret_basic.
    let basic = ["client_secret_basic".to_owned()];
    let offered = offered.unwrap_or(&basic);
    if !offered.iter().any(|method| method == ours) {
        let offered = offered.join(", ");
        check.advice(
            "client_authentication",
            format!("The gateway uses {ours}, and the provider offers {offered}."),
        );
    }
}

pub(crate) fn check_scopes(settings: &OAuthSettings, offered: &[String], check: &mut GatewayCheck) {
    let unknown: Vec<&str> =
        settings.scopes.iter().filter(|scope| !offered.contains(scope)).map(String::as_str).collect();
    if offered.is_empty() || unknown.is_empty() {
        return;
    }
    check.advice("scopes", format!("The provider's metadata does not list {}.", unknown.join(", ")));
}

/// What a refresh token hangs on.
fn check_offline(settings: &OAuthSettings, check: &mut GatewayCheck) {
    let facts = &settings.facts;
    let wants = facts.request_only_scopes.iter().any(|scope| scope == "offline_access");
    if wants && !settings.scopes.iter().any(|scope| scope == "offline_access") {
        check.wrong(
            "offline_access",
            "This provider gives a refresh token only for the scope offline_access: add it, else people authorize anew each hour.",
        );
    }
}

/// What a revocation comes to.
fn check_end(settings: &OAuthSettings, check: &mut GatewayCheck) {
    use doorward_domain::Telling;
    match settings.telling() {
        Telling::Ends => check.good("revocation", "The provider is told when a grant ends."),
        Telling::EndsMore(_) => check.advice(
            "revocation",
            "To tell the provider of an end would end more than the grant: it is told only when a person chooses so.",
        ),
        Telling::NoSuchCall => {
            check.advice("revocation", "The provider is not told when a grant ends: its tokens live there until their end.");
        }
        Telling::Stranger => {
            check.wrong("revocation", "The revocation URL is not at the provider's host: it gets no token.");
        }
    }
}
