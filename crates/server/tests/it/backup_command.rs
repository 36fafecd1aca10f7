//! `doorward backup`, `restore` and `doctor`, as an operator types them.

use crate::program::{Running, Said, command, finish, run};
use doorward_testkit::app::{KEY_RING, PASSWORD};
use doorward_testkit::postgres::TestPostgres;
use std::fs::Permissions;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use tempfile::TempDir;

fn done(directory: &TempDir, arguments: &[&str], input: &str) -> String {
    let Said { success, out, err } = run(directory, arguments, input);
    assert!(success, "{arguments:?}: {err}");
    out
}

fn refused(directory: &TempDir, arguments: &[&str]) -> String {
    let Said { success, out, err } = run(directory, arguments, "");
    assert!(!success, "{arguments:?}: {out}");
    err
}

fn make_administrator(directory: &TempDir, email: &str) {
    done(directory, &["admin", "create", "--email", email], &format!("{PASSWORD}\n"));
}

fn copy_ring(from: &TempDir, to: &TempDir) {
    let ring = to.path().join("data/key-ring");
    std::fs::copy(from.path().join("data/key-ring"), &ring).unwrap();
    std::fs::set_permissions(&ring, Permissions::from_mode(0o600)).unwrap();
}

#[test]
fn a_backup_made_beside_the_server_is_restored_on_this_machine_and_on_another() {
    let directory = tempfile::tempdir().unwrap();
    let mut running = Running::start(&directory, "serve");
    running.line();
    make_administrator(&directory, "before@test.example");
    done(&directory, &["token", "create", "--email", "before@test.example", "--name", "laptop"], "");
    let file = directory.path().join("backup.db");
    let file = file.to_str().unwrap();
    let made = done(&directory, &["backup", file], "");
    assert!(made.contains("without the key ring"), "{made}");
    assert_eq!(std::fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(refused(&directory, &["backup", file]).contains("backup.db"), "it is not written over");
    make_administrator(&directory, "after@test.example");
    assert!(refused(&directory, &["restore", file]).contains("stop it first"));
    assert!(running.stop().0);

    let told = done(&directory, &["restore", file], "");
    assert!(told.contains("doorward.db.before-restore-") && told.contains("this is epoch 2"), "{told}");
    assert!(told.contains("1 API tokens have ended"), "{told}");
    let listed = done(&directory, &["token", "list", "--email", "before@test.example"], "");
    assert!(listed.contains("\tended "), "{listed}");
    assert!(
        refused(&directory, &["token", "list", "--email", "after@test.example"]).contains("no such person")
    );
    assert!(run(&directory, &["doctor"], "").out.contains("cleanup holds"));

    let other = tempfile::tempdir().unwrap();
    let lost = refused(&other, &["restore", file]);
    assert!(lost.contains("no key ring"), "{lost}");
    assert!(!other.path().join("data/doorward.db").exists(), "nothing was changed");
    copy_ring(&directory, &other);
    done(&other, &["restore", file], "");
    let mut served = Running::start(&other, "serve");
    assert!(served.line().contains("serves at"));
    let listed = done(&other, &["token", "list", "--email", "before@test.example"], "");
    assert!(listed.contains("\tended "), "the server does it: {listed}");
    assert!(served.stop().0);
}

#[test]
fn what_is_no_backup_or_does_not_fit_the_ring_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    make_administrator(&directory, "a@test.example");
    let text = directory.path().join("notes.txt");
    std::fs::write(&text, "not a database").unwrap();
    assert!(refused(&directory, &["restore", text.to_str().unwrap()]).contains("is no database of Doorward"));
    let file = directory.path().join("backup.db");
    done(&directory, &["backup", file.to_str().unwrap()], "");
    assert!(refused(&directory, &["restore", "--in-place"]).contains("name the file"));

    let other = tempfile::tempdir().unwrap();
    make_administrator(&other, "b@test.example");
    let wrong = refused(&other, &["restore", file.to_str().unwrap()]);
    assert!(wrong.contains("key 'k1' of the key ring is not the key of that name"), "{wrong}");
    done(&other, &["token", "list", "--email", "b@test.example"], "");
    let data = other.path().join("data");
    let files: Vec<String> = names_in(&data).into_iter().filter(|name| name.contains("restore")).collect();
    assert_eq!(files, Vec::<String>::new(), "nothing is left behind");
}

