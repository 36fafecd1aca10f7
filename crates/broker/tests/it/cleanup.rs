//! Cleanup as a whole: what a run sweeps and spares, when it runs by itself, and the brake.

use crate::world::{World, broker_with, used};
use doorward_broker::{Broker, BrokerError, CleanupOrder};
use doorward_domain::*;
use doorward_storage::StoredGrant;
use std::time::Duration;

const DAY: u64 = 86_400;

fn days(days: u64) -> Duration {
    Duration::from_secs(days * DAY)
}

/// A retention of thirty days.
fn thirty() -> CleanupPolicy {
    CleanupPolicy { retention: days(30), ..CleanupPolicy::default() }
}

impl World {
    fn cleaner(&self, cleanup: CleanupPolicy) -> Broker {
        let policy = Policy { cleanup, ..Policy::default() };
        broker_with(&self.storage, &self.clock, &self.ring, policy)
    }

    /// A grant of alice's whose access token ended so many days ago, made from the one that she has.
    async fn ended_ago(&self, label: &str, ago: u64, refreshable: bool) -> GrantId {
        let now = self.clock.now();
        let alice = GrantOwner::User(self.alice.user.id);
        let gateway = self.broker.gateways(&self.admin).await.unwrap()[0].id;
        let first = self.storage.grant_of(alice, gateway).await.unwrap().unwrap();
        let end = now.minus(days(ago));
        let consent = end.minus(days(1));
        let mut grant = Grant {
            id: Entropy.id(consent),
            label: label.into(),
            created_at: consent,
            authorized_at: consent,
            issued_at: consent,
            last_used_at: None,
            version: 0,
            ..first
        };
        grant.tokens.expires_at = Some(end);
        grant.tokens.refresh_token = grant.tokens.refresh_token.filter(|_| refreshable);
        let event = NewAuditEvent::new(Actor::System, "grant.authorize");
        let stored = self.storage.store_authorized_grant(&grant, event).await.unwrap();
        assert!(matches!(stored, StoredGrant::Stored { .. }));
        grant.id
    }

    async fn is_there(&self, id: GrantId) -> bool {
        self.storage.grant(id).await.unwrap().is_some()
    }

    async fn order(&self, broker: &Broker, order: CleanupOrder) -> Result<CleanupRun, BrokerError> {
        // Two orders never come within a millisecond.
        self.advance(1);
        broker.start_cleanup(&self.admin, order).await?.finished().await
    }

    async fn audited(&self, action: &str) -> usize {
        let filter =
            doorward_storage::AuditFilter { action_prefix: Some(action.to_owned()), ..Default::default() };
        let page = PageRequest { limit: 200, cursor: None };
        self.storage.audit_events(&filter, &page).await.unwrap().items.len()
    }

    /// So many days pass, with the job's beat on each.
    async fn pass_days(&self, broker: &Broker, count: u64) -> Vec<CleanupRun> {
        let mut runs = Vec::new();
        for _ in 0..count {
            self.advance(DAY);
            runs.extend(broker.run_due_cleanup().await.unwrap());
        }
        runs
    }
}

#[tokio::test]
async fn s7_s8_what_ended_longer_ago_than_the_retention_goes_by_itself_and_the_run_is_recorded() {
    let world = World::start().await;
    world.connected().await;
    let old = world.ended_ago("old", 45, true).await;
    let young = world.ended_ago("young", 20, true).await;
    let broker = world.cleaner(thirty());
    let run = broker.run_due_cleanup().await.unwrap().unwrap();
    assert_eq!((run.state, run.trigger), (CleanupState::Done, CleanupTrigger::Scheduled));
    assert_eq!((run.counts[&SweptKind::StaleGrants], run.held_count), (1, 0));
    assert!(!world.is_there(old).await && world.is_there(young).await);
    assert_eq!((world.audited("cleanup.done").await, world.audited("grant.sweep").await), (1, 1));
    assert!(broker.run_due_cleanup().await.unwrap().is_none(), "once in its interval");
    let runs = world.pass_days(&broker, 11).await;
    assert_eq!(runs.len(), 11, "every day");
    let swept: u64 = runs.iter().map(|run| run.counts[&SweptKind::StaleGrants]).sum();
    assert_eq!(swept, 1, "the younger one's time comes, alice's own is not yet that old");
    assert!(!world.is_there(young).await);
}

#[tokio::test]
async fn s8_the_default_retention_is_ninety_days() {
    let world = World::start().await;
    world.connected().await;
    let old = world.ended_ago("old", 91, true).await;
    let young = world.ended_ago("young", 89, true).await;
    world.broker.run_due_cleanup().await.unwrap().unwrap();
    assert!(!world.is_there(old).await && world.is_there(young).await);
}

