//! What a template asks the administrator for: a tenant, a host, an audience.

use serde::{Deserialize, Serialize};
use std::net::Ipv6Addr;
use url::Url;

/// One placeholder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TemplateInput {
    pub label: String,
    #[serde(default)]
    pub help: Option<String>,
    pub example: String,
    /// What stands there unless something else is given.
    #[serde(default)]
    pub default: Option<String>,
    pub kind: InputKind,
}

/// What a placeholder may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InputKind {
    /// A host, perhaps with a port: no scheme, no path, no user.
    Host,
    /// One segment of a path.
    Segment,
    /// An absolute URI.
    Uri,
}

/// What is wrong with what was given for a placeholder.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{input}: {problem}")]
pub struct InputProblem {
    pub input: String,
    pub problem: String,
}

const INPUT_MAX: usize = 255;

impl TemplateInput {
    /// Whether a text fits; the problem says what to give instead.
    pub fn check(&self, text: &str) -> Result<(), String> {
        let example = &self.example;
        if text.is_empty() {
            return Err(format!("give one, for example {example}"));
        }
        if text.len() > INPUT_MAX {
            return Err("use at most 255 characters".to_owned());
        }
        let fits = match self.kind {
            InputKind::Host => is_host(text),
            InputKind::Segment => is_segment(text),
            InputKind::Uri => {
                Url::parse(text).is_ok() && !text.contains(['"', '\\', '{', '}', '<', '>', ' '])
            }
        };
        if fits { Ok(()) } else { Err(self.remedy(text)) }
    }

    fn remedy(&self, text: &str) -> String {
        let example = &self.example;
        let what = match self.kind {
            InputKind::Host => "the host",
            InputKind::Segment => "the word",
            InputKind::Uri => return format!("give a whole URI, for example {example}"),
        };
        let without = if text.contains("://") {
            "without https://"
        } else if text.contains('/') {
            "without a slash"
        } else if text.contains('@') {
            "without '@'"
        } else {
            "without blanks or special characters"
        };
        format!("give {what} alone, {without}: for example {example}")
    }
}

/// Only what cannot move the URL to another host: no `@`, `/`, `?`, `#`, `\` or blank.
fn is_host(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !host.ends_with(':') && !text.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    };
    let literal = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'.';
    let name = !host.is_empty() && host.bytes().all(plain) && !host.contains("..") && !host.starts_with('.');
    let host_fits = literal.map_or(name, |literal| literal.parse::<Ipv6Addr>().is_ok());
    host_fits && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0))
}

fn is_segment(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~');
    text.bytes().all(plain) && text.bytes().any(|b| b != b'.')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(kind: InputKind) -> TemplateInput {
        TemplateInput { label: "x".into(), help: None, example: "acme.example".into(), default: None, kind }
    }

    #[test]
    fn s9_a_typo_in_a_placeholder_is_named_with_its_remedy() {
        let host = input(InputKind::Host);
        for good in ["acme.okta.com", "localhost:8080", "[::1]:443", "10.0.0.1", "a"] {
            assert_eq!(host.check(good), Ok(()), "{good}");
        }
        for (bad, remedy) in [
            ("https://acme.okta.com", "without https://"),
            ("acme.okta.com/", "without a slash"),
            ("evil.example/@acme", "without a slash"),
            ("acme.okta.com@evil.example", "without '@'"),
            ("acme okta", "without blanks"),
            ("a:0", "without blanks"),
            ("a:b", "without blanks"),
            ("..", "without blanks"),
            ("[::1", "without blanks"),
            ("a#b", "without blanks"),
            ("a\\b", "without blanks"),
            ("", "give one"),
        ] {
            let problem = host.check(bad).unwrap_err();
            assert!(problem.contains(remedy) && problem.contains("acme.example"), "{bad}: {problem}");
        }
        let segment = input(InputKind::Segment);
        assert_eq!(segment.check("organizations"), Ok(()));
        for bad in ["a/b", "..", "a%2f", "a?b", "https://a", "a@b"] {
            assert!(segment.check(bad).is_err(), "{bad}");
        }
        let uri = input(InputKind::Uri);
        assert_eq!(uri.check("https://api.example.com/"), Ok(()));
        assert!(uri.check("api").is_err() && uri.check("https://a/{x}").is_err());
        assert!(host.check(&"a".repeat(256)).is_err());
    }
}
