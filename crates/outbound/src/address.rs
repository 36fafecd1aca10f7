//! Which addresses belong to the public internet. Everything else is refused unless a setting lists it.
//!
//! The tables follow IANA's special-purpose registries (RFC 6890) and are deny lists for IPv4, where
//! nearly everything is public, and an allow list (`2000::/3`) with holes for IPv6.

use ipnet::{Ipv4Net, Ipv6Net};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What an address is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Public,
    /// Not of the public internet; the text says what it is, with an article.
    Special(&'static str),
    /// A cloud's metadata service, which hands credentials to whoever can reach it.
    Metadata,
}

/// An IPv4 address inside an IPv6 one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Embedded {
    /// `::ffff:a.b.c.d`: the operating system connects to the IPv4 address itself.
    Mapped(Ipv4Addr),
    /// NAT64, 6to4 or Teredo: a translator or relay on the way connects to the IPv4 address.
    Relayed(Ipv4Addr),
}

const fn v4(a: u8, b: u8, c: u8, d: u8, length: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), length)
}

const fn v6(a: u16, b: u16, c: u16, length: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0), length)
}

const LOOPBACK: &str = "a loopback address";
const PRIVATE: &str = "a private address";
const LINK_LOCAL: &str = "a link-local address";
const RESERVED: &str = "a reserved address";
const DOCUMENTATION: &str = "a documentation address";
const MULTICAST: &str = "a multicast address";

const SPECIAL_V4: [(Ipv4Net, &str); 15] = [
    (v4(0, 0, 0, 0, 8), "an address of this very host"),
    (v4(10, 0, 0, 0, 8), PRIVATE),
    (v4(100, 64, 0, 0, 10), "a shared (carrier-grade NAT) address"),
    (v4(127, 0, 0, 0, 8), LOOPBACK),
    (v4(169, 254, 0, 0, 16), LINK_LOCAL),
    (v4(172, 16, 0, 0, 12), PRIVATE),
    (v4(192, 0, 0, 0, 24), RESERVED),
    (v4(192, 0, 2, 0, 24), DOCUMENTATION),
    (v4(192, 88, 99, 0, 24), "a 6to4 relay address"),
    (v4(192, 168, 0, 0, 16), PRIVATE),
    (v4(198, 18, 0, 0, 15), "a benchmarking address"),
    (v4(198, 51, 100, 0, 24), DOCUMENTATION),
    (v4(203, 0, 113, 0, 24), DOCUMENTATION),
    (v4(224, 0, 0, 0, 4), MULTICAST),
    (v4(240, 0, 0, 0, 4), RESERVED),
];

const NAT64: Ipv6Net = v6(0x64, 0xff9b, 0, 96);
const NAT64_LOCAL: Ipv6Net = v6(0x64, 0xff9b, 1, 48);
const TEREDO: Ipv6Net = v6(0x2001, 0, 0, 32);
const SIX_TO_FOUR: Ipv6Net = v6(0x2002, 0, 0, 16);
const GLOBAL_UNICAST: Ipv6Net = v6(0x2000, 0, 0, 3);

const SPECIAL_V6: [(Ipv6Net, &str); 12] = [
    (Ipv6Net::new_assert(Ipv6Addr::UNSPECIFIED, 128), "an address of this very host"),
    (Ipv6Net::new_assert(Ipv6Addr::LOCALHOST, 128), LOOPBACK),
    (NAT64, "a NAT64 address"),
    (NAT64_LOCAL, "a NAT64 address"),
    (TEREDO, "a Teredo address"),
    (SIX_TO_FOUR, "a 6to4 address"),
    (v6(0x2001, 0, 0, 23), RESERVED),
    (v6(0x2001, 0xdb8, 0, 32), DOCUMENTATION),
    (v6(0x3fff, 0, 0, 20), DOCUMENTATION),
    (v6(0xfc00, 0, 0, 7), "a unique local (private) address"),
    (v6(0xfe80, 0, 0, 10), LINK_LOCAL),
    (v6(0xff00, 0, 0, 8), MULTICAST),
];

/// AWS, Azure, Google, Oracle, OpenStack and others; ECS; EKS; Scaleway; Alibaba; Azure's wire server; old Oracle.
const METADATA_V4: [Ipv4Addr; 7] = [
    Ipv4Addr::new(169, 254, 169, 254),
    Ipv4Addr::new(169, 254, 170, 2),
    Ipv4Addr::new(169, 254, 170, 23),
    Ipv4Addr::new(169, 254, 42, 42),
    Ipv4Addr::new(100, 100, 100, 200),
    Ipv4Addr::new(168, 63, 129, 16),
    Ipv4Addr::new(192, 0, 0, 192),
];

/// AWS, EKS, Google, Scaleway.
const METADATA_V6: [Ipv6Addr; 4] = [
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254),
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23),
    Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),
    Ipv6Addr::new(0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42),
];

