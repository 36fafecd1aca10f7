//! The audit trail, and the key checks, which are as small.

use crate::samples::*;
use crate::stage::Stage;
use doorward_domain::*;
use doorward_storage::AuditFilter;

async fn the_trail_is_newest_first_and_whole(stage: &Stage) {
    let storage = &stage.storage;
    let ada: UserId = Entropy.id(NOW);
    let actors = [Actor::User(ada), Actor::Anonymous, Actor::System, Actor::CommandLine];
    for (number, actor) in actors.iter().enumerate() {
        let event = NewAuditEvent::new(actor.clone(), "grant.revoke")
            .subject("thing")
            .concerning(ada)
            .from_address(Some("192.0.2.1".into()))
            .detail("number", number);
        storage.record(event).await.unwrap();
    }
    let (mut seen, mut cursor) = (Vec::new(), None);
    loop {
        let request = PageRequest { limit: 3, cursor };
        let page = storage.audit_events(&AuditFilter::default(), &request).await.unwrap();
        seen.extend(page.items);
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    let told: Vec<_> = seen.iter().rev().map(|event| event.actor.clone()).collect();
    assert_eq!(told, actors);
    let newest = &seen[0];
    assert_eq!((newest.action.as_str(), newest.subject.as_deref()), ("grant.revoke", Some("thing")));
    assert_eq!((newest.at, newest.user_id, newest.address.as_deref()), (NOW, Some(ada), Some("192.0.2.1")));
    assert_eq!(newest.detail["number"], "3");
}

async fn the_trail_is_filtered_by_action_and_by_person(stage: &Stage) {
    let storage = &stage.storage;
    let (ada, bob): (UserId, UserId) = (Entropy.id(NOW), Entropy.id(NOW));
    storage.record(NewAuditEvent::new(Actor::User(ada), "grant.authorize")).await.unwrap();
    storage.record(NewAuditEvent::new(Actor::User(bob), "grant.revoke").concerning(ada)).await.unwrap();
    storage.record(NewAuditEvent::new(Actor::User(bob), "login")).await.unwrap();
    let count = async |action_prefix: Option<&str>, user| {
        let filter =
            AuditFilter { action_prefix: action_prefix.map(str::to_owned), user, ..AuditFilter::default() };
        storage.audit_events(&filter, &PageRequest::default()).await.unwrap().items.len()
    };
    assert_eq!(count(None, None).await, 3);
    assert_eq!(count(Some("grant."), None).await, 2);
    assert_eq!(count(Some("grant%"), None).await, 0);
    assert_eq!(count(None, Some(ada)).await, 2);
    assert_eq!(count(None, Some(bob)).await, 2);
    assert_eq!(count(Some("grant."), Some(bob)).await, 1);
}

async fn the_trail_is_filtered_by_actor_thing_place_and_time(stage: &Stage) {
    let storage = &stage.storage;
    let ada: UserId = Entropy.id(NOW);
    let from = |place: &str| Some(place.to_owned());
    let by_ada = NewAuditEvent::new(Actor::User(ada), "login").from_address(from("192.0.2.1"));
    storage.record(by_ada).await.unwrap();
    stage.clock.advance(std::time::Duration::from_secs(10));
    let by_itself = event("grant.park").subject("thing").concerning(ada).reference("abc");
    storage.record(by_itself).await.unwrap();
    stage.clock.advance(std::time::Duration::from_secs(10));
    storage
        .record(NewAuditEvent::new(Actor::Anonymous, "login.refused").from_address(from("192.0.2.2")))
        .await
        .unwrap();
    let found = async |filter: AuditFilter| -> Vec<i64> {
        let page = storage.audit_events(&filter, &PageRequest::default()).await.unwrap();
        page.items.iter().map(|event| event.seq).collect()
    };
    let all = AuditFilter::default;
    assert_eq!(found(AuditFilter { actor: Some(Actor::User(ada)), ..all() }).await, [1]);
    assert_eq!(found(AuditFilter { actor: Some(Actor::System), ..all() }).await, [2]);
    assert_eq!(found(AuditFilter { user: Some(ada), ..all() }).await, [2, 1]);
    assert_eq!(found(AuditFilter { subject: Some("thing".into()), ..all() }).await, [2]);
    assert_eq!(found(AuditFilter { reference: Some("abc".into()), ..all() }).await, [2]);
    assert_eq!(found(AuditFilter { address: from("192.0.2.2"), ..all() }).await, [3]);
    assert_eq!(found(AuditFilter { address: from("nul\0"), ..all() }).await, [0; 0]);
    assert_eq!(found(AuditFilter { since: Some(later(10)), ..all() }).await, [3, 2]);
    assert_eq!(found(AuditFilter { until: Some(later(10)), ..all() }).await, [1]);
    let between = AuditFilter { since: Some(later(1)), until: Some(later(20)), ..all() };
    assert_eq!(found(AuditFilter { action_prefix: Some("grant.".into()), ..between }).await, [2]);
    assert_eq!(found(AuditFilter { since: Some(later(21)), ..all() }).await, [0; 0]);
    assert_eq!(found(AuditFilter { until: Some(NOW), ..all() }).await, [0; 0]);
}

on_both!(
    the_trail_is_newest_first_and_whole,
    the_trail_is_filtered_by_action_and_by_person,
    the_trail_is_filtered_by_actor_thing_place_and_time,
);