#[tokio::test]
async fn r21_a_refreshable_grant_is_spared_only_where_the_setting_says_so() {
    let world = World::start().await;
    world.connected().await;
    let refreshable = world.ended_ago("refreshable", 45, true).await;
    let dead = world.ended_ago("dead", 45, false).await;
    let used = world.ended_ago("used", 45, true).await;
    world.storage.touch_grants(&[(used, world.clock.now().minus(days(29)))]).await.unwrap();
    let sparing = world.cleaner(CleanupPolicy { keep_refreshable: true, ..thirty() });
    world.order(&sparing, CleanupOrder::default()).await.unwrap();
    assert!(world.is_there(refreshable).await && !world.is_there(dead).await);
    let run = world.order(&world.cleaner(thirty()), CleanupOrder::default()).await.unwrap();
    assert_eq!(run.counts[&SweptKind::StaleGrants], 1);
    assert!(!world.is_there(refreshable).await);
    assert!(world.is_there(used).await, "a use within the retention keeps it in both cases");
}

#[tokio::test]
async fn what_nobody_used_and_what_is_orphaned_too_long_ends_where_the_settings_say_so() {
    let world = World::start().await;
    let gateway = world.connected().await;
    let endless = world.grant(&gateway).await.unwrap();
    let policy = CleanupPolicy {
        retention: days(3_000),
        idle_revoke: Some(days(10)),
        orphan_grace: days(5),
        ..CleanupPolicy::default()
    };
    let broker = world.cleaner(policy);
    world.pass_days(&broker, 9).await;
    assert!(world.is_there(endless.id).await);
    // The use is known to this process alone, and counts all the same.
    broker.served(&used(&broker.access(&world.alice, &gateway).await.unwrap()));
    world.pass_days(&broker, 10).await;
    assert!(world.is_there(endless.id).await);
    let runs = world.pass_days(&broker, 1).await;
    assert_eq!(runs[0].counts[&SweptKind::IdleGrants], 1);
    assert!(!world.is_there(endless.id).await);
}

/// More refreshable grants than the brake lets go: 101 stale ones beside 200 that live.
async fn too_many(world: &World) {
    for number in 0..101 {
        world.ended_ago(&format!("stale {number}"), 45, true).await;
    }
    for number in 0..200 {
        world.ended_ago(&format!("young {number}"), 1, true).await;
    }
}

#[tokio::test]
async fn the_brake_holds_too_many_refreshable_grants_until_an_administrator_repeats_their_number() {
    let world = World::start().await;
    world.connected().await;
    too_many(&world).await;
    let dead = world.ended_ago("dead", 45, false).await;
    let broker = world.cleaner(thirty());
    let run = broker.run_due_cleanup().await.unwrap().unwrap();
    assert_eq!((run.held_count, run.hold_reason), (101, Some(HoldReason::TooMany)));
    assert_eq!((run.counts[&SweptKind::StaleGrants], run.sample.len()), (1, 20));
    assert!(!world.is_there(dead).await, "the rest is swept");
    assert_eq!(world.audited("cleanup.held").await, 1);

    let confirm =
        |expected_count| CleanupOrder { confirm_held: true, expected_count, ..CleanupOrder::default() };
    for (order, field) in [
        (confirm(None), "expected_count"),
        (confirm(Some(100)), "expected_count"),
        (CleanupOrder { dry_run: true, ..confirm(Some(101)) }, "confirm_held"),
        (CleanupOrder { expected_count: Some(101), ..CleanupOrder::default() }, "expected_count"),
    ] {
        let refused = world.order(&broker, order).await.unwrap_err().to_string();
        assert!(refused.starts_with(&format!("{field}: ")), "{refused}");
    }
    let again = world.order(&broker, CleanupOrder::default()).await.unwrap();
    assert_eq!(again.held_count, 101, "a run by hand is no word for what is held");
    let told = world.order(&broker, confirm(Some(101))).await.unwrap();
    assert_eq!((told.counts[&SweptKind::StaleGrants], told.confirms), (101, Some(again.id)));
    assert_eq!((told.held_count, told.hold_reason), (0, None));
    let nothing = world.order(&broker, confirm(Some(0))).await.unwrap_err().to_string();
    assert_eq!(nothing, "confirm_held: nothing is held");
}

#[tokio::test]
async fn a_word_for_what_was_held_covers_nothing_that_became_due_since() {
    let world = World::start().await;
    world.connected().await;
    too_many(&world).await;
    let later = world.ended_ago("later", 29, true).await;
    let broker = world.cleaner(thirty());
    broker.run_due_cleanup().await.unwrap();
    world.advance(2 * DAY);
    let order = CleanupOrder { confirm_held: true, expected_count: Some(101), ..CleanupOrder::default() };
    // A shorter retention would sweep more than the administrator was shown.
    let stricter = world.cleaner(CleanupPolicy { retention: days(1), ..thirty() });
    let refused = world.order(&stricter, order).await.unwrap_err().to_string();
    assert!(refused.starts_with("expected_count: "), "{refused}");
    let told = world.order(&broker, order).await.unwrap();
    assert_eq!(told.counts[&SweptKind::StaleGrants], 101);
    assert!(world.is_there(later).await);
}

