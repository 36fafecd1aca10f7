//! What is refused before any packet is sent, and why.

use crate::policy::{EgressPolicy, Forbidden};
use std::net::IpAddr;
use url::{Host, Url};

/// Why Doorward does not call a URL. Where a setting would allow it, the message ends with its line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("`{scheme}:` URLs are not called; use https")]
    Scheme { scheme: String },
    #[error("http://{host} is not encrypted; use https, or allow it by the setting {setting}")]
    PlainHttp { host: String, setting: String },
    #[error("the URL at {host} carries a user name or password; leave them out")]
    UserInfo { host: String },
    #[error("the URL at {host} has a fragment (`#...`); leave it out")]
    Fragment { host: String },
    #[error("the URL at {host} is too long or holds a character that HTTP cannot send")]
    Malformed { host: String },
    #[error(
        "{host} is a private name, which a proxy would resolve unchecked; to reach it directly, use the setting {setting}"
    )]
    NameThroughProxy { host: String, setting: String },
    #[error("{host} leads to {address}, {what}; to allow it, use the setting {setting}")]
    Address { host: String, address: IpAddr, what: &'static str, setting: String },
}

impl Refusal {
    /// The refusal of an address that `host` is or resolves to.
    pub(crate) fn of_address(policy: &EgressPolicy, host: &str, forbidden: Forbidden) -> Self {
        let Forbidden { address, what } = forbidden;
        Self::Address { host: host.to_owned(), address, what, setting: policy.networks_line(address) }
    }
}

/// Checks everything about a URL that can be known without resolving its name.
pub(crate) fn check_url(policy: &EgressPolicy, url: &Url) -> Result<(), Refusal> {
    let host = || host_of(url);
    match url.scheme() {
        "https" => {}
        "http" if policy.allows_http(url) => {}
        "http" => {
            let port = url.port().map_or_else(String::new, |port| format!(":{port}"));
            return Err(Refusal::PlainHttp { host: host() + &port, setting: policy.http_hosts_line(url) });
        }
        scheme => return Err(Refusal::Scheme { scheme: scheme.to_owned() }),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Refusal::UserInfo { host: host() });
    }
    if url.fragment().is_some() {
        return Err(Refusal::Fragment { host: host() });
    }
    let judged = match url.host() {
        Some(Host::Ipv4(address)) => policy.judge(address.into()),
        Some(Host::Ipv6(address)) => policy.judge(address.into()),
        Some(Host::Domain(name)) if is_localhost(name) => policy.judge_localhost(),
        Some(Host::Domain(_)) | None => Ok(()),
    };
    judged.map_err(|forbidden| Refusal::of_address(policy, &host(), forbidden))
}

/// The host alone, as messages name it.
pub(crate) fn host_of(url: &Url) -> String {
    url.host_str().unwrap_or_default().to_owned()
}

/// RFC 6761 §6.3: `localhost` and the names under it are loopback.
fn is_localhost(name: &str) -> bool {
    let name = name.trim_end_matches('.');
    name == "localhost" || name.ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::Ipv4Addr;

    fn refusal(policy: &EgressPolicy, url: &str) -> String {
        check_url(policy, &url.parse().unwrap()).unwrap_err().to_string()
    }

    #[test]
    fn r38_only_https_to_public_places_passes_by_default() {
        let policy = EgressPolicy::default();
        for good in ["https://a.example/mcp?x=1", "https://8.8.8.8:8443/", "https://[2606:4700::1111]/"] {
            assert_eq!(check_url(&policy, &good.parse().unwrap()), Ok(()), "{good}");
        }
        for bad in
            ["javascript:alert(1)", "file:///etc/passwd", "data:,x", "ftp://a.example/", "ws://a.example/"]
        {
            assert!(refusal(&policy, bad).ends_with("URLs are not called; use https"), "{bad}");
        }
        assert!(refusal(&policy, "https://u:canary@a.example/").contains("user name"));
        assert!(refusal(&policy, "https://u@a.example/").contains("user name"));
        assert!(refusal(&policy, "https://a.example/#canary").contains("fragment"));
    }

    #[test]
    fn r38_every_spelling_of_a_forbidden_address_is_refused() {
        let policy = EgressPolicy::default();
        for host in
            ["127.0.0.1", "2130706433", "0x7f.1", "0177.0.0.1", "127.1", "0", "0.0.0.0", "[::]", "[::1]"]
        {
            assert!(refusal(&policy, &format!("https://{host}/")).contains("PRIVATE_NETWORKS="), "{host}");
        }
        for host in
            ["169.254.169.254", "[fd00:ec2::254]", "[::ffff:a9fe:a9fe]", "0xa9fea9fe", "[64:ff9b::a9fe:a9fe]"]
        {
            assert!(refusal(&policy, &format!("https://{host}/")).contains("PRIVATE_NETWORKS="), "{host}");
        }
        for host in ["localhost", "LOCALHOST.", "a.localhost", "１２７.0.0.1", "[fe80::1]", "[2002:7f00:1::]"]
        {
            assert!(refusal(&policy, &format!("https://{host}/")).contains("PRIVATE_NETWORKS="), "{host}");
        }
    }

    #[test]
    fn a_refusal_names_the_host_and_the_line_to_add_and_nothing_else_of_the_url() {
        let nothing = EgressPolicy::default();
        assert_eq!(
            refusal(&nothing, "http://localhost:9000/canary?canary"),
            "http://localhost:9000 is not encrypted; use https, or allow it by the setting \
             DOORWARD_ALLOW_HTTP_HOSTS=localhost:9000"
        );
        let http = EgressPolicy::parse("", "localhost").unwrap();
        assert_eq!(
            refusal(&http, "http://localhost:9000/canary?canary"),
            "localhost leads to 127.0.0.1, a loopback address; to allow it, use the setting \
             DOORWARD_ALLOW_PRIVATE_NETWORKS=127.0.0.1/32"
        );
        let both = EgressPolicy::parse("127.0.0.1/32", "localhost").unwrap();
        assert_eq!(check_url(&both, &"http://localhost:9000/".parse().unwrap()), Ok(()));
        let v6 = EgressPolicy::parse("::1", "localhost").unwrap();
        assert_eq!(check_url(&v6, &"http://localhost:9000/".parse().unwrap()), Ok(()));
    }

    proptest! {
        #[test]
        fn r38_no_private_address_passes_in_any_number_form(bits in any::<u32>(), form in 0..5_u8) {
            let address = Ipv4Addr::from_bits(bits);
            let [a, b, c, d] = address.octets();
            let host = match form {
                0 => address.to_string(),
                1 => bits.to_string(),
                2 => format!("{bits:#x}"),
                3 => format!("0{a:o}.0{b:o}.0{c:o}.0{d:o}"),
                _ => format!("[::ffff:{address}]"),
            };
            let policy = EgressPolicy::default();
            let refused = check_url(&policy, &format!("https://{host}/").parse().unwrap()).is_err();
            if policy.judge(address.into()).is_err() {
                prop_assert!(refused, "{}", host);
            } else {
                prop_assert_eq!(refused, form == 4, "{}", host);
            }
        }
    }
}
