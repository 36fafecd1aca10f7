//! Everything wired: from settings to a router. What the commands run, and what tests start.

use crate::checkpoints::Checkpoints;
use crate::cookies::Cookies;
use crate::data_dir::{DataDir, DataDirError};
use crate::extract::ForwardedWatch;
use crate::settings::{AdministratorSetting, DatabaseSetting, Settings};
use crate::state::{AppState, Facts};
use crate::webhook::Webhook;
use crate::{key_ring, provider_files, router};
use axum::Router;
use doorward_broker::{Broker, BrokerError, BrokerParts, NewPerson};
use doorward_domain::{Clock, Entropy, KeyId};
use doorward_mcp::{McpParts, McpService};
use doorward_oauth::{OAuthClient, TemplateError};
use doorward_outbound::{ExtraRoots, Outbound, OutboundError, OutboundProxy};
use doorward_storage::{Storage, StorageError};
use doorward_vault::{KeyRingError, RingFileError, Vault};
use secrecy::ExposeSecret;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A wired Doorward. It holds the lock of its data directory.
pub struct App {
    state: AppState,
    mcp: Router,
    storage: Storage,
    vault: Vault,
    checkpoints: Checkpoints,
    webhook: Option<Webhook>,
    directory: DataDir,
    keeps_ring: bool,
    proxy: Option<OutboundProxy>,
    extra_roots: ExtraRoots,
    has_tls: bool,
    serving: AtomicBool,
}

