//! Sample data for the pages.

use doorward_broker::{Connection, ConnectionStatus};
use doorward_domain::user::PasswordHash;
use doorward_domain::{
    AccessList, Actor, ApiToken, Audience, AuditEvent, CatalogKind, CatalogSharing, CleanupCounts,
    CleanupRun, CleanupState, CleanupTrigger, ClientRegistration, EndCause, EndedGrant, Fingerprint, Gateway,
    GatewayAuthorization, GatewayId, GatewayState, Grant, GrantId, GrantNames, GrantOwner, GrantState, Group,
    GroupId, Health, Hex, HoldReason, KeyId, OAuthSettings, ProviderAccount, ProviderFacts,
    ReauthorizationReason, Receipt, RegistrationKind, Removal, Role, Sealed, SealedTokenSet, ServerItem,
    Slug, StaticHeader, SweptKind, Timestamp, TokenEndpointAuth, TokenHash, User, UserId, UserState,
    VirtualServer, VirtualServerId,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

pub(super) use crate::ui::samples_grants::{
    attempt_steps, attempts, details, emails, event, failing_details, grant_counts, job, listed,
    listed_grants, time_line,
};

/// 2 Sep 2026, 09:14 UTC.
pub(super) const NOW: Timestamp = Timestamp::from_millis(1_788_340_440_000);
/// What is sealed in the samples; no page may show it.
pub(super) const CANARY: &str = "canary-of-a-sealed-secret";

fn sealed() -> Sealed {
    Sealed { key_id: KeyId("k1".into()), bytes: CANARY.as_bytes().to_vec() }
}

pub(super) fn ago(seconds: u64) -> Timestamp {
    NOW.minus(Duration::from_secs(seconds))
}

fn gateway(
    number: u128,
    slug: &str,
    name: &str,
    url: &str,
    state: GatewayState,
    authorization: GatewayAuthorization,
) -> Gateway {
    Gateway {
        id: GatewayId(Uuid::from_u128(number)),
        slug: Slug::parse(slug).unwrap(),
        name: name.into(),
        url: url.parse().unwrap(),
        state,
        access: AccessList::Everyone,
        tool_access: [].into(),
        authorization,
        client_certificate: None,
        catalog_sharing: CatalogSharing::PerUser,
        on_change: doorward_domain::OnChange::Allow,
        era: doorward_domain::EraChoice::Automatic,
        created_at: ago(9 * 86_400),
        updated_at: ago(7_300),
        version: 3,
    }
}

fn oauth(host: &str, scopes: &[&str]) -> GatewayAuthorization {
    GatewayAuthorization::OAuth(Box::new(OAuthSettings {
        grant_type: Default::default(),
        identity_provider: None,
        audience: None,
        authorization_url: Some(format!("https://{host}/authorize").parse().unwrap()),
        token_url: format!("https://{host}/token").parse().unwrap(),
        revocation_url: None,
        issuer: Some(format!("https://{host}")),
        iss_promised: true,
        resource: None,
        scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
        scope_ceiling: Vec::new(),
        refused_scopes: Vec::new(),
        authorize_params: BTreeMap::from([("access_type".into(), "offline".into())]),
        facts: ProviderFacts::default(),
        template: None,
        keep_alive: false,
        registration_problem: None,
        former_issuer: None,
        registration: ClientRegistration {
            id: Uuid::from_u128(9).into(),
            issuer: format!("https://{host}"),
            kind: RegistrationKind::PreRegistered,
            client_id: "acme-doorward".into(),
            client_secret: Some(sealed()),
            assertion_kid: None,
            handle: None,
            dpop_key: None,
            fingerprint: Fingerprint(String::new()),
            token_endpoint_auth: TokenEndpointAuth::Post,
        },
    }))
}

pub(super) fn virtual_server() -> VirtualServer {
    let item = |number, kind, name: &str, exposed: Option<&str>| ServerItem {
        gateway_id: GatewayId(Uuid::from_u128(number)),
        kind,
        name: name.into(),
        exposed: exposed.map(str::to_owned),
    };
    VirtualServer {
        id: VirtualServerId(Uuid::from_u128(1)),
        slug: Slug::parse("support").unwrap(),
        name: "Support <script>no".into(),
        access: AccessList::Everyone,
        items: vec![
            item(1, CatalogKind::Tool, "search_issues", Some("search")),
            item(4, CatalogKind::Prompt, "summarize <b>admin", None),
            item(3, CatalogKind::Resource, "file:///runbooks", None),
        ],
        created_at: NOW,
        updated_at: NOW,
        version: 1,
    }
}

pub(super) fn groups() -> Vec<Group> {
    let group = |number, name: &str, members| Group {
        id: GroupId(Uuid::from_u128(number)),
        name: name.into(),
        members,
        created_at: NOW,
        updated_at: NOW,
        version: 1,
    };
    vec![group(1, "Operations <b>admin", 1), group(2, "Support", 12)]
}

pub(super) fn gateways() -> Vec<Gateway> {
    let header = GatewayAuthorization::StaticHeader(StaticHeader {
        name: "x-api-key".into(),
        value: sealed(),
        fingerprint: Fingerprint(String::new()),
    });
    let (published, draft) = (GatewayState::Published, GatewayState::Draft);
    vec![
        gateway(
            1,
            "github-mcp",
            "GitHub",
            "https://api.githubcopilot.com/mcp/",
            published,
            oauth("github.com", &["repo", "read:org"]),
        ),
        gateway(
            2,
            "calendar",
            "Calendar",
            "https://calendar.example.com/mcp",
            published,
            oauth("accounts.google.com", &["calendar.readonly"]),
        ),
        gateway(
            3,
            "tickets",
            "Tickets <script>alert(1)</script>",
            "https://mcp.atlassian.com/v1/mcp",
            draft,
            oauth("auth.atlassian.com", &["read:jira-work", "write:jira-work", "offline_access"]),
        ),
        gateway(4, "search", "Company search", "https://search.acme.example/mcp", published, header),
        gateway(
            5,
            "wiki",
            "Wiki",
            "https://wiki.acme.example/mcp",
            GatewayState::Disabled,
            GatewayAuthorization::None,
        ),
    ]
}

pub(super) fn grant(state: GrantState, refreshable: bool) -> Grant {
    Grant {
        id: GrantId(Uuid::from_u128(1)),
        owner: GrantOwner::User(UserId(Uuid::from_u128(1))),
        gateway_id: GatewayId(Uuid::from_u128(1)),
        label: String::new(),
        state,
        orphaned_since: None,
        fingerprint: Fingerprint(String::new()),
        account: Some(ProviderAccount { subject: "583231".into(), name: Some("htanaka<b>".into()) }),
        scopes_requested: vec!["repo".into(), "read:org".into()],
        scopes_granted: vec!["repo".into()],
        tokens: SealedTokenSet {
            access_token: sealed(),
            refresh_token: refreshable.then(sealed),
            id_token: None,
            expires_at: None,
        },
        refresh_number: 1,
        redeeming_number: None,
        created_at: ago(86_400),
        authorized_at: ago(86_400),
        issued_at: ago(86_400),
        last_used_at: Some(ago(240)),
        last_refreshed_at: None,
        ends_at: None,
        retry_at: None,
        failures: 0,
        last_error: None,
        provider_words: None,
        reference: None,
        deposited_by: None,
        exchanged: false,
        version: 1,
    }
}

/// One that waits for its user's word.
pub(super) fn deposited() -> Grant {
    let state = GrantState::NeedsAuthorization(ReauthorizationReason::Deposited);
    Grant { deposited_by: Some("a.<i>dmin@acme.example".into()), ..grant(state, true) }
}

pub(super) fn connections() -> Vec<Connection> {
    let refused = GrantState::NeedsAuthorization(ReauthorizationReason::InvalidGrant);
    let statuses = [
        (ConnectionStatus::Connected(Health::NeedsAuthorization), Some(grant(refused, true))),
        (ConnectionStatus::Connected(Health::Valid), Some(grant(GrantState::Active, true))),
        (ConnectionStatus::NotConnected, None),
        (ConnectionStatus::NotNeeded, None),
        (ConnectionStatus::Connected(Health::Uncertain), Some(grant(GrantState::Uncertain, true))),
        (ConnectionStatus::Connected(Health::NeedsAuthorization), Some(deposited())),
    ];
    let mut gateways = gateways();
    gateways.push(oauth_gateway());
    let pairs = gateways.into_iter().zip(statuses);
    let soon = Removal { at: NOW.plus(Duration::from_secs(9 * 86_400)), cause: EndCause::Swept };
    pairs
        .map(|(gateway, (status, grant))| Connection {
            gateway: Arc::new(gateway),
            status,
            grant,
            removal: (status == ConnectionStatus::Connected(Health::Uncertain)).then_some(soon),
        })
        .collect()
}

pub(super) fn api_tokens() -> Vec<ApiToken> {
    let token =
        |name: &str, audience, gateways: Option<Vec<GatewayId>>, ends: Timestamp, ended_at| ApiToken {
            id: Uuid::from_u128(7).into(),
            user_id: UserId(Uuid::from_u128(1)),
            name: name.into(),
            hash: TokenHash([7; 32]),
            hint: "9fKq".into(),
            audience,
            gateways,
            created_at: ago(86_400),
            expires_at: ends,
            last_used_at: Some(ago(60 * 11)),
            ended_at,
        };
    let later = NOW.plus(Duration::from_secs(76 * 86_400));
    vec![
        token("Laptop editor", Audience::Mcp, None, later, None),
        token(
            "Nightly <i>report</i>",
            Audience::Own,
            Some(vec![GatewayId(Uuid::from_u128(1)), GatewayId(Uuid::from_u128(2))]),
            later,
            None,
        ),
        token("Scripts", Audience::Admin, Some(vec![]), ago(5), None),
        token("Old phone", Audience::Mcp, None, later, Some(ago(3 * 86_400))),
    ]
}

pub(super) fn people() -> Vec<User> {
    let person = |number: u128, name: &str, email: &str, role, state, password: bool| User {
        id: UserId(Uuid::from_u128(number)),
        email: email.into(),
        name: name.into(),
        role,
        state,
        password_hash: password.then(|| PasswordHash(CANARY.into())),
        has_second_factor: password,
        created_at: ago(40 * 86_400),
        updated_at: ago(86_400),
        version: 1,
    };
    vec![
        person(1, "A. Dmin", "admin@acme.example", Role::Administrator, UserState::Active, true),
        person(2, "H. Tanaka <b>", "h.tanaka@acme.example", Role::User, UserState::Active, true),
        person(3, "M. Okafor", "m.okafor@acme.example", Role::User, UserState::Active, false),
        person(
            4,
            "J. Lindqvist",
            "a.very.long.address.of.somebody@subsidiary.acme.example",
            Role::User,
            UserState::Disabled,
            true,
        ),
    ]
}

/// A gateway whose users authorize.
pub(super) fn oauth_gateway() -> Gateway {
    gateways().swap_remove(0)
}

pub(super) fn ended_grant(receipt: Receipt) -> EndedGrant {
    EndedGrant {
        grant_id: GrantId(Uuid::from_u128(1)),
        owner: GrantOwner::User(UserId(Uuid::from_u128(1))),
        user_email: Some("tanaka@acme.example".into()),
        gateway_id: GatewayId(Uuid::from_u128(1)),
        gateway_slug: "github-mcp".into(),
        provider: "https://github.com".into(),
        label: String::new(),
        account: None,
        scopes_granted: vec!["repo".into()],
        authorized_at: ago(86_400),
        last_used_at: None,
        access_token_expires_at: Some(NOW.plus(Duration::from_secs(600))),
        cause: EndCause::Disconnected,
        reason: None,
        actor: Actor::User(UserId(Uuid::from_u128(1))),
        ended_at: NOW,
        job: None,
        receipt,
        receipt_detail: (receipt == Receipt::Refused).then(|| "invalid_client<b>".into()),
        receipt_at: NOW,
        user_apps_url: Some("https://github.com/settings/applications".into()),
    }
}

/// A dry run, one that holds, one that is done, one that failed, and one that runs.
pub(super) fn cleanup_runs() -> Vec<CleanupRun> {
    let alice = GrantNames {
        user_email: Some("<b>admin</b>@acme.example".into()),
        gateway_slug: "github-mcp".into(),
    };
    let nobodys = GrantNames { user_email: None, gateway_slug: "search".into() };
    let counts = CleanupCounts::from([
        (SweptKind::StaleGrants, 4),
        (SweptKind::IdleGrants, 1),
        (SweptKind::AuthorizationRequests, 31),
        (SweptKind::SetupLinks, 0),
    ]);
    let run = |number: u128, state, dry_run, hold_reason: Option<HoldReason>| CleanupRun {
        id: Uuid::from_u128(number).into(),
        trigger: if dry_run { CleanupTrigger::Manual } else { CleanupTrigger::Scheduled },
        actor: if dry_run { Actor::User(UserId(Uuid::from_u128(1))) } else { Actor::System },
        dry_run,
        state,
        started_at: ago(86_400),
        finished_at: (state != CleanupState::Running).then(|| ago(86_399)),
        counts: counts.clone(),
        held_count: if hold_reason.is_some() { 140 } else { 0 },
        hold_reason,
        confirms: None,
        sample: if dry_run || hold_reason.is_some() { vec![alice.clone(), nobodys.clone()] } else { vec![] },
        slowest_batch_ms: 12,
        error: (state == CleanupState::Failed).then(|| "the database went away".into()),
    };
    let (done, failed) = (CleanupState::Done, CleanupState::Failed);
    vec![
        run(21, done, true, None),
        run(22, done, false, Some(HoldReason::TooMany)),
        CleanupRun { confirms: Some(Uuid::from_u128(22).into()), ..run(23, done, false, None) },
        run(24, failed, false, Some(HoldReason::ClockJumped)),
        CleanupRun { counts: CleanupCounts::new(), ..run(25, CleanupState::Running, false, None) },
    ]
}

/// A revoke, a refused sign-in, a system event, and an action that no page knows.
pub(super) fn audit_events() -> Vec<AuditEvent> {
    let event = |seq: i64, actor, action: &str, detail: &[(&str, &str)]| AuditEvent {
        seq,
        previous_hash: Hex([1; 32]),
        hash: Hex([2; 32]),
        id: Uuid::from_u128(40).into(),
        at: ago(3_600),
        actor,
        action: action.into(),
        subject: Some("0198-<img src=x>".into()),
        user_id: Some(UserId(Uuid::from_u128(1))),
        address: Some("192.0.2.7".into()),
        reference: Some("q7mk2".into()),
        detail: detail.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
    };
    vec![
        event(
            9,
            Actor::User(UserId(Uuid::from_u128(1))),
            "grant.revoke",
            &[("cause", "revoked"), ("reason", "<i>report")],
        ),
        event(8, Actor::Anonymous, "login.refused", &[]),
        event(7, Actor::System, "cleanup.done", &[("stale_grants", "4")]),
        event(6, Actor::CommandLine, "something.new", &[]),
    ]
}
