//! The words of Doorward, and the rules that need nothing but themselves.
//!
//! Absent here, on purpose: async, I/O, SQL, HTTP types, and serde on a secret.

pub mod access_list;
pub mod api_token;
pub mod audit;
pub mod audit_chain;
pub mod authorization_attempt;
pub mod authorization_request;
pub mod bulk_job;
pub mod catalog;
pub mod catalog_version;
pub mod change;
pub mod cleanup;
pub mod client_registration;
pub mod clock;
pub mod connect_request;
pub mod ended_grant;
pub mod entropy;
pub mod gateway;
pub mod grant;
pub mod grant_list;
pub mod group;
pub mod ids;
pub mod likely_fix;
pub mod limits;
pub mod notice;
pub mod page;
pub mod policy;
pub mod provider_facts;
pub mod provider_revocation;
pub mod provider_telling;
pub mod sealed;
pub mod second_factor;
pub mod secret;
pub mod session;
pub mod setup_link;
pub mod slug;
pub mod tally;
pub mod user;
pub mod virtual_server;

pub use access_list::AccessList;
pub use api_token::{ApiToken, Audience};
pub use audit::{Actor, AuditEvent, NewAuditEvent};
pub use audit_chain::{AuditAnchor, AuditCheckpoint, AuditHash, AuditLink, ChainBreak, Hex, HexError};
pub use authorization_attempt::{
    AttemptFilter, AttemptGateway, AttemptProblem, AttemptState, AttemptStep, AuthorizationAttempt,
    ExchangeProblem, Place, StepFact, StepKind, Words,
};
pub use authorization_request::{AuthorizationPurpose, AuthorizationRequest};
pub use bulk_job::{BulkJob, BulkJobRow, BulkKind, BulkResult, GrantChoice, NewBulkJob};
pub use catalog::{Catalog, CatalogItem, CatalogKind};
pub use catalog_version::{CatalogVersion, OnChange};
pub use change::Change;
pub use cleanup::{
    CleanupCounts, CleanupRun, CleanupState, CleanupTrigger, GrantNames, HoldReason, Removal, SweptKind,
};
pub use client_registration::{ClientRegistration, RegistrationKind, RegistrationRemoval, TokenEndpointAuth};
pub use clock::{Clock, Timestamp};
pub use connect_request::ConnectRequest;
pub use ended_grant::{EndCause, EndedGrant, ProviderEnd, Receipt};
pub use entropy::Entropy;
pub use gateway::{
    CatalogSharing, ClientCertificate, EraChoice, Fingerprint, Gateway, GatewayAuthorization, GatewayState,
    GrantType, OAuthSettings, RegistrationProblem, StaticHeader, UsedTemplate,
};
pub use grant::{
    AccessTokenStatus, ClockMarks, Grant, GrantOwner, GrantState, Health, NeededScopes, ProviderAccount,
    ReauthorizationReason, SealedTokenSet, TokenSet,
};
pub use grant_list::{
    GrantCounts, GrantFilter, GrantGateway, GrantSort, GrantSortColumn, GrantUser, ListedGrant,
};
pub use group::Group;
pub use ids::{
    ApiTokenId, AuditEventId, AuthorizationAttemptId, AuthorizationRequestId, BrowserSessionId, BulkJobId,
    CleanupRunId, ClientRegistrationId, ConnectRequestId, GatewayId, GrantId, GroupId, UserId,
    VirtualServerId,
};
pub use likely_fix::likely_fix;
pub use limits::Limits;
pub use notice::{Notice, NoticeCursor};
pub use page::{Page, PageRequest};
pub use policy::{CleanupPolicy, DepositPolicy, Policy, SessionPolicy};
pub use provider_facts::{
    ErrorIn200, ProviderFacts, RefreshRotation, ScopeSeparator, SendResource, TokenBody, TokenResponseFormat,
    Whoami, WhoamiMethod,
};
pub use provider_revocation::ProviderRevocation;
pub use provider_telling::{RevocationMethod, RevocationReach, Telling, may_be_told, telling};
pub use sealed::{KeyId, Sealed, TokenHash};
pub use second_factor::SecondFactor;
pub use secret::{
    AccessToken, ApiTokenPlain, AuthorizationCode, ClientCertificatePem, ClientSecret, DpopKey, HeaderSecret,
    IdToken, IdentityAssertion, Password, PkceVerifier, RecoveryCode, RefreshToken, RegistrationHandle,
    SessionToken, StateToken, TotpSecret,
};
pub use session::{BrowserSession, McpSession};
pub use setup_link::SetupLink;
pub use slug::Slug;
pub use tally::{Tallies, Tally, TallyKind, TallySeries, TallySpan};
pub use user::{CustomRole, Permission, Role, StoredRole, User, UserState};
pub use virtual_server::{ServerItem, VirtualServer};
