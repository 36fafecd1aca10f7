//! Groups, who is in them, and what they may use.

use crate::samples::*;
use crate::stage::Stage;
use doorward_domain::*;
use doorward_storage::{Inserted, Storage, Updated};

fn group(name: &str) -> Group {
    let id = Entropy.id(NOW);
    Group { id, name: name.into(), members: 0, created_at: NOW, updated_at: NOW, version: 1 }
}

async fn stored_group(storage: &Storage, name: &str) -> Group {
    let group = group(name);
    assert_eq!(storage.insert_group(&group, event("group.create")).await.unwrap(), Inserted::Yes);
    group
}

async fn restrict(storage: &Storage, id: GatewayId, access: AccessList) {
    let gateway = Gateway { access, ..storage.gateway(id).await.unwrap().unwrap() };
    let update = storage.update_gateway(&gateway, None, event("gateway.update")).await.unwrap();
    assert_eq!(update.outcome, Updated::Yes);
}

async fn orphaned(storage: &Storage, grant: &Grant) -> bool {
    storage.grant(grant.id).await.unwrap().unwrap().orphaned_since.is_some()
}

fn only(groups: &[GroupId], users: &[UserId]) -> AccessList {
    AccessList::Only { groups: groups.iter().copied().collect(), users: users.iter().copied().collect() }
}

async fn a_group_is_read_as_it_was_written_and_no_two_share_a_name(stage: &Stage) {
    let storage = &stage.storage;
    let ops = stored_group(storage, "Ops").await;
    assert_eq!(storage.group(ops.id).await.unwrap().unwrap(), ops);
    assert_eq!(storage.group_by_name("oPS").await.unwrap().unwrap(), ops);
    let taken = storage.insert_group(&group("OPS"), event("group.create")).await.unwrap();
    assert_eq!(taken, Inserted::Conflict);
    let dev = stored_group(storage, "dev").await;
    let first = storage.groups(&PageRequest { limit: 1, cursor: None }).await.unwrap();
    let rest = storage.groups(&PageRequest { limit: 1, cursor: first.next_cursor }).await.unwrap();
    assert_eq!(first.items.len() + rest.items.len(), 2);

    let renamed = Group { name: "Development".into(), ..dev.clone() };
    assert_eq!(storage.update_group(&renamed, event("group.update")).await.unwrap(), Updated::Yes);
    assert_eq!(
        storage.update_group(&renamed, event("group.update")).await.unwrap(),
        Updated::VersionMismatch
    );
    let taken = Group { name: "ops".into(), version: 2, ..dev.clone() };
    assert_eq!(storage.update_group(&taken, event("group.update")).await.unwrap(), Updated::VersionMismatch);
    let gone = group("gone");
    assert_eq!(storage.update_group(&gone, event("group.update")).await.unwrap(), Updated::Missing);
    let delete = async |version| storage.delete_group(dev.id, version, event("group.delete")).await.unwrap();
    assert_eq!(delete(Some(1)).await, Updated::VersionMismatch);
    assert_eq!((delete(Some(2)).await, delete(None).await), (Updated::Yes, Updated::Missing));
}

async fn people_join_and_leave_once(stage: &Stage) {
    let storage = &stage.storage;
    let ops = stored_group(storage, "Ops").await;
    let (ada, bob) =
        (stored_user(storage, "ada@example.com").await, stored_user(storage, "bob@example.com").await);
    let join = async |user| storage.join_group(ops.id, user, event("group.join")).await.unwrap();
    assert_eq!(
        (join(ada.id).await, join(ada.id).await, join(bob.id).await),
        (Some(true), Some(false), Some(true))
    );
    assert_eq!(join(Entropy.id(NOW)).await, None);
    assert_eq!(storage.join_group(Entropy.id(NOW), ada.id, event("group.join")).await.unwrap(), None);
    assert_eq!(storage.groups_of(ada.id).await.unwrap(), [ops.id]);
    assert_eq!(storage.group(ops.id).await.unwrap().unwrap().members, 2);
    let page = PageRequest { limit: 1, cursor: None };
    let first = storage.group_members(ops.id, &page).await.unwrap();
    let rest =
        storage.group_members(ops.id, &PageRequest { limit: 9, cursor: first.next_cursor }).await.unwrap();
    let mut members: Vec<UserId> = first.items.iter().chain(&rest.items).map(|user| user.id).collect();
    members.sort_unstable();
    let mut both = vec![ada.id, bob.id];
    both.sort_unstable();
    assert_eq!(members, both);
    let leave = async || storage.leave_group(ops.id, ada.id, event("group.leave")).await.unwrap();
    assert!(leave().await && !leave().await);
    assert_eq!(storage.groups_of(ada.id).await.unwrap(), []);
    // Who did it is told once: what changed nothing is no event.
    assert_eq!(stage.number("SELECT count(*) FROM audit_events WHERE action = 'group.join'").await, 2);
    assert_eq!(stage.number("SELECT count(*) FROM audit_events WHERE action = 'group.leave'").await, 1);
}

