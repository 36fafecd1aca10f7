//! What the operator allows: private networks, and hosts that may be called without encryption.

use crate::address::{self, Embedded, Kind};
use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use url::{Host, Url};

/// The setting that lists private networks.
pub(crate) const NETWORKS_SETTING: &str = "DOORWARD_ALLOW_PRIVATE_NETWORKS";
/// The setting that lists hosts for plain http.
pub(crate) const HTTP_HOSTS_SETTING: &str = "DOORWARD_ALLOW_HTTP_HOSTS";

/// What outbound calls may reach although it is private or unencrypted. The default allows nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EgressPolicy {
    /// Networks that may be reached although they are not public. A metadata address counts as
    /// listed only by a network of exactly that address.
    pub allow_private_networks: Vec<IpNet>,
    /// Hosts that may be called over http: `host` (any port) or `host:port`, in lower case, IPv6 in brackets.
    pub allow_http_hosts: Vec<String>,
}

/// Why a setting is no policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    #[error("`{entry}` in {NETWORKS_SETTING} is neither an address nor a network like 10.0.0.0/8")]
    Network { entry: String },
    #[error(
        "`{entry}` in {HTTP_HOSTS_SETTING} is neither `host` nor `host:port` (no scheme, no path; IPv6 in brackets)"
    )]
    Host { entry: String },
}

/// An address that the policy does not allow; listing `address` would.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Forbidden {
    pub(crate) address: IpAddr,
    pub(crate) what: &'static str,
}

impl EgressPolicy {
    /// Reads the two settings: comma-separated networks (or single addresses), comma-separated hosts.
    pub fn parse(networks: &str, hosts: &str) -> Result<Self, PolicyError> {
        Ok(Self {
            allow_private_networks: entries(networks).map(parse_network).collect::<Result<_, _>>()?,
            allow_http_hosts: entries(hosts).map(parse_host).collect::<Result<_, _>>()?,
        })
    }

    /// Whether the host of this URL may be called over http.
    pub(crate) fn allows_http(&self, url: &Url) -> bool {
        let host = url.host_str().unwrap_or_default().trim_end_matches('.');
        let port = url.port_or_known_default().unwrap_or_default();
        self.allow_http_hosts.iter().any(|entry| match entry.strip_prefix(host) {
            Some("") => true,
            Some(rest) => rest.strip_prefix(':').is_some_and(|listed| listed.parse() == Ok(port)),
            None => false,
        })
    }

    /// Whether a connection to this address may be made; otherwise which address stands in the way.
    pub(crate) fn judge(&self, address: IpAddr) -> Result<(), Forbidden> {
        let inner = match address {
            IpAddr::V4(_) => None,
            IpAddr::V6(address) => address::embedded(address),
        };
        match inner {
            Some(Embedded::Mapped(inner)) => {
                let kind = match address::classify(inner.into()) {
                    Kind::Public => Kind::Special("an IPv4 address in IPv6 form"),
                    kind @ (Kind::Special(_) | Kind::Metadata) => kind,
                };
                self.judge_kind(inner.into(), kind)
            }
            Some(Embedded::Relayed(inner)) => {
                self.judge_kind(address, address::classify(address))?;
                self.judge_kind(inner.into(), address::classify(inner.into()))
            }
            None => self.judge_kind(address, address::classify(address)),
        }
    }

    fn judge_kind(&self, address: IpAddr, kind: Kind) -> Result<(), Forbidden> {
        let mut networks = self.allow_private_networks.iter();
        let (allowed, what) = match kind {
            Kind::Public => return Ok(()),
            Kind::Special(what) => (networks.any(|network| network.contains(&address)), what),
            Kind::Metadata => {
                (networks.any(|network| *network == IpNet::from(address)), "a cloud metadata address")
            }
        };
        if allowed { Ok(()) } else { Err(Forbidden { address, what }) }
    }

    /// Whether `localhost` may lead anywhere, asked before it is resolved.
    pub(crate) fn judge_localhost(&self) -> Result<(), Forbidden> {
        self.judge(Ipv4Addr::LOCALHOST.into())
            .or_else(|first| self.judge(Ipv6Addr::LOCALHOST.into()).map_err(|_| first))
    }

    /// The settings line that would also allow this address.
    pub(crate) fn networks_line(&self, address: IpAddr) -> String {
        let present = self.allow_private_networks.iter().map(ToString::to_string);
        settings_line(NETWORKS_SETTING, present, IpNet::from(address).to_string())
    }

    /// The settings line that would also allow this URL's host.
    pub(crate) fn http_hosts_line(&self, url: &Url) -> String {
        let host = url.host_str().unwrap_or_default();
        let added = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        settings_line(HTTP_HOSTS_SETTING, self.allow_http_hosts.iter().cloned(), added)
    }
}

fn settings_line(setting: &str, present: impl Iterator<Item = String>, added: String) -> String {
    let values: Vec<String> = present.chain([added]).collect();
    format!("{setting}={}", values.join(","))
}

fn entries(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|entry| !entry.is_empty())
}

fn parse_network(entry: &str) -> Result<IpNet, PolicyError> {
    let network = entry.parse::<IpNet>().or_else(|_| entry.parse::<IpAddr>().map(IpNet::from));
    network.map(|network| network.trunc()).map_err(|_| PolicyError::Network { entry: entry.to_owned() })
}

