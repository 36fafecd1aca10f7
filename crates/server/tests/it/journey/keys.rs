//! A key's life (M6): it takes over while calls and refreshes go on, what older ones hold is sealed anew, and when
//! an old one is gone everything still opens.

use super::walk::{mcp, modern, tool_text};
use doorward_broker::{Reseal, ResealProgress};
use doorward_demo::{AuthorizationServerOptions, Demo};
use doorward_domain::{Clock, Entropy, Gateway, Grant, GrantOwner, KeyId, NewAuditEvent, SealedTokenSet};
use doorward_server::settings::DatabaseSetting;
use doorward_server::{App, StartError};
use doorward_storage::{SEALED_COLUMNS, StoredGrant};
use doorward_testkit::app::{Person, TestApp, TestAppOptions, settings};
use doorward_testkit::client::Client;
use doorward_vault::Place;
use secrecy::SecretString;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const K1: &str = "k1:MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";
const K2: &str = "k2:MTEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";
/// More than two batches of rows.
const GRANTS: u32 = 450;
const TOKEN_SECONDS: u64 = 300;

fn key(name: &str) -> KeyId {
    KeyId(name.to_owned())
}

/// A connected person, and many more grants beside theirs.
struct Stage {
    app: TestApp,
    demo: Demo,
    alice: Person,
}

async fn stage(options: TestAppOptions) -> Stage {
    let app = TestApp::with(options).await;
    let provider = AuthorizationServerOptions {
        access_token_seconds: TOKEN_SECONDS,
        clock: app.clock.clone(),
        ..Default::default()
    };
    let demo = app.demo_with(provider).await;
    let gateway = app.register(&demo, "demo").await;
    let alice = app.user("alice").await;
    app.connect(&alice, "demo", &demo, "alice").await;
    add_grants(&app, &gateway, &alice).await;
    Stage { app, demo, alice }
}

async fn add_grants(app: &TestApp, gateway: &Gateway, alice: &Person) {
    let (storage, vault) = (app.app.storage(), app.app.vault());
    let sample = storage.grant_of(GrantOwner::User(alice.id), gateway.id).await.unwrap().unwrap();
    for number in 0..GRANTS {
        let id = Entropy.id(app.clock.now());
        let secret = SecretString::from(format!("token {number}"));
        let tokens = SealedTokenSet {
            access_token: vault.seal(&Place::grant_access_token(id), &secret),
            refresh_token: Some(vault.seal(&Place::grant_refresh_token(id), &secret)),
            id_token: None,
            expires_at: None,
        };
        let label = number.to_string();
        let grant = Grant { id, owner: GrantOwner::Service, label, tokens, version: 0, ..sample.clone() };
        let event = NewAuditEvent::new(doorward_domain::Actor::System, "grant.authorize");
        let stored = storage.store_authorized_grant(&grant, event).await.unwrap();
        assert!(matches!(stored, StoredGrant::Stored { .. }));
    }
}

/// Calls that go on until told to stop, every fifth with a token that has ended. None may fail.
struct Load {
    calls: Arc<AtomicU64>,
    stop: CancellationToken,
    calling: JoinHandle<()>,
}

impl Load {
    fn start(client: Client, clock: Clock) -> Self {
        let (calls, stop) = (Arc::new(AtomicU64::new(0)), CancellationToken::new());
        let calling = tokio::spawn({
            let (calls, stop) = (Arc::clone(&calls), stop.clone());
            async move {
                while !stop.is_cancelled() {
                    if calls.load(Ordering::SeqCst) % 5 == 4 {
                        clock.advance(Duration::from_secs(TOKEN_SECONDS + 1));
                    }
                    let answer =
                        modern(&client, "/mcp", "tools/call", &json!({ "name": "demo-whoami" })).await;
                    assert!(tool_text(&answer).contains("alice"), "{answer:#}");
                    calls.fetch_add(1, Ordering::SeqCst);
                }
            }
        });
        Self { calls, stop, calling }
    }

