//! The clients of the authorization server, and how they prove who they are at the token endpoint.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, header};
use std::collections::BTreeMap;
use url::{Host, Url, form_urlencoded};

/// Where a client may be sent back to.
#[derive(Clone)]
pub(crate) enum Redirects {
    /// Any `http` address on loopback: the preregistered client, whose port is not known beforehand.
    AnyLoopback,
    /// Exactly these (RFC 9700 §2.1).
    Exactly(Vec<String>),
}

/// A registered client.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) id: String,
    pub(crate) name: String,
    /// None: a public client.
    pub(crate) secret: Option<String>,
    pub(crate) redirects: Redirects,
}

impl Client {
    pub(crate) fn may_return_to(&self, redirect_uri: &str) -> bool {
        match &self.redirects {
            Redirects::Exactly(known) => known.iter().any(|known| known == redirect_uri),
            Redirects::AnyLoopback => {
                Url::parse(redirect_uri).is_ok_and(|url| url.scheme() == "http" && is_loopback(&url))
            }
        }
    }

    /// Whether this is the client's secret; a public client has none and may show none.
    pub(crate) fn is_proven_by(&self, shown: Option<&str>) -> bool {
        match (&self.secret, shown) {
            (Some(secret), Some(shown)) => {
                verify_slices_are_equal(secret.as_bytes(), shown.as_bytes()).is_ok()
            }
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        }
    }
}

pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// A client id and, where shown, a secret, as the token request carries them.
pub(crate) struct Credentials {
    pub(crate) id: String,
    pub(crate) secret: Option<String>,
}

/// Reads `client_secret_basic`, `client_secret_post` or `none` (RFC 6749 §2.3.1). Two methods at once
/// are refused, as the section demands; so is a header that cannot be read.
pub(crate) fn credentials(headers: &HeaderMap, form: &BTreeMap<String, String>) -> Option<Credentials> {
    let Some(header) = headers.get(header::AUTHORIZATION) else {
        let secret = form.get("client_secret").cloned();
        return form.get("client_id").map(|id| Credentials { id: id.clone(), secret });
    };
    if form.contains_key("client_secret") {
        return None;
    }
    let encoded = header.to_str().ok()?.strip_prefix("Basic ")?;
    let plain = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    let (id, secret) = plain.split_once(':')?;
    Some(Credentials { id: form_decoded(id), secret: Some(form_decoded(secret)) })
}

/// Both parts are form-encoded before base64 (RFC 6749 §2.3.1), which many clients forget.
fn form_decoded(text: &str) -> String {
    form_urlencoded::parse(format!("x={text}").as_bytes())
        .next()
        .map_or_else(String::new, |(_, value)| value.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_basic_credentials_are_form_decoded() {
        let mut headers = HeaderMap::new();
        let encoded = STANDARD.encode("gw%3Aodd+id:s%25ec%2Bret");
        headers.insert(header::AUTHORIZATION, format!("Basic {encoded}").parse().unwrap());
        let read = credentials(&headers, &BTreeMap::new()).unwrap();
        assert_eq!((read.id.as_str(), read.secret.as_deref()), ("gw:odd id", Some("s%ec+ret")));

        let both = BTreeMap::from([("client_secret".to_owned(), "x".to_owned())]);
        assert!(credentials(&headers, &both).is_none());
    }

    #[test]
    fn a_redirect_is_exact_or_on_loopback() {
        let mut client = Client {
            id: String::new(),
            name: String::new(),
            secret: None,
            redirects: Redirects::AnyLoopback,
        };
        for good in ["http://localhost:4444/oauth/callback", "http://127.0.0.1/x", "http://[::1]:1/"] {
            assert!(client.may_return_to(good), "{good}");
        }
        for bad in ["https://evil.example/", "http://10.0.0.1/", "javascript:alert(1)", "nonsense"] {
            assert!(!client.may_return_to(bad), "{bad}");
        }
        client.redirects = Redirects::Exactly(vec!["https://app.example/cb".to_owned()]);
        assert!(client.may_return_to("https://app.example/cb"));
        assert!(!client.may_return_to("https://app.example/cb2"));
    }
}
