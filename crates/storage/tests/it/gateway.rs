//! Gateways, with their settings and registration.

use crate::samples::*;
use crate::stage::Stage;
use doorward_domain::*;
use doorward_storage::{GatewayUpdate, Inserted, Updated};

fn static_header(slug: &str) -> Gateway {
    let mut gateway = gateway(slug);
    gateway.authorization = GatewayAuthorization::StaticHeader(StaticHeader {
        name: "x-api-key".into(),
        value: sealed("header"),
        fingerprint: Fingerprint::of_static_header(&gateway.url),
    });
    gateway
}

async fn a_gateway_of_each_kind_is_read_as_it_was_written(stage: &Stage) {
    let storage = &stage.storage;
    let mut open = gateway("open");
    open.authorization = GatewayAuthorization::None;
    let mut bare = gateway("bare");
    if let GatewayAuthorization::OAuth(settings) = &mut bare.authorization {
        (settings.issuer, settings.resource, settings.revocation_url) = (None, None, None);
        settings.registration.client_secret = None;
    }
    let all = [gateway("hub"), static_header("key"), open, bare];
    for gateway in &all {
        let inserted = storage.insert_gateway(gateway, event("gateway.create")).await.unwrap();
        assert_eq!(inserted, Inserted::Yes);
        assert_eq!(storage.gateway(gateway.id).await.unwrap().as_ref(), Some(gateway));
        assert_eq!(storage.gateway_by_slug(&gateway.slug).await.unwrap().as_ref(), Some(gateway));
    }
    let mut read = storage.all_gateways().await.unwrap();
    assert!(read.is_sorted_by_key(|gateway| (gateway.created_at, gateway.id)));
    let first = storage.gateways(&PageRequest { limit: 3, cursor: None }).await.unwrap();
    let rest = storage.gateways(&PageRequest { limit: 3, cursor: first.next_cursor }).await.unwrap();
    assert_eq!([first.items, rest.items].concat(), read);
    read.sort_by_key(|gateway| all.iter().position(|other| other.id == gateway.id));
    assert_eq!(read, all);
}

async fn a_slug_belongs_to_one_gateway(stage: &Stage) {
    stored_gateway(&stage.storage, "hub").await;
    let other = gateway("hub");
    let inserted = stage.storage.insert_gateway(&other, event("gateway.create")).await.unwrap();
    assert_eq!(inserted, Inserted::Conflict);
    assert_eq!(stage.storage.gateway(other.id).await.unwrap(), None);
}

async fn an_edit_leaves_no_secret_of_another_kind_behind(stage: &Stage) {
    let storage = &stage.storage;
    let mut hub = stored_gateway(storage, "hub").await;
    let header = static_header("other").authorization;
    let oauth = hub.authorization.clone();
    for authorization in [header, oauth, GatewayAuthorization::None] {
        hub.authorization = authorization;
        hub.name = format!("Edition {}", hub.version);
        let update = storage.update_gateway(&hub, None, event("gateway.update")).await.unwrap();
        assert_eq!(update, GatewayUpdate { outcome: Updated::Yes, parked: 0 });
        hub.version += 1;
        assert_eq!(storage.gateway(hub.id).await.unwrap().as_ref(), Some(&hub));
    }
    assert_eq!(stage.number("SELECT count(*) FROM client_registrations").await, 0);
    assert_eq!(stage.number("SELECT count(*) FROM gateways WHERE static_header IS NOT NULL").await, 0);
}

async fn a_new_registration_takes_the_place_of_the_old_one_at_the_same_issuer(stage: &Stage) {
    let storage = &stage.storage;
    let mut hub = stored_gateway(storage, "hub").await;
    hub.authorization = GatewayAuthorization::OAuth(Box::new(oauth(&hub.url)));
    let update = storage.update_gateway(&hub, None, event("gateway.update")).await.unwrap();
    assert_eq!(update.outcome, Updated::Yes);
    assert_eq!(storage.gateway(hub.id).await.unwrap().unwrap().oauth(), hub.oauth());
}

async fn an_edit_wants_the_version_that_was_read(stage: &Stage) {
    let storage = &stage.storage;
    let hub = stored_gateway(storage, "hub").await;
    let outcome = async |gateway: &Gateway| {
        storage.update_gateway(gateway, None, event("gateway.update")).await.unwrap().outcome
    };
    assert_eq!(outcome(&hub).await, Updated::Yes);
    assert_eq!(outcome(&hub).await, Updated::VersionMismatch);
    assert_eq!(outcome(&gateway("nowhere")).await, Updated::Missing);
}

