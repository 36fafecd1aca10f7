//! How an ended grant looks in answers.

use super::views::AuditEventView;
use doorward_broker::EndedDetails;
use doorward_domain::{
    Actor, BulkJobId, EndCause, EndedGrant, GatewayId, GrantId, GrantOwner, Receipt, Timestamp, UserId,
};
use serde::Serialize;
use utoipa::ToSchema;

/// How the document spells what is done about the provider.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "stands for the domain's ProviderEnd in the OpenAPI document")]
pub(crate) enum ProviderEndName {
    UnlessWide,
    ThereToo,
    HereOnly,
}

/// How the document spells why a grant ended.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "stands for the domain's EndCause in the OpenAPI document")]
pub(crate) enum EndCauseName {
    Disconnected,
    Revoked,
    Swept,
    Idle,
    OrphanedTooLong,
    UserDisabled,
    UserDeleted,
    GatewayDeleted,
}

/// How the document spells a receipt.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "stands for the domain's Receipt in the OpenAPI document")]
pub(crate) enum ReceiptName {
    Pending,
    EndedAtProvider,
    NoSuchCall,
    Refused,
    GaveUp,
    NotTold,
    NothingToTell,
}

/// A grant that has ended. No secret is left of it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EndedView {
    #[schema(value_type = String, format = "uuid")]
    id: GrantId,
    /// None: it was the gateway's own.
    #[schema(value_type = Option<String>, format = "uuid")]
    user_id: Option<UserId>,
    /// As it was when the grant ended.
    user_email: Option<String>,
    #[schema(value_type = String, format = "uuid")]
    gateway_id: GatewayId,
    gateway_slug: String,
    /// The issuer, or the token endpoint's origin.
    provider: String,
    label: String,
    /// The provider account behind the grant, where it is known.
    account: Option<String>,
    scopes: Vec<String>,
    #[schema(value_type = String, format = DateTime)]
    authorized_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    last_used_at: Option<Timestamp>,
    /// Until when a copy of the access token, taken before, may still work at the upstream; none: no known end.
    #[schema(value_type = Option<String>, format = DateTime)]
    access_token_expires_at: Option<Timestamp>,
    #[schema(value_type = EndCauseName)]
    cause: EndCause,
    /// In the words of whoever ended it.
    reason: Option<String>,
    /// `user`, `system` or `command_line`.
    actor: &'static str,
    /// Who, when the actor is a person.
    #[schema(value_type = Option<String>, format = "uuid")]
    actor_id: Option<UserId>,
    #[schema(value_type = String, format = DateTime)]
    ended_at: Timestamp,
    /// The bulk job that ended it.
    #[schema(value_type = Option<String>, format = "uuid")]
    job_id: Option<BulkJobId>,
    /// What is known of the provider's side.
    #[schema(value_type = ReceiptName)]
    receipt: Receipt,
    /// The provider's answer, or why it was not told.
    receipt_detail: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    receipt_at: Timestamp,
    /// Where a person ends it by hand.
    user_apps_url: Option<String>,
}

impl From<EndedGrant> for EndedView {
    fn from(ended: EndedGrant) -> Self {
        let (actor, actor_id) = match ended.actor {
            Actor::User(id) => ("user", Some(id)),
            Actor::Anonymous => ("anonymous", None),
            Actor::System => ("system", None),
            Actor::CommandLine => ("command_line", None),
        };
        Self {
            id: ended.grant_id,
            user_id: match ended.owner {
                GrantOwner::User(id) => Some(id),
                GrantOwner::Service => None,
            },
            user_email: ended.user_email,
            gateway_id: ended.gateway_id,
            gateway_slug: ended.gateway_slug,
            provider: ended.provider,
            label: ended.label,
            account: ended.account.map(|account| account.name.unwrap_or(account.subject)),
            scopes: ended.scopes_granted,
            authorized_at: ended.authorized_at,
            last_used_at: ended.last_used_at,
            access_token_expires_at: ended.access_token_expires_at,
            cause: ended.cause,
            reason: ended.reason,
            actor,
            actor_id,
            ended_at: ended.ended_at,
            job_id: ended.job,
            receipt: ended.receipt,
            receipt_detail: ended.receipt_detail,
            receipt_at: ended.receipt_at,
            user_apps_url: ended.user_apps_url,
        }
    }
}

/// What is left of one grant, looked at closely.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EndedDetailsView {
    #[serde(flatten)]
    ended: EndedView,
    /// What happened to it, newest first: the newest 100 events, as long as the audit trail keeps them.
    time_line: Vec<AuditEventView>,
}

impl From<EndedDetails> for EndedDetailsView {
    fn from(details: EndedDetails) -> Self {
        let time_line = details.time_line.into_iter().map(Into::into).collect();
        Self { ended: details.ended.into(), time_line }
    }
}