    /// Waits until so many more calls were answered.
    async fn more(&self, calls: u64) {
        let enough = self.calls.load(Ordering::SeqCst) + calls;
        while self.calls.load(Ordering::SeqCst) < enough && !self.calling.is_finished() {
            tokio::task::yield_now().await;
        }
    }

    async fn end(self) {
        self.stop.cancel();
        self.calling.await.unwrap();
    }
}

/// Opens every sealed value of the database, and counts those by their key.
async fn opened(app: &App, with: &str) -> usize {
    let mut opened = 0;
    for column in &SEALED_COLUMNS {
        for row in app.storage().rows_sealed_with(column, &key(with), "", 10_000).await.unwrap() {
            let place = Place::of_row(column.table, column.column, &row.home).unwrap();
            app.vault().open::<SecretString>(&place, &row.sealed).unwrap();
            opened += 1;
        }
    }
    let sealed: u64 = app.storage().sealed_counts().await.unwrap().iter().map(|count| count.rows).sum();
    assert_eq!(opened as u64, sealed, "every value is sealed with {with}");
    opened
}

/// Seals anew until nothing is left; what a process wrote meanwhile is found the next time.
async fn resealed(app: &App) {
    while app.broker().reseal(&mut |_| {}).await.unwrap() != (Reseal::Done { left: 0 }) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m6_a_key_is_replaced_under_load_and_retired_and_every_row_opens() {
    let Stage { app, demo, alice } = stage(TestAppOptions::default()).await;
    let load = Load::start(mcp(&app, &alice).await, app.clock.clone());
    load.more(10).await;
    let admin = app.admin_client().await;
    let early = admin.post("/admin/keys/k1/retire", &json!(null)).await;
    assert_eq!(early.status, 409, "{early:?}");
    let rotated = admin.post("/admin/keys/rotate", &json!(null)).await;
    assert_eq!(rotated.json, json!({ "sealing": "k2", "replaced": "k1" }));
    resealed(&app.app).await;
    load.more(10).await;
    let listed = admin.get("/admin/keys").await.json;
    assert_eq!(listed["items"][0]["id"], "k2");
    assert_eq!(
        (&listed["items"][1]["id"], &listed["items"][1]["rows"]),
        (&json!("k1"), &json!(0)),
        "{listed}"
    );
    app.clock.advance(Duration::from_secs(61));
    let retired = admin.post("/admin/keys/k1/retire", &json!(null)).await;
    assert_eq!(retired.json, json!({ "id": "k1", "remove_from_setting": false }));
    load.more(10).await;
    load.end().await;
    assert!(opened(&app.app, "k2").await > 2 * GRANTS as usize);
    assert_eq!(demo.authorization_server.log().refresh_token_reuses, 0);
    let ring = std::fs::read_to_string(app.directory().join("data/key-ring")).unwrap();
    assert!(ring.starts_with("k2:") && ring.lines().count() == 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m6_replicas_change_the_key_that_a_setting_gives_under_load_and_every_row_opens() {
    let both = Some(format!("{K1}\n{K2}"));
    let options = TestAppOptions { postgres: true, key_ring: both, ..Default::default() };
    let Stage { app, demo: _demo, alice } = stage(options).await;
    let directory = tempfile::tempdir().unwrap();
    let replica = async |ring: &str| replica(&app, &directory, ring).await;
    let load = Load::start(mcp(&app, &alice).await, app.clock.clone());
    load.more(10).await;

    let next = replica(&format!("{K2}\n{K1}")).await.unwrap();
    app.app.broker().follow_sealing_key().await.unwrap();
    assert_eq!((app.app.vault().sealing_key(), next.vault().sealing_key()), (key("k2"), key("k2")));
    let caller = &app.administrator().caller;
    resealed(&next).await;
    load.more(10).await;
    resealed(&next).await;
    app.clock.advance(Duration::from_secs(61));
    next.broker().retire_key(caller, &key("k1")).await.unwrap();
    load.end().await;
    next.close().await.unwrap();
    drop(next);

    let alone = replica(K2).await.unwrap();
    assert!(opened(&alone, "k2").await > 2 * GRANTS as usize);
    alone.close().await.unwrap();
    drop(alone);
    let lacking = replica(K1).await.err().unwrap();
    assert!(matches!(&lacking, StartError::KeyMissing { key, .. } if key.0 == "k2"), "{lacking}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m6_a_new_key_waits_for_the_last_replica_without_it_and_none_without_it_joins_later() {
    let options = TestAppOptions { postgres: true, key_ring: Some(K1.to_owned()), ..Default::default() };
    let app = TestApp::with(options).await;
    let directories = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let next = replica(&app, &directories[0], &format!("{K2}\n{K1}")).await.unwrap();
    next.broker().follow_sealing_key().await.unwrap();
    assert_eq!(next.vault().sealing_key(), key("k1"), "one that runs could not open what k2 seals");
    app.app.close().await.unwrap();
    next.broker().follow_sealing_key().await.unwrap();
    assert_eq!(next.vault().sealing_key(), key("k2"));
    let late = replica(&app, &directories[1], K1).await.err().unwrap();
    assert!(late.to_string().contains("the key ring lacks key 'k2', with which Doorward seals"), "{late}");
    next.close().await.unwrap();
}

async fn replica(app: &TestApp, directory: &TempDir, ring: &str) -> Result<App, StartError> {
    let mut settings = settings(directory, &app.origin);
    settings.database = DatabaseSetting::Postgres(SecretString::from(app.postgres().url()));
    settings.key_ring = Some(SecretString::from(ring.to_owned()));
    App::build(settings, app.clock.clone(), Entropy).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m6_sealing_anew_that_was_cut_off_is_begun_again() {
    let Stage { app, .. } = stage(TestAppOptions::default()).await;
    let broker = app.app.broker();
    broker.rotate_keys(&app.administrator().caller).await.unwrap();
    let (first_batch, mut done) = tokio::sync::watch::channel(0);
    let mut tell = |progress: &ResealProgress| {
        let _ = first_batch.send(progress.left);
    };
    tokio::select! {
        biased;
        _ = done.changed() => {}
        ended = broker.reseal(&mut tell) => panic!("it ended before it was cut off: {ended:?}"),
    }
    let report = broker.keys(&app.administrator().caller).await.unwrap();
    assert!(report.keys[0].rows > 0 && report.keys[1].rows > 0, "in the middle: {report:?}");
    resealed(&app.app).await;
    assert!(opened(&app.app, "k2").await > 2 * GRANTS as usize);
}

#[tokio::test]
async fn a_key_that_a_row_needs_is_not_retired_and_the_row_is_named() {
    let app = TestApp::start().await;
    let demo = app.demo().await;
    app.register(&demo, "demo").await;
    let admin = app.admin_client().await;
    admin.post("/admin/keys/rotate", &json!(null)).await;
    let caller = &app.administrator().caller;
    let retire = async |name: &str| app.app.broker().retire_key(caller, &key(name)).await;
    let told = |error: doorward_broker::BrokerError| error.to_string();
    assert!(told(retire("k2").await.err().unwrap()).contains("'k2' seals"));
    assert_eq!(told(retire("k9").await.err().unwrap()), "there is no such key");
    assert!(told(retire("k1").await.err().unwrap()).contains("try again in 61 seconds"));
    app.clock.advance(Duration::from_secs(61));
    resealed(&app.app).await;
    let sealed_with_k1 = app.app.vault().clone();
    sealed_with_k1.seal_with(&key("k1"));
    let again = app.demo().await;
    app.register(&again, "again").await;
    let needed = told(retire("k1").await.err().unwrap());
    assert!(
        needed.contains("still needed by 1 sealed value: 1 in client_registrations.client_secret"),
        "{needed}"
    );
}
