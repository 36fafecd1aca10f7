//! `doorward audit`: the evidence that stands outside the database, and what a verification says of it.

use crate::program::{Running, Said, command, finish, run};
use doorward_testkit::app::PASSWORD;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use tempfile::TempDir;

fn create(directory: &TempDir, email: &str) {
    let made = run(directory, &["admin", "create", "--email", email], &format!("{PASSWORD}\n"));
    assert!(made.success, "{}", made.err);
}

/// A verification, with the file of checkpoints as the setting names it.
fn verify(directory: &TempDir, file: &Path) -> Said {
    let mut verify = command(directory.path(), &["audit", "verify"]);
    verify.env("DOORWARD_AUDIT_CHECKPOINT_FILE", file);
    finish(verify, "")
}

#[test]
fn m16_a_database_that_was_put_back_is_told_by_a_checkpoint_alone() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("checkpoints");
    create(&directory, "a@test.example");
    let database = directory.path().join("data/doorward.db");
    let earlier = directory.path().join("earlier.db");
    std::fs::copy(&database, &earlier).unwrap();
    create(&directory, "b@test.example");
    let mut checkpoint = command(directory.path(), &["audit", "checkpoint"]);
    checkpoint.env("DOORWARD_AUDIT_CHECKPOINT_FILE", &file);
    let printed = finish(checkpoint, "");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), printed.out, "{}", printed.err);
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let whole = verify(&directory, &file);
    assert_eq!(
        whole.out, "the audit trail holds: 2 events up to 2, 1 of 1 checkpoints agree\n",
        "{}",
        whole.err
    );

    std::fs::copy(&earlier, &database).unwrap();
    let without = run(&directory, &["audit", "verify"], "");
    assert!(without.success && without.out.contains("without a checkpoint"), "{}", without.err);
    std::fs::copy(&earlier, &database).unwrap();
    let with = run(&directory, &["audit", "verify", "--checkpoint", file.to_str().unwrap()], "");
    assert!(!with.success);
    assert_eq!(with.out, "events 2 to 2 are missing at the end: a checkpoint knows them\n");
    assert!(with.err.contains("the first bad event is 2; 1 events up to 1"), "{}", with.err);

    std::fs::write(&file, "{}\n").unwrap();
    assert!(verify(&directory, &file).err.contains("line 1 is no checkpoint"));
    let nowhere = run(&directory, &["audit", "verify", "--checkpoint", "/nonexistent/file"], "");
    assert!(nowhere.err.contains("cannot read /nonexistent/file"), "{}", nowhere.err);
    let key = run(&directory, &["audit", "verify", "--key", "short"], "");
    assert!(key.err.contains("64 hexadecimal digits"), "{}", key.err);
}

#[test]
fn a_server_vouches_for_its_trail_when_it_stops() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("checkpoints");
    create(&directory, "a@test.example");
    let setting = ("DOORWARD_AUDIT_CHECKPOINT_FILE", file.to_str().unwrap());
    let mut running = Running::start_with(&directory, "serve", &[setting]);
    running.line();
    create(&directory, "b@test.example");
    assert!(running.stop().0);
    let newest = std::fs::read_to_string(&file).unwrap();
    let last: serde_json::Value = serde_json::from_str(newest.lines().last().unwrap()).unwrap();
    assert!(last["seq"].as_i64().unwrap() >= 2, "it vouches for what happened after the start: {newest}");
    let verified = verify(&directory, &file);
    assert!(
        verified.out.contains(&format!("{0} of {0} checkpoints agree", newest.lines().count())),
        "{}",
        verified.err
    );
}
