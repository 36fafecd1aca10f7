//! The evidence of the audit trail: checkpoints, retention with its anchor, and what a verification finds.

use crate::world::{World, broker_over};
use doorward_broker::{AuditEvidence, AuditVerdict};
use doorward_domain::{Actor, AuditCheckpoint, Hex, KeyId, NewAuditEvent, PageRequest};
use doorward_vault::{KeyRing, Vault};
use std::time::Duration;

const DAY: u64 = 86_400;

/// A key that no ring of these tests has.
const OTHER_KEY: &str = "k2:AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=";

async fn write(world: &World, events: usize) {
    for number in 0..events {
        let event = NewAuditEvent::new(Actor::System, "test").detail("number", number);
        world.broker.record(event).await.unwrap();
    }
}

async fn verified(world: &World, checkpoints: &[AuditCheckpoint]) -> AuditVerdict {
    let evidence = AuditEvidence { checkpoints: checkpoints.to_vec(), pinned: None };
    world.broker.verify_audit(&world.admin, &evidence).await.unwrap()
}

async fn checkpoint(world: &World) -> AuditCheckpoint {
    world.broker.audit_checkpoint().await.unwrap().unwrap()
}

/// The first problem, which is said to be at `seq`.
fn told(verdict: &AuditVerdict, seq: i64) -> &str {
    assert_eq!(verdict.problems.first().map(|problem| problem.seq), Some(seq), "{verdict:?}");
    &verdict.problems[0].what
}

#[tokio::test]
async fn m16_a_whole_trail_holds_and_its_verification_is_part_of_it() {
    let world = World::start().await;
    let early = checkpoint(&world).await;
    write(&world, 5).await;
    let late = checkpoint(&world).await;
    let first = verified(&world, &[late.clone(), early]).await;
    assert_eq!((first.problems.as_slice(), first.checkpoints), (&[][..], 2));
    assert_eq!((first.events, first.last.seq), (late.seq.unsigned_abs(), late.seq));
    let page = world.broker.audit_events(&world.admin, &Default::default(), &PageRequest::default()).await;
    let newest = &page.unwrap().items[0];
    assert_eq!((newest.action.as_str(), newest.detail["problems"].as_str()), ("audit.verify", "0"));
    assert!(world.broker.verify_audit(&world.alice, &AuditEvidence::default()).await.is_err());
}

#[tokio::test]
async fn m16_an_altered_event_and_missing_ones_are_named() {
    let world = World::start().await;
    write(&world, 9).await;
    world.by_hand("UPDATE audit_events SET detail = '{}' WHERE seq = 6").await;
    assert!(told(&verified(&world, &[]).await, 6).contains("event 6 is not what was written"));
    world.by_hand("DELETE FROM audit_events WHERE seq = 5").await;
    assert!(told(&verified(&world, &[]).await, 5).contains("events 5 to 5 are missing"));
    world.by_hand("DELETE FROM audit_events WHERE seq < 4").await;
    assert!(told(&verified(&world, &[]).await, 1).contains("events 1 to 3 are missing"));
}

#[tokio::test]
async fn m16_a_tail_that_was_cut_off_is_known_to_the_counter_or_to_a_checkpoint() {
    let world = World::start().await;
    write(&world, 9).await;
    let kept = checkpoint(&world).await;
    let (cut, end) = (kept.seq - 2, kept.seq);
    world.by_hand("DELETE FROM audit_events WHERE seq > (SELECT max(seq) - 2 FROM audit_events)").await;
    let by_counter = verified(&world, &[]).await;
    assert!(
        told(&by_counter, cut + 1)
            .contains(&format!("events {} to {end} are missing at the end: the counter", cut + 1))
    );
    // The verification itself wrote an event behind the gap. A careful hand sets the counter back too.
    world
        .by_hand(
            "DELETE FROM audit_events WHERE seq > (SELECT max(seq) - 1 FROM audit_events); \
             UPDATE counters SET value = (SELECT max(seq) FROM audit_events), \
             hash = (SELECT hash FROM audit_events ORDER BY seq DESC LIMIT 1) WHERE name = 'audit'",
        )
        .await;
    let by_checkpoint = verified(&world, &[kept]).await;
    assert!(told(&by_checkpoint, cut + 1).contains("a checkpoint knows them"), "{by_checkpoint:?}");
}

#[tokio::test]
async fn m16_without_a_checkpoint_a_careful_cut_is_not_seen_and_with_the_counter_set_back_alone_it_is() {
    let world = World::start().await;
    write(&world, 5).await;
    world
        .by_hand(
            "DELETE FROM audit_events WHERE seq > 4; UPDATE counters SET value = 4, \
             hash = (SELECT hash FROM audit_events WHERE seq = 4) WHERE name = 'audit'",
        )
        .await;
    assert_eq!(verified(&world, &[]).await.problems, [], "docs/security.md says so");
    world.by_hand("UPDATE counters SET value = 3, hash = x'00' WHERE name = 'audit'").await;
    let spoilt = world.broker.verify_audit(&world.admin, &AuditEvidence::default()).await;
    assert!(spoilt.unwrap_err().to_string().contains("counters"));
    world.by_hand("UPDATE counters SET value = 3, hash = zeroblob(32) WHERE name = 'audit'").await;
    let error = world.broker.verify_audit(&world.admin, &AuditEvidence::default()).await;
    assert!(error.is_err(), "not even the verification can be recorded: number 4 is taken");
}