fn parse_host(entry: &str) -> Result<String, PolicyError> {
    let (host, port) = match entry.rsplit_once(':') {
        Some((host, port)) if !entry.ends_with(']') => (host, Some(port)),
        Some(_) | None => (entry, None),
    };
    let host = Host::parse(host).ok();
    let port = port.map(str::parse::<u16>).transpose().ok();
    match (host, port) {
        (Some(host), Some(None)) => Ok(host.to_string().trim_end_matches('.').to_owned()),
        (Some(host), Some(Some(port))) => Ok(format!("{host}:{port}")),
        (None, _) | (_, None) => Err(PolicyError::Host { entry: entry.to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(networks: &str) -> EgressPolicy {
        EgressPolicy::parse(networks, "").unwrap()
    }

    fn allows(networks: &str, address: &str) -> bool {
        policy(networks).judge(address.parse().unwrap()).is_ok()
    }

    #[test]
    fn the_default_allows_public_addresses_only() {
        assert!(allows("", "8.8.8.8"));
        assert!(allows("", "2606:4700::1111"));
        for refused in
            ["127.0.0.1", "::1", "10.0.0.1", "169.254.169.254", "::ffff:8.8.8.8", "::ffff:127.0.0.1"]
        {
            assert!(!allows("", refused), "{refused}");
        }
        for refused in ["64:ff9b::8.8.8.8", "2002:808:808::1", "2001::1", "::", "fd00:ec2::254"] {
            assert!(!allows("", refused), "{refused}");
        }
    }

    #[test]
    fn a_listed_network_is_allowed_in_every_form_of_its_addresses() {
        assert!(allows("10.0.0.0/8", "10.255.0.1"));
        assert!(allows("10.0.0.0/8", "::ffff:10.255.0.1"));
        assert!(allows("127.0.0.1, ::1", "::1"));
        assert!(!allows("10.0.0.0/8", "127.0.0.1"));
        assert!(allows("8.8.8.8", "::ffff:8.8.8.8"));
    }

    #[test]
    fn a_metadata_address_stays_refused_inside_a_wider_range() {
        assert!(!allows("169.254.0.0/16", "169.254.169.254"));
        assert!(!allows("0.0.0.0/0, ::/0", "::ffff:169.254.169.254"));
        assert!(!allows("0.0.0.0/0, ::/0", "fd00:ec2::254"));
        assert!(!allows("168.63.129.0/24", "168.63.129.16"));
        assert!(allows("169.254.169.254", "169.254.169.254"));
        assert!(allows("169.254.169.254/32", "::ffff:169.254.169.254"));
        assert!(allows("fd00:ec2::254/128", "fd00:ec2::254"));
    }

    #[test]
    fn behind_an_allowed_translator_the_inner_address_is_judged_too() {
        assert!(allows("64:ff9b::/96", "64:ff9b::8.8.8.8"));
        assert!(!allows("64:ff9b::/96", "64:ff9b::10.0.0.1"));
        assert!(allows("64:ff9b::/96,10.0.0.0/8", "64:ff9b::10.0.0.1"));
        assert!(!allows("::/0,0.0.0.0/0", "64:ff9b::169.254.169.254"));
    }

    #[test]
    fn http_hosts_match_by_name_and_port() {
        let policy = EgressPolicy::parse("", "LocalHost, 127.0.0.1:9000,[::1]:80, a.example.").unwrap();
        assert_eq!(policy.allow_http_hosts, ["localhost", "127.0.0.1:9000", "[::1]:80", "a.example"]);
        for allowed in [
            "http://localhost:1/x",
            "http://127.1:9000",
            "http://[::1]",
            "http://a.example./",
            "http://localhost",
        ] {
            assert!(policy.allows_http(&allowed.parse().unwrap()), "{allowed}");
        }
        for refused in [
            "http://127.0.0.1:9001",
            "http://[::1]:81",
            "http://localhost.evil",
            "http://local",
            "http://b.example",
        ] {
            assert!(!policy.allows_http(&refused.parse().unwrap()), "{refused}");
        }
    }

    #[test]
    fn a_wrong_entry_is_named() {
        let network = EgressPolicy::parse("10.0.0.0/8, ten", "").unwrap_err();
        assert_eq!(network, PolicyError::Network { entry: "ten".into() });
        for entry in ["http://a", "a/b", "::1", "a:port", "a:70000", "a b"] {
            let host = EgressPolicy::parse("", entry).unwrap_err();
            assert_eq!(host, PolicyError::Host { entry: entry.into() });
            assert!(host.to_string().contains("DOORWARD_ALLOW_HTTP_HOSTS"));
        }
    }

    #[test]
    fn the_suggested_line_keeps_what_is_allowed_already() {
        let policy = EgressPolicy::parse("10.1.2.3/8", "a.example").unwrap();
        let line = policy.networks_line("::1".parse().unwrap());
        assert_eq!(line, "DOORWARD_ALLOW_PRIVATE_NETWORKS=10.0.0.0/8,::1/128");
        let line = policy.http_hosts_line(&"http://b:81/secret".parse().unwrap());
        assert_eq!(line, "DOORWARD_ALLOW_HTTP_HOSTS=a.example,b:81");
    }
}
