//! Virtual servers, with what they offer and who may use them.

use crate::samples::*;
use crate::stage::Stage;
use doorward_domain::*;
use doorward_storage::{Inserted, Updated};

fn server(slug: &str, items: Vec<ServerItem>) -> VirtualServer {
    VirtualServer {
        id: Entropy.id(NOW),
        slug: Slug::parse(slug).unwrap(),
        name: format!("The {slug}"),
        access: AccessList::Everyone,
        items,
        created_at: NOW,
        updated_at: NOW,
        version: 1,
    }
}

async fn a_virtual_server_is_read_as_it_was_written(stage: &Stage) {
    let storage = &stage.storage;
    let (hub, old) = (stored_gateway(storage, "hub").await, stored_gateway(storage, "old").await);
    let ada = stored_user(storage, "ada@example.com").await;
    let item = |gateway: &Gateway, kind, name: &str, exposed: Option<&str>| ServerItem {
        gateway_id: gateway.id,
        kind,
        name: name.into(),
        exposed: exposed.map(str::to_owned),
    };
    let many = (0..250).map(|number| item(&hub, CatalogKind::Tool, &format!("tool{number}"), None));
    let mut items = vec![
        item(&old, CatalogKind::Prompt, "p", Some("ask")),
        item(&hub, CatalogKind::ResourceTemplate, "file:///{x}", None),
    ];
    items.extend(many);
    let desk = VirtualServer {
        access: AccessList::Only { groups: [].into(), users: [ada.id].into() },
        ..server("desk", items)
    };
    let empty = server("a", Vec::new());
    for made in [&desk, &empty] {
        let inserted = storage.insert_virtual_server(made, event("server.create")).await.unwrap();
        assert_eq!(inserted, Inserted::Yes);
    }
    assert_eq!(storage.virtual_servers().await.unwrap(), [empty.clone(), desk.clone()]);
    let taken = storage.insert_virtual_server(&server("desk", Vec::new()), event("server.create")).await;
    assert_eq!(taken.unwrap(), Inserted::Conflict);

    let mut edited = VirtualServer { access: AccessList::Everyone, name: "Desk".into(), ..desk.clone() };
    edited.items.truncate(2);
    let update = async |server: &VirtualServer| {
        storage.update_virtual_server(server, event("server.update")).await.unwrap()
    };
    assert_eq!((update(&edited).await, update(&edited).await), (Updated::Yes, Updated::VersionMismatch));
    assert_eq!(update(&server("gone", Vec::new())).await, Updated::Missing);
    edited.version = 2;
    assert_eq!(storage.virtual_servers().await.unwrap()[1], edited);
    // What a deleted gateway offered is offered no more.
    let _ = storage.delete_gateway(old.id, None, event("gateway.delete")).await.unwrap();
    edited.items.remove(0);
    assert_eq!(storage.virtual_servers().await.unwrap()[1], edited);
    let delete = async |version| {
        storage.delete_virtual_server(desk.id, version, event("server.delete")).await.unwrap()
    };
    assert_eq!(delete(Some(1)).await, Updated::VersionMismatch);
    assert_eq!((delete(Some(2)).await, delete(None).await), (Updated::Yes, Updated::Missing));
    assert_eq!(stage.number("SELECT count(*) FROM virtual_server_items").await, 0);
    assert_eq!(stage.number("SELECT count(*) FROM changes WHERE kind = 'virtual_server'").await, 4);
}

on_both!(a_virtual_server_is_read_as_it_was_written);
