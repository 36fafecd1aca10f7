//! Settings as they are given, on the command line or in the environment, and their way to checked ones.

use super::limits::RawLimits;
use super::parse::{self, wrong};
use super::policy::RawPolicy;
use super::{
    AdministratorSetting, DatabaseSetting, Environment, LogFormat, SettingError, Settings, WebhookSetting,
};
use crate::tls::TlsFiles;
use clap::Args;
use doorward_domain::{Password, Policy};
use doorward_outbound::{EgressPolicy, ExtraRoots, OutboundProxy};
use secrecy::SecretString;
use std::path::PathBuf;

/// Settings as text. Secrets are not here: they come from the environment alone.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Settings")]
pub struct RawSettings {
    /// Addresses to listen on, separated by commas [default: 127.0.0.1:4444,[::1]:4444]
    #[arg(long, global = true, env = "DOORWARD_LISTEN", value_name = "ADDRESSES")]
    pub listen: Option<String>,
    /// Where browsers and clients reach this server; http only on loopback [default: http://localhost:4444]
    #[arg(long, global = true, env = "DOORWARD_PUBLIC_URL", value_name = "ORIGIN")]
    pub public_url: Option<String>,
    /// Holds the SQLite file and the generated key ring [default: ./doorward-data]
    #[arg(long, global = true, env = "DOORWARD_DATA_DIR", value_name = "DIRECTORY")]
    pub data_dir: Option<String>,
    /// The first administrator's e-mail address, while there is none; also DOORWARD_ADMIN_PASSWORD[_FILE]
    #[arg(long, global = true, env = "DOORWARD_ADMIN_EMAIL", value_name = "EMAIL")]
    pub admin_email: Option<String>,
    /// Private networks that outbound calls may reach, separated by commas
    #[arg(long, global = true, env = "DOORWARD_ALLOW_PRIVATE_NETWORKS", value_name = "NETWORKS")]
    pub allow_private_networks: Option<String>,
    /// Hosts that outbound calls may reach over plain http, separated by commas
    #[arg(long, global = true, env = "DOORWARD_ALLOW_HTTP_HOSTS", value_name = "HOSTS")]
    pub allow_http_hosts: Option<String>,
    /// What is reached without DOORWARD_OUTBOUND_PROXY: hosts, domains, networks, separated by commas
    #[arg(long, global = true, env = "DOORWARD_NO_PROXY", value_name = "HOSTS")]
    pub no_proxy: Option<String>,
    /// Certificates of authorities that are trusted beside the machine's, as PEM
    #[arg(long, global = true, env = "DOORWARD_CA_FILE", value_name = "FILE")]
    pub ca_file: Option<String>,
    /// Proxies whose X-Forwarded-For counts: networks, separated by commas
    #[arg(long, global = true, env = "DOORWARD_TRUSTED_PROXIES", value_name = "NETWORKS")]
    pub trusted_proxies: Option<String>,
    /// The certificate chain to serve TLS with, as PEM; read again when it changes [default: no TLS]
    #[arg(long, global = true, env = "DOORWARD_TLS_CERT_FILE", value_name = "FILE")]
    pub tls_cert_file: Option<String>,
    /// Its private key, as PEM
    #[arg(long, global = true, env = "DOORWARD_TLS_KEY_FILE", value_name = "FILE")]
    pub tls_key_file: Option<String>,
    /// Where Prometheus reads /metrics; on loopback [default: 127.0.0.1:4445]
    #[arg(long, global = true, env = "DOORWARD_METRICS_LISTEN", value_name = "ADDRESS")]
    pub metrics_listen: Option<String>,
    /// Own provider templates, which add to or replace the shipped ones [default: none]
    #[arg(long, global = true, env = "DOORWARD_PROVIDERS_DIR", value_name = "DIRECTORY")]
    pub providers_dir: Option<String>,
    /// Where our client ID metadata document is [default: under the public URL]
    #[arg(long, global = true, env = "DOORWARD_CLIENT_METADATA_URL", value_name = "URL")]
    pub client_metadata_url: Option<String>,
    /// Seconds that one token endpoint call may take [default: 30]
    #[arg(long, global = true, env = "OAUTH_REQUEST_TIMEOUT", value_name = "SECONDS")]
    pub oauth_request_timeout: Option<String>,
    #[command(flatten)]
    pub policy: RawPolicy,
    #[command(flatten)]
    pub limits: RawLimits,
    /// Where signed checkpoints of the audit trail are added, beside the log [default: the log alone]
    #[arg(long, global = true, env = "DOORWARD_AUDIT_CHECKPOINT_FILE", value_name = "FILE")]
    pub audit_checkpoint_file: Option<String>,
    /// How log lines look: text or json [default: text]
    #[arg(long, global = true, env = "DOORWARD_LOG_FORMAT", value_name = "FORMAT")]
    pub log_format: Option<String>,
    /// What is logged [default: info]
    #[arg(long, global = true, env = "RUST_LOG", value_name = "FILTER")]
    pub log: Option<String>,
}

