//! The `WWW-Authenticate` challenge of a protected resource (RFC 9110 §11.6.1, RFC 9728 §5.1).

use http::{HeaderMap, header};

/// What a Bearer challenge said, or a DPoP one where no other is there.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Challenge {
    /// Where the protected resource's metadata is.
    pub resource_metadata: Option<String>,
    /// The scopes that a token needs; clients treat them as authoritative.
    pub scopes: Option<Vec<String>>,
    /// Why a token was refused, e.g. `insufficient_scope` (RFC 6750 §3.1).
    pub error: Option<String>,
    /// Only tokens that are bound to a key are taken (RFC 9449 §7.1).
    pub dpop: bool,
}

/// Reads the first Bearer challenge among the headers, else the first DPoP one.
pub fn read(headers: &HeaderMap) -> Challenge {
    let values = || headers.get_all(header::WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
    let bearer = values().find_map(|value| of_scheme(value, "bearer"));
    let dpop = bearer.is_none();
    let Some(parameters) = bearer.or_else(|| values().find_map(|value| of_scheme(value, "dpop"))) else {
        return Challenge::default();
    };
    let mut challenge = Challenge { dpop, ..Challenge::default() };
    for (name, value) in parameters {
        match name.to_ascii_lowercase().as_str() {
            "resource_metadata" => challenge.resource_metadata = Some(value),
            "error" => challenge.error = Some(value),
            "scope" => challenge.scopes = Some(value.split_whitespace().map(str::to_owned).collect()),
            _ => {}
        }
    }
    challenge
}

/// The parameters after a scheme, wherever it stands among the schemes of one header.
fn of_scheme(value: &str, scheme: &str) -> Option<Vec<(String, String)>> {
    let lower = value.to_ascii_lowercase();
    let at = lower.match_indices(scheme).map(|(at, _)| at).find(|&at| {
        let before = value[..at].trim_end();
        let after = value[at + scheme.len()..].chars().next();
        (before.is_empty() || before.ends_with(',')) && after.is_none_or(char::is_whitespace)
    })?;
    Some(parameters(&value[at + scheme.len()..]))
}

/// `name=token` and `name="quoted"`, separated by commas, until something else comes.
fn parameters(mut rest: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let Some((name, after)) = rest.split_once('=') else { return found };
        let name = name.trim();
        if name.is_empty() || name.contains(char::is_whitespace) {
            return found;
        }
        let (value, after) = match after.trim_start().strip_prefix('"') {
            Some(quoted) => quoted_string(quoted),
            None => {
                let end = after.find([',', ' ']).unwrap_or(after.len());
                (after[..end].to_owned(), &after[end..])
            }
        };
        found.push((name.to_owned(), value));
        rest = after;
    }
}

fn quoted_string(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => {
                value.push(c);
                escaped = false;
            }
            '\\' => escaped = true,
            '"' => return (value, &text[at + 1..]),
            _ => value.push(c),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn challenge(values: &[&'static str]) -> Challenge {
        let values = values.iter().map(|value| (header::WWW_AUTHENTICATE, HeaderValue::from_static(value)));
        read(&HeaderMap::from_iter(values))
    }

    #[test]
    fn a_bearer_challenge_is_found_among_others() {
        let both = challenge(&[
            r#"Basic realm="x", Bearer error="invalid_token", resource_metadata="https://a/\"b\"", scope="read  write""#,
        ]);
        assert_eq!(both.resource_metadata.as_deref(), Some(r#"https://a/"b""#));
        assert_eq!(both.scopes.unwrap(), ["read", "write"]);
        let token = challenge(&["Negotiate", "bearer resource_metadata=https://a/m, scope=one"]);
        assert_eq!(token.resource_metadata.as_deref(), Some("https://a/m"));
        assert_eq!(token.scopes.unwrap(), ["one"]);
    }

    #[test]
    fn what_is_no_challenge_says_nothing() {
        for text in [
            "",
            "Bearer",
            "Bearerx a=b",
            "Basic realm=\"Bearer a=b\"",
            "Bearer realm=\"open",
            "Bearer ===",
            "Bearer a b=c",
        ] {
            let header =
                HeaderMap::from_iter([(header::WWW_AUTHENTICATE, HeaderValue::from_str(text).unwrap())]);
            assert_eq!(read(&header), Challenge::default(), "{text}");
        }
        assert_eq!(read(&HeaderMap::new()), Challenge::default());
    }
}
