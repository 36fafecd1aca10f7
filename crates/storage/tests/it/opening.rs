//! Opening and closing.

use crate::samples::*;
use crate::stage::Stage;
use doorward_domain::Clock;
use doorward_storage::{Storage, StorageError};
use std::os::unix::fs::PermissionsExt;

async fn what_was_written_is_there_after_a_restart(stage: &Stage) {
    let ada = stored_user(&stage.storage, "ada@example.com").await;
    stage.storage.close().await;
    let closed = stage.storage.user(ada.id).await;
    assert!(matches!(closed, Err(StorageError::Unreachable { .. })), "{closed:?}");
    let restarted = stage.open_again().await;
    assert_eq!(restarted.user(ada.id).await.unwrap(), Some(ada));
}

on_both!(what_was_written_is_there_after_a_restart);

#[tokio::test]
async fn the_files_of_the_database_are_for_their_owner_only() {
    let stage = Stage::sqlite().await;
    stored_user(&stage.storage, "ada@example.com").await;
    let mut names = Vec::new();
    for entry in std::fs::read_dir(stage.place.file().parent().unwrap()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{entry:?}");
        names.push(entry.file_name().into_string().unwrap());
    }
    names.sort();
    assert_eq!(names, ["doorward.db", "doorward.db-shm", "doorward.db-wal"]);
}

#[tokio::test]
async fn deleted_rows_leave_nothing_in_the_file() {
    let stage = Stage::sqlite().await;
    let ada = stored_user(&stage.storage, "canary-4711@example.com").await;
    let _ = stage.storage.delete_user(ada.id, None, event("user.delete")).await.unwrap();
    stage.storage.close().await;
    let file = std::fs::read(stage.place.file()).unwrap();
    let found = file.windows(11).filter(|window| window == b"canary-4711").count();
    assert_eq!(found, 0);
}

#[tokio::test]
async fn a_file_that_cannot_be_made_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("missing/doorward.db");
    let error = Storage::open_sqlite(&path, Clock::mock(NOW)).await.unwrap_err();
    assert!(matches!(error, StorageError::File { .. }));
    assert!(error.to_string().contains("missing/doorward.db"), "{error}");
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("doorward.db");
    std::fs::write(&path, "this is a text, and long enough to be read as a header of something").unwrap();
    let error = Storage::open_sqlite(&path, Clock::mock(NOW)).await.unwrap_err();
    assert!(error.to_string().contains("not a database"), "{error}");
}

#[tokio::test]
async fn a_url_that_leads_nowhere_is_an_error_without_the_password() {
    for url in ["not a url", "postgres://doorward:canary@localhost/x?host=/nonexistent"] {
        let error = Storage::open_postgres(url, Clock::mock(NOW)).await.unwrap_err();
        assert!(!error.to_string().contains("canary"), "{error}");
    }
}