#[tokio::test]
async fn after_a_restore_and_after_a_jump_of_the_clock_grants_are_held_however_few() {
    let world = World::start().await;
    world.connected().await;
    let broker = world.cleaner(thirty());
    broker.run_due_cleanup().await.unwrap();
    let restored = world.ended_ago("restored", 45, true).await;
    world.storage.hold_cleanup(HoldReason::Restored).await.unwrap();
    let runs = world.pass_days(&broker, 2).await;
    assert!(runs.iter().all(|run| run.hold_reason == Some(HoldReason::Restored) && run.held_count == 1));
    let order = CleanupOrder { confirm_held: true, expected_count: Some(1), ..CleanupOrder::default() };
    world.order(&broker, order).await.unwrap();
    assert!(!world.is_there(restored).await);

    // Forty days pass on the clock and none in the process: everything looks old.
    let alive = world.ended_ago("alive", 1, false).await;
    world.advance(40 * DAY);
    let run = broker.run_due_cleanup().await.unwrap().unwrap();
    assert_eq!(run.hold_reason, Some(HoldReason::ClockJumped));
    assert!(run.held_count >= 1 && !run.counts.contains_key(&SweptKind::EndedGrants), "{run:?}");
    assert!(world.is_there(alive).await);
    // So it is for a process that starts long after the last one ended.
    let order = CleanupOrder { expected_count: Some(run.held_count), ..order };
    world.order(&broker, order).await.unwrap();
    assert!(!world.is_there(alive).await);
    world.advance(40 * DAY);
    let next = world.cleaner(thirty());
    let run = next.run_due_cleanup().await.unwrap().unwrap();
    assert_eq!((run.held_count, run.hold_reason), (0, None), "nothing would have gone wrongly: {run:?}");
}

#[tokio::test]
async fn a_dry_run_counts_and_names_and_changes_nothing() {
    let world = World::start().await;
    world.connected().await;
    let old = world.ended_ago("old", 45, true).await;
    let dead = world.ended_ago("dead", 45, false).await;
    let broker = world.cleaner(thirty());
    let order = CleanupOrder { dry_run: true, ..CleanupOrder::default() };
    let run = world.order(&broker, order).await.unwrap();
    assert_eq!(run.counts[&SweptKind::StaleGrants], 2);
    let names = GrantNames { user_email: Some("alice@example.com".into()), gateway_slug: "demo".into() };
    assert_eq!(run.sample, [names.clone(), names]);
    assert!(world.is_there(old).await && world.is_there(dead).await);
    assert_eq!(world.audited("cleanup.").await, 0);
    assert_eq!(broker.cleanup_overview(&world.admin).await.unwrap().last_finished, None);
    assert!(matches!(
        broker.start_cleanup(&world.alice, order).await.unwrap_err(),
        BrokerError::Forbidden { need: Permission::RunCleanup }
    ));
}

#[tokio::test]
async fn r28_two_replicas_run_it_once_however_often_they_start() {
    let world = World::start().await;
    world.connected().await;
    for _ in 0..3 {
        let (one, other) = (world.cleaner(thirty()), world.cleaner(thirty()));
        let (one, other) = tokio::join!(one.run_due_cleanup(), other.run_due_cleanup());
        drop((one.unwrap(), other.unwrap()));
    }
    let page = PageRequest::default();
    assert_eq!(world.broker.cleanup_runs(&world.admin, &page).await.unwrap().items.len(), 1);
    let off = world.cleaner(CleanupPolicy { enabled: false, ..thirty() });
    world.advance(2 * DAY - 1);
    assert!(off.run_due_cleanup().await.unwrap().is_none());
    assert_eq!(off.cleanup_overview(&world.admin).await.unwrap().next_run_at, None);
    assert_eq!(world.order(&off, CleanupOrder::default()).await.unwrap().state, CleanupState::Done);
}

#[tokio::test]
async fn r28_cleanup_that_did_not_run_for_two_intervals_is_said() {
    let world = World::start().await;
    let overdue = async || world.broker.cleanup_overdue().await.unwrap();
    assert_eq!(overdue().await.as_deref(), Some("cleanup has not run yet"));
    world.broker.run_due_cleanup().await.unwrap().unwrap();
    world.advance(2 * DAY);
    assert_eq!(overdue().await, None);
    world.advance(1);
    assert!(overdue().await.unwrap().contains("more than twice its 24 hours ago"));
}

#[tokio::test]
async fn a_run_that_was_cut_off_is_said_to_have_failed_and_tried_again_within_an_hour() {
    let world = World::start().await;
    let broker = world.cleaner(thirty());
    let first = broker.run_due_cleanup().await.unwrap().unwrap();
    let cut_off = CleanupRun { state: CleanupState::Failed, finished_at: None, ..first };
    world.storage.update_cleanup_run(&cut_off, false, None).await.unwrap();
    world.advance(3_599);
    assert!(broker.run_due_cleanup().await.unwrap().is_none());
    world.advance(1);
    assert!(broker.run_due_cleanup().await.unwrap().is_some());
}
