//! A grant as administrators see it: an allow list, without a token, a part or a hash of one.

use super::views::AuditEventView;
use doorward_broker::GrantDetails;
use doorward_domain::{
    AccessTokenStatus, GatewayId, GrantId, GrantState, Health, ListedGrant, ReauthorizationReason,
    RegistrationKind, Timestamp, UserId,
};
use serde::Serialize;
use utoipa::ToSchema;

/// How the document spells health.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(
    dead_code,
    reason = "stands for the domain's Health in the OpenAPI document, which knows no OpenAPI"
)]
pub(crate) enum HealthName {
    /// It works, or renews itself.
    Valid,
    /// It will end, and nothing renews it.
    ExpiringSoon,
    /// It has ended, and nothing renews it.
    Expired,
    NeedsAuthorization,
    Uncertain,
    Orphaned,
}

/// How the document spells the access token's status.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(
    dead_code,
    reason = "stands for the domain's AccessTokenStatus in the OpenAPI document, which knows no OpenAPI"
)]
pub(crate) enum AccessTokenStatusName {
    Valid,
    ExpiringSoon,
    Expired,
}

/// One user's standing permission at one gateway.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OAuthTokenView {
    #[schema(value_type = String, format = "uuid")]
    pub(crate) id: GrantId,
    /// None: the gateway's own.
    pub(crate) user: Option<TokenUserView>,
    pub(crate) gateway: TokenGatewayView,
    /// Who gave it: the issuer, or where none is known the token endpoint's origin.
    pub(crate) provider: String,
    /// The account at the provider, where it is known.
    pub(crate) account: Option<TokenAccountView>,
    /// Tells several accounts of one user at one gateway apart; empty for the default one.
    pub(crate) label: String,
    /// The scopes that were granted.
    pub(crate) scopes: Vec<String>,
    /// The connection as a person means it.
    #[schema(value_type = HealthName)]
    pub(crate) health: Health,
    /// Why, in plain words.
    pub(crate) health_reason: &'static str,
    /// The access token by the clock alone.
    #[schema(value_type = AccessTokenStatusName)]
    pub(crate) access_token_status: AccessTokenStatus,
    /// `active`, `uncertain` or `needs_authorization`.
    pub(crate) state: &'static str,
    /// When the access token ends; none: it has no known end.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub(crate) expires_at: Option<Timestamp>,
    /// When the provider ends the whole grant by its own rules; none: no limit is known.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub(crate) ends_at: Option<Timestamp>,
    /// Whether there is a refresh token.
    pub(crate) refreshable: bool,
    /// When it last served a call.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub(crate) last_used_at: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub(crate) last_refreshed_at: Option<Timestamp>,
    #[schema(value_type = String, format = DateTime)]
    pub(crate) created_at: Timestamp,
    /// When its user last gave consent.
    #[schema(value_type = String, format = DateTime)]
    pub(crate) authorized_at: Timestamp,
    /// Who deposited it: their e-mail address at that time; none: its user authorized it.
    pub(crate) deposited_by: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TokenUserView {
    #[schema(value_type = String, format = "uuid")]
    pub(crate) id: UserId,
    pub(crate) email: String,
    pub(crate) name: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TokenGatewayView {
    #[schema(value_type = String, format = "uuid")]
    pub(crate) id: GatewayId,
    pub(crate) slug: String,
    pub(crate) name: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TokenAccountView {
    /// The provider's stable identifier.
    pub(crate) subject: String,
    /// What a person recognizes.
    pub(crate) name: Option<String>,
}

impl From<ListedGrant> for OAuthTokenView {
    fn from(grant: ListedGrant) -> Self {
        let health_reason = grant.health_reason();
        let user = grant.user.map(|user| TokenUserView { id: user.id, email: user.email, name: user.name });
        let gateway = grant.gateway;
        Self {
            id: grant.id,
            user,
            gateway: TokenGatewayView { id: gateway.id, slug: gateway.slug, name: gateway.name },
            provider: grant.provider,
            account: grant
                .account
                .map(|account| TokenAccountView { subject: account.subject, name: account.name }),
            label: grant.label,
            scopes: grant.scopes_granted,
            health: grant.health,
            health_reason,
            access_token_status: grant.access_token_status,
            state: match grant.state {
                GrantState::Active => "active",
                GrantState::Uncertain => "uncertain",
                GrantState::NeedsAuthorization(_) => "needs_authorization",
            },
            expires_at: grant.expires_at,
            ends_at: grant.ends_at,
            refreshable: grant.refreshable,
            last_used_at: grant.last_used_at,
            last_refreshed_at: grant.last_refreshed_at,
            created_at: grant.created_at,
            authorized_at: grant.authorized_at,
            deposited_by: grant.deposited_by,
        }
    }
}

/// One grant, looked at closely.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OAuthTokenDetailsView {
    #[serde(flatten)]
    token: OAuthTokenView,
    scopes_requested: Vec<String>,
    /// When the present access token was issued.
    #[schema(value_type = String, format = DateTime)]
    issued_at: Timestamp,
    /// Why its user has to authorize again, where that is so.
    #[schema(value_type = Option<String>)]
    state_reason: Option<ReauthorizationReason>,
    /// Since when its user has no access to the gateway.
    #[schema(value_type = Option<String>, format = DateTime)]
    orphaned_since: Option<Timestamp>,
    client_registration: Option<TokenRegistrationView>,
    /// Refreshes that failed in a row.
    failures: i64,
    /// What the last failed refresh said: our words.
    last_error: Option<String>,
    /// The provider's own words with it. They come from outside: show them as text, and to no model.
    provider_words: Option<String>,
    /// A failed refresh is not tried again before this moment.
    #[schema(value_type = Option<String>, format = DateTime)]
    retry_at: Option<Timestamp>,
    /// When cleanup will end it if nothing happens until then.
    #[schema(value_type = Option<String>, format = DateTime)]
    removal_at: Option<Timestamp>,
    /// What the last error that a client was shown is called.
    reference: Option<String>,
    /// What happened to it, newest first: the newest 100 events. The rest is under `/admin/audit`.
    time_line: Vec<AuditEventView>,
}

/// Our client registration at the provider, without its secret.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TokenRegistrationView {
    client_id: String,
    /// `pre_registered`, `dynamic` or `metadata_document`.
    #[schema(value_type = String)]
    kind: RegistrationKind,
    issuer: String,
    /// The provider's error code, while it refuses the registration.
    problem: Option<String>,
}

impl From<GrantDetails> for OAuthTokenDetailsView {
    fn from(details: GrantDetails) -> Self {
        let GrantDetails { listed, grant, gateway, removal, time_line } = details;
        let registration = gateway.oauth().map(|settings| TokenRegistrationView {
            client_id: settings.registration.client_id.clone(),
            kind: settings.registration.kind,
            issuer: settings.registration.issuer.clone(),
            problem: settings.registration_problem.as_ref().map(|problem| problem.code.clone()),
        });
        Self {
            token: listed.into(),
            scopes_requested: grant.scopes_requested,
            issued_at: grant.issued_at,
            state_reason: match grant.state {
                GrantState::NeedsAuthorization(reason) => Some(reason),
                GrantState::Active | GrantState::Uncertain => None,
            },
            orphaned_since: grant.orphaned_since,
            client_registration: registration,
            failures: grant.failures,
            last_error: grant.last_error,
            provider_words: grant.provider_words,
            retry_at: grant.retry_at,
            removal_at: removal.map(|removal| removal.at),
            reference: grant.reference,
            time_line: time_line.into_iter().map(Into::into).collect(),
        }
    }
}
