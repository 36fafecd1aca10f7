//! Tallies by the hour.

use crate::samples::*;
use crate::stage::Stage;
use doorward_domain::{Tally, TallyKind, Timestamp};

fn tally(kind: TallyKind, name: &str, hours_ago: i64, count: u64) -> Tally {
    let at = Timestamp::from_millis(NOW.millis() - hours_ago * 3_600_000);
    Tally { at, kind, name: name.to_owned(), count }
}

async fn what_replicas_count_adds_up_and_of_a_level_the_last_stands(stage: &Stage) {
    let other = stage.open_again().await;
    let counted = |calls, grants| {
        vec![
            tally(TallyKind::Grants, "valid", 0, grants),
            tally(TallyKind::Calls, "hub", 0, calls),
            tally(TallyKind::Calls, "hub", 1, calls),
        ]
    };
    stage.storage.add_tallies(counted(3, 7), NOW).await.unwrap();
    other.add_tallies(counted(4, 9), NOW).await.unwrap();
    let since = Timestamp::from_millis(NOW.millis() - 86_400_000);
    let calls = stage.storage.hourly_tallies(TallyKind::Calls, since).await.unwrap();
    assert_eq!(calls, [tally(TallyKind::Calls, "hub", 1, 7), tally(TallyKind::Calls, "hub", 0, 7)]);
    let grants = other.hourly_tallies(TallyKind::Grants, since).await.unwrap();
    assert_eq!(grants, [tally(TallyKind::Grants, "valid", 0, 9)]);
    let by_day = other.tallies(TallyKind::Calls, since, 86_400_000).await.unwrap();
    assert_eq!(by_day.iter().map(|tally| tally.count).sum::<u64>(), 14);
    assert!(by_day.iter().all(|tally| tally.at.millis() % 86_400_000 == 0));
}

async fn many_at_once_lose_nothing(stage: &Stage) {
    let tries: Vec<_> = (0..20)
        .map(|number| {
            let storage = stage.storage.clone();
            let mut counted: Vec<_> =
                (0..5).map(|gateway| tally(TallyKind::Calls, &format!("g{gateway}"), 0, 1)).collect();
            counted.rotate_left(number % 5);
            tokio::spawn(async move { storage.add_tallies(counted, NOW).await })
        })
        .collect();
    for attempt in tries {
        attempt.await.unwrap().unwrap();
    }
    let found = stage.storage.hourly_tallies(TallyKind::Calls, NOW).await.unwrap();
    assert_eq!(found.iter().map(|tally| tally.count).collect::<Vec<_>>(), [20; 5]);
}

async fn old_ones_go_with_the_next(stage: &Stage) {
    let old = tally(TallyKind::Refreshes, "failed", 31 * 24 + 1, 2);
    let young = tally(TallyKind::Refreshes, "failed", 31 * 24 - 1, 2);
    stage.storage.add_tallies(vec![old, young.clone()], NOW).await.unwrap();
    let since = Timestamp::from_millis(0);
    assert_eq!(stage.storage.hourly_tallies(TallyKind::Refreshes, since).await.unwrap(), [young]);
}

on_both!(
    what_replicas_count_adds_up_and_of_a_level_the_last_stands,
    many_at_once_lose_nothing,
    old_ones_go_with_the_next,
);
