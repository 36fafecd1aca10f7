//! The environment, read once. Secrets come from `NAME` or from the file that `NAME_FILE` names, never
//! from the command line, where every process on the machine could see them.

use super::SettingError;
use std::collections::BTreeMap;

/// Every environment variable that begins with this is ours.
const PREFIX: &str = "DOORWARD_";

/// What begins with our prefix and is a setting.
const KNOWN: [&str; 38] = [
    "DOORWARD_ADMIN_EMAIL",
    "DOORWARD_ADMIN_PASSWORD",
    "DOORWARD_ADMIN_PASSWORD_FILE",
    "DOORWARD_ALLOW_HTTP_HOSTS",
    "DOORWARD_ALLOW_PRIVATE_NETWORKS",
    "DOORWARD_AUDIT_CHECKPOINT_FILE",
    "DOORWARD_AUTHORIZATIONS_PER_USER",
    "DOORWARD_CALLS_AT_ONCE_PER_GATEWAY",
    "DOORWARD_CALLS_AT_ONCE_PER_USER",
    "DOORWARD_CALLS_PER_MINUTE_PER_GATEWAY",
    "DOORWARD_CA_FILE",
    "DOORWARD_CLIENT_METADATA_URL",
    "DOORWARD_DATA_DIR",
    "DOORWARD_FRESH_LOGIN_MINUTES",
    "DOORWARD_HEADER_KIB",
    "DOORWARD_KEY_RING",
    "DOORWARD_KEY_RING_FILE",
    "DOORWARD_LISTEN",
    "DOORWARD_LOG_FORMAT",
    "DOORWARD_MESSAGE_MIB",
    "DOORWARD_METRICS_LISTEN",
    "DOORWARD_NO_PROXY",
    "DOORWARD_OUTBOUND_PROXY",
    "DOORWARD_OUTBOUND_PROXY_FILE",
    "DOORWARD_PROVIDERS_DIR",
    "DOORWARD_PUBLIC_URL",
    "DOORWARD_REQUESTS_PER_MINUTE_PER_USER",
    "DOORWARD_SESSIONS_PER_USER",
    "DOORWARD_SESSION_IDLE_HOURS",
    "DOORWARD_SESSION_LIFETIME_HOURS",
    "DOORWARD_STREAMS_PER_USER",
    "DOORWARD_TLS_CERT_FILE",
    "DOORWARD_TLS_KEY_FILE",
    "DOORWARD_TRUSTED_PROXIES",
    "DOORWARD_WEBHOOK_SECRET",
    "DOORWARD_WEBHOOK_SECRET_FILE",
    "DOORWARD_WEBHOOK_URL",
    "DOORWARD_WEBHOOK_URL_FILE",
];

/// Settings under other names. Other programs have variables that begin so too, so only what is nearly one
/// of these is refused.
const SHARED: [&str; 10] = [
    "AUDIT_RETENTION_DAYS",
    "OAUTH_CLEANUP_ENABLED",
    "OAUTH_CLEANUP_INTERVAL_HOURS",
    "OAUTH_CLEANUP_KEEP_REFRESHABLE",
    "OAUTH_EXPIRING_SOON_HOURS",
    "OAUTH_IDLE_REVOKE_DAYS",
    "OAUTH_ORPHAN_GRACE_DAYS",
    "OAUTH_REQUEST_TIMEOUT",
    "OAUTH_TOKEN_DEPOSIT",
    "OAUTH_TOKEN_RETENTION_DAYS",
];

/// A copy of the environment.
#[derive(Clone, Default)]
pub(crate) struct Environment(BTreeMap<String, String>);

impl Environment {
    /// The process's own. Variables that are not text are none of ours.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
    pub(crate) fn of_process() -> Self {
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Self(std::env::vars_os().filter_map(text).collect())
    }