#[tokio::test]
async fn m16_a_chain_that_was_written_anew_is_seen_by_a_checkpoint() {
    let world = World::start().await;
    write(&world, 5).await;
    let kept = checkpoint(&world).await;
    let elsewhere = World::start().await;
    write(&elsewhere, 7).await;
    let other = checkpoint(&elsewhere).await;
    assert_eq!(verified(&elsewhere, std::slice::from_ref(&other)).await.problems, []);
    let evidence = AuditEvidence { checkpoints: vec![kept.clone()], pinned: Some(kept.public_key) };
    let verdict = elsewhere.broker.verify_audit(&elsewhere.admin, &evidence).await.unwrap();
    assert!(told(&verdict, kept.seq).contains("the chain was written anew"), "{verdict:?}");
    let stranger = verified(&world, std::slice::from_ref(&other)).await;
    assert!(told(&stranger, other.seq).contains("neither the ring's 'k1' nor pinned"));
    let forged = AuditCheckpoint { hash: Hex([9; 32]), ..kept.clone() };
    assert!(told(&verified(&world, &[forged]).await, kept.seq).contains("does not fit it"));
}

#[tokio::test]
async fn retention_cuts_the_oldest_and_leaves_a_signed_anchor() {
    let world = World::start().await;
    write(&world, 1_200).await;
    let old = checkpoint(&world).await;
    world.advance(300 * DAY);
    write(&world, 3).await;
    world.advance(100 * DAY);
    let swept = world.broker.sweep_audit(world.clock.now()).await.unwrap();
    assert_eq!(swept, old.seq.unsigned_abs());
    assert_eq!(world.broker.sweep_audit(world.clock.now()).await.unwrap(), 0);
    let kept = checkpoint(&world).await;
    let verdict = verified(&world, &[old.clone(), kept]).await;
    assert_eq!((verdict.problems.as_slice(), verdict.checkpoints), (&[][..], 2));
    assert_eq!(
        (verdict.from.seq, verdict.events),
        (old.seq, 5),
        "three events, and two that tell of the sweep"
    );
    assert_eq!(verdict.from.hash, old.hash);

    world.by_hand("DELETE FROM audit_anchors").await;
    assert!(told(&verified(&world, &[]).await, 1).contains("are missing"));
}

#[tokio::test]
async fn a_forged_anchor_is_told_and_nothing_is_swept_behind_it() {
    let world = World::start().await;
    write(&world, 9).await;
    world
        .by_hand(
            "INSERT INTO audit_anchors (seq, hash, at, signing_key, signature) \
             SELECT seq, hash, at, 'k1', zeroblob(64) FROM audit_events WHERE seq = 5; \
             DELETE FROM audit_events WHERE seq <= 5",
        )
        .await;
    assert!(told(&verified(&world, &[]).await, 5).contains("forged"));
    world.advance(400 * DAY);
    assert_eq!(world.broker.sweep_audit(world.clock.now()).await.unwrap(), 0);
    world.by_hand("UPDATE audit_anchors SET signing_key = 'gone'").await;
    assert!(told(&verified(&world, &[]).await, 5).contains("key 'gone'"));
}

#[tokio::test]
async fn a_broken_chain_is_not_swept_away() {
    let world = World::start().await;
    write(&world, 9).await;
    world.by_hand("UPDATE audit_events SET action = 'nothing' WHERE seq = 6").await;
    world.advance(400 * DAY);
    assert_eq!(world.broker.sweep_audit(world.clock.now()).await.unwrap(), 5, "what holds goes");
    assert_eq!(world.broker.sweep_audit(world.clock.now()).await.unwrap(), 0);
    assert!(told(&verified(&world, &[]).await, 6).contains("event 6"));
}

#[tokio::test]
async fn a_key_that_is_retired_has_signed_no_anchor_that_still_counts() {
    let world = World::start().await;
    write(&world, 5).await;
    world.advance(400 * DAY);
    world.broker.sweep_audit(world.clock.now()).await.unwrap();
    let rotated = broker_over(&world.storage, &world.clock, &format!("{OTHER_KEY}\n{}", world.ring));
    rotated.retire_key(&world.admin, &KeyId("k1".into())).await.unwrap();
    let retired = broker_over(&world.storage, &world.clock, OTHER_KEY);
    let verdict = retired.verify_audit(&world.admin, &AuditEvidence::default()).await.unwrap();
    assert_eq!((verdict.problems.as_slice(), verdict.from.seq > 0), (&[][..], true));
}

#[tokio::test]
async fn after_a_rotation_old_checkpoints_hold_and_the_anchor_is_signed_anew() {
    let world = World::start().await;
    write(&world, 5).await;
    let old = checkpoint(&world).await;
    world.clock.advance(Duration::from_secs(400 * DAY));
    world.broker.sweep_audit(world.clock.now()).await.unwrap();
    let rotated = broker_over(&world.storage, &world.clock, &format!("{OTHER_KEY}\n{}", world.ring));
    rotated.sweep_audit(world.clock.now()).await.unwrap();
    let anchor = world.storage.audit_anchor().await.unwrap().unwrap();
    assert_eq!((anchor.signing_key.0.as_str(), anchor.seq), ("k2", old.seq));

    let retired = broker_over(&world.storage, &world.clock, OTHER_KEY);
    let with = async |pinned| {
        let evidence = AuditEvidence { checkpoints: vec![old.clone()], pinned };
        retired.verify_audit(&world.admin, &evidence).await.unwrap()
    };
    assert_eq!(with(Some(old.public_key)).await.problems, []);
    assert!(told(&with(None).await, old.seq).contains("nor pinned"));
    let vault = Vault::new(KeyRing::parse(OTHER_KEY).unwrap());
    let new = retired.audit_checkpoint().await.unwrap().unwrap();
    assert_eq!(
        (new.key_id.as_str(), Some(new.public_key)),
        ("k2", vault.public_key("audit", &anchor.signing_key))
    );
}