impl RawSettings {
    /// Checks everything; the secrets come from the environment.
    pub(crate) fn check(self, environment: &Environment) -> Result<Settings, SettingError> {
        environment.refuse_unknown()?;
        let given = |text: &Option<String>, default: &str| match text.as_deref().map(str::trim) {
            None | Some("") => default.to_owned(),
            Some(text) => text.to_owned(),
        };
        Ok(Settings {
            listen: parse::listen(&given(&self.listen, "127.0.0.1:4444,[::1]:4444"))?,
            public_url: parse::public_url(&given(&self.public_url, "http://localhost:4444"))?,
            data_dir: PathBuf::from(given(&self.data_dir, "./doorward-data")),
            database: database(environment)?,
            key_ring: environment.secret("DOORWARD_KEY_RING")?.map(SecretString::from),
            administrator: administrator(self.admin_email, environment)?,
            egress: EgressPolicy::parse(
                &given(&self.allow_private_networks, ""),
                &given(&self.allow_http_hosts, ""),
            )
            .map_err(|error| wrong("outbound settings", error))?,
            proxy: proxy(&given(&self.no_proxy, ""), environment)?,
            extra_roots: match given(&self.ca_file, "") {
                file if file.is_empty() => ExtraRoots::default(),
                file => ExtraRoots::read(file.as_ref()).map_err(|error| wrong("DOORWARD_CA_FILE", error))?,
            },
            trusted_proxies: parse::networks("DOORWARD_TRUSTED_PROXIES", &given(&self.trusted_proxies, ""))?,
            tls: tls(given(&self.tls_cert_file, ""), given(&self.tls_key_file, ""))?,
            metrics_listen: parse::metrics_listen(&given(&self.metrics_listen, "127.0.0.1:4445"))?,
            providers_dir: self.providers_dir.filter(|path| !path.trim().is_empty()).map(PathBuf::from),
            client_metadata_url: self
                .client_metadata_url
                .filter(|text| !text.trim().is_empty())
                .map(|text| parse::client_metadata_url(text.trim()))
                .transpose()?,
            request_timeout: parse::seconds(
                "OAUTH_REQUEST_TIMEOUT",
                &given(&self.oauth_request_timeout, "30"),
            )?,
            policy: Policy { limits: self.limits.check()?, ..self.policy.check()? },
            audit_checkpoint_file: self
                .audit_checkpoint_file
                .filter(|path| !path.trim().is_empty())
                .map(PathBuf::from),
            webhook: webhook(environment)?,
            log_format: match given(&self.log_format, "text").as_str() {
                "text" => LogFormat::Text,
                "json" => LogFormat::Json,
                _ => return Err(wrong("DOORWARD_LOG_FORMAT", "use text or json")),
            },
            log_filter: given(&self.log, "info"),
            demo: false,
        })
    }
}

fn database(environment: &Environment) -> Result<DatabaseSetting, SettingError> {
    match environment.secret("DATABASE_URL")? {
        None => Ok(DatabaseSetting::Sqlite),
        Some(url) if url.starts_with("postgres://") || url.starts_with("postgresql://") => {
            Ok(DatabaseSetting::Postgres(SecretString::from(url)))
        }
        Some(_) => Err(wrong(
            "DATABASE_URL",
            "use a postgres:// URL, or leave it out for SQLite in the data directory",
        )),
    }
}

