//! How the words of the domain look in answers: allow lists, without a secret or a part of one.

use doorward_domain::{
    ApiToken, ApiTokenId, Audience, AuditEvent, AuditEventId, AuditHash, GatewayId, Group, GroupId, Page,
    Timestamp, User, UserId, UserState,
};
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// One page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Listed<T> {
    pub(crate) items: Vec<T>,
    /// Give it as `cursor` for the next page; none on the last.
    pub(crate) next_cursor: Option<String>,
}

impl<T> Listed<T> {
    pub(crate) fn of<U>(page: Page<U>, each: impl FnMut(U) -> T) -> Self {
        let page = page.map(each);
        Self { items: page.items, next_cursor: page.next_cursor }
    }
}

/// How the document spells the state of a person.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(
    dead_code,
    reason = "stands for the domain's UserState in the OpenAPI document, which knows no OpenAPI"
)]
pub(crate) enum UserStateName {
    Active,
    Disabled,
}

/// How the document spells an audience.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(
    dead_code,
    reason = "stands for the domain's Audience in the OpenAPI document, which knows no OpenAPI"
)]
pub(crate) enum AudienceName {
    Mcp,
    #[schema(rename = "self")]
    Own,
    Admin,
}

/// A person.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UserView {
    #[schema(value_type = String, format = "uuid")]
    id: UserId,
    email: String,
    name: String,
    /// A built-in one, or the name of one in `/admin/roles`.
    role: String,
    #[schema(value_type = UserStateName)]
    state: UserState,
    /// Whether the person can sign in with a password.
    has_password: bool,
    /// Whether their sign-in asks for a code, too.
    has_second_factor: bool,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
    version: i64,
}

impl From<User> for UserView {
    fn from(user: User) -> Self {
        Self {
            id: user.id,
            email: user.email,
            name: user.name,
            role: user.role.as_str().to_owned(),
            state: user.state,
            has_password: user.password_hash.is_some(),
            has_second_factor: user.has_second_factor,
            created_at: user.created_at,
            updated_at: user.updated_at,
            version: user.version,
        }
    }
}

/// People who are given access together.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct GroupView {
    #[schema(value_type = String, format = "uuid")]
    id: GroupId,
    name: String,
    /// How many people are in it.
    members: u64,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
    version: i64,
}

impl From<Group> for GroupView {
    fn from(group: Group) -> Self {
        Self {
            id: group.id,
            name: group.name,
            members: group.members,
            created_at: group.created_at,
            updated_at: group.updated_at,
            version: group.version,
        }
    }
}

/// An API token, without its value.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ApiTokenView {
    #[schema(value_type = String, format = "uuid")]
    id: ApiTokenId,
    name: String,
    /// The first characters after `dw_`, for recognition.
    hint: String,
    #[schema(value_type = AudienceName)]
    audience: Audience,
    /// None: every gateway that its person may use.
    #[schema(value_type = Option<Vec<String>>)]
    gateways: Option<Vec<GatewayId>>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    last_used_at: Option<Timestamp>,
    /// When somebody ended it.
    #[schema(value_type = Option<String>, format = DateTime)]
    ended_at: Option<Timestamp>,
}

impl From<ApiToken> for ApiTokenView {
    fn from(token: ApiToken) -> Self {
        Self {
            id: token.id,
            name: token.name,
            hint: token.hint,
            audience: token.audience,
            gateways: token.gateways,
            created_at: token.created_at,
            expires_at: token.expires_at,
            last_used_at: token.last_used_at,
            ended_at: token.ended_at,
        }
    }
}

/// One event of the audit trail.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AuditEventView {
    /// Its number in the chain; there are no gaps.
    seq: i64,
    /// Over the event and the hash before it, in hex; docs/security.md describes it.
    #[schema(value_type = String)]
    hash: AuditHash,
    #[schema(value_type = String, format = "uuid")]
    id: AuditEventId,
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// `user`, `anonymous`, `system` or `command_line`.
    actor: &'static str,
    /// Who, when the actor is a person.
    #[schema(value_type = Option<String>, format = "uuid")]
    actor_id: Option<UserId>,
    /// `subject.verb`, e.g. `gateway.create`.
    action: String,
    /// The id of the thing acted upon.
    subject: Option<String>,
    /// Whose thing it is.
    #[schema(value_type = Option<String>, format = "uuid")]
    user_id: Option<UserId>,
    address: Option<String>,
    /// What the error that a client was shown calls this event.
    reference: Option<String>,
    detail: BTreeMap<String, String>,
}

impl From<AuditEvent> for AuditEventView {
    fn from(event: AuditEvent) -> Self {
        Self {
            seq: event.seq,
            hash: event.hash,
            id: event.id,
            at: event.at,
            actor: event.actor.kind(),
            actor_id: event.actor.person(),
            action: event.action,
            subject: event.subject,
            user_id: event.user_id,
            address: event.address,
            reference: event.reference,
            detail: event.detail,
        }
    }
}
