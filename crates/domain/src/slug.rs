//! The short name of a gateway in URLs and exposed names. It never changes.

use serde::{Serialize, Serializer};

/// `[a-z0-9-]{1,32}`, neither starting nor ending with a hyphen.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slug(String);

/// Why a text is not a slug.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("use 1 to 32 of a-z, 0-9 and '-', starting and ending with a letter or digit")]
pub struct InvalidSlug;

/// Names that would shadow a standing tool or route.
const RESERVED: [&str; 1] = ["doorward"];

impl Slug {
    /// Checks and wraps a text.
    pub fn parse(text: &str) -> Result<Self, InvalidSlug> {
        let well_formed = (1..=32).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !text.starts_with('-')
            && !text.ends_with('-')
            && !RESERVED.contains(&text);
        well_formed.then(|| Self(text.to_owned())).ok_or(InvalidSlug)
    }

    /// The text itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for Slug {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Slug {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slug_is_short_lower_case_and_plain() {
        for good in ["a", "github-mcp", "0", &"x".repeat(32)] {
            assert_eq!(Slug::parse(good).unwrap().to_string(), good);
        }
        for bad in ["", "-a", "a-", "A", "a b", "a/b", "ä", "doorward", &"x".repeat(33)] {
            assert_eq!(Slug::parse(bad), Err(InvalidSlug), "{bad}");
        }
    }
}