async fn an_access_list_is_read_as_it_was_written_and_forgets_who_is_gone(stage: &Stage) {
    let storage = &stage.storage;
    let (ops, dev) = (stored_group(storage, "Ops").await, stored_group(storage, "Dev").await);
    let ada = stored_user(storage, "ada@example.com").await;
    let listed = only(&[ops.id, dev.id], &[ada.id]);
    let hub = Gateway { access: listed.clone(), ..gateway("hub") };
    assert_eq!(storage.insert_gateway(&hub, event("gateway.create")).await.unwrap(), Inserted::Yes);
    let read = async || storage.gateway(hub.id).await.unwrap().unwrap().access;
    assert_eq!(read().await, listed);
    assert_eq!(storage.all_gateways().await.unwrap()[0].access, listed);
    let _ = storage.delete_group(dev.id, None, event("group.delete")).await.unwrap();
    let _ = storage.delete_user(ada.id, None, event("user.delete")).await.unwrap();
    assert_eq!(read().await, only(&[ops.id], &[]));
    let _ = storage.delete_group(ops.id, None, event("group.delete")).await.unwrap();
    assert_eq!(read().await, only(&[], &[]), "a list that has lost everybody admits nobody");
    restrict(storage, hub.id, AccessList::Everyone).await;
    assert_eq!(read().await, AccessList::Everyone);
    assert_eq!(stage.number("SELECT count(*) FROM access_rules").await, 0);
}

async fn whoever_loses_access_has_their_grant_orphaned_and_gets_it_back(stage: &Stage) {
    let storage = &stage.storage;
    let hub = stored_gateway(storage, "hub").await;
    let ops = stored_group(storage, "Ops").await;
    let (ada, bob) =
        (stored_user(storage, "ada@example.com").await, stored_user(storage, "bob@example.com").await);
    let (of_ada, of_bob) = (stored_grant(storage, &ada, &hub).await, stored_grant(storage, &bob, &hub).await);
    let state = async || (orphaned(storage, &of_ada).await, orphaned(storage, &of_bob).await);

    restrict(storage, hub.id, only(&[ops.id], &[bob.id])).await;
    assert_eq!(state().await, (true, false), "bob is named, ada is in no group");
    let joined = storage.join_group(ops.id, ada.id, event("group.join")).await.unwrap();
    assert_eq!((joined, state().await), (Some(true), (false, false)));
    restrict(storage, hub.id, only(&[ops.id], &[])).await;
    assert_eq!(state().await, (false, true));
    assert!(storage.leave_group(ops.id, ada.id, event("group.leave")).await.unwrap());
    assert_eq!(state().await, (true, true));
    restrict(storage, hub.id, AccessList::Everyone).await;
    assert_eq!(state().await, (false, false));

    restrict(storage, hub.id, only(&[ops.id], &[bob.id])).await;
    let _ = storage.join_group(ops.id, ada.id, event("group.join")).await.unwrap();
    let ended = "SELECT count(*) FROM changes WHERE kind = 'grant_ended'";
    let before = stage.number(ended).await;
    let deleted = storage.delete_group(ops.id, None, event("group.delete")).await.unwrap();
    assert_eq!((deleted, state().await), (Updated::Yes, (true, false)));
    assert_eq!(stage.number(ended).await, before + 1, "what runs under it is cut");
    assert_eq!(stage.number("SELECT count(*) FROM grants WHERE health = 'orphaned'").await, 1);
}

on_both!(
    a_group_is_read_as_it_was_written_and_no_two_share_a_name,
    people_join_and_leave_once,
    an_access_list_is_read_as_it_was_written_and_forgets_who_is_gone,
    whoever_loses_access_has_their_grant_orphaned_and_gets_it_back,
);
