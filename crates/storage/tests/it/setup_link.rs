//! Setup and reset links.

use crate::samples::*;
use crate::stage::Stage;
use doorward_domain::user::PasswordHash;
use doorward_domain::{CustomRole, Permission, Role, SetupLink, Slug, StoredRole, User, UserId};
use doorward_storage::{Inserted, Updated};
use std::sync::Arc;
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
        stage.storage.insert_setup_link(&link, None, None).await.unwrap();
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
    stage.storage.insert_setup_link(&old, None, None).await.unwrap();
    assert_eq!(stage.storage.consume_setup_link(old.hash, later(3_600)).await.unwrap(), None);
    stage.clock.advance(Duration::from_secs(3_600));
    let new = SetupLink { expires_at: later(7_200), ..link(None) };
    stage.storage.insert_setup_link(&new, None, None).await.unwrap();
    assert_eq!(stage.storage.setup_link(old.hash).await.unwrap(), None);
    assert_eq!(stage.storage.setup_link(new.hash).await.unwrap(), Some(new));
}

async fn a_new_password_ends_what_the_old_one_opened_and_every_other_link(stage: &Stage) {
    let storage = &stage.storage;
    let ada = stored_user(storage, "ada@example.com").await;
    let (login, token) = (browser_session(ada.id), api_token(ada.id));
    storage.insert_browser_session(&login, 1, event("login")).await.unwrap();
    storage.insert_api_token(&token, 1, event("api_token.create")).await.unwrap();
    let (used, other) = (link(Some(ada.id)), link(Some(ada.id)));
    for link in [&used, &other] {
        assert!(storage.insert_setup_link(link, Some(1), Some(event("user.reset_link"))).await.unwrap());
    }
    let new = PasswordHash("$argon2id$new".into());
    let reset = async |link: &SetupLink| {
        storage.reset_password(link, ada.id, &new, event("user.password_reset")).await.unwrap()
    };
    assert!(reset(&used).await);
    assert!(!reset(&used).await, "it is used up");
    assert!(!reset(&other).await, "and the other went with it");
    let now = storage.user(ada.id).await.unwrap().unwrap();
    assert_eq!((now.version, now.password_hash), (2, Some(new.clone())));
    assert_eq!(storage.browser_session(login.hash).await.unwrap(), None);
    assert!(storage.api_token(token.id).await.unwrap().unwrap().ended_at.is_some());
    assert!(!storage.insert_browser_session(&browser_session(ada.id), 1, event("login")).await.unwrap());
    assert_eq!(
        stage.number("SELECT count(*) FROM audit_events WHERE action = 'user.password_reset'").await,
        1
    );
}

/// Else who made one for an ordinary person could become the administrator that they were made since.
async fn a_link_ends_when_its_person_or_their_role_changes(stage: &Stage) {
    let storage = &stage.storage;
    let permissions = vec![Permission::UseGateways];
    let role = CustomRole { name: Slug::parse("support").unwrap(), permissions };
    let role = StoredRole { role, people: 0, created_at: NOW, updated_at: NOW, version: 1 };
    assert_eq!(storage.insert_role(&role, event("role.create")).await.unwrap(), Inserted::Yes);
    let ada = stored_user(storage, "ada@example.com").await;
    let before = link(Some(ada.id));
    assert!(storage.insert_setup_link(&before, Some(1), None).await.unwrap());
    let promoted = User { role: Role::Custom(Arc::new(role.role.clone())), ..ada.clone() };
    assert_eq!(storage.update_user(&promoted, event("user.update")).await.unwrap(), Updated::Yes);
    assert_eq!(storage.setup_link(before.hash).await.unwrap(), None);
    assert!(!storage.insert_setup_link(&link(Some(ada.id)), Some(1), None).await.unwrap(), "for who she was");
    let between = link(Some(ada.id));
    assert!(storage.insert_setup_link(&between, Some(2), None).await.unwrap());
    let mut wider = storage.role(&role.role.name).await.unwrap().unwrap();
    wider.role.permissions.push(Permission::ReadAudit);
    assert_eq!(storage.update_role(&wider, event("role.update")).await.unwrap(), Updated::Yes);
    assert_eq!(storage.setup_link(between.hash).await.unwrap(), None);
}

on_both!(
    looking_at_a_link_leaves_it_and_consuming_works_once,
    an_ended_link_is_not_consumed_and_goes_with_the_next,
    a_new_password_ends_what_the_old_one_opened_and_every_other_link,
    a_link_ends_when_its_person_or_their_role_changes,
);
