//! Catalogs and exposed names.

use crate::samples::*;
use crate::stage::Stage;
use doorward_domain::*;
use doorward_storage::ExposedName;

fn catalog(gateway: &Gateway, user_id: Option<UserId>, name: &str) -> Catalog {
    let item = |kind, name: &str| CatalogItem {
        kind,
        name: name.to_owned(),
        json: format!(r#"{{"name":"{name}", "x" : 1.50, "n":"\u0000"}}"#),
    };
    Catalog {
        gateway_id: gateway.id,
        user_id,
        items: vec![
            item(CatalogKind::Tool, name),
            item(CatalogKind::Prompt, "p"),
            item(CatalogKind::Tool, "a\0b"),
            item(CatalogKind::ResourceTemplate, "file:///{path}"),
        ],
        instructions: Some("Be kind.".into()),
        fetched_at: NOW,
    }
}

async fn catalogs_of_users_and_the_shared_one_stand_side_by_side(stage: &Stage) {
    let storage = &stage.storage;
    let hub = stored_gateway(storage, "hub").await;
    let ada = stored_user(storage, "ada@example.com").await;
    let (shared, own) = (catalog(&hub, None, "shared"), catalog(&hub, Some(ada.id), "own"));
    for catalog in [&shared, &own] {
        storage.put_catalog(catalog).await.unwrap();
    }
    assert_eq!(storage.catalog(hub.id, None).await.unwrap(), Some(shared));
    assert_eq!(storage.catalog(hub.id, Some(ada.id)).await.unwrap(), Some(own.clone()));

    let newer = Catalog { items: Vec::new(), instructions: None, fetched_at: later(1), ..own };
    storage.put_catalog(&newer).await.unwrap();
    assert_eq!(storage.catalog(hub.id, Some(ada.id)).await.unwrap(), Some(newer));

    let mut changes = storage.changes();
    storage.drop_catalogs(hub.id).await.unwrap();
    assert_eq!(storage.catalog(hub.id, None).await.unwrap(), None);
    assert_eq!(storage.catalog(hub.id, Some(ada.id)).await.unwrap(), None);
    let mut told = vec![changes.try_recv().unwrap().change, changes.try_recv().unwrap().change];
    told.sort_by_key(|change| matches!(change, Change::Catalog { user: Some(_), .. }));
    let expected = [None, Some(ada.id)].map(|user| Change::Catalog { gateway: hub.id, user });
    assert_eq!(told, expected);
}

async fn a_name_once_given_stays_given(stage: &Stage) {
    let storage = &stage.storage;
    let (hub, other) = (stored_gateway(storage, "hub").await, stored_gateway(storage, "other").await);
    let name = |gateway: &Gateway, kind, original: &str, exposed: &str| ExposedName {
        gateway_id: gateway.id,
        kind,
        original: original.into(),
        exposed: exposed.into(),
    };
    let first = name(&hub, CatalogKind::Tool, "search", "hub-search");
    let prompt = name(&hub, CatalogKind::Prompt, "search", "hub-search");
    storage.put_exposed_names(&[prompt.clone(), first.clone()]).await.unwrap();
    let claimed = name(&other, CatalogKind::Tool, "grab", "hub-search");
    let renamed = name(&hub, CatalogKind::Tool, "search", "hub-search-2");
    let long = name(&hub, CatalogKind::Tool, &"x".repeat(3_000), "hub-long");
    let nul = name(&hub, CatalogKind::Tool, "a\0b", "hub-nul");
    storage.put_exposed_names(&[claimed, renamed, long, nul]).await.unwrap();
    assert_eq!(storage.exposed_names(CatalogKind::Tool).await.unwrap(), [first]);
    assert_eq!(storage.exposed_names(CatalogKind::Prompt).await.unwrap(), [prompt]);
    assert!(storage.exposed_names(CatalogKind::Resource).await.unwrap().is_empty());
}

on_both!(catalogs_of_users_and_the_shared_one_stand_side_by_side, a_name_once_given_stays_given);
