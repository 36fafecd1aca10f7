//! Settings: what they are, where they come from, and what is wrong with them. The environment is read
//! here and nowhere else. A wrong setting stops the start with one sentence that names it.

mod environment;
mod limits;
mod parse;
mod policy;
mod raw;

pub use raw::RawSettings;

pub(crate) use environment::Environment;

use crate::tls::TlsFiles;
use doorward_domain::{Password, Policy};
use doorward_outbound::{EgressPolicy, ExtraRoots, OutboundProxy};
use ipnet::IpNet;
use secrecy::SecretString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use url::Url;

/// Checked settings.
#[derive(Debug, Clone)]
pub struct Settings {
    pub listen: Vec<SocketAddr>,
    /// An origin; the only source of redirect and connect URLs.
    pub public_url: Url,
    pub data_dir: PathBuf,
    pub database: DatabaseSetting,
    /// None: generated in the data directory (SQLite only).
    pub key_ring: Option<SecretString>,
    /// Becomes the first administrator while there is none.
    pub administrator: Option<AdministratorSetting>,
    pub egress: EgressPolicy,
    /// The company's forward proxy.
    pub proxy: Option<OutboundProxy>,
    /// Authorities that are trusted beside the machine's.
    pub extra_roots: ExtraRoots,
    pub trusted_proxies: Vec<IpNet>,
    /// TLS of our own; none: a proxy in front has it, or this is loopback.
    pub tls: Option<TlsFiles>,
    /// On loopback.
    pub metrics_listen: SocketAddr,
    /// Own provider templates, which add to or replace the shipped ones.
    pub providers_dir: Option<PathBuf>,
    /// Where our client ID metadata document is, if not under the public URL.
    pub client_metadata_url: Option<Url>,
    /// For one token endpoint call.
    pub request_timeout: Duration,
    /// How long things are kept, and what counts as soon.
    pub policy: Policy,
    /// Where signed checkpoints of the audit trail are added; none: they are in the log alone.
    pub audit_checkpoint_file: Option<PathBuf>,
    /// Who is told what an administrator wants to hear of.
    pub webhook: Option<WebhookSetting>,
    pub log_format: LogFormat,
    /// What is logged, in the form of `RUST_LOG`.
    pub log_filter: String,
    /// Whether this is `doorward demo`.
    pub demo: bool,
}

/// Where rows are kept.
#[derive(Debug, Clone)]
pub enum DatabaseSetting {
    /// In the data directory.
    Sqlite,
    /// A `postgres://` URL, which can hold a password.
    Postgres(SecretString),
}

/// Who becomes the first administrator.
#[derive(Debug, Clone)]
pub struct AdministratorSetting {
    pub email: String,
    pub password: Password,
}

/// Where notices go, and what they are signed with.
#[derive(Clone)]
pub struct WebhookSetting {
    /// It may hold a secret of the receiver's.
    pub url: Url,
    pub secret: SecretString,
}

impl std::fmt::Debug for WebhookSetting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "WebhookSetting({})", self.url.host_str().unwrap_or_default())
    }
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    Json,
}

/// What is wrong with a setting. One sentence that names it; a secret's value is not repeated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingError {
    #[error("{name}: {problem}")]
    Wrong { name: &'static str, problem: String },
    #[error("{name} and {name}_FILE are both set: keep one of them")]
    Twice { name: &'static str },
    #[error("{name}_FILE: cannot read {path}: {why}")]
    File { name: &'static str, path: String, why: String },
    #[error("{name} is not a setting of this version{}", suggestion.as_ref().map(|s| format!(": did you mean {s}?")).unwrap_or_default())]
    Unknown { name: String, suggestion: Option<String> },
}
