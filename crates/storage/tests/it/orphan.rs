//! Grants whose users lose access, and get it back.

use crate::samples::*;
use crate::stage::Stage;
use doorward_domain::*;
use doorward_storage::{Storage, Updated};

async fn edit(storage: &Storage, id: GatewayId, state: GatewayState) {
    let gateway = storage.gateway(id).await.unwrap().unwrap();
    let edited = Gateway { state, ..gateway };
    let update = storage.update_gateway(&edited, None, event("gateway.update")).await.unwrap();
    assert_eq!(update.outcome, Updated::Yes);
}

async fn set_role(storage: &Storage, id: UserId, role: Role) {
    let user = storage.user(id).await.unwrap().unwrap();
    let edited = User { role, ..user };
    assert_eq!(storage.update_user(&edited, event("user.update")).await.unwrap(), Updated::Yes);
}

async fn orphaned(storage: &Storage, grant: &Grant) -> bool {
    storage.grant(grant.id).await.unwrap().unwrap().orphaned_since.is_some()
}

async fn a_disabled_gateway_orphans_its_grants_and_an_enabled_one_takes_them_back(stage: &Stage) {
    let storage = &stage.storage;
    let hub = stored_gateway(storage, "hub").await;
    let ada = stored_user(storage, "ada@example.com").await;
    let grant = stored_grant(storage, &ada, &hub).await;

    edit(storage, hub.id, GatewayState::Disabled).await;
    let after = storage.grant(grant.id).await.unwrap().unwrap();
    assert_eq!(after, Grant { orphaned_since: Some(NOW), ..grant.clone() });
    assert_eq!(stage.number("SELECT count(*) FROM grants WHERE health = 'orphaned'").await, 1);
    assert_eq!(stage.number("SELECT count(*) FROM changes WHERE kind = 'grant_ended'").await, 1);
    // A refresh that was under way stores its answer all the same: nothing of the grant is lost.
    let refreshed = Grant { refresh_number: 2, ..grant.clone() };
    assert!(storage.finish_refresh(&refreshed, grant.version, event("grant.refresh")).await.unwrap());
    assert!(orphaned(storage, &grant).await);

    edit(storage, hub.id, GatewayState::Published).await;
    assert!(!orphaned(storage, &grant).await);
    assert_eq!(stage.number("SELECT count(*) FROM grants WHERE health = 'valid'").await, 1);
    for action in ["grant.orphan", "grant.adopt"] {
        let of_ada = format!(
            "SELECT count(*) FROM audit_events WHERE action = '{action}' AND user_id = '{}' AND subject = '{}'",
            ada.id, grant.id
        );
        assert_eq!(stage.number(&of_ada).await, 1, "{action}");
    }
}

async fn a_draft_orphans_those_who_may_not_manage_gateways_and_a_role_decides(stage: &Stage) {
    let storage = &stage.storage;
    let hub = stored_gateway(storage, "hub").await;
    let ada = stored_user(storage, "ada@example.com").await;
    let root = stored_user(storage, "root@example.com").await;
    set_role(storage, root.id, Role::Administrator).await;
    let (of_ada, of_root) =
        (stored_grant(storage, &ada, &hub).await, stored_grant(storage, &root, &hub).await);
    let own = grant(GrantOwner::Service, &hub);
    let _ = storage.store_authorized_grant(&own, event("grant.authorize")).await.unwrap();

    edit(storage, hub.id, GatewayState::Draft).await;
    assert!(orphaned(storage, &of_ada).await);
    assert!(!orphaned(storage, &of_root).await && !orphaned(storage, &own).await);
    set_role(storage, ada.id, Role::Administrator).await;
    assert!(!orphaned(storage, &of_ada).await, "a manager of gateways may use drafts");
    set_role(storage, root.id, Role::User).await;
    assert!(orphaned(storage, &of_root).await);
    edit(storage, hub.id, GatewayState::Disabled).await;
    assert!(orphaned(storage, &own).await && orphaned(storage, &of_ada).await);
}

on_both!(
    a_disabled_gateway_orphans_its_grants_and_an_enabled_one_takes_them_back,
    a_draft_orphans_those_who_may_not_manage_gateways_and_a_role_decides,
);
