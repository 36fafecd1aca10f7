//! Against forged requests (CSRF), twice over: every unsafe request of a browser must say that it comes
//! from our own pages, and must carry a token that only our own pages can know.
//!
//! The token is a hash of a cookie that scripts cannot read: the session's, or before the login that of
//! a random form cookie. So it needs no row, and knowing it does not give the cookie away.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use doorward_domain::SessionToken;
use http::{HeaderMap, header};

/// The form field, and in lower case with `x-` the header, that carries the token.
pub(crate) const FIELD: &str = "csrf";
/// Where a script that uses a browser session puts the token.
pub(crate) const HEADER: &str = "x-csrf-token";

/// The token that belongs to a cookie's value.
pub(crate) fn token(cookie: &str) -> String {
    let hash = doorward_vault::hash_token(&SessionToken::new(format!("doorward csrf{cookie}")));
    URL_SAFE_NO_PAD.encode(hash.0)
}

/// Whether a token belongs to one of the browser's cookies.
pub(crate) fn fits<'a>(given: &str, cookies: impl IntoIterator<Item = &'a str>) -> bool {
    // Comparing hashes leaks nothing of use: the attacker does not choose what is hashed.
    cookies.into_iter().any(|cookie| token(cookie) == given)
}

/// Whether the browser says that the request comes from our own pages, or from the person's own hand.
/// `Sec-Fetch-Site` cannot be set by a page; where it is missing, `Origin` must be ours.
pub(crate) fn is_our_own(headers: &HeaderMap, public_origin: &str) -> bool {
    let text = |name| headers.get(name).map(|value: &http::HeaderValue| value.as_bytes());
    match text("sec-fetch-site") {
        Some(site) => matches!(site, b"same-origin" | b"none"),
        None => text(header::ORIGIN.as_str()) == Some(public_origin.as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn a_token_fits_its_cookie_only() {
        let given = token("cookie");
        assert!(fits(&given, ["other", "cookie"]));
        assert!(!fits(&given, ["other"]) && !fits("", ["cookie"]) && !fits(&given, []));
        assert_eq!(given.len(), 43);
    }

    #[test]
    fn a_request_from_elsewhere_is_not_our_own() {
        let ours = "http://localhost:4444";
        let said = |name: &'static str, value: &'static str| {
            is_our_own(
                &HeaderMap::from_iter([(name.parse().unwrap(), HeaderValue::from_static(value))]),
                ours,
            )
        };
        assert!(said("sec-fetch-site", "same-origin") && said("sec-fetch-site", "none"));
        assert!(!said("sec-fetch-site", "cross-site") && !said("sec-fetch-site", "same-site"));
        assert!(said("origin", ours));
        assert!(!said("origin", "null") && !said("origin", "http://localhost:4445") && !said("x", "y"));
    }

    #[test]
    fn a_good_origin_does_not_outvote_sec_fetch_site() {
        let headers = HeaderMap::from_iter([
            (header::ORIGIN, HeaderValue::from_static("http://localhost")),
            (http::HeaderName::from_static("sec-fetch-site"), HeaderValue::from_static("cross-site")),
        ]);
        assert!(!is_our_own(&headers, "http://localhost"));
    }
}
