//! The flow inspector's record.

use crate::samples::*;
use crate::stage::Stage;
use doorward_domain::authorization_attempt::STEPS_MAX;
use doorward_domain::*;
use doorward_storage::BegunAttempt;

fn attempt(user: UserId, gateway: Option<GatewayId>) -> BegunAttempt {
    let id: AuthorizationAttemptId = Entropy.id(NOW);
    BegunAttempt { id, reference: id.to_string(), user_id: user, gateway_id: gateway }
}

fn step(kind: StepKind) -> AttemptStep {
    AttemptStep::new(NOW, kind).with(StepFact::Client(Words::new("an \"editor\""))).with(StepFact::State)
}

async fn an_opened_link_is_noted_once_and_becomes_the_round_trip(stage: &Stage) {
    let storage = &stage.storage;
    let (ada, bob) =
        (stored_user(storage, "ada@a.example").await, stored_user(storage, "bob@a.example").await);
    let hub = stored_gateway(storage, "hub").await;
    let opened = attempt(ada.id, Some(hub.id));
    storage.open_attempt(&opened, &step(StepKind::LinkOpened)).await.unwrap();
    storage.open_attempt(&attempt(ada.id, Some(hub.id)), &step(StepKind::LinkOpened)).await.unwrap();
    let of_bob = attempt(bob.id, Some(hub.id));
    let begin = async |new: BegunAttempt, now| {
        storage.begin_attempt(&new, &[step(StepKind::Agreed)], now).await.unwrap()
    };
    assert_eq!(begin(of_bob.clone(), NOW).await, of_bob, "somebody else's link is not gone on with");
    let again = attempt(ada.id, Some(hub.id));
    assert_eq!(begin(again.clone(), NOW).await, opened);
    assert_eq!(begin(again.clone(), NOW).await, again, "one link leads to one round trip");
    let kinds: Vec<_> = storage.attempt_steps(opened.id).await.unwrap();
    assert_eq!(kinds, [step(StepKind::LinkOpened), step(StepKind::Agreed)]);
    let late = attempt(bob.id, Some(hub.id));
    storage.open_attempt(&late, &step(StepKind::LinkOpened)).await.unwrap();
    let later_one = attempt(bob.id, Some(hub.id));
    assert_eq!(begin(later_one.clone(), later(601)).await, later_one, "an old link is not gone on with");
    let found = storage.attempt(opened.id).await.unwrap().unwrap();
    assert_eq!((found.state, found.user_email.as_str()), (AttemptState::SetOut, "ada@a.example"));
    assert_eq!(found.gateway, Some(AttemptGateway { id: hub.id, slug: "hub".into() }));
}

async fn steps_are_bounded_and_the_end_is_always_kept(stage: &Stage) {
    let storage = &stage.storage;
    let ada = stored_user(storage, "ada@a.example").await;
    let new = attempt(ada.id, None);
    let begun = storage.begin_attempt(&new, &[], NOW).await.unwrap();
    let strangers = vec![step(StepKind::Refused); 100];
    storage.continue_attempt(begun.id, None, &strangers, STEPS_MAX / 2).await.unwrap();
    assert_eq!(storage.attempt_steps(begun.id).await.unwrap().len(), 20);
    let end = Some(AttemptState::Connected);
    storage.continue_attempt(begun.id, end, &strangers, STEPS_MAX).await.unwrap();
    storage.continue_attempt(begun.id, None, &strangers, STEPS_MAX).await.unwrap();
    assert_eq!(storage.attempt_steps(begun.id).await.unwrap().len(), 40);
    assert_eq!(storage.attempt(begun.id).await.unwrap().unwrap().state, AttemptState::Connected);
    let gone: AuthorizationAttemptId = Entropy.id(NOW);
    storage.continue_attempt(gone, end, &strangers, STEPS_MAX).await.unwrap();
    assert_eq!(storage.attempt(gone).await.unwrap(), None);
}

async fn attempts_are_filtered_paged_and_swept_with_their_steps(stage: &Stage) {
    let storage = &stage.storage;
    let (ada, bob) =
        (stored_user(storage, "ada@a.example").await, stored_user(storage, "bob@a.example").await);
    let hub = stored_gateway(storage, "hub").await;
    let mut all = Vec::new();
    for (number, user) in [ada.id, bob.id, ada.id].into_iter().enumerate() {
        let new = attempt(user, (number != 2).then_some(hub.id));
        let state = if number == 1 { AttemptState::Refused } else { AttemptState::Connected };
        let now = later(u64::try_from(number).unwrap());
        storage.keep_attempt(&new, state, &[step(StepKind::CameBack)], now).await.unwrap();
        all.push(new.id);
    }
    let listed = async |filter: AttemptFilter| -> Vec<_> {
        let page = storage.attempts(&filter, &PageRequest::default()).await.unwrap();
        page.items.into_iter().map(|attempt| attempt.id).collect()
    };
    assert_eq!(listed(AttemptFilter::default()).await, [all[2], all[1], all[0]]);
    assert_eq!(listed(AttemptFilter { user: Some(ada.id), ..Default::default() }).await, [all[2], all[0]]);
    assert_eq!(listed(AttemptFilter { gateway: Some(hub.id), ..Default::default() }).await, [all[1], all[0]]);
    let refused = AttemptFilter { state: Some(AttemptState::Refused), ..Default::default() };
    assert_eq!(listed(refused).await, [all[1]]);
    let called = AttemptFilter { reference: Some(all[0].to_string()), ..Default::default() };
    assert_eq!(listed(called).await, [all[0]]);
    assert!(listed(AttemptFilter { reference: Some("\0".into()), ..Default::default() }).await.is_empty());
    let first = PageRequest { limit: 2, cursor: None };
    let first = storage.attempts(&AttemptFilter::default(), &first).await.unwrap();
    let rest = PageRequest { limit: 2, cursor: first.next_cursor };
    let rest = storage.attempts(&AttemptFilter::default(), &rest).await.unwrap();
    assert_eq!(rest.items.iter().map(|attempt| attempt.id).collect::<Vec<_>>(), [all[0]]);
    let kind = SweptKind::AuthorizationAttempts;
    assert_eq!(storage.count_leftovers(kind, later(2)).await.unwrap(), 2);
    assert_eq!(storage.sweep_leftovers(kind, later(2), 100).await.unwrap(), 2);
    assert_eq!(stage.number("SELECT count(*) FROM authorization_steps").await, 1);
}

on_both!(
    an_opened_link_is_noted_once_and_becomes_the_round_trip,
    steps_are_bounded_and_the_end_is_always_kept,
    attempts_are_filtered_paged_and_swept_with_their_steps,
);