    #[cfg(test)]
    pub(crate) fn of(pairs: &[(&str, &str)]) -> Self {
        Self(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    /// A secret from `NAME` or the file that `NAME_FILE` names; the file's last line end is dropped.
    pub(crate) fn secret(&self, name: &'static str) -> Result<Option<String>, SettingError> {
        let direct = self.text(name);
        let file = self.text(&format!("{name}_FILE"));
        match (direct, file) {
            (Some(_), Some(_)) => Err(SettingError::Twice { name }),
            (Some(value), None) => Ok(Some(value.to_owned())),
            (None, Some(path)) => {
                let text = std::fs::read_to_string(path).map_err(|error| SettingError::File {
                    name,
                    path: path.to_owned(),
                    why: error.to_string(),
                })?;
                Ok(Some(text.trim_end_matches(['\r', '\n']).to_owned()))
            }
            (None, None) => Ok(None),
        }
    }

    /// Refuses a misspelt or not yet supported setting: to ignore it could be to ignore a protection.
    pub(crate) fn refuse_unknown(&self) -> Result<(), SettingError> {
        let near = |known: &str, name: &str| strsim::damerau_levenshtein(known, name);
        for name in self.0.keys() {
            let (known, allowed): (&[&str], usize) =
                if name.starts_with(PREFIX) { (&KNOWN, 6) } else { (&SHARED, 3) };
            if known.contains(&name.as_str()) {
                continue;
            }
            let nearest = known.iter().min_by_key(|known| near(known, name));
            let suggestion =
                nearest.filter(|known| near(known, name) <= allowed).map(|known| (*known).to_owned());
            if name.starts_with(PREFIX) || suggestion.is_some() {
                return Err(SettingError::Unknown { name: name.clone(), suggestion });
            }
        }
        Ok(())
    }

    /// A variable that is set to something.
    fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_comes_from_one_place() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        std::fs::write(&path, "from file\n").unwrap();
        let path = path.to_str().unwrap();
        let of = |pairs: &[(&str, &str)]| Environment::of(pairs).secret("DOORWARD_KEY_RING");
        assert_eq!(of(&[]).unwrap(), None);
        assert_eq!(of(&[("DOORWARD_KEY_RING", "")]).unwrap(), None);
        assert_eq!(of(&[("DOORWARD_KEY_RING", "direct")]).unwrap().as_deref(), Some("direct"));
        assert_eq!(of(&[("DOORWARD_KEY_RING_FILE", path)]).unwrap().as_deref(), Some("from file"));
        let twice = of(&[("DOORWARD_KEY_RING_FILE", path), ("DOORWARD_KEY_RING", "x")]).unwrap_err();
        assert_eq!(
            twice.to_string(),
            "DOORWARD_KEY_RING and DOORWARD_KEY_RING_FILE are both set: keep one of them"
        );
        let missing = of(&[("DOORWARD_KEY_RING_FILE", "/nonexistent/x")]).unwrap_err().to_string();
        assert!(missing.starts_with("DOORWARD_KEY_RING_FILE: cannot read /nonexistent/x"), "{missing}");
    }

    #[test]
    fn a_misspelt_setting_is_refused_with_a_suggestion() {
        let told = |name| Environment::of(&[(name, "x")]).refuse_unknown().unwrap_err().to_string();
        assert_eq!(
            told("DOORWARD_LISTN"),
            "DOORWARD_LISTN is not a setting of this version: did you mean DOORWARD_LISTEN?"
        );
        assert_eq!(
            told("DOORWARD_SOMETHING_ELSE_ALTOGETHER"),
            "DOORWARD_SOMETHING_ELSE_ALTOGETHER is not a setting of this version"
        );
        assert_eq!(
            told("OAUTH_TOKEN_RETENTION_DAY"),
            "OAUTH_TOKEN_RETENTION_DAY is not a setting of this version: did you mean OAUTH_TOKEN_RETENTION_DAYS?"
        );
        let fine = [("DOORWARD_LISTEN", "x"), ("HOME", "/"), ("OAUTH_CLIENT_ID", "x"), ("AUDIT_LOG", "x")];
        assert!(Environment::of(&fine).refuse_unknown().is_ok());
        assert!(Environment::of_process().text("PATH").is_some());
    }
}
