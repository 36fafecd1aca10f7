//! The outbox: taken up by one at a time, put off, finished with a receipt.

use crate::samples::*;
use crate::stage::Stage;
use doorward_domain::*;
use doorward_storage::EndedFilter;
use std::time::Duration;

const LEASE: Duration = Duration::from_secs(300);

async fn ended(stage: &Stage) -> (Gateway, Grant) {
    let hub = stored_gateway(&stage.storage, "hub").await;
    let ada = stored_user(&stage.storage, "ada@example.com").await;
    let grant = stored_grant(&stage.storage, &ada, &hub).await;
    stage.storage.end_grants(&[grant.id], &revoked()).await.unwrap();
    (hub, grant)
}

async fn a_row_is_taken_by_one_until_its_time_is_over(stage: &Stage) {
    let storage = &stage.storage;
    let (hub, grant) = ended(stage).await;
    let mut taken = storage.take_provider_revocations(10, LEASE).await.unwrap();
    let first = taken.pop().unwrap();
    assert_eq!((first.grant_id, first.attempts), (grant.id, 1));
    assert_eq!(first.refresh_token, Some(sealed("refresh")));
    assert_eq!(first.access_token, Some(sealed("access")));
    assert_eq!(first.fingerprint, hub.fingerprint().unwrap());
    assert_eq!(first.client_secret, Some(sealed("client secret")));
    assert_eq!(storage.take_provider_revocations(10, LEASE).await.unwrap(), []);
    stage.clock.advance(LEASE);
    let second = storage.take_provider_revocations(10, LEASE).await.unwrap().pop().unwrap();
    assert_eq!(second.attempts, 2);
    // The first taker comes too late to say anything.
    assert!(!storage.finish_provider_revocation(&first, Receipt::Refused, None).await.unwrap());
    storage.put_off_provider_revocation(&first, NOW).await.unwrap();
    assert!(!storage.provider_revocations_due().await.unwrap());

    storage.put_off_provider_revocation(&second, later(400)).await.unwrap();
    stage.clock.advance(Duration::from_secs(100));
    assert!(storage.provider_revocations_due().await.unwrap());
}

async fn a_finished_row_goes_with_its_secrets_and_leaves_a_receipt(stage: &Stage) {
    let storage = &stage.storage;
    let (_, grant) = ended(stage).await;
    let taken = storage.take_provider_revocations(10, LEASE).await.unwrap().pop().unwrap();
    let (receipt, why) = (Receipt::Refused, Some("unsupported_token_type"));
    assert!(storage.finish_provider_revocation(&taken, receipt, why).await.unwrap());
    assert_eq!(stage.number("SELECT count(*) FROM provider_revocations").await, 0);
    let left = storage.ended_grant(grant.id).await.unwrap().unwrap();
    assert_eq!((left.receipt, left.receipt_detail.as_deref()), (receipt, why));
    assert_eq!((left.user_email.as_deref(), left.cause), (Some("ada@example.com"), EndCause::Revoked));
    assert_eq!((left.owner, left.access_token_expires_at), (grant.owner, grant.tokens.expires_at));
    let event = format!(
        "SELECT count(*) FROM audit_events WHERE action = 'grant.provider_told' AND subject = '{}' \
         AND user_id IS NOT NULL AND detail LIKE '%unsupported_token_type%'",
        grant.id
    );
    assert_eq!(stage.number(&event).await, 1);
}

async fn r24_late_tokens_of_an_ended_grant_take_the_place_of_the_spent_ones(stage: &Stage) {
    let storage = &stage.storage;
    let (hub, grant) = ended(stage).await;
    let before = storage.take_provider_revocations(10, LEASE).await.unwrap().pop().unwrap();
    let mut late = grant.clone();
    late.tokens.refresh_token = Some(sealed("second refresh"));
    assert!(storage.tell_of_late_tokens(&hub, &late).await.unwrap());
    // Whoever had taken up the spent ones must not delete the new ones.
    assert!(!storage.finish_provider_revocation(&before, Receipt::EndedAtProvider, None).await.unwrap());
    let after = storage.take_provider_revocations(10, LEASE).await.unwrap().pop().unwrap();
    assert_eq!(after.refresh_token, Some(sealed("second refresh")));
    assert!(storage.finish_provider_revocation(&after, Receipt::EndedAtProvider, None).await.unwrap());
    // Told already, and told again.
    assert!(storage.tell_of_late_tokens(&hub, &late).await.unwrap());
    assert_eq!(storage.ended_grant(grant.id).await.unwrap().unwrap().receipt, Receipt::Pending);

    let ada = stored_user(storage, "bob@example.com").await;
    let living = stored_grant(storage, &ada, &hub).await;
    assert!(!storage.tell_of_late_tokens(&hub, &living).await.unwrap(), "it has not ended");
    let moved = Grant { fingerprint: Fingerprint("elsewhere".into()), ..late };
    assert!(!storage.tell_of_late_tokens(&hub, &moved).await.unwrap(), "given for another place");
}

async fn ended_grants_are_listed_newest_first_and_filtered(stage: &Stage) {
    let storage = &stage.storage;
    let (hub, first) = ended(stage).await;
    let other = stored_gateway(storage, "other").await;
    let bob = stored_user(storage, "bob@example.com").await;
    let mut ids = vec![first.id];
    for gateway in [&hub, &other] {
        stage.clock.advance(Duration::from_secs(1));
        let grant = stored_grant(storage, &bob, gateway).await;
        storage.end_grants(&[grant.id], &revoked()).await.unwrap();
        ids.insert(0, grant.id);
    }
    let (mut seen, mut cursor) = (Vec::new(), None);
    loop {
        let request = PageRequest { limit: 2, cursor };
        let page = storage.ended_grants(&EndedFilter::default(), &request).await.unwrap();
        seen.extend(page.items.iter().map(|ended| ended.grant_id));
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen, ids);
    let only = async |filter: EndedFilter| {
        let page = storage.ended_grants(&filter, &PageRequest::default()).await.unwrap();
        page.items.into_iter().map(|ended| ended.grant_id).collect::<Vec<_>>()
    };
    let of_bob = EndedFilter { user: Some(bob.id), gateway: Some(other.id), ..EndedFilter::default() };
    assert_eq!(only(of_bob).await, ids[..1]);
    let told = EndedFilter { receipt: Some(Receipt::EndedAtProvider), ..EndedFilter::default() };
    assert_eq!(only(told).await, []);
    let revoked = EndedFilter { cause: Some(EndCause::Revoked), ..EndedFilter::default() };
    assert_eq!(only(revoked).await, ids);
}

on_both!(
    a_row_is_taken_by_one_until_its_time_is_over,
    a_finished_row_goes_with_its_secrets_and_leaves_a_receipt,
    r24_late_tokens_of_an_ended_grant_take_the_place_of_the_spent_ones,
    ended_grants_are_listed_newest_first_and_filtered,
);
