//! When a grant's refresh is due, who is given it, and what a gateway's registration is flagged with.

use crate::samples::*;
use crate::stage::Stage;
use doorward_domain::*;
use doorward_storage::StoredGrant;
use std::time::Duration;

const NEVER: i64 = i64::MAX;
const MINUTE: Duration = Duration::from_secs(60);
const DAY: u64 = 86_400;

/// When the stored grant is due, in seconds from now; none: never.
async fn due(stage: &Stage, id: GrantId) -> Option<i64> {
    let at = stage.number(&format!("SELECT refresh_due_at FROM grants WHERE id = '{id}'")).await;
    (at != NEVER).then(|| (at - NOW.millis()) / 1_000)
}

async fn stored(stage: &Stage, gateway: &Gateway, change: impl FnOnce(&mut Grant)) -> Grant {
    let mut grant = grant(GrantOwner::Service, gateway);
    grant.label = grant.id.to_string();
    change(&mut grant);
    let outcome = stage.storage.store_authorized_grant(&grant, event("grant.authorize")).await.unwrap();
    assert!(matches!(outcome, StoredGrant::Stored { .. }), "{outcome:?}");
    Grant { version: 1, ..grant }
}

/// A gateway that keeps no grant alive and allows no replay.
async fn plain_gateway(stage: &Stage) -> Gateway {
    let mut plain = gateway("plain");
    if let GatewayAuthorization::OAuth(oauth) = &mut plain.authorization {
        oauth.keep_alive = false;
        oauth.facts.replay_safe = false;
    }
    let _ = stage.storage.insert_gateway(&plain, event("gateway.create")).await.unwrap();
    plain
}

async fn what_is_due_follows_from_the_row(stage: &Stage) {
    let (plain, hub) = (plain_gateway(stage).await, stored_gateway(&stage.storage, "hub").await);
    let hour = stored(stage, &plain, |_| ()).await;
    assert_eq!(due(stage, hour.id).await, Some(3_300), "where its margin begins");
    let ten_minutes = stored(stage, &plain, |grant| grant.tokens.expires_at = Some(later(600))).await;
    assert_eq!(due(stage, ten_minutes.id).await, Some(480));
    let spread = stored(stage, &plain, |grant| grant.issued_at = NOW.plus(Duration::from_millis(500))).await;
    assert_eq!(due(stage, spread.id).await, Some(3_375), "spread over the first half of the margin");
    let short = stored(stage, &plain, |grant| grant.tokens.expires_at = Some(later(10))).await;
    assert_eq!(due(stage, short.id).await, Some(60), "no oftener than once a minute");
    let endless = stored(stage, &plain, |grant| grant.tokens.expires_at = None).await;
    assert_eq!(due(stage, endless.id).await, None);
    let own = stored(stage, &plain, |grant| grant.tokens.refresh_token = None).await;
    assert_eq!(due(stage, own.id).await, Some(3_300), "the gateway's own client needs no refresh token");
    let ada = stored_user(&stage.storage, "ada@example.com").await;
    let nothing = stored(stage, &plain, |grant| {
        grant.owner = GrantOwner::User(ada.id);
        grant.tokens.refresh_token = None;
    });
    assert_eq!(due(stage, nothing.await.id).await, None);
    let weekly = stored(stage, &hub, |grant| grant.tokens.expires_at = None).await;
    assert_eq!(due(stage, weekly.id).await, Some(7 * DAY as i64), "kept alive, the limit is not known");
    let kept = stored(stage, &hub, |grant| {
        grant.tokens.expires_at = None;
        grant.ends_at = Some(later(90 * DAY));
    });
    assert_eq!(due(stage, kept.await.id).await, Some(60 * DAY as i64), "two thirds of the way");
    let failed = Grant { retry_at: Some(later(4_000)), failures: 1, ..hour.clone() };
    assert!(stage.storage.set_grant_state(&failed, event("grant.refresh_failed")).await.unwrap());
    assert_eq!(due(stage, hour.id).await, Some(4_000), "not before it may be tried again");
    let parked =
        Grant { state: GrantState::NeedsAuthorization(ReauthorizationReason::Forced), version: 2, ..hour };
    assert!(stage.storage.set_grant_state(&parked, event("grant.park")).await.unwrap());
    assert_eq!(due(stage, parked.id).await, None);
}

async fn an_uncertain_grant_is_due_for_its_one_recovery_only(stage: &Stage) {
    let (plain, hub) = (plain_gateway(stage).await, stored_gateway(&stage.storage, "hub").await);
    let unsafe_one = stored(stage, &plain, |_| ()).await;
    let safe_one = stored(stage, &hub, |_| ()).await;
    for (grant, expected) in [(unsafe_one, None), (safe_one.clone(), Some(3_300))] {
        let lost = Grant { state: GrantState::Uncertain, ..grant };
        assert!(stage.storage.set_grant_state(&lost, event("grant.uncertain")).await.unwrap());
        assert_eq!(due(stage, lost.id).await, expected);
    }
    let version = stage.storage.begin_refresh(safe_one.id, 2).await.unwrap().unwrap();
    let lost_again =
        Grant { state: GrantState::Uncertain, redeeming_number: Some(1), version, ..safe_one.clone() };
    assert!(stage.storage.set_grant_state(&lost_again, event("grant.uncertain")).await.unwrap());
    assert_eq!(due(stage, safe_one.id).await, None);
    let read = stage.storage.grant(safe_one.id).await.unwrap().unwrap();
    assert_eq!(read.redeeming_number, Some(1), "the recovery was sent");
    assert_eq!(stage.storage.recover_interrupted_refreshes(NOW).await.unwrap(), 0);
    assert_eq!(stage.storage.begin_refresh(safe_one.id, read.version).await.unwrap(), None);
}

