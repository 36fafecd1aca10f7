//! Orders about many grants: settled when given, worked off in batches, resumed after a crash.

use crate::samples::*;
use crate::stage::Stage;
use doorward_domain::*;
use doorward_storage::{BulkBegun, Storage};

async fn five_grants(storage: &Storage, gateway: &Gateway) -> Vec<Grant> {
    let mut grants = Vec::new();
    for number in 0..5 {
        let user = stored_user(storage, &format!("user{number}@example.com")).await;
        grants.push(stored_grant(storage, &user, gateway).await);
    }
    // An order works in the order of ids, and within one moment ids are random.
    grants.sort_by_key(|grant| grant.id);
    grants
}

fn order(kind: BulkKind, choice: GrantChoice) -> NewBulkJob {
    NewBulkJob {
        id: Entropy.id(NOW),
        kind,
        actor: Actor::User(Entropy.id(NOW)),
        address: Some("192.0.2.7".into()),
        reason: "the laptop was stolen".into(),
        provider: ProviderEnd::HereOnly,
        choice,
        expected: None,
    }
}

fn of_gateway(gateway: &Gateway) -> GrantChoice {
    GrantChoice::Filter(GrantFilter { gateway: Some(gateway.id), ..GrantFilter::default() })
}

async fn an_order_means_the_grants_that_were_there_and_survives_a_crash(stage: &Stage) {
    let storage = &stage.storage;
    let hub = stored_gateway(storage, "hub").await;
    let grants = five_grants(storage, &hub).await;
    let job = order(BulkKind::Revoke, of_gateway(&hub));
    let begun = storage.begin_bulk_job(&job, event("grants.revoke")).await.unwrap();
    assert_eq!(begun, BulkBegun::Yes { total: 5 });
    let late = stored_user(storage, "late@example.com").await;
    let spared = stored_grant(storage, &late, &hub).await;
    storage.end_grants(&[grants[4].id], &revoked()).await.unwrap();

    assert!(storage.work_on_bulk_job(job.id, 2).await.unwrap());
    // Another process goes on where this one stopped.
    let other = stage.open_again().await;
    assert_eq!(other.running_bulk_jobs().await.unwrap(), [job.id]);
    while other.work_on_bulk_job(job.id, 2).await.unwrap() {}
    assert_eq!(other.running_bulk_jobs().await.unwrap(), []);
    assert!(!storage.work_on_bulk_job(job.id, 2).await.unwrap());

    let read = storage.bulk_job(job.id).await.unwrap().unwrap();
    assert_eq!((read.waiting, read.done, read.gone), (0, 4, 1));
    assert_eq!((read.finished_at, read.reason.as_str()), (Some(NOW), "the laptop was stolen"));
    assert!(storage.grant(spared.id).await.unwrap().is_some(), "it came later and was not meant");
    let (mut rows, mut cursor) = (Vec::new(), None);
    loop {
        let page = storage.bulk_job_rows(job.id, &PageRequest { limit: 2, cursor }).await.unwrap();
        rows.extend(page.items);
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    let results: Vec<_> = rows.iter().map(|row| (row.result, row.receipt)).collect();
    let done = (BulkResult::Done, Some(Receipt::NotTold));
    assert_eq!(results, [done, done, done, done, (BulkResult::Gone, Some(Receipt::Pending))]);
    assert!(rows.iter().all(|row| row.user_email.as_ref().is_some_and(|email| email.starts_with("user"))));
    other.close().await;
}

async fn a_number_that_was_not_expected_writes_nothing(stage: &Stage) {
    let storage = &stage.storage;
    let hub = stored_gateway(storage, "hub").await;
    let grants = five_grants(storage, &hub).await;
    let (count, named) = storage.chosen_grants(&of_gateway(&hub), 3).await.unwrap();
    assert_eq!((count, named.len(), named[0].gateway_slug.as_str()), (5, 3, "hub"));
    let ids = GrantChoice::Ids(vec![grants[0].id, grants[1].id, Entropy.id(NOW)]);
    assert_eq!(storage.chosen_grants(&ids, 10).await.unwrap().0, 2);
    let job = NewBulkJob { expected: Some(3), ..order(BulkKind::Revoke, ids.clone()) };
    let begun = storage.begin_bulk_job(&job, event("grants.revoke")).await.unwrap();
    assert_eq!(begun, BulkBegun::Mismatch { found: 2 });
    assert_eq!(storage.bulk_job(job.id).await.unwrap(), None);
    let job = NewBulkJob { expected: Some(2), ..order(BulkKind::Revoke, ids) };
    let begun = storage.begin_bulk_job(&job, event("grants.revoke")).await.unwrap();
    assert_eq!(begun, BulkBegun::Yes { total: 2 });
}

async fn m7_an_order_to_authorize_again_leaves_the_grants_and_spares_the_others(stage: &Stage) {
    let storage = &stage.storage;
    let hub = stored_gateway(storage, "hub").await;
    let grants = five_grants(storage, &hub).await;
    let choice = GrantChoice::Ids(vec![grants[0].id, grants[3].id]);
    let job = order(BulkKind::Reauthorize, choice);
    let begun = storage.begin_bulk_job(&job, event("grants.reauthorize")).await.unwrap();
    assert_eq!(begun, BulkBegun::Yes { total: 2 });
    while storage.work_on_bulk_job(job.id, 100).await.unwrap() {}
    let forced = GrantState::NeedsAuthorization(ReauthorizationReason::Forced);
    for (number, grant) in grants.iter().enumerate() {
        let now = storage.grant(grant.id).await.unwrap().unwrap();
        let state = if number == 0 || number == 3 { forced } else { GrantState::Active };
        assert_eq!((now.state, &now.tokens), (state, &grant.tokens));
    }
    assert_eq!(stage.number("SELECT count(*) FROM grants WHERE health = 'needs_authorization'").await, 2);
    assert_eq!(storage.bulk_job(job.id).await.unwrap().unwrap().done, 2);
    let events =
        "SELECT count(*) FROM audit_events WHERE action = 'grant.reauthorize' AND user_id IS NOT NULL";
    assert_eq!(stage.number(events).await, 2);
}

on_both!(
    an_order_means_the_grants_that_were_there_and_survives_a_crash,
    a_number_that_was_not_expected_writes_nothing,
    m7_an_order_to_authorize_again_leaves_the_grants_and_spares_the_others,
);
