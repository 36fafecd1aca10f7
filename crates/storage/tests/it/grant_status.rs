//! Health as the database stores it, compared with health as the domain computes it.

use crate::samples::*;
use crate::stage::Stage;
use doorward_domain::*;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(86_400);

fn word<T: serde::Serialize>(value: T) -> String {
    serde_json::to_value(value).unwrap().as_str().unwrap().to_owned()
}

/// Every combination of what health follows from.
fn variants(base: &Grant) -> Vec<Grant> {
    let states = [
        GrantState::Active,
        GrantState::Uncertain,
        GrantState::NeedsAuthorization(ReauthorizationReason::Forced),
    ];
    let ends = [None, Some(later(3_600)), Some(later(40 * 86_400))];
    let mut found = Vec::new();
    for state in states {
        for expires_at in ends {
            for ends_at in ends {
                for refreshable in [true, false] {
                    let mut grant = Grant { state, ends_at, ..base.clone() };
                    grant.tokens.expires_at = expires_at;
                    grant.tokens.refresh_token = grant.tokens.refresh_token.filter(|_| refreshable);
                    found.push(grant);
                }
            }
        }
    }
    found
}

async fn stored_health_is_what_the_domain_says_at_any_time(stage: &Stage) {
    let storage = &stage.storage;
    let hub = stored_gateway(storage, "hub").await;
    let ada = stored_user(storage, "ada@example.com").await;
    let first = stored_grant(storage, &ada, &hub).await;
    let mut grants = Vec::new();
    for (number, variant) in variants(&first).into_iter().enumerate() {
        let label = format!("account {number}");
        let grant = Grant { id: Entropy.id(NOW), label, version: 0, ..variant };
        let stored = storage.store_authorized_grant(&grant, event("grant.authorize")).await.unwrap();
        assert!(matches!(stored, doorward_storage::StoredGrant::Stored { .. }));
        grants.push(grant);
    }
    for step in [0, 1_000, 2_600, 86_400, 38 * 86_400, 3 * 86_400] {
        stage.clock.advance(Duration::from_secs(step));
        while storage.settle_due_grants(20).await.unwrap() > 0 {}
        let now = stage.clock.now();
        for grant in &grants {
            let health = word(grant.health(now, SOON));
            let status = word(grant.access_token_status(now, SOON));
            let sql = format!(
                "SELECT count(*) FROM grants WHERE id = '{}' AND health = '{health}' \
                 AND access_token_status = '{status}'",
                grant.id
            );
            assert_eq!(stage.number(&sql).await, 1, "after {step} s: {health}, {status}, {grant:?}");
        }
    }
}

async fn another_setting_of_what_is_soon_reaches_what_is_stored(stage: &Stage) {
    let storage = &stage.storage;
    let hub = stored_gateway(storage, "hub").await;
    let ada = stored_user(storage, "ada@example.com").await;
    let first = stored_grant(storage, &ada, &hub).await;
    let mut grants = Vec::new();
    for (number, variant) in variants(&first).into_iter().enumerate() {
        let label = format!("account {number}");
        let grant = Grant { id: Entropy.id(NOW), label, version: 0, ..variant };
        let stored = storage.store_authorized_grant(&grant, event("grant.authorize")).await.unwrap();
        assert!(matches!(stored, doorward_storage::StoredGrant::Stored { .. }));
        grants.push(grant);
    }
    storage.expiring_soon_is_followed().await.unwrap();
    assert!(!storage.expiring_soon_has_changed().await.unwrap());
    for soon in [Duration::from_secs(600), Duration::from_secs(200 * 86_400), Duration::MAX] {
        let restarted = stage.open_again().await;
        restarted.set_expiring_soon(soon);
        assert!(restarted.expiring_soon_has_changed().await.unwrap());
        let mut after = None;
        while let Some(last) = restarted.follow_expiring_soon(after, 7).await.unwrap() {
            after = Some(last);
        }
        restarted.expiring_soon_is_followed().await.unwrap();
        assert!(!restarted.expiring_soon_has_changed().await.unwrap());
        while restarted.settle_due_grants(20).await.unwrap() > 0 {}
        let now = stage.clock.now();
        for grant in &grants {
            let marks = grant.clock_marks(soon);
            let millis = |moment: Option<Timestamp>| moment.map_or(i64::MAX, Timestamp::millis);
            let sql = format!(
                "SELECT count(*) FROM grants WHERE id = '{}' AND health = '{}' AND access_token_status = '{}' \
                 AND expires_soon_at = {} AND dies_soon_at = {} AND dies_at = {}",
                grant.id,
                word(grant.health(now, soon)),
                word(grant.access_token_status(now, soon)),
                millis(marks.expires_soon_at),
                millis(marks.dies_soon_at),
                millis(marks.dies_at),
            );
            assert_eq!(stage.number(&sql).await, 1, "{soon:?}: {marks:?} {grant:?}");
        }
    }
}

on_both!(
    stored_health_is_what_the_domain_says_at_any_time,
    another_setting_of_what_is_soon_reaches_what_is_stored,
);