/// Why the start stops. One clear sentence each.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    #[error("DOORWARD_KEY_RING: {0}")]
    KeyRing(#[from] KeyRingError),
    #[error(
        "DOORWARD_KEY_RING is required on PostgreSQL: every replica needs the same keys, so set it or DOORWARD_KEY_RING_FILE"
    )]
    KeyRingNeeded,
    #[error(
        "the data directory has a database but no key ring: put the file key-ring back, for without it nothing that is sealed opens"
    )]
    KeyRingLost,
    #[error(transparent)]
    RingFile(#[from] RingFileError),
    #[error(
        "the key ring lacks key '{key}', with which {}: give the right DOORWARD_KEY_RING",
        if *.rows == 0 { "Doorward seals".to_owned() } else { format!("{rows} values of the database are sealed") }
    )]
    KeyMissing { key: KeyId, rows: u64 },
    #[error(
        "key '{key}' of the key ring is not the key of that name that the database was sealed with: give the right DOORWARD_KEY_RING"
    )]
    KeyWrong { key: KeyId },
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error(transparent)]
    Outbound(#[from] OutboundError),
    #[error("DOORWARD_PROVIDERS_DIR: {0}")]
    ProviderTemplate(#[from] TemplateError),
    #[error("{0}")]
    Webhook(String),
    #[error(transparent)]
    Broker(#[from] BrokerError),
    #[error("DOORWARD_ADMIN_EMAIL or DOORWARD_ADMIN_PASSWORD: {0}")]
    Administrator(BrokerError),
}

impl App {
    /// Opens the data directory and the database, checks the key ring, and wires everything.
    pub async fn build(settings: Settings, clock: Clock, entropy: Entropy) -> Result<Self, StartError> {
        let templates = provider_files::load(settings.providers_dir.as_deref())?;
        let directory = DataDir::open(&settings.data_dir, settings.demo)?;
        let fresh = !directory.database().exists();
        let ring = key_ring::load(&settings, &directory, entropy, fresh)?;
        let storage = open_storage(&settings, &directory, clock.clone()).await?;
        let vault = Vault::new(ring);
        key_ring::check(&vault, &storage).await?;
        if let DatabaseSetting::Sqlite = settings.database {
            // On SQLite this process is alone, so nobody is at work on these. Replicas find them under the lease.
            storage.recover_interrupted_refreshes(clock.now()).await?;
        }
        let outbound = Outbound::through(
            settings.egress.clone(),
            settings.request_timeout,
            settings.proxy.clone(),
            settings.extra_roots.clone(),
        )?;
        let to_webhook = outbound.clone();
        let broker = Broker::new(BrokerParts {
            storage: storage.clone(),
            vault: vault.clone(),
            ring_file: key_ring::file_of(&settings, &directory),
            oauth: OAuthClient::new(outbound.clone()),
            templates,
            clock: clock.clone(),
            entropy,
            policy: settings.policy.clone(),
            public_url: settings.public_url.clone(),
            client_metadata_url: settings.client_metadata_url.clone(),
        });
        broker.follow_sealing_key().await?;
        if let Some(administrator) = &settings.administrator {
            create_administrator(&broker, administrator).await?;
        }
        let McpService { router: mcp, catalogs, trial } = doorward_mcp::router(McpParts {
            broker: broker.clone(),
            storage: storage.clone(),
            outbound,
            clock,
            entropy,
        });
        let webhook = settings
            .webhook
            .as_ref()
            .map(|setting| Webhook::new(setting, to_webhook, broker.clock().clone()));
        let webhook = webhook.transpose().map_err(StartError::Webhook)?;
        let checkpoints = Checkpoints::new(settings.audit_checkpoint_file.clone());
        let keeps_ring = settings.key_ring.is_none();
        let proxy = settings.proxy.clone();
        let (extra_roots, has_tls) = (settings.extra_roots.clone(), settings.tls.is_some());
        let facts = Arc::new(facts(settings));
        let state = AppState { broker, catalogs, trial, facts };
        let serving = AtomicBool::new(false);
        Ok(Self {
            state,
            mcp,
            storage,
            vault,
            checkpoints,
            webhook,
            directory,
            keeps_ring,
            proxy,
            extra_roots,
            has_tls,
            serving,
        })
    }

    /// Every route, ready to serve.
    pub fn router(&self) -> Router {
        router::router(self.state.clone(), self.mcp.clone())
    }

    /// The use cases.
    pub fn broker(&self) -> &Broker {
        &self.state.broker
    }

    /// The database, for tests that look behind the use cases.
    pub fn storage(&self) -> &Storage {
        &self.storage
    }

    /// The vault, for tests that look behind the use cases.
    pub fn vault(&self) -> &Vault {
        &self.vault
    }

    /// Whether the key ring is one that Doorward generated and keeps in the data directory.
    pub(crate) fn keeps_ring(&self) -> bool {
        self.keeps_ring
    }

    /// The forward proxy of outbound calls.
    pub(crate) fn proxy(&self) -> Option<&OutboundProxy> {
        self.proxy.as_ref()
    }

    /// Authorities that are trusted beside the machine's.
    pub(crate) fn extra_roots(&self) -> &ExtraRoots {
        &self.extra_roots
    }

    /// Whether Doorward serves TLS itself.
    pub(crate) fn has_tls(&self) -> bool {
        self.has_tls
    }

    /// Notes that this process serves.
    pub(crate) fn begins_to_serve(&self) {
        self.serving.store(true, Ordering::Relaxed);
    }

    /// Whether this process serves, and does not run one command alone.
    pub(crate) fn is_serving(&self) -> bool {
        self.serving.load(Ordering::Relaxed)
    }

    /// What is known of the settings.
    pub(crate) fn facts(&self) -> &Facts {
        &self.state.facts
    }

    /// The data directory, which this process holds.
    pub(crate) fn directory(&self) -> &DataDir {
        &self.directory
    }

    /// Who is told what an administrator wants to hear of.
    pub(crate) fn webhook(&self) -> Option<&Webhook> {
        self.webhook.as_ref()
    }

    /// Tells the notices that are due; their number. A test has no beat.
    pub async fn tell_notices(&self) -> Result<u64, BrokerError> {
        match &self.webhook {
            Some(webhook) => webhook.tell(self.broker()).await,
            None => Ok(0),
        }
    }

    /// Where checkpoints of the audit trail go.
    pub(crate) fn checkpoints(&self) -> &Checkpoints {
        &self.checkpoints
    }

    /// Writes what is only in memory and closes the database.
    pub async fn close(&self) -> Result<(), StartError> {
        let flushed = self.state.broker.flush_last_used().await;
        let counted = self.state.broker.flush_tallies().await;
        self.storage.close().await;
        flushed?;
        Ok(counted?)
    }
}

fn facts(settings: Settings) -> Facts {
    Facts {
        public_origin: settings.public_url.origin().ascii_serialization(),
        cookies: Cookies::new(settings.public_url.scheme() == "https"),
        public_url: settings.public_url,
        trusted_proxies: settings.trusted_proxies,
        forwarded: ForwardedWatch::default(),
        demo: settings.demo,
    }
}

/// The database that the settings name, brought up to date.
pub(crate) async fn open_storage(
    settings: &Settings,
    directory: &DataDir,
    clock: Clock,
) -> Result<Storage, StorageError> {
    match &settings.database {
        DatabaseSetting::Sqlite => Storage::open_sqlite(&directory.database(), clock).await,
        DatabaseSetting::Postgres(url) => Storage::open_postgres(url.expose_secret(), clock).await,
    }
}

async fn create_administrator(broker: &Broker, setting: &AdministratorSetting) -> Result<(), StartError> {
    if !broker.setup_needed().await? {
        return Ok(());
    }
    let AdministratorSetting { email, password } = setting.clone();
    let person = NewPerson { email, name: String::new(), password };
    broker.create_first_administrator(person).await.map_err(StartError::Administrator)?;
    Ok(())
}