/// Both or neither.
fn tls(certificate: String, key: String) -> Result<Option<TlsFiles>, SettingError> {
    match (certificate.is_empty(), key.is_empty()) {
        (true, true) => Ok(None),
        (false, false) => Ok(Some(TlsFiles { certificate: certificate.into(), key: key.into() })),
        (false, true) => {
            Err(wrong("DOORWARD_TLS_KEY_FILE", "DOORWARD_TLS_CERT_FILE is set, so set this too"))
        }
        (true, false) => {
            Err(wrong("DOORWARD_TLS_CERT_FILE", "DOORWARD_TLS_KEY_FILE is set, so set this too"))
        }
    }
}

/// The URL is not repeated: it may hold a password.
fn proxy(no_proxy: &str, environment: &Environment) -> Result<Option<OutboundProxy>, SettingError> {
    let name = "DOORWARD_OUTBOUND_PROXY";
    let parsed = environment.secret(name)?.map(|url| OutboundProxy::parse(&url, no_proxy));
    parsed.transpose().map_err(|error| wrong(name, error))
}

/// Both or neither: an unsigned notice could be anybody's.
fn webhook(environment: &Environment) -> Result<Option<WebhookSetting>, SettingError> {
    let (url, secret) = ("DOORWARD_WEBHOOK_URL", "DOORWARD_WEBHOOK_SECRET");
    match (environment.secret(url)?, environment.secret(secret)?) {
        (None, None) => Ok(None),
        (Some(text), Some(secret)) => {
            // The URL is not repeated: it may hold a secret of the receiver's.
            let address =
                text.parse().map_err(|_| wrong(url, "is not a URL such as https://example.com/hook"))?;
            Ok(Some(WebhookSetting { url: address, secret: SecretString::from(secret) }))
        }
        (Some(_), None) => Err(wrong(secret, "DOORWARD_WEBHOOK_URL is set, so set this or its _FILE too")),
        (None, Some(_)) => Err(wrong(url, "DOORWARD_WEBHOOK_SECRET is set, so set this too")),
    }
}

