//! Many at once: nobody is told that the database is busy, and nothing is lost.

use crate::samples::*;
use crate::stage::Stage;
use doorward_domain::*;
use doorward_storage::Inserted;

async fn two_hundred_writes_and_reads_at_once_all_succeed(stage: &Stage) {
    let hub = stored_gateway(&stage.storage, "hub").await;
    let mut tasks = Vec::new();
    for number in 0..200 {
        let (storage, hub) = (stage.storage.clone(), hub.clone());
        tasks.push(tokio::spawn(async move {
            let someone = user(&format!("user{number}@example.com"));
            let inserted = storage.insert_user(&someone, event("user.create")).await?;
            assert_eq!(inserted, Inserted::Yes);
            let grant = grant(GrantOwner::User(someone.id), &hub);
            let _ = storage.store_authorized_grant(&grant, event("grant.authorize")).await?;
            storage.touch_grants(&[(grant.id, later(1))]).await?;
            storage.grant(grant.id).await
        }));
    }
    for task in tasks {
        let grant = task.await.unwrap().unwrap().unwrap();
        assert_eq!(grant.last_used_at, Some(later(1)));
    }
    assert_eq!(stage.number("SELECT count(*) FROM grants").await, 200);
    // The gateway, 200 people, 200 grants: numbered without a gap.
    assert_eq!(stage.number("SELECT max(seq) FROM changes").await, 401);
    assert_eq!(stage.number("SELECT count(*) FROM changes").await, 401);
    let walk = stage.storage.walk_audit(AuditLink::BEGINNING, 1_000).await.unwrap();
    assert_eq!((walk.links.len(), walk.broken), (401, None), "one chain, whoever wrote");
}

async fn a_grant_and_the_end_of_its_owner_exclude_each_other(stage: &Stage) {
    let hub = stored_gateway(&stage.storage, "hub").await;
    for round in 0..10 {
        let someone = stored_user(&stage.storage, &format!("user{round}@example.com")).await;
        let (storing, deleting) = (stage.storage.clone(), stage.storage.clone());
        let grant = grant(GrantOwner::User(someone.id), &hub);
        let stored =
            tokio::spawn(
                async move { storing.store_authorized_grant(&grant, event("grant.authorize")).await },
            );
        let deleted =
            tokio::spawn(async move { deleting.delete_user(someone.id, None, event("user.delete")).await });
        let _ = (stored.await.unwrap().unwrap(), deleted.await.unwrap().unwrap());
    }
    assert_eq!(stage.number("SELECT count(*) FROM grants").await, 0);
}

on_both!(
    two_hundred_writes_and_reads_at_once_all_succeed,
    a_grant_and_the_end_of_its_owner_exclude_each_other
);
