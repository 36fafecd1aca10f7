//! The chain of the audit trail: whole as it is written, and broken by every kind of hand in the database.

use crate::samples::*;
use crate::stage::Stage;
use doorward_domain::*;

/// A trail of six events.
async fn six(stage: &Stage) {
    for number in 1..=6 {
        let event = event("grant.refresh")
            .subject(format!("thing {number}"))
            .concerning(Entropy.id(NOW))
            .from_address(Some("192.0.2.1".into()))
            .reference(format!("r{number}"))
            .detail("number", number);
        stage.storage.record(event).await.unwrap();
    }
}

/// Walks from the beginning, two events at a time: the last link that holds, and what is wrong after it.
async fn walked(stage: &Stage) -> (AuditLink, Option<ChainBreak>) {
    let mut last = AuditLink::BEGINNING;
    loop {
        let walk = stage.storage.walk_audit(last, 2).await.unwrap();
        let ended = walk.links.is_empty();
        last = walk.links.last().copied().unwrap_or(last);
        if ended || walk.broken.is_some() {
            return (last, walk.broken);
        }
    }
}

async fn the_chain_of_what_was_written_holds_and_its_head_stands_with_the_counter(stage: &Stage) {
    assert_eq!(stage.storage.audit_head().await.unwrap(), None);
    six(stage).await;
    let (last, broken) = walked(stage).await;
    assert_eq!((last.seq, broken), (6, None));
    assert_eq!(stage.storage.audit_head().await.unwrap(), Some((6, last.hash)));
    let page = stage.storage.audit_events(&Default::default(), &PageRequest::default()).await.unwrap();
    assert_eq!((page.items[0].seq, page.items[0].hash), (6, last.hash));
    assert_eq!(page.items[0].previous_hash, page.items[1].hash);
    assert_eq!(page.items[5].previous_hash, AuditHash::ZEROS);
}

async fn events_of_one_transaction_are_chained_too(stage: &Stage) {
    let hub = stored_gateway(&stage.storage, "hub").await;
    for name in ["ada", "bob", "eve"] {
        let someone = stored_user(&stage.storage, &format!("{name}@example.com")).await;
        let grant = stored_grant(&stage.storage, &someone, &hub).await;
        stage.storage.begin_refresh(grant.id, grant.version).await.unwrap().unwrap();
    }
    assert_eq!(stage.storage.recover_interrupted_refreshes(NOW).await.unwrap(), 3);
    let (last, broken) = walked(stage).await;
    let uncertain = stage.number("SELECT count(*) FROM audit_events WHERE action = 'grant.uncertain'").await;
    assert_eq!((uncertain, broken), (3, None));
    assert_eq!(stage.storage.audit_head().await.unwrap(), Some((last.seq, last.hash)));
}

async fn every_field_of_an_event_is_under_its_hash(stage: &Stage) {
    six(stage).await;
    let fields = [
        "id = 'another'",
        "at = at + 1",
        "actor_kind = 'command_line'",
        "actor_id = 'somebody'",
        "action = 'grant.read'",
        "subject = 'thing 9'",
        "subject = NULL",
        "user_id = NULL",
        "address = '192.0.2.2'",
        "reference = ''",
        "detail = '{}'",
        "hash = previous_hash",
    ];
    stage.by_hand("CREATE TABLE kept AS SELECT * FROM audit_events WHERE seq = 3").await;
    for field in fields {
        stage.by_hand(&format!("UPDATE audit_events SET {field} WHERE seq = 3")).await;
        assert_eq!(walked(stage).await.1, Some(ChainBreak::Altered { seq: 3 }), "{field}");
        let back = "DELETE FROM audit_events WHERE seq = 3; INSERT INTO audit_events SELECT * FROM kept";
        stage.by_hand(back).await;
    }
    assert_eq!(walked(stage).await.1, None);
}

async fn a_replaced_event_is_not_followed_by_the_next(stage: &Stage) {
    six(stage).await;
    stage.by_hand("UPDATE audit_events SET previous_hash = hash WHERE seq = 3").await;
    assert_eq!(walked(stage).await.1, Some(ChainBreak::Unlinked { seq: 3 }));
}

async fn events_that_changed_places_are_seen(stage: &Stage) {
    six(stage).await;
    stage
        .by_hand(
            "UPDATE audit_events SET seq = -1 WHERE seq = 3; UPDATE audit_events SET seq = 3 WHERE seq = 4; \
             UPDATE audit_events SET seq = 4 WHERE seq = -1",
        )
        .await;
    assert_eq!(walked(stage).await.1, Some(ChainBreak::Unlinked { seq: 3 }));
}

async fn missing_events_are_named_wherever_they_stood(stage: &Stage) {
    six(stage).await;
    stage.by_hand("DELETE FROM audit_events WHERE seq IN (3, 4)").await;
    assert_eq!(walked(stage).await.1, Some(ChainBreak::Missing { seq: 3, through: 4 }));
    stage.by_hand("DELETE FROM audit_events WHERE seq < 3").await;
    assert_eq!(walked(stage).await.1, Some(ChainBreak::Missing { seq: 1, through: 4 }));
}

async fn a_tail_that_was_cut_off_leaves_its_number_with_the_counter(stage: &Stage) {
    six(stage).await;
    stage.by_hand("DELETE FROM audit_events WHERE seq > 4").await;
    let (last, broken) = walked(stage).await;
    assert_eq!((last.seq, broken), (4, None), "the rest of the chain holds");
    assert_eq!(stage.storage.audit_head().await.unwrap().unwrap().0, 6);
    stage.storage.record(event("later")).await.unwrap();
    assert_eq!(walked(stage).await.1, Some(ChainBreak::Missing { seq: 5, through: 6 }));
}

async fn a_cut_leaves_an_anchor_that_the_chain_goes_on_from(stage: &Stage) {
    six(stage).await;
    let links = stage.storage.walk_audit(AuditLink::BEGINNING, 9).await.unwrap().links;
    let anchor = |link: AuditLink| AuditAnchor {
        seq: link.seq,
        hash: link.hash,
        at: NOW,
        signing_key: KeyId("k1".into()),
        signature: Hex([7; 64]),
    };
    for (link, gone) in [(links[1], 2), (links[3], 2), (links[0], 0)] {
        let swept = |count| event("audit.sweep").detail("count", count);
        assert_eq!(stage.storage.cut_audit(&anchor(link), swept).await.unwrap(), gone);
    }
    let newest = stage.storage.audit_anchor().await.unwrap().unwrap();
    assert_eq!(newest, anchor(links[3]), "a late cut does not bring an earlier anchor back");
    let rest = stage.storage.walk_audit(links[3], 9).await.unwrap();
    assert_eq!((rest.links.len(), rest.broken), (4, None), "two events are left, and two tell of the cuts");
}

on_both!(
    the_chain_of_what_was_written_holds_and_its_head_stands_with_the_counter,
    events_of_one_transaction_are_chained_too,
    every_field_of_an_event_is_under_its_hash,
    a_replaced_event_is_not_followed_by_the_next,
    events_that_changed_places_are_seen,
    missing_events_are_named_wherever_they_stood,
    a_tail_that_was_cut_off_leaves_its_number_with_the_counter,
    a_cut_leaves_an_anchor_that_the_chain_goes_on_from,
);
