//! Our cookies: HttpOnly, SameSite=Lax, for the whole origin. Where the public URL is https they carry
//! the `__Host-` prefix and Secure (RFC 6265bis §4.1.3.2); on plain http, which is allowed on loopback
//! only, browsers would drop such a cookie, so there the plain name is used.

use doorward_domain::SessionToken;
use http::{HeaderMap, HeaderValue, header};
use secrecy::ExposeSecret;
use std::time::Duration;

/// The browser session.
pub(crate) const SESSION: &str = "doorward-session";
/// Whose password was right, until the code is shown.
pub(crate) const SECOND_STEP: &str = "doorward-second-step";
/// What binds a form to a browser before anybody has signed in.
pub(crate) const FORM: &str = "doorward-form";

/// Names, sets and reads cookies for one public URL.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cookies {
    secure: bool,
}

impl Cookies {
    /// `secure`: the public URL is https.
    pub(crate) fn new(secure: bool) -> Self {
        Self { secure }
    }

    /// The `Set-Cookie` header that sets the cookie of this bare name.
    pub(crate) fn set(self, name: &str, value: &SessionToken, lifetime: Duration) -> HeaderValue {
        let seconds = lifetime.as_secs();
        let mut header = self.header(name, value.expose_secret(), seconds);
        header.set_sensitive(true);
        header
    }

    /// The `Set-Cookie` header that removes the cookie of this bare name.
    pub(crate) fn clear(self, name: &str) -> HeaderValue {
        self.header(name, "", 0)
    }

    /// The value of the cookie of this bare name, as the request carries it.
    pub(crate) fn text<'a>(self, headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
        headers
            .get_all(header::COOKIE)
            .iter()
            .filter_map(|line| line.to_str().ok())
            .flat_map(|line| line.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .find(|(found, _)| found.strip_prefix(self.prefix()).is_some_and(|bare| bare == name))
            .map(|(_, value)| value)
            .filter(|value| !value.is_empty())
    }

    /// The value of the cookie of this bare name, wrapped.
    pub(crate) fn read(self, headers: &HeaderMap, name: &str) -> Option<SessionToken> {
        self.text(headers, name).map(SessionToken::new)
    }

    fn header(self, name: &str, value: &str, seconds: u64) -> HeaderValue {
        let prefix = self.prefix();
        let secure = if self.secure { "; Secure" } else { "" };
        let text =
            format!("{prefix}{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}");
        HeaderValue::try_from(text).expect("names and values of our cookies are base64url and hyphens")
    }

    fn prefix(self) -> &'static str {
        if self.secure { "__Host-" } else { "" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(cookie: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::COOKIE, HeaderValue::from_str(cookie).unwrap())])
    }

    #[test]
    fn on_https_a_cookie_is_bound_to_the_host_and_on_loopback_http_it_has_a_plain_name() {
        let value = SessionToken::new("abc");
        let https = Cookies::new(true).set(SESSION, &value, Duration::from_secs(60));
        assert_eq!(https, "__Host-doorward-session=abc; Path=/; Max-Age=60; HttpOnly; SameSite=Lax; Secure");
        assert!(https.is_sensitive());
        let http = Cookies::new(false).clear(SESSION);
        assert_eq!(http, "doorward-session=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax");
    }

    #[test]
    fn a_cookie_is_read_by_its_whole_name_only() {
        let headers = request("doorward-session=plain; x=y; __Host-doorward-session=host; empty=");
        assert_eq!(Cookies::new(true).text(&headers, SESSION), Some("host"));
        assert_eq!(Cookies::new(false).text(&headers, SESSION), Some("plain"));
        assert_eq!(Cookies::new(false).text(&headers, "empty"), None);
        assert!(Cookies::new(true).read(&headers, "x").is_none());
        assert!(Cookies::new(false).read(&headers, "x").is_some());
    }
}
