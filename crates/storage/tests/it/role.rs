//! Roles of an installation's own.

use crate::samples::*;
use crate::stage::Stage;
use doorward_domain::{CustomRole, Permission, Role, Slug, StoredRole, User};
use doorward_storage::{Inserted, Updated};
use std::sync::Arc;

fn support() -> StoredRole {
    let permissions = vec![Permission::UseGateways, Permission::ReadGrants];
    let role = CustomRole { name: Slug::parse("support").unwrap(), permissions };
    StoredRole { role, people: 0, created_at: NOW, updated_at: NOW, version: 1 }
}

fn given(stored: &StoredRole) -> Role {
    Role::Custom(Arc::new(stored.role.clone()))
}

async fn a_role_is_kept_given_and_changed_for_everybody_who_has_it(stage: &Stage) {
    let storage = &stage.storage;
    let role = support();
    assert_eq!(storage.insert_role(&role, event("role.create")).await.unwrap(), Inserted::Yes);
    assert_eq!(storage.insert_role(&role, event("role.create")).await.unwrap(), Inserted::Conflict);
    let ada = stored_user(storage, "ada@example.com").await;
    let promoted = User { role: given(&role), ..ada.clone() };
    assert_eq!(storage.update_user(&promoted, event("user.update")).await.unwrap(), Updated::Yes);
    assert_eq!(storage.user(ada.id).await.unwrap().unwrap().role, given(&role));
    let mut wider = storage.role(&role.role.name).await.unwrap().unwrap();
    assert_eq!((wider.people, wider.version), (1, 1));
    wider.role.permissions.push(Permission::ReadAudit);
    assert_eq!(storage.update_role(&wider, event("role.update")).await.unwrap(), Updated::Yes);
    assert_eq!(storage.update_role(&wider, event("role.update")).await.unwrap(), Updated::VersionMismatch);
    assert!(storage.user(ada.id).await.unwrap().unwrap().role.may(Permission::ReadAudit));
    assert_eq!(storage.roles().await.unwrap(), [StoredRole { version: 2, ..wider }]);
}

async fn a_role_that_somebody_has_stays_and_one_that_is_gone_is_given_to_nobody(stage: &Stage) {
    let storage = &stage.storage;
    let role = support();
    let name = &role.role.name;
    assert_eq!(storage.insert_role(&role, event("role.create")).await.unwrap(), Inserted::Yes);
    let ada = stored_user(storage, "ada@example.com").await;
    let promoted = User { role: given(&role), ..ada.clone() };
    assert_eq!(storage.update_user(&promoted, event("user.update")).await.unwrap(), Updated::Yes);
    assert_eq!(storage.delete_role(name, None, event("role.delete")).await.unwrap(), Err(1));
    let back = User { role: Role::User, version: 2, ..ada.clone() };
    assert_eq!(storage.update_user(&back, event("user.update")).await.unwrap(), Updated::Yes);
    let delete = async |version| storage.delete_role(name, version, event("role.delete")).await.unwrap();
    assert_eq!(delete(Some(9)).await, Ok(Updated::VersionMismatch));
    assert_eq!(delete(Some(1)).await, Ok(Updated::Yes));
    assert_eq!(delete(None).await, Ok(Updated::Missing));
    assert_eq!(storage.update_role(&role, event("role.update")).await.unwrap(), Updated::Missing);
    let late = User { role: given(&role), version: 3, ..ada };
    assert_eq!(storage.update_user(&late, event("user.update")).await.unwrap(), Updated::VersionMismatch);
}

on_both!(
    a_role_is_kept_given_and_changed_for_everybody_who_has_it,
    a_role_that_somebody_has_stays_and_one_that_is_gone_is_given_to_nobody,
);
