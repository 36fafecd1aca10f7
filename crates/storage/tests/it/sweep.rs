//! Which grants a sweep ends, compared with what the domain says; and that it ends nothing else.

use crate::samples::*;
use crate::stage::{Place, Stage};
use doorward_domain::*;
use doorward_storage::{GrantSweep, Storage, StoredGrant, SweepCutoffs, SweepPosition};
use std::time::Duration;

const DAY: u64 = 86_400;

fn days(days: u64) -> Duration {
    Duration::from_secs(days * DAY)
}

fn policy() -> CleanupPolicy {
    CleanupPolicy {
        retention: days(30),
        idle_revoke: Some(days(20)),
        orphan_grace: days(10),
        ..CleanupPolicy::default()
    }
}

fn cutoffs(policy: &CleanupPolicy, now: Timestamp) -> SweepCutoffs {
    SweepCutoffs {
        stale: now.minus(policy.retention),
        stale_refreshable: !policy.keep_refreshable,
        idle: policy.idle_revoke.map(|time| now.minus(time)),
        orphaned: now.minus(policy.orphan_grace),
    }
}

/// All that every sweep would end, with no regard to the brake.
async fn chosen(storage: &Storage, cutoffs: &SweepCutoffs) -> Vec<GrantId> {
    let mut found = Vec::new();
    for sweep in GrantSweep::ALL {
        let Some((before, refreshable)) = cutoffs.of(sweep) else { continue };
        found.extend(storage.grants_to_sweep(sweep, before, refreshable, 10_000).await.unwrap());
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// Every combination of what a removal follows from.
fn variants(base: &Grant) -> Vec<Grant> {
    let moments = [None, Some(later(DAY)), Some(later(25 * DAY))];
    let mut found = Vec::new();
    for expires_at in moments {
        for last_used_at in moments {
            for last_refreshed_at in moments {
                for orphaned_since in [None, Some(later(2 * DAY))] {
                    for refreshable in [true, false] {
                        let mut grant =
                            Grant { last_used_at, last_refreshed_at, orphaned_since, ..base.clone() };
                        grant.tokens.expires_at = expires_at;
                        grant.tokens.refresh_token = grant.tokens.refresh_token.filter(|_| refreshable);
                        found.push(grant);
                    }
                }
            }
        }
    }
    found
}

async fn stored(storage: &Storage, grant: Grant, label: String) -> Grant {
    let grant = Grant { id: Entropy.id(NOW), label, version: 0, ..grant };
    let stored = storage.store_authorized_grant(&grant, event("grant.authorize")).await.unwrap();
    assert!(matches!(stored, StoredGrant::Stored { .. }));
    grant
}

async fn the_statements_and_the_domain_agree_on_whose_time_has_come(stage: &Stage) {
    let storage = &stage.storage;
    let ada = stored_user(storage, "ada@example.com").await;
    let kept_alive = stored_gateway(storage, "alive").await;
    let mut plain = gateway("plain");
    if let GatewayAuthorization::OAuth(settings) = &mut plain.authorization {
        settings.keep_alive = false;
    }
    let inserted = storage.insert_gateway(&plain, event("gateway.create")).await.unwrap();
    assert_eq!(inserted, doorward_storage::Inserted::Yes);
    let mut grants = Vec::new();
    for (gateway, alive) in [(&kept_alive, true), (&plain, false)] {
        for (number, variant) in variants(&grant(GrantOwner::User(ada.id), gateway)).into_iter().enumerate() {
            let grant = stored(storage, variant, format!("account {number}")).await;
            // A consent says nothing of uses and of lost access: those columns have ways of their own.
            let used = grant.last_used_at.map_or(0, Timestamp::millis);
            let orphaned = grant.orphaned_since.map_or("NULL".to_owned(), |at| at.millis().to_string());
            stage
                .by_hand(&format!(
                    "UPDATE grants SET last_used_at = {used}, orphaned_since = {orphaned} WHERE id = '{}'",
                    grant.id
                ))
                .await;
            grants.push((storage.grant(grant.id).await.unwrap().unwrap(), alive));
        }
    }
    let spare = CleanupPolicy { keep_refreshable: true, idle_revoke: None, ..policy() };
    for policy in [policy(), spare] {
        for at in [0, 1, 11, 13, 20, 22, 31, 32, 46, 56, 90] {
            let now = later(at * DAY);
            let due = |(grant, alive): &&(Grant, bool)| {
                grant.removal(&policy, *alive).is_some_and(|removal| removal.at < now)
            };
            let mut expected: Vec<GrantId> = grants.iter().filter(due).map(|(grant, _)| grant.id).collect();
            expected.sort_unstable();
            let cutoffs = cutoffs(&policy, now);
            assert_eq!(chosen(storage, &cutoffs).await, expected, "on day {at} by {policy:?}");
            let census = storage.sweep_census(&cutoffs).await.unwrap();
            assert_eq!(census.ended(), expected.len() as u64, "on day {at}: {census:?}");
            let refreshable = grants.iter().filter(|(grant, _)| grant.tokens.refresh_token.is_some());
            let ended = refreshable.clone().filter(due).count() as u64;
            assert_eq!(census.ended_refreshable(), ended, "on day {at}: {census:?}");
            assert_eq!(census.refreshable, i64::try_from(refreshable.count()).unwrap());
        }
    }
}

/// Ends one grant by a sweep that was to end it before something happened to it.
async fn swept_after(stage: &Stage, name: &str, between: &str) -> bool {
    let storage = &stage.storage;
    let ada = stored_user(storage, &format!("{name}@example.com")).await;
    let hub = stored_gateway(storage, name).await;
    let grant = stored_grant(storage, &ada, &hub).await;
    let before = later(40 * DAY);
    let chosen = storage.grants_to_sweep(GrantSweep::Stale, before, true, 10).await.unwrap();
    assert_eq!(chosen, [grant.id]);
    stage.by_hand(&format!("{between} WHERE id = '{}'", grant.id)).await;
    let swept = sweep(storage, before, true, 10).await;
    let left = storage.grant(grant.id).await.unwrap();
    assert_eq!(swept, u64::from(left.is_none()));
    if let Some(left) = left {
        assert_eq!(left.tokens.refresh_token, grant.tokens.refresh_token);
        stage.by_hand("DELETE FROM grants").await;
    }
    swept == 1
}

/// Sweeps what is stale, in batches of `limit`; how many grants that ended.
async fn sweep(storage: &Storage, before: Timestamp, refreshable: bool, limit: u32) -> u64 {
    let (mut position, mut swept, stale) = (SweepPosition::default(), 0, GrantSweep::Stale);
    loop {
        let ended = storage
            .sweep_grants(stale, before, refreshable, &mut position, limit, &Actor::System)
            .await
            .unwrap();
        if ended == 0 {
            return swept;
        }
        swept += ended;
    }
}

async fn what_was_used_or_refreshed_meanwhile_is_not_swept(stage: &Stage) {
    let late = later(41 * DAY).millis();
    assert!(swept_after(stage, "untouched", "UPDATE grants SET failures = 1").await);
    assert!(!swept_after(stage, "used", &format!("UPDATE grants SET last_used_at = {late}")).await);
    assert!(!swept_after(stage, "refreshed", &format!("UPDATE grants SET last_refreshed_at = {late}")).await);
    assert!(!swept_after(stage, "renewed", &format!("UPDATE grants SET expires_at = {late}")).await);
    assert!(!swept_after(stage, "refreshing", "UPDATE grants SET redeeming_number = refresh_number").await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sweep_waits_for_no_grant_that_somebody_else_is_changing_and_keeps_it() {
    let stage = Stage::postgres().await;
    let storage = &stage.storage;
    let ada = stored_user(storage, "ada@example.com").await;
    let (busy, free) = (stored_gateway(storage, "busy").await, stored_gateway(storage, "free").await);
    let (busy, free) = (stored_grant(storage, &ada, &busy).await, stored_grant(storage, &ada, &free).await);
    let Place::Postgres(server) = &stage.place else { panic!("this stage is PostgreSQL") };
    let pool = sqlx::PgPool::connect(&server.url()).await.unwrap();
    let mut other = pool.begin().await.unwrap();
    let late = later(41 * DAY).millis();
    let used = format!("UPDATE grants SET last_used_at = {late} WHERE id = '{}'", busy.id);
    sqlx::raw_sql(sqlx::AssertSqlSafe(used)).execute(&mut *other).await.unwrap();
    assert_eq!(sweep(storage, later(40 * DAY), true, 10).await, 1);
    other.commit().await.unwrap();
    assert_eq!(sweep(storage, later(40 * DAY), true, 10).await, 0, "it was used");
    assert!(storage.grant(free.id).await.unwrap().is_none());
    assert!(storage.grant(busy.id).await.unwrap().is_some());
}

/// So many grants of one person at one gateway, every other one without a refresh token.
pub(crate) async fn many(stage: &Stage, count: u32, template: GrantId) {
    stage
        .by_hand(&format!(
            "INSERT INTO grants (id, owner_kind, user_id, gateway_id, label, state, fingerprint, provider, \
             scopes_requested, scopes_granted, access_token, access_token_key_id, refresh_token, \
             refresh_token_key_id, expires_at, expires_soon_at, ends_at, dies_at, dies_soon_at, health, \
             access_token_status, status_changes_at, refresh_number, refresh_due_at, created_at, authorized_at, \
             issued_at, last_used_at, failures, exchanged, version) \
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count}) \
             SELECT '0190f5d2-7c1e-7000-8000-' || substr(CAST(1000000000000 + i AS TEXT), 2, 12), owner_kind, \
             user_id, gateway_id, 'account ' || i, state, fingerprint, provider, scopes_requested, \
             scopes_granted, access_token, access_token_key_id, \
             CASE WHEN i % 2 = 0 THEN refresh_token END, CASE WHEN i % 2 = 0 THEN refresh_token_key_id END, \
             expires_at, expires_soon_at, ends_at, dies_at, dies_soon_at, health, access_token_status, \
             status_changes_at, refresh_number, refresh_due_at, created_at, authorized_at, issued_at, \
             last_used_at, failures, exchanged, version FROM grants, n WHERE id = '{template}'"
        ))
        .await;
}

async fn many_thousands_are_swept_in_batches_and_those_that_are_held_back_stay(stage: &Stage) {
    let storage = &stage.storage;
    let ada = stored_user(storage, "ada@example.com").await;
    let hub = stored_gateway(storage, "hub").await;
    let first = stored_grant(storage, &ada, &hub).await;
    many(stage, 20_000, first.id).await;
    let before = later(40 * DAY);
    for (refreshable, left) in [(false, 10_001), (true, 0)] {
        let swept = sweep(storage, before, refreshable, 500).await;
        assert_eq!(swept, if refreshable { 10_001 } else { 10_000 });
        assert_eq!(stage.number("SELECT count(*) FROM grants").await, left);
    }
    let ended = "SELECT count(*) FROM ended_grants WHERE cause = 'swept' AND actor_kind = 'system'";
    assert_eq!(stage.number(ended).await, 20_001);
    let told = "SELECT count(*) FROM provider_revocations WHERE refresh_token IS NOT NULL";
    assert_eq!(stage.number(told).await, 10_001, "those that could be refreshed");
}

async fn a_grant_is_named_by_its_person_and_its_gateway(stage: &Stage) {
    let storage = &stage.storage;
    let ada = stored_user(storage, "ada@example.com").await;
    let hub = stored_gateway(storage, "hub").await;
    let grant = stored_grant(storage, &ada, &hub).await;
    let names = GrantNames { user_email: Some("ada@example.com".into()), gateway_slug: "hub".into() };
    assert_eq!(storage.grant_names(grant.id).await.unwrap(), Some(names));
    assert_eq!(storage.grant_names(Entropy.id(NOW)).await.unwrap(), None);
}

on_both!(
    the_statements_and_the_domain_agree_on_whose_time_has_come,
    what_was_used_or_refreshed_meanwhile_is_not_swept,
    many_thousands_are_swept_in_batches_and_those_that_are_held_back_stay,
    a_grant_is_named_by_its_person_and_its_gateway,
);
