//! How far notices were told.

use crate::samples::*;
use crate::stage::Stage;
use doorward_domain::*;

async fn notices_begin_with_what_happens_from_now_on_and_are_told_in_order(stage: &Stage) {
    let storage = &stage.storage;
    storage.record(event("grant.park")).await.unwrap();
    let start = storage.notice_cursor().await.unwrap();
    assert_eq!(start, NoticeCursor::at(1));
    for action in ["login", "grant.park", "circuit.open"] {
        storage.record(event(action)).await.unwrap();
    }
    assert_eq!(storage.notice_cursor().await.unwrap(), start, "it begins once");
    let next = async |seq| storage.next_event_of(&["circuit.open", "grant.park"], seq).await.unwrap();
    let first = next(start.seq).await.unwrap();
    assert_eq!((first.seq, first.action.as_str()), (3, "grant.park"));
    assert_eq!(next(3).await.unwrap().action, "circuit.open");
    assert!(next(4).await.is_none());

    let later = NoticeCursor::at(3).tried_again_later(NOW);
    assert!(storage.move_notice_cursor(1, &later).await.unwrap());
    assert!(
        !storage.move_notice_cursor(1, &NoticeCursor::at(4)).await.unwrap(),
        "somebody else has moved on"
    );
    assert_eq!(storage.notice_cursor().await.unwrap(), later);
}

on_both!(notices_begin_with_what_happens_from_now_on_and_are_told_in_order);
