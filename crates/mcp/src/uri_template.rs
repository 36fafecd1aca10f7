//! Which URIs a URI template can make (RFC 6570). Only the question "could this template own that URI"
//! is asked, so expressions match by the characters they may expand to, not by their values.

/// A template, cut into what it demands of a URI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UriTemplate {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(Vec<u8>),
    /// One expression: what it begins with if it expands to anything, and whether it may hold `/`, `?` and `#`.
    Expression {
        prefix: Option<u8>,
        reserved: bool,
    },
}

impl UriTemplate {
    /// Reads a template; none when its braces do not match or it is nothing but literals.
    pub(crate) fn parse(template: &str) -> Option<Self> {
        let mut parts = Vec::new();
        let mut rest = template;
        while let Some((literal, after)) = rest.split_once('{') {
            let (expression, after) = after.split_once('}')?;
            parts.push(Part::Literal(literal.as_bytes().to_vec()));
            parts.push(Self::expression(expression)?);
            rest = after;
        }
        if parts.is_empty() || rest.contains('}') {
            return None;
        }
        parts.push(Part::Literal(rest.as_bytes().to_vec()));
        Some(Self { parts })
    }

    /// The operators of RFC 6570 §2.2.
    fn expression(text: &str) -> Option<Part> {
        let (prefix, reserved) = match text.bytes().next()? {
            b'+' => (None, true),
            b'#' => (Some(b'#'), true),
            b'.' => (Some(b'.'), false),
            // Path segments and queries may repeat their separator ({/list*}, {?a,b}).
            b'/' => (Some(b'/'), true),
            b';' => (Some(b';'), true),
            b'?' => (Some(b'?'), true),
            b'&' => (Some(b'&'), true),
            _ => (None, false),
        };
        Some(Part::Expression { prefix, reserved })
    }

    /// Whether the template can make this URI. The time it takes is bounded by the product of both lengths.
    pub(crate) fn matches(&self, uri: &str) -> bool {
        let uri = uri.as_bytes();
        let mut reached = vec![false; uri.len() + 1];
        reached[0] = true;
        for part in &self.parts {
            reached = match part {
                Part::Literal(literal) => after_literal(&reached, uri, literal),
                Part::Expression { prefix, reserved } => after_expression(&reached, uri, *prefix, *reserved),
            };
        }
        reached[uri.len()]
    }
}

fn after_literal(reached: &[bool], uri: &[u8], literal: &[u8]) -> Vec<bool> {
    let mut next = vec![false; reached.len()];
    for (at, _) in reached.iter().enumerate().filter(|(_, reached)| **reached) {
        if uri[at..].starts_with(literal) {
            next[at + literal.len()] = true;
        }
    }
    next
}

/// An expression with a prefix may be absent; one without may be an empty value.
fn after_expression(reached: &[bool], uri: &[u8], prefix: Option<u8>, reserved: bool) -> Vec<bool> {
    let mut next = reached.to_vec();
    let mut inside = false;
    for at in 0..uri.len() {
        let begins = reached[at] && prefix.is_none_or(|prefix| uri[at] == prefix);
        let continues = inside && (reserved || !matches!(uri[at], b'/' | b'?' | b'#'));
        let first = begins && (prefix.is_some() || reserved || !matches!(uri[at], b'/' | b'?' | b'#'));
        inside = first || continues;
        next[at + 1] |= inside;
    }
    next
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_owns_what_it_can_make() {
        for (template, uri, expected) in [
            ("test://template/{id}/data", "test://template/123/data", true),
            ("test://template/{id}/data", "test://template/1/2/data", false),
            ("test://template/{id}/data", "test://template/1/date", false),
            ("file:///{+path}", "file:///a/b?c#d", true),
            ("file:///{path}", "file:///a/b", false),
            ("repo://{owner}/{repo}", "repo://a/b", true),
            ("repo://{owner}/{repo}{?ref,page}", "repo://a/b?ref=x&page=2", true),
            ("repo://{owner}/{repo}{?ref}", "repo://a/b", true),
            ("repo://{owner}/{repo}{?ref}", "repo://a/b&ref", true),
            ("x://{a}{/b*}", "x://1/2/3", true),
            ("x://{a}{.ext}", "x://1.tar", true),
            ("x://{a}{#f}", "x://1#/y", true),
            ("x://{a}{;p}", "x://1;p=2", true),
            ("x://{a}{&p}", "x://1&p=2", true),
            ("x://{a}", "y://1", false),
        ] {
            assert_eq!(UriTemplate::parse(template).unwrap().matches(uri), expected, "{template} {uri}");
        }
    }

    #[test]
    fn what_is_no_template_is_none() {
        for text in ["plain://uri", "x://{open", "x://{a}}", "x://{}", ""] {
            assert_eq!(UriTemplate::parse(text), None, "{text}");
        }
    }

    #[test]
    fn many_expressions_take_no_longer_than_their_product() {
        let template = UriTemplate::parse(&"{a}".repeat(200)).unwrap();
        assert!(!template.matches(&format!("{}/", "a".repeat(2_000))));
    }
}