fn administrator(
    email: Option<String>,
    environment: &Environment,
) -> Result<Option<AdministratorSetting>, SettingError> {
    let email = email.filter(|email| !email.trim().is_empty());
    match (email, environment.secret("DOORWARD_ADMIN_PASSWORD")?) {
        (None, None) => Ok(None),
        (Some(email), Some(password)) => {
            Ok(Some(AdministratorSetting { email, password: Password::new(password) }))
        }
        (Some(_), None) => Err(wrong(
            "DOORWARD_ADMIN_PASSWORD",
            "DOORWARD_ADMIN_EMAIL is set, so set the password or its _FILE too",
        )),
        (None, Some(_)) => {
            Err(wrong("DOORWARD_ADMIN_EMAIL", "DOORWARD_ADMIN_PASSWORD is set, so set this too"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pairs: &[(&str, &str)]) -> Result<Settings, SettingError> {
        RawSettings::default().check(&Environment::of(pairs))
    }

    fn told(raw: RawSettings) -> String {
        raw.check(&Environment::default()).unwrap_err().to_string()
    }

    #[test]
    fn without_any_setting_everything_is_on_loopback_and_on_sqlite() {
        let settings = check(&[]).unwrap();
        assert!(settings.listen.iter().all(|address| address.ip().is_loopback()));
        assert_eq!(settings.listen.len(), 2);
        assert!(settings.metrics_listen.ip().is_loopback());
        assert_eq!(settings.public_url.as_str(), "http://localhost:4444/");
        assert!(matches!(settings.database, DatabaseSetting::Sqlite));
        assert_eq!(settings.egress, EgressPolicy::default());
        assert!(settings.key_ring.is_none() && settings.administrator.is_none() && !settings.demo);
    }

    #[test]
    fn a_database_url_is_for_postgresql_and_does_not_print() {
        let settings = check(&[("DATABASE_URL", "postgres://u:canary@localhost/d")]).unwrap();
        assert!(matches!(settings.database, DatabaseSetting::Postgres(_)));
        assert!(!format!("{settings:?}").contains("canary"));
        let refused = check(&[("DATABASE_URL", "mysql://u:canary@localhost/d")]).unwrap_err().to_string();
        assert!(refused.starts_with("DATABASE_URL: ") && !refused.contains("canary"), "{refused}");
    }

    #[test]
    fn the_first_administrator_needs_both_settings() {
        let with = |email: Option<&str>, pairs: &[(&str, &str)]| {
            let raw = RawSettings { admin_email: email.map(str::to_owned), ..RawSettings::default() };
            raw.check(&Environment::of(pairs)).map(|settings| settings.administrator)
        };
        let password = ("DOORWARD_ADMIN_PASSWORD", "a long password");
        assert_eq!(with(Some("a@b"), &[password]).unwrap().unwrap().email, "a@b");
        assert!(with(Some("a@b"), &[]).unwrap_err().to_string().starts_with("DOORWARD_ADMIN_PASSWORD: "));
        assert!(with(None, &[password]).unwrap_err().to_string().starts_with("DOORWARD_ADMIN_EMAIL: "));
    }

    #[test]
    fn a_webhook_needs_an_address_and_a_secret_and_prints_neither() {
        let (url, secret) =
            (("DOORWARD_WEBHOOK_URL", "https://h.example/canary"), ("DOORWARD_WEBHOOK_SECRET", "canary"));
        let settings = check(&[url, secret]).unwrap();
        assert_eq!(format!("{:?}", settings.webhook), "Some(WebhookSetting(h.example))");
        assert!(check(&[url]).unwrap_err().to_string().starts_with("DOORWARD_WEBHOOK_SECRET: "));
        assert!(check(&[secret]).unwrap_err().to_string().starts_with("DOORWARD_WEBHOOK_URL: "));
        let wrong = check(&[("DOORWARD_WEBHOOK_URL", "canary"), secret]).unwrap_err().to_string();
        assert!(wrong.starts_with("DOORWARD_WEBHOOK_URL: ") && !wrong.contains("canary"), "{wrong}");
    }

    #[test]
    fn a_proxy_prints_no_password_and_a_wrong_one_is_not_repeated() {
        let settings = check(&[("DOORWARD_OUTBOUND_PROXY", "http://u:canary@proxy.example:3128")]).unwrap();
        assert_eq!(settings.proxy.as_ref().map(OutboundProxy::host), Some("proxy.example"));
        assert!(!format!("{settings:?}").contains("canary"));
        let wrong =
            check(&[("DOORWARD_OUTBOUND_PROXY", "https://u:canary@proxy.example")]).unwrap_err().to_string();
        assert!(wrong.starts_with("DOORWARD_OUTBOUND_PROXY: give") && !wrong.contains("canary"), "{wrong}");
        let no_roots = RawSettings { ca_file: Some("/nowhere/ca.pem".to_owned()), ..RawSettings::default() };
        assert!(told(no_roots).starts_with("DOORWARD_CA_FILE: cannot read /nowhere/ca.pem"));
    }

    #[test]
    fn tls_needs_a_certificate_and_its_key() {
        let with = |certificate: Option<&str>, key: Option<&str>| {
            let text = |text: Option<&str>| text.map(str::to_owned);
            RawSettings {
                tls_cert_file: text(certificate),
                tls_key_file: text(key),
                ..RawSettings::default()
            }
        };
        let both = with(Some("c.pem"), Some("k.pem")).check(&Environment::default()).unwrap();
        assert_eq!(both.tls, Some(TlsFiles { certificate: "c.pem".into(), key: "k.pem".into() }));
        assert!(told(with(Some("c.pem"), None)).starts_with("DOORWARD_TLS_KEY_FILE: "));
        assert!(told(with(None, Some("k.pem"))).starts_with("DOORWARD_TLS_CERT_FILE: "));
    }

    #[test]
    fn a_wrong_setting_is_named() {
        let text = |text: &str| Some(text.to_owned());
        let format = RawSettings { log_format: text("xml"), ..RawSettings::default() };
        assert_eq!(told(format), "DOORWARD_LOG_FORMAT: use text or json");
        let hosts = RawSettings { allow_http_hosts: text("http://a"), ..RawSettings::default() };
        assert!(told(hosts).contains("DOORWARD_ALLOW_HTTP_HOSTS"));
        assert!(check(&[("DOORWARD_LISTENN", "x")]).unwrap_err().to_string().contains("DOORWARD_LISTEN?"));
    }
}
