//! Setup and reset links.

use crate::samples::*;
use crate::stage::Stage;
use doorward_domain::{SetupLink, UserId};
use std::time::Duration;

fn link(user_id: Option<UserId>) -> SetupLink {
    SetupLink {
        hash: hash(),
        user_id,
        removes_second_factor: user_id.is_some(),
        created_at: NOW,
        expires_at: later(3_600),
    }
}

async fn looking_at_a_link_leaves_it_and_consuming_works_once(stage: &Stage) {
    let ada = stored_user(&stage.storage, "ada@example.com").await;
    for link in [link(None), link(Some(ada.id))] {
        stage.storage.insert_setup_link(&link).await.unwrap();
        for _ in 0..2 {
            assert_eq!(stage.storage.setup_link(link.hash).await.unwrap().as_ref(), Some(&link));
        }
        let consumed = stage.storage.consume_setup_link(link.hash, NOW).await.unwrap();
        assert_eq!(consumed, Some(link.clone()));
        assert_eq!(stage.storage.consume_setup_link(link.hash, NOW).await.unwrap(), None);
    }
}

async fn an_ended_link_is_not_consumed_and_goes_with_the_next(stage: &Stage) {
    let old = link(None);
    stage.storage.insert_setup_link(&old).await.unwrap();
    assert_eq!(stage.storage.consume_setup_link(old.hash, later(3_600)).await.unwrap(), None);
    stage.clock.advance(Duration::from_secs(3_600));
    let new = SetupLink { expires_at: later(7_200), ..link(None) };
    stage.storage.insert_setup_link(&new).await.unwrap();
    assert_eq!(stage.storage.setup_link(old.hash).await.unwrap(), None);
    assert_eq!(stage.storage.setup_link(new.hash).await.unwrap(), Some(new));
}

on_both!(
    looking_at_a_link_leaves_it_and_consuming_works_once,
    an_ended_link_is_not_consumed_and_goes_with_the_next
);
