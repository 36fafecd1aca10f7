//! How much one person and one gateway may ask for, as it is given.

use super::SettingError;
use super::parse::{whole, wrong};
use clap::Args;
use doorward_domain::Limits;

/// Beyond these a number is a slip.
const AT_ONCE_MAX: u32 = 100_000;
const PER_MINUTE_MAX: u32 = 1_000_000_000;
const MIB_MAX: u32 = 64;
/// A head of fewer KiB would have no room for cookies and a bearer token; more is no head.
const HEADER_KIB: std::ops::RangeInclusive<u32> = 8..=1_024;

/// Limits as text.
#[derive(Debug, Clone, Default, Args)]
pub struct RawLimits {
    /// Calls of one person that may run at one gateway [default: 100]
    #[arg(long, global = true, env = "DOORWARD_CALLS_AT_ONCE_PER_USER", value_name = "CALLS")]
    pub calls_at_once_per_user: Option<String>,
    /// Calls of everybody that may run at one gateway [default: 2000]
    #[arg(long, global = true, env = "DOORWARD_CALLS_AT_ONCE_PER_GATEWAY", value_name = "CALLS")]
    pub calls_at_once_per_gateway: Option<String>,
    /// MCP requests of one person in a minute [default: 60000]
    #[arg(long, global = true, env = "DOORWARD_REQUESTS_PER_MINUTE_PER_USER", value_name = "REQUESTS")]
    pub requests_per_minute_per_user: Option<String>,
    /// Calls of everybody to one gateway in a minute [default: 600000]
    #[arg(long, global = true, env = "DOORWARD_CALLS_PER_MINUTE_PER_GATEWAY", value_name = "CALLS")]
    pub calls_per_minute_per_gateway: Option<String>,
    /// Subscriptions that one person may have open [default: 100]
    #[arg(long, global = true, env = "DOORWARD_STREAMS_PER_USER", value_name = "STREAMS")]
    pub streams_per_user: Option<String>,
    /// MCP sessions of one person; a new one takes the place of the longest unused [default: 1000]
    #[arg(long, global = true, env = "DOORWARD_SESSIONS_PER_USER", value_name = "SESSIONS")]
    pub sessions_per_user: Option<String>,
    /// Pending authorization requests of one person; a new one takes the place of the oldest [default: 100]
    #[arg(long, global = true, env = "DOORWARD_AUTHORIZATIONS_PER_USER", value_name = "REQUESTS")]
    pub authorizations_per_user: Option<String>,
    /// The largest message that an MCP client may send, in MiB [default: 4]
    #[arg(long, global = true, env = "DOORWARD_MESSAGE_MIB", value_name = "MIB")]
    pub message_mib: Option<String>,
    /// The largest head of a request (its line and headers), in KiB [default: 64]
    #[arg(long, global = true, env = "DOORWARD_HEADER_KIB", value_name = "KIB")]
    pub header_kib: Option<String>,
}

impl RawLimits {
    pub(super) fn check(&self) -> Result<Limits, SettingError> {
        let Limits {
            calls_at_once_per_user,
            calls_at_once_per_gateway,
            requests_per_minute_per_user,
            calls_per_minute_per_gateway,
            streams_per_user,
            sessions_per_user,
            authorizations_per_user,
            message_mib,
            header_kib,
        } = Limits::default();
        let of = |name, text: &Option<String>, max, default| {
            Ok(whole(name, text.as_deref(), max)?.unwrap_or(default))
        };
        Ok(Limits {
            calls_at_once_per_user: of(
                "DOORWARD_CALLS_AT_ONCE_PER_USER",
                &self.calls_at_once_per_user,
                AT_ONCE_MAX,
                calls_at_once_per_user,
            )?,
            calls_at_once_per_gateway: of(
                "DOORWARD_CALLS_AT_ONCE_PER_GATEWAY",
                &self.calls_at_once_per_gateway,
                AT_ONCE_MAX,
                calls_at_once_per_gateway,
            )?,
            requests_per_minute_per_user: of(
                "DOORWARD_REQUESTS_PER_MINUTE_PER_USER",
                &self.requests_per_minute_per_user,
                PER_MINUTE_MAX,
                requests_per_minute_per_user,
            )?,
            calls_per_minute_per_gateway: of(
                "DOORWARD_CALLS_PER_MINUTE_PER_GATEWAY",
                &self.calls_per_minute_per_gateway,
                PER_MINUTE_MAX,
                calls_per_minute_per_gateway,
            )?,
            streams_per_user: of(
                "DOORWARD_STREAMS_PER_USER",
                &self.streams_per_user,
                AT_ONCE_MAX,
                streams_per_user,
            )?,
            sessions_per_user: of(
                "DOORWARD_SESSIONS_PER_USER",
                &self.sessions_per_user,
                AT_ONCE_MAX,
                sessions_per_user,
            )?,
            authorizations_per_user: of(
                "DOORWARD_AUTHORIZATIONS_PER_USER",
                &self.authorizations_per_user,
                AT_ONCE_MAX,
                authorizations_per_user,
            )?,
            message_mib: of("DOORWARD_MESSAGE_MIB", &self.message_mib, MIB_MAX, message_mib)?,
            header_kib: header_kib_of(self.header_kib.as_deref())?.unwrap_or(header_kib),
        })
    }
}

fn header_kib_of(text: Option<&str>) -> Result<Option<u32>, SettingError> {
    const NAME: &str = "DOORWARD_HEADER_KIB";
    match whole(NAME, text, *HEADER_KIB.end())? {
        Some(kib) if kib < *HEADER_KIB.start() => {
            Err(wrong(NAME, format!("`{kib}` is too little: give {} at least", HEADER_KIB.start())))
        }
        kib => Ok(kib),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_given_is_generous_and_nonsense_is_refused_by_name() {
        assert_eq!(RawLimits::default().check().unwrap(), Limits::default());
        let given = RawLimits { sessions_per_user: Some("7".into()), ..RawLimits::default() };
        assert_eq!(given.check().unwrap(), Limits { sessions_per_user: 7, ..Limits::default() });
        for bad in ["0", "-1", "many", "65"] {
            let given = RawLimits { message_mib: Some(bad.into()), ..RawLimits::default() };
            let told = given.check().unwrap_err().to_string();
            assert!(told.starts_with("DOORWARD_MESSAGE_MIB: "), "{told}");
        }
        let head = |kib: &str| RawLimits { header_kib: Some(kib.into()), ..RawLimits::default() }.check();
        assert_eq!(head("8").unwrap(), Limits { header_kib: 8, ..Limits::default() });
        for bad in ["7", "1025", "64k"] {
            let told = head(bad).unwrap_err().to_string();
            assert!(told.starts_with("DOORWARD_HEADER_KIB: "), "{told}");
        }
    }
}
