//! How each setting is read, and the sentence when it cannot be.

use super::SettingError;
use ipnet::IpNet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use url::{Host, Url};

/// The longest time that one token endpoint call may be given.
const TIMEOUT_MAX: u64 = 300;

pub(super) fn wrong(name: &'static str, problem: impl ToString) -> SettingError {
    SettingError::Wrong { name, problem: problem.to_string() }
}

fn entries(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|entry| !entry.is_empty())
}

/// Addresses with ports, separated by commas.
pub(super) fn listen(text: &str) -> Result<Vec<SocketAddr>, SettingError> {
    let address = |entry: &str| {
        entry.parse().map_err(|_| {
            wrong(
                "DOORWARD_LISTEN",
                format!("`{entry}` is not an address with a port such as 127.0.0.1:4444"),
            )
        })
    };
    let addresses: Vec<SocketAddr> = entries(text).map(address).collect::<Result<_, _>>()?;
    if addresses.is_empty() {
        return Err(wrong("DOORWARD_LISTEN", "give at least one address"));
    }
    Ok(addresses)
}

/// One loopback address: metrics name gateways and are for this machine.
pub(super) fn metrics_listen(text: &str) -> Result<SocketAddr, SettingError> {
    let name = "DOORWARD_METRICS_LISTEN";
    let address: SocketAddr = text
        .parse()
        .map_err(|_| wrong(name, format!("`{text}` is not an address with a port such as 127.0.0.1:4445")))?;
    if address.ip().is_loopback() {
        Ok(address)
    } else {
        Err(wrong(name, "metrics are served on loopback only: use 127.0.0.1 or [::1]"))
    }
}

/// An origin: https, or http on loopback.
pub(super) fn public_url(text: &str) -> Result<Url, SettingError> {
    let name = "DOORWARD_PUBLIC_URL";
    let url: Url = text
        .parse()
        .map_err(|_| wrong(name, format!("`{text}` is not a URL such as https://doorward.example.com")))?;
    let loopback = match url.host() {
        Some(Host::Domain(host)) => host == "localhost" || host.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => return Err(wrong(name, "has no host")),
    };
    let origin_only = url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    match url.scheme() {
        _ if !origin_only => Err(wrong(name, "give the origin only: scheme, host and perhaps a port")),
        "https" => Ok(url),
        "http" if loopback => Ok(url),
        "http" => Err(wrong(name, "plain http is for loopback only: use https")),
        _ => Err(wrong(name, "use https, or http on loopback")),
    }
}

/// Authorization servers open it, and take it for our name: https, with a path, and nothing else in it.
pub(super) fn client_metadata_url(text: &str) -> Result<Url, SettingError> {
    let name = "DOORWARD_CLIENT_METADATA_URL";
    let remedy = "use a URL such as https://doorward.example.com/oauth/client-metadata.json";
    let url: Url = text.parse().map_err(|_| wrong(name, remedy))?;
    let plain = url.scheme() == "https"
        && url.path().len() > 1
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    if plain { Ok(url) } else { Err(wrong(name, remedy)) }
}

/// Networks or single addresses, separated by commas.
pub(super) fn networks(name: &'static str, text: &str) -> Result<Vec<IpNet>, SettingError> {
    let network = |entry: &str| {
        let network = entry.parse::<IpNet>().or_else(|_| entry.parse::<IpAddr>().map(IpNet::from));
        network.map_err(|_| {
            wrong(name, format!("`{entry}` is neither an address nor a network like 10.0.0.0/8"))
        })
    };
    entries(text).map(network).collect()
}

/// Whole seconds, at least one.
pub(super) fn seconds(name: &'static str, text: &str) -> Result<Duration, SettingError> {
    match text.parse::<u64>() {
        Ok(seconds) if (1..=TIMEOUT_MAX).contains(&seconds) => Ok(Duration::from_secs(seconds)),
        _ => Err(wrong(name, format!("`{text}` is not a number of seconds from 1 to {TIMEOUT_MAX}"))),
    }
}

/// A whole number from 1 to `max`; none where nothing is given.
pub(super) fn whole(name: &'static str, text: Option<&str>, max: u32) -> Result<Option<u32>, SettingError> {
    let Some(text) = text.map(str::trim).filter(|text| !text.is_empty()) else { return Ok(None) };
    match text.parse::<u32>() {
        Ok(number) if (1..=max).contains(&number) => Ok(Some(number)),
        _ => Err(wrong(name, format!("`{text}` is not a whole number from 1 to {max}"))),
    }
}

/// `true` or `false`; none where nothing is given.
pub(super) fn switch(name: &'static str, text: Option<&str>) -> Result<Option<bool>, SettingError> {
    match text.map(str::trim).filter(|text| !text.is_empty()) {
        None => Ok(None),
        Some("true") => Ok(Some(true)),
        Some("false") => Ok(Some(false)),
        Some(other) => Err(wrong(name, format!("`{other}` is neither true nor false"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_metadata_stands_at_an_https_url_with_a_path() {
        assert!(client_metadata_url("https://d.example/oauth/client-metadata.json").is_ok());
        for bad in [
            "https://d.example/",
            "http://d.example/x",
            "x",
            "https://u@d.example/x",
            "https://d.example/x?y",
        ] {
            let told = client_metadata_url(bad).unwrap_err().to_string();
            assert!(told.starts_with("DOORWARD_CLIENT_METADATA_URL: use a URL"), "{bad}");
        }
    }

    #[test]
    fn a_public_url_is_an_origin_and_http_only_on_loopback() {
        for good in [
            "https://a.example",
            "https://a.example:8443/",
            "http://localhost:1",
            "http://127.0.0.1",
            "http://[::1]:4444",
        ] {
            assert!(public_url(good).is_ok(), "{good}");
        }
        for bad in [
            "http://a.example",
            "https://a.example/path",
            "https://a.example?x",
            "https://u@a.example",
            "ftp://localhost",
            "localhost:4444",
            "nonsense",
            "http://localhost.evil.example",
            "data:x",
        ] {
            let told = public_url(bad).unwrap_err().to_string();
            assert!(told.starts_with("DOORWARD_PUBLIC_URL: "), "{bad}: {told}");
        }
    }

    #[test]
    fn addresses_networks_and_seconds_are_checked() {
        assert_eq!(listen("127.0.0.1:1, [::1]:2").unwrap().len(), 2);
        assert!(listen("").is_err() && listen("localhost:1").is_err() && listen("127.0.0.1").is_err());
        assert!(metrics_listen("[::1]:9").is_ok());
        assert!(metrics_listen("0.0.0.0:9").is_err() && metrics_listen("x").is_err());
        assert_eq!(networks("N", "10.0.0.0/8,::1").unwrap().len(), 2);
        assert_eq!(
            networks("N", "x").unwrap_err().to_string(),
            "N: `x` is neither an address nor a network like 10.0.0.0/8"
        );
        assert_eq!(seconds("S", "30").unwrap(), Duration::from_secs(30));
        assert!(seconds("S", "0").is_err() && seconds("S", "301").is_err() && seconds("S", "-1").is_err());
    }
}