async fn a_moved_gateway_parks_the_grants_given_for_the_old_place(stage: &Stage) {
    let storage = &stage.storage;
    let ada = stored_user(storage, "ada@example.com").await;
    let bob = stored_user(storage, "bob@example.com").await;
    let mut hub = stored_gateway(storage, "hub").await;
    let other = stored_gateway(storage, "other").await;
    let before = stored_grant(storage, &ada, &hub).await;
    let elsewhere = stored_grant(storage, &ada, &other).await;

    hub.url = url("https://moved.example.com/mcp");
    let fingerprint = hub.fingerprint().unwrap();
    assert_eq!(storage.count_grants_with_other_fingerprint(hub.id, &fingerprint).await.unwrap(), 1);
    let fits = stored_grant(storage, &bob, &hub).await;
    let reason = ReauthorizationReason::GatewayChanged;
    let update = storage.update_gateway(&hub, Some(reason), event("gateway.update")).await.unwrap();
    assert_eq!(update, GatewayUpdate { outcome: Updated::Yes, parked: 1 });

    let parked = storage.grant(before.id).await.unwrap().unwrap();
    assert_eq!(parked.state, GrantState::NeedsAuthorization(reason));
    assert_eq!(parked.version, before.version + 1);
    assert_eq!(storage.grant(fits.id).await.unwrap(), Some(fits));
    assert_eq!(storage.grant(elsewhere.id).await.unwrap(), Some(elsewhere));
    assert_eq!(storage.count_grants_with_other_fingerprint(hub.id, &fingerprint).await.unwrap(), 0);
}

async fn a_gateway_without_secrets_fits_no_grant(stage: &Stage) {
    let storage = &stage.storage;
    let ada = stored_user(storage, "ada@example.com").await;
    let mut hub = stored_gateway(storage, "hub").await;
    stored_grant(storage, &ada, &hub).await;
    hub.authorization = GatewayAuthorization::None;
    let reason = ReauthorizationReason::GatewayChanged;
    let update = storage.update_gateway(&hub, Some(reason), event("gateway.update")).await.unwrap();
    assert_eq!(update.parked, 1);
}

async fn deleting_a_gateway_takes_all_of_it_but_the_record_of_its_grants(stage: &Stage) {
    let storage = &stage.storage;
    let ada = stored_user(storage, "ada@example.com").await;
    let hub = stored_gateway(storage, "hub").await;
    stored_grant(storage, &ada, &hub).await;
    let pending = authorization_request(ada.id, &hub);
    storage.insert_authorization_request(&pending, event("authorization.begin")).await.unwrap();

    let delete =
        async |version| storage.delete_gateway(hub.id, version, event("gateway.delete")).await.unwrap();
    assert_eq!(delete(Some(9)).await, Updated::VersionMismatch);
    assert_eq!(delete(None).await, Updated::Yes);
    assert_eq!(delete(None).await, Updated::Missing);

    assert_eq!(storage.gateway(hub.id).await.unwrap(), None);
    assert_eq!(storage.authorization_request_by_state(pending.state_hash).await.unwrap(), None);
    assert_eq!(stage.number("SELECT count(*) FROM client_registrations").await, 0);
    assert_eq!(stage.number("SELECT count(*) FROM grants").await, 0);
    assert_eq!(stage.number("SELECT count(*) FROM ended_grants WHERE cause = 'gateway_deleted'").await, 1);
}

async fn lists_of_tools_are_read_as_they_were_written_and_lose_whom_they_name_with_the_account(
    stage: &Stage,
) {
    let storage = &stage.storage;
    let ada = stored_user(storage, "ada@example.com").await;
    let mut hub = stored_gateway(storage, "hub").await;
    let other = stored_gateway(storage, "other").await;
    let nobody = || AccessList::Only { groups: [].into(), users: [].into() };
    hub.tool_access = [
        ("delete it all".to_owned(), AccessList::Only { groups: [].into(), users: [ada.id].into() }),
        ("drop_table".to_owned(), nobody()),
    ]
    .into();
    let update = storage.update_gateway(&hub, None, event("gateway.update")).await.unwrap();
    assert_eq!(update.outcome, Updated::Yes);
    hub.version += 1;
    assert_eq!(storage.gateway(hub.id).await.unwrap().as_ref(), Some(&hub));
    assert_eq!(storage.gateway(other.id).await.unwrap(), Some(other));
    assert_eq!(storage.delete_user(ada.id, None, event("user.delete")).await.unwrap(), Updated::Yes);
    hub.tool_access.insert("delete it all".to_owned(), nobody());
    assert_eq!(storage.gateway(hub.id).await.unwrap(), Some(hub), "nobody is not everybody");
}

on_both!(
    lists_of_tools_are_read_as_they_were_written_and_lose_whom_they_name_with_the_account,
    a_gateway_of_each_kind_is_read_as_it_was_written,
    a_slug_belongs_to_one_gateway,
    an_edit_leaves_no_secret_of_another_kind_behind,
    a_new_registration_takes_the_place_of_the_old_one_at_the_same_issuer,
    an_edit_wants_the_version_that_was_read,
    a_moved_gateway_parks_the_grants_given_for_the_old_place,
    a_gateway_without_secrets_fits_no_grant,
    deleting_a_gateway_takes_all_of_it_but_the_record_of_its_grants,
);
