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
        let filter = AuditFilter { action_prefix: action_prefix.map(str::to_owned), user };
        storage.audit_events(&filter, &PageRequest::default()).await.unwrap().items.len()
    };
    assert_eq!(count(None, None).await, 3);
    assert_eq!(count(Some("grant."), None).await, 2);
    assert_eq!(count(Some("grant%"), None).await, 0);
    assert_eq!(count(None, Some(ada)).await, 2);
    assert_eq!(count(None, Some(bob)).await, 2);
    assert_eq!(count(Some("grant."), Some(bob)).await, 1);
}

async fn a_key_check_that_is_there_stays(stage: &Stage) {
    let storage = &stage.storage;
    let (k1, k2) = (KeyId("k1".into()), KeyId("k2".into()));
    storage.insert_key_check(&k2, b"two").await.unwrap();
    storage.insert_key_check(&k1, b"one").await.unwrap();
    storage.insert_key_check(&k1, b"another").await.unwrap();
    assert_eq!(storage.key_checks().await.unwrap(), [(k1, b"one".to_vec()), (k2, b"two".to_vec())]);
}

on_both!(
    the_trail_is_newest_first_and_whole,
    the_trail_is_filtered_by_action_and_by_person,
    a_key_check_that_is_there_stays,
);
