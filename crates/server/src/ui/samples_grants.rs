//! Sample data for the pages about everybody's grants.

use crate::ui::samples::{NOW, ago, grant, oauth_gateway};
use crate::ui::time_line::People;
use doorward_broker::GrantDetails;
use doorward_domain::{
    AccessTokenStatus, Actor, AttemptGateway, AttemptProblem, AttemptState, AttemptStep, AuditEvent,
    AuditHash, AuthorizationAttempt, BulkJob, BulkJobRow, BulkKind, BulkResult, EndCause, ExchangeProblem,
    GatewayId, Grant, GrantCounts, GrantGateway, GrantId, GrantState, GrantUser, Health, ListedGrant, Place,
    ProviderAccount, ProviderEnd, ReauthorizationReason, Receipt, Removal, StepFact, StepKind, Timestamp,
    UserId, Words,
};
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

fn later(seconds: u64) -> Timestamp {
    NOW.plus(Duration::from_secs(seconds))
}

/// One of each state, the refused one first.
pub(super) fn attempts() -> Vec<AuthorizationAttempt> {
    let gateway = || AttemptGateway { id: GatewayId(Uuid::from_u128(1)), slug: "github-mcp".into() };
    let attempt = |(number, state): (u128, AttemptState)| AuthorizationAttempt {
        id: Uuid::from_u128(60 + number).into(),
        reference: format!("9f0c3a71b2{number:02}"),
        user_id: UserId(Uuid::from_u128(2)),
        user_email: "<b>admin</b>@acme.example".into(),
        gateway: (number != 6).then(gateway),
        state,
        started_at: ago(3_600),
    };
    let states = [
        AttemptState::Refused,
        AttemptState::Connected,
        AttemptState::SetOut,
        AttemptState::Opened,
        AttemptState::OtherAccount,
        AttemptState::Denied,
        AttemptState::Refused,
        AttemptState::Tested,
    ];
    (0..).zip(states).map(attempt).collect()
}

/// The steps of a refused attempt, or of one that went well.
pub(super) fn attempt_steps(refused: bool) -> Vec<AttemptStep> {
    let step = |seconds: u64, kind| AttemptStep::new(ago(3_600 - seconds), kind);
    let endpoint = |url: &str| StepFact::Endpoint(Place::read(url));
    let mut steps = vec![
        step(0, StepKind::LinkOpened).with(StepFact::Client(Words::new("<b>admin"))),
        step(4, StepKind::SentToProvider)
            .with(endpoint("https://github.com/login/oauth/authorize?x=1"))
            .with(StepFact::Scopes(vec![Words::new("repo"), Words::new("read:org")]))
            .with(StepFact::State),
        step(31, StepKind::CameBack).with(StepFact::State).with(StepFact::Code),
        step(31, StepKind::CodeSent).with(endpoint("https://github.com/token")).with(StepFact::ClientSecret),
    ];
    if refused {
        steps.push(
            step(32, StepKind::NoTokens)
                .with(StepFact::ExchangeProblem(ExchangeProblem::Refused))
                .with(StepFact::ErrorCode(Words::new("invalid_client")))
                .with(StepFact::ProviderWords(Words::new("<script>no"))),
        );
        let problem = StepFact::Problem(AttemptProblem::ExchangeFailed);
        steps.push(step(32, StepKind::Refused).with(problem));
    } else {
        steps.push(step(32, StepKind::TokensCame).with(StepFact::AccessToken));
        steps.push(step(33, StepKind::Stored).with(StepFact::Grant(GrantId(Uuid::from_u128(1)))));
    }
    steps
}

/// A grant that renews itself.
pub(super) fn listed() -> ListedGrant {
    ListedGrant {
        id: GrantId(Uuid::from_u128(1)),
        user: Some(GrantUser {
            id: UserId(Uuid::from_u128(2)),
            email: "h.tanaka@acme.example".into(),
            name: "H. Tanaka <b>".into(),
        }),
        gateway: GrantGateway {
            id: GatewayId(Uuid::from_u128(1)),
            slug: "github-mcp".into(),
            name: "GitHub".into(),
        },
        provider: "https://github.com".into(),
        account: Some(ProviderAccount { subject: "583231".into(), name: Some("htanaka<b>".into()) }),
        label: String::new(),
        scopes_granted: vec!["repo".into()],
        state: GrantState::Active,
        health: Health::Valid,
        access_token_status: AccessTokenStatus::Valid,
        expires_at: Some(later(41 * 60)),
        ends_at: None,
        refreshable: true,
        created_at: ago(9 * 86_400),
        authorized_at: ago(9 * 86_400),
        last_used_at: Some(ago(240)),
        last_refreshed_at: Some(ago(3_000)),
        last_error: None,
        deposited_by: None,
    }
}