async fn use_wakes_what_has_fallen_asleep(stage: &Stage) {
    let plain = plain_gateway(stage).await;
    let grant = stored(stage, &plain, |_| ()).await;
    stage.clock.advance(Duration::from_secs(8 * DAY));
    let version = stage.storage.begin_refresh(grant.id, 1).await.unwrap().unwrap();
    let issued_at = stage.clock.now();
    let mut fresh = Grant { issued_at, ..grant.clone() };
    fresh.tokens.expires_at = Some(issued_at.plus(60 * MINUTE));
    assert!(stage.storage.finish_refresh(&fresh, version, event("grant.refresh")).await.unwrap());
    assert_eq!(due(stage, grant.id).await, None);
    stage.storage.touch_grants(&[(grant.id, issued_at)]).await.unwrap();
    assert_eq!(due(stage, grant.id).await, Some(8 * DAY as i64 + 3_300));
}

async fn an_edit_of_what_the_schedule_follows_from_changes_it_at_once(stage: &Stage) {
    let hub = stored_gateway(&stage.storage, "hub").await;
    let grant = stored(stage, &hub, |grant| grant.tokens.expires_at = None).await;
    assert!(due(stage, grant.id).await.is_some());
    let mut edited = hub;
    if let GatewayAuthorization::OAuth(oauth) = &mut edited.authorization {
        oauth.keep_alive = false;
    }
    let _ = stage.storage.update_gateway(&edited, None, event("gateway.update")).await.unwrap();
    assert_eq!(due(stage, grant.id).await, None);
}

async fn what_is_due_is_given_to_one_and_comes_up_again(stage: &Stage) {
    let plain = plain_gateway(stage).await;
    for seconds in [600, 700, 800] {
        stored(stage, &plain, |grant| grant.tokens.expires_at = Some(later(seconds))).await;
    }
    assert_eq!(stage.storage.take_due_refreshes(2, MINUTE).await.unwrap(), []);
    stage.clock.advance(11 * MINUTE);
    let other = stage.open_again().await;
    let (first, second) =
        tokio::join!(stage.storage.take_due_refreshes(2, MINUTE), other.take_due_refreshes(2, MINUTE));
    let mut taken: Vec<GrantId> =
        first.unwrap().into_iter().chain(second.unwrap()).map(|due| due.grant).collect();
    taken.sort();
    let given = taken.len();
    taken.dedup();
    assert_eq!(taken.len(), given, "one was given to two");
    for _ in 0..2 {
        taken.extend(stage.storage.take_due_refreshes(2, MINUTE).await.unwrap().iter().map(|due| due.grant));
    }
    assert_eq!(taken.len(), 3);
    stage.clock.advance(MINUTE);
    assert_eq!(stage.storage.take_due_refreshes(9, MINUTE).await.unwrap().len(), 3);
}

async fn an_intent_is_looked_at_again_and_a_withdrawn_one_is_none(stage: &Stage) {
    let plain = plain_gateway(stage).await;
    let grant = stored(stage, &plain, |_| ()).await;
    stage.clock.advance(Duration::from_secs(3_400));
    let version = stage.storage.begin_refresh(grant.id, 1).await.unwrap().unwrap();
    assert_eq!(stage.storage.take_due_refreshes(9, MINUTE).await.unwrap(), []);
    stage.clock.advance(2 * MINUTE);
    assert_eq!(stage.storage.take_due_refreshes(9, MINUTE).await.unwrap().len(), 1);
    assert!(!stage.storage.withdraw_refresh(grant.id, version + 1).await.unwrap());
    assert!(stage.storage.withdraw_refresh(grant.id, version).await.unwrap());
    let read = stage.storage.grant(grant.id).await.unwrap().unwrap();
    assert_eq!((read.redeeming_number, read.failures, read.version), (None, 0, version + 1));
    assert_eq!(stage.storage.take_due_refreshes(9, MINUTE).await.unwrap().len(), 1, "it is still due");
}

async fn a_registration_is_flagged_once_and_cleared_once(stage: &Stage) {
    let storage = &stage.storage;
    let hub = stored_gateway(storage, "hub").await;
    assert!(storage.flag_registration(hub.id, "invalid_client", event("gateway.flag")).await.unwrap());
    stage.clock.advance(MINUTE);
    assert!(!storage.flag_registration(hub.id, "invalid_scope", event("gateway.flag")).await.unwrap());
    let flagged = storage.gateway(hub.id).await.unwrap().unwrap();
    let problem = flagged.oauth().unwrap().registration_problem.clone();
    assert_eq!(problem, Some(RegistrationProblem { code: "invalid_client".into(), since: NOW }));
    assert_eq!(flagged.version, hub.version, "a flag is no edit");
    assert!(storage.clear_registration_problem(hub.id, event("gateway.clear")).await.unwrap());
    assert!(!storage.clear_registration_problem(hub.id, event("gateway.clear")).await.unwrap());
    assert_eq!(storage.gateway(hub.id).await.unwrap(), Some(hub));
    let told = "SELECT count(*) FROM audit_events WHERE action IN ('gateway.flag', 'gateway.clear')";
    assert_eq!(stage.number(told).await, 2);
}

on_both!(
    what_is_due_follows_from_the_row,
    an_uncertain_grant_is_due_for_its_one_recovery_only,
    use_wakes_what_has_fallen_asleep,
    an_edit_of_what_the_schedule_follows_from_changes_it_at_once,
    what_is_due_is_given_to_one_and_comes_up_again,
    an_intent_is_looked_at_again_and_a_withdrawn_one_is_none,
    a_registration_is_flagged_once_and_cleared_once,
);
