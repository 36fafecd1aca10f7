//! Sealed columns: the list is whole, rows are counted by key, and sealed anew without harm to what is in flight.

use crate::samples::*;
use crate::stage::{Place, Stage};
use doorward_domain::*;
use doorward_storage::{SEALED_COLUMNS, SealedColumn, SealedRow, Storage};

fn column(table: &str, name: &str) -> &'static SealedColumn {
    SEALED_COLUMNS.iter().find(|column| (column.table, column.column) == (table, name)).unwrap()
}

fn k1() -> KeyId {
    KeyId("k1".into())
}

async fn rows(storage: &Storage, column: &SealedColumn) -> Vec<SealedRow> {
    storage.rows_sealed_with(column, &k1(), "", 100).await.unwrap()
}

fn anew(row: &SealedRow) -> (SealedRow, Sealed) {
    (row.clone(), Sealed { key_id: KeyId("k2".into()), bytes: b"sealed anew".to_vec() })
}

async fn every_column_with_a_key_id_is_in_the_list(stage: &Stage) {
    let columns = match &stage.place {
        Place::Sqlite(_) => {
            "SELECT m.name || '.' || c.name FROM sqlite_master m JOIN pragma_table_info(m.name) c \
             WHERE m.type = 'table' AND c.name LIKE '%_key_id' ORDER BY 1"
        }
        Place::Postgres(_) => {
            "SELECT table_name || '.' || column_name FROM information_schema.columns \
             WHERE table_schema = current_schema() AND column_name LIKE '%_key_id' ORDER BY 1"
        }
    };
    let in_schema = stage.texts(columns).await;
    let mut listed: Vec<String> =
        SEALED_COLUMNS.iter().map(|column| format!("{}.{}_key_id", column.table, column.column)).collect();
    listed.sort();
    assert_eq!(in_schema, listed);
}

async fn rows_are_counted_by_key_and_read_by_id(stage: &Stage) {
    let storage = &stage.storage;
    let hub = stored_gateway(storage, "hub").await;
    for name in ["ada", "bob", "eve"] {
        let user = stored_user(storage, &format!("{name}@example.com")).await;
        stored_grant(storage, &user, &hub).await;
    }
    let tokens = column("grants", "access_token");
    let first = storage.rows_sealed_with(tokens, &k1(), "", 2).await.unwrap();
    let rest = storage.rows_sealed_with(tokens, &k1(), &first[1].id, 2).await.unwrap();
    assert_eq!((first.len(), rest.len()), (2, 1));
    assert_eq!(storage.swap_sealed(tokens, &[anew(&first[0])]).await.unwrap(), 1);
    let counts = storage.sealed_counts().await.unwrap();
    let told: Vec<String> = counts
        .iter()
        .map(|count| format!("{}.{} {} {}", count.table, count.column, count.key, count.rows))
        .collect();
    let expected = [
        "grants.access_token k1 2",
        "grants.access_token k2 1",
        "grants.refresh_token k1 3",
        "client_registrations.client_secret k1 1",
    ];
    assert_eq!(told, expected);
}

async fn a_refresh_in_flight_does_not_lose_to_a_row_that_is_sealed_anew(stage: &Stage) {
    let storage = &stage.storage;
    let hub = stored_gateway(storage, "hub").await;
    let ada = stored_user(storage, "ada@example.com").await;
    let grant = stored_grant(storage, &ada, &hub).await;
    let version = storage.begin_refresh(grant.id, 1).await.unwrap().unwrap();
    let tokens = column("grants", "access_token");
    let before = rows(storage, tokens).await;
    assert_eq!(storage.swap_sealed(tokens, &[anew(&before[0])]).await.unwrap(), 1);
    let read = storage.grant(grant.id).await.unwrap().unwrap();
    assert_eq!((read.version, read.tokens.access_token), (version, anew(&before[0]).1));
    let mut fresh = Grant { redeeming_number: None, refresh_number: 2, ..grant };
    fresh.tokens.access_token = sealed("a new token");
    assert!(storage.finish_refresh(&fresh, version, event("grant.refresh")).await.unwrap());
    assert_eq!(storage.swap_sealed(tokens, &[anew(&before[0])]).await.unwrap(), 0, "the new token stays");
}

async fn a_gateway_whose_secret_is_sealed_anew_is_told_and_has_a_new_version(stage: &Stage) {
    let storage = &stage.storage;
    let hub = stored_gateway(storage, "hub").await;
    let mut changes = storage.changes();
    let secrets = column("client_registrations", "client_secret");
    let before = rows(storage, secrets).await;
    assert_eq!(storage.swap_sealed(secrets, &[anew(&before[0])]).await.unwrap(), 1);
    assert_eq!(changes.recv().await.unwrap().change, Change::Gateway(hub.id));
    let read = storage.gateway(hub.id).await.unwrap().unwrap();
    assert_eq!(read.version, hub.version + 1, "an edit that read the old bytes does not write them back");
    assert_eq!(read.oauth().unwrap().registration.client_secret, Some(anew(&before[0]).1));
    assert_eq!(storage.swap_sealed(secrets, &[anew(&before[0])]).await.unwrap(), 0);
    assert_eq!(storage.gateway(hub.id).await.unwrap().unwrap().version, read.version);
}

on_both!(
    every_column_with_a_key_id_is_in_the_list,
    rows_are_counted_by_key_and_read_by_id,
    a_refresh_in_flight_does_not_lose_to_a_row_that_is_sealed_anew,
    a_gateway_whose_secret_is_sealed_anew_is_told_and_has_a_new_version,
);