fn names_in(directory: &Path) -> Vec<String> {
    std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

#[test]
fn postgresql_is_saved_by_its_own_tools_and_a_restore_begins_an_epoch_in_place() {
    let directory = tempfile::tempdir().unwrap();
    let database = TestPostgres::new();
    let on_postgres = |arguments: &[&str]| {
        let mut command = command(directory.path(), arguments);
        command.env("DATABASE_URL", database.url()).env("DOORWARD_KEY_RING", KEY_RING);
        finish(command, "")
    };
    let backup = on_postgres(&["backup", "/nowhere/backup.db"]);
    assert!(!backup.success && backup.err.contains("pg_dump --format=custom"), "{}", backup.err);
    let from_file = on_postgres(&["restore", "/nowhere/backup.db"]);
    assert!(!from_file.success && from_file.err.contains("pg_restore"), "{}", from_file.err);
    let restored = on_postgres(&["restore", "--in-place"]);
    assert!(restored.success && restored.out.contains("this is epoch 2"), "{}", restored.err);
}

#[test]
fn the_doctor_tells_good_advice_and_wrong_apart() {
    let directory = tempfile::tempdir().unwrap();
    let mut running = Running::start(&directory, "serve");
    running.line();
    let told = done(&directory, &["doctor"], "");
    for sentence in [
        "good\tthe database answers",
        "good\tthe data directory and its files are for their owner alone",
        "is on the disk of the data it protects: keep its backup apart",
        "good\tthe key ring has every key that is needed",
        "good\tthe clock agrees with",
        "leads to this installation",
        "its schema is up to date (doorward ",
        "good\tforwarding headers come from trusted proxies alone",
    ] {
        assert!(told.contains(sentence), "{sentence:?} in {told}");
    }
    let ring = directory.path().join("data/key-ring");
    std::fs::set_permissions(&ring, Permissions::from_mode(0o644)).unwrap();
    let ill = run(&directory, &["doctor"], "");
    assert!(!ill.success && ill.out.contains("WRONG") && ill.out.contains("chmod 600"), "{}", ill.out);
    assert_eq!(ill.err, "doorward: one thing is wrong\n");
    assert!(running.stop().0);
    assert!(refused(&directory, &["doctor"]).contains("chmod 600"), "without a server too");
    std::fs::set_permissions(&ring, Permissions::from_mode(0o600)).unwrap();

    let mut apart = command(directory.path(), &["doctor"]);
    apart.env("DOORWARD_KEY_RING_FILE", &ring);
    assert!(finish(apart, "").out.contains("the key ring comes from a setting"));
}

#[test]
fn the_doctor_knows_whether_the_public_url_leads_here_and_whose_forwarding_headers_do_not_count() {
    let (ours, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut other = Running::start(&theirs, "serve");
    other.line();
    let lonely = run(&ours, &["doctor"], "");
    assert!(lonely.out.contains("no server runs beside this command"), "{}", lonely.out);
    let mut lost = Running::start_with(&ours, "serve", &[("DOORWARD_PUBLIC_URL", &other.public)]);
    lost.line();
    let ill = run(&ours, &["doctor"], "");
    assert!(!ill.success && ill.out.contains("WRONG\tanother Doorward answers at"), "{}", ill.out);
    assert!(other.stop().0);
    let silent = run(&ours, &["doctor"], "");
    assert!(!silent.success && silent.out.contains("does not answer from here"), "{}", silent.out);
    assert!(lost.stop().0);

    let mut running = Running::start(&ours, "serve");
    running.line();
    let address = running.public.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    let request = format!(
        "GET /health HTTP/1.1\r\nhost: {address}\r\nx-forwarded-for: 6.6.6.6\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let told = done(&ours, &["doctor"], "");
    assert!(told.contains("1 requests came with forwarding headers from 127.0.0.1"), "{told}");
    assert!(!told.contains("6.6.6.6"), "what a stranger claims is not repeated: {told}");
    assert!(running.stop().0);
}