/// What an address is, taken as it is written: see [`embedded`] for IPv4 inside IPv6.
pub(crate) fn classify(address: IpAddr) -> Kind {
    match address {
        IpAddr::V4(address) => classify_v4(address),
        IpAddr::V6(address) => classify_v6(address),
    }
}

fn classify_v4(address: Ipv4Addr) -> Kind {
    if METADATA_V4.contains(&address) {
        return Kind::Metadata;
    }
    let special = SPECIAL_V4.iter().find(|(network, _)| network.contains(&address));
    special.map_or(Kind::Public, |(_, what)| Kind::Special(what))
}

fn classify_v6(address: Ipv6Addr) -> Kind {
    if METADATA_V6.contains(&address) {
        return Kind::Metadata;
    }
    let special = SPECIAL_V6.iter().find(|(network, _)| network.contains(&address));
    match special {
        Some((_, what)) => Kind::Special(what),
        None if GLOBAL_UNICAST.contains(&address) => Kind::Public,
        None => Kind::Special("an address outside the public range of IPv6"),
    }
}

/// The IPv4 address that a connection to this IPv6 address may end at.
pub(crate) fn embedded(address: Ipv6Addr) -> Option<Embedded> {
    let octets = address.octets();
    let at = |from: usize| Ipv4Addr::new(octets[from], octets[from + 1], octets[from + 2], octets[from + 3]);
    if let Some(mapped) = address.to_ipv4_mapped() {
        Some(Embedded::Mapped(mapped))
    } else if NAT64.contains(&address) || NAT64_LOCAL.contains(&address) {
        Some(Embedded::Relayed(at(12))) // RFC 6052 §2.2
    } else if SIX_TO_FOUR.contains(&address) {
        Some(Embedded::Relayed(at(2))) // RFC 3056 §2
    } else if TEREDO.contains(&address) {
        Some(Embedded::Relayed(Ipv4Addr::from_bits(!at(12).to_bits()))) // RFC 4380 §4: stored inverted
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(text: &str) -> Kind {
        classify(text.parse().unwrap())
    }

    fn embedded_in(text: &str) -> Option<Embedded> {
        embedded(text.parse().unwrap())
    }

    #[test]
    fn public_addresses_are_public() {
        for public in
            ["1.1.1.1", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "172.15.255.255"]
        {
            assert_eq!(kind(public), Kind::Public, "{public}");
        }
        for public in ["172.32.0.0", "192.167.1.1", "223.255.255.255", "2606:4700::1111", "2a00:1450::1"] {
            assert_eq!(kind(public), Kind::Public, "{public}");
        }
    }

    #[test]
    fn what_is_not_public_is_named() {
        assert_eq!(kind("127.8.9.1"), Kind::Special(LOOPBACK));
        assert_eq!(kind("::1"), Kind::Special(LOOPBACK));
        for special in
            ["0.0.0.0", "0.1.2.3", "10.1.2.3", "100.64.0.1", "169.254.1.1", "172.16.0.1", "172.31.255.255"]
        {
            assert!(matches!(kind(special), Kind::Special(_)), "{special}");
        }
        for special in ["192.168.0.1", "192.0.0.8", "198.19.0.1", "224.0.0.1", "255.255.255.255", "240.0.0.1"]
        {
            assert!(matches!(kind(special), Kind::Special(_)), "{special}");
        }
        for special in
            ["::", "fe80::1", "fc00::1", "fdff::1", "ff02::1", "2001:db8::1", "::127.0.0.1", "fec0::1"]
        {
            assert!(matches!(kind(special), Kind::Special(_)), "{special}");
        }
        for special in
            ["64:ff9b::8.8.8.8", "64:ff9b:1::1", "2002:808:808::1", "2001::1", "2001:10::1", "5f00::1"]
        {
            assert!(matches!(kind(special), Kind::Special(_)), "{special}");
        }
    }

    #[test]
    fn metadata_services_are_known_wherever_they_live() {
        for metadata in
            ["169.254.169.254", "fd00:ec2::254", "168.63.129.16", "100.100.100.200", "169.254.170.2"]
        {
            assert_eq!(kind(metadata), Kind::Metadata, "{metadata}");
        }
    }

    #[test]
    fn an_ipv4_address_is_found_inside_an_ipv6_one() {
        let inner = Ipv4Addr::new(169, 254, 169, 254);
        assert_eq!(embedded_in("::ffff:169.254.169.254"), Some(Embedded::Mapped(inner)));
        assert_eq!(embedded_in("64:ff9b::169.254.169.254"), Some(Embedded::Relayed(inner)));
        assert_eq!(embedded_in("64:ff9b:1::169.254.169.254"), Some(Embedded::Relayed(inner)));
        assert_eq!(embedded_in("2002:a9fe:a9fe::1"), Some(Embedded::Relayed(inner)));
        assert_eq!(embedded_in("2001:0:4136:e378:8000:63bf:5601:5601"), Some(Embedded::Relayed(inner)));
        assert_eq!(embedded_in("2606:4700::1111"), None);
    }
}
