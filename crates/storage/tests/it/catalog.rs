//! Catalogs and exposed names.

use crate::samples::*;
use crate::stage::Stage;
use doorward_domain::*;
use doorward_storage::ExposedName;
use std::time::Duration;

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

async fn versions_are_noted_held_and_agreed_to(stage: &Stage) {
    let storage = &stage.storage;
    let hub = Gateway { on_change: OnChange::Hold, ..stored_gateway(storage, "hub").await };
    let tool = |json: &str| CatalogItem { kind: CatalogKind::Tool, name: "t".into(), json: json.into() };
    let note = async |items: &[CatalogItem]| storage.note_catalog_versions(&hub, items).await.unwrap();
    let versions = async || storage.catalog_versions(hub.id).await.unwrap();
    let (first, second) = (tool(r#"{"name":"t","a":1}"#), tool(r#"{"name":"t","a":2}"#));
    let resource = CatalogItem { kind: CatalogKind::Resource, ..tool("{}") };
    for _ in 0..2 {
        note(&[first.clone(), resource.clone()]).await;
    }
    let known = versions().await;
    assert_eq!((known.len(), known[0].approved, known[0].baseline), (1, true, true));
    assert_eq!(known[0].json, first.json);
    note(&[tool(r#"{"a":1, "name":"t"}"#)]).await;
    assert_eq!(versions().await.len(), 1, "the order of members is no change");
    let events = "SELECT count(*) FROM audit_events WHERE action = 'catalog.change'";
    assert_eq!(stage.number(events).await, 0, "the first reading is no change");

    note(std::slice::from_ref(&second)).await;
    let held: Vec<_> = versions().await.into_iter().filter(|version| !version.approved).collect();
    assert_eq!((held.len(), held[0].json.as_str(), stage.number(events).await), (1, &*second.json, 1));
    storage.put_catalog(&catalog(&hub, None, "t")).await.unwrap();
    let agree = async || {
        let hashes = [held[0].hash.clone()];
        storage.approve_catalog_versions(hub.id, &hashes, event("catalog.agree")).await.unwrap()
    };
    let mut changes = storage.changes();
    assert_eq!((agree().await, agree().await), (1, 0));
    assert_eq!(changes.try_recv().unwrap().change, Change::Catalog { gateway: hub.id, user: None });
    assert!(versions().await.iter().all(|version| version.approved));

    // What was agreed to last is never pruned, whatever an upstream makes up.
    for number in 3..40 {
        stage.clock.advance(Duration::from_millis(1));
        note(&[tool(&format!(r#"{{"name":"t","a":{number}}}"#))]).await;
    }
    let kept = versions().await;
    assert!(kept.len() <= 21 && kept.iter().any(|version| version.approved), "{}", kept.len());
    let allowing = Gateway { on_change: OnChange::Allow, ..hub.clone() };
    storage.note_catalog_versions(&allowing, &[tool(r#"{"name":"t","a":39}"#)]).await.unwrap();
    let newest = versions().await.into_iter().find(|version| version.json.contains(":39")).unwrap();
    assert!(newest.approved, "what is served is agreed to");
}

on_both!(
    catalogs_of_users_and_the_shared_one_stand_side_by_side,
    a_name_once_given_stays_given,
    versions_are_noted_held_and_agreed_to,
);