/// One of each health; one without a name, one of the gateway itself.
pub(super) fn listed_grants() -> Vec<ListedGrant> {
    let of = |number: u128, health, change: fn(&mut ListedGrant)| {
        let mut grant = ListedGrant { id: GrantId(Uuid::from_u128(number)), health, ..listed() };
        change(&mut grant);
        grant
    };
    vec![
        of(1, Health::Valid, |grant| grant.scopes_granted.push("read:org".into())),
        of(2, Health::ExpiringSoon, |grant| grant.refreshable = false),
        of(3, Health::Expired, |grant| {
            grant.refreshable = false;
            grant.expires_at = Some(ago(12 * 86_400));
            grant.access_token_status = AccessTokenStatus::Expired;
        }),
        of(4, Health::NeedsAuthorization, |grant| {
            grant.state = GrantState::NeedsAuthorization(ReauthorizationReason::InvalidGrant);
        }),
        of(8, Health::NeedsAuthorization, |grant| {
            grant.state = GrantState::NeedsAuthorization(ReauthorizationReason::Deposited);
            grant.deposited_by = Some("a.<i>dmin@acme.example".into());
        }),
        of(5, Health::Uncertain, |grant| {
            grant.state = GrantState::Uncertain;
            grant.scopes_granted.clear();
        }),
        of(6, Health::Orphaned, |grant| grant.user = None),
        of(7, Health::Valid, |grant| {
            grant.user.as_mut().unwrap().name.clear();
            (grant.expires_at, grant.last_used_at, grant.last_refreshed_at) = (None, None, None);
        }),
    ]
}

pub(super) fn grant_counts() -> GrantCounts {
    let of = |health, count| (health, AccessTokenStatus::Valid, count);
    GrantCounts {
        as_of: NOW,
        counted: vec![
            of(Health::Valid, 1_102),
            of(Health::ExpiringSoon, 37),
            of(Health::Expired, 61),
            of(Health::NeedsAuthorization, 72),
            of(Health::Uncertain, 2),
            of(Health::Orphaned, 10),
        ],
    }
}

pub(super) fn emails() -> People {
    People::from([(UserId(Uuid::from_u128(1)), "<b>admin</b>@acme.example".to_owned())])
}

/// One event of a grant's time line.
pub(super) fn event(action: &str, details: &[(&str, &str)]) -> AuditEvent {
    AuditEvent {
        seq: 1,
        previous_hash: AuditHash::ZEROS,
        hash: AuditHash::ZEROS,
        id: Uuid::from_u128(1).into(),
        at: ago(3_600),
        actor: Actor::System,
        action: action.to_owned(),
        subject: None,
        user_id: None,
        address: None,
        reference: None,
        detail: details.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
    }
}

pub(super) fn time_line() -> Vec<AuditEvent> {
    let by_admin = |event: AuditEvent| AuditEvent { actor: Actor::User(UserId(Uuid::from_u128(1))), ..event };
    let refused = [
        ("reason", "invalid_grant"),
        ("error", "the provider refused the refresh token"),
        ("provider_words", "bad_refresh_token <script>alert(1)</script>"),
    ];
    vec![
        by_admin(event("grant.reauthorize", &[("reason", "new <i>report</i> scopes")])),
        AuditEvent { reference: Some("7f3a91c0de11".into()), ..event("grant.park", &refused) },
        event("grant.refresh", &[("path", "call")]),
        event("grant.refresh", &[("path", "background")]),
        by_admin(event("grant.authorize", &[])),
    ]
}

pub(super) fn details() -> GrantDetails {
    GrantDetails {
        listed: listed(),
        grant: grant(GrantState::Active, true),
        gateway: Arc::new(oauth_gateway()),
        removal: Some(Removal { at: later(9 * 86_400), cause: EndCause::Swept }),
        time_line: time_line(),
    }
}

/// A grant whose refresh the provider refuses, again and again.
pub(super) fn failing_details() -> GrantDetails {
    let state = GrantState::NeedsAuthorization(ReauthorizationReason::InvalidGrant);
    let grant = Grant {
        failures: 3,
        last_error: Some("the provider refused the refresh token".into()),
        provider_words: Some("bad_refresh_token <img src=x>".into()),
        retry_at: Some(later(120)),
        reference: Some("7f3a91c0de11".into()),
        ends_at: Some(ago(60)),
        ..grant(state, true)
    };
    let listed = ListedGrant { state, health: Health::NeedsAuthorization, ..listed() };
    GrantDetails { listed, grant, removal: None, ..details() }
}

/// An order about many grants, with one row of each result.
pub(super) fn job(kind: BulkKind, waiting: u64) -> (BulkJob, Vec<BulkJobRow>) {
    let job = BulkJob {
        id: Uuid::from_u128(9).into(),
        kind,
        actor: Actor::User(UserId(Uuid::from_u128(1))),
        reason: "stolen <i>report</i>".into(),
        provider: ProviderEnd::UnlessWide,
        waiting,
        done: 1_280,
        gone: 4,
        created_at: ago(30),
        finished_at: (waiting == 0).then_some(NOW),
    };
    let row = |number: u128, result, receipt: Option<Receipt>| BulkJobRow {
        grant_id: GrantId(Uuid::from_u128(number)),
        user_email: (number != 3).then(|| "h.tanaka@acme.example".into()),
        gateway_slug: "github-mcp".into(),
        result,
        receipt: receipt.filter(|_| kind == BulkKind::Revoke),
        receipt_detail: (number == 2).then(|| "invalid_client<b>".into()),
    };
    let rows = vec![
        row(1, BulkResult::Done, Some(Receipt::Pending)),
        row(2, BulkResult::Done, Some(Receipt::Refused)),
        row(3, BulkResult::Waiting, None),
        row(4, BulkResult::Gone, None),
    ];
    (job, rows)
}
