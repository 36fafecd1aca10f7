//! The domain's words as URLs and forms spell them: the same as in REST.

use doorward_domain::PageRequest;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// A word, e.g. `expiring_soon`.
pub(super) fn word(value: impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(Value::String(word)) => word,
        _ => String::new(),
    }
}

/// What a word stands for; none for what is no such word.
pub(super) fn meant<T: DeserializeOwned>(word: &str) -> Option<T> {
    serde_json::from_value(Value::String(word.to_owned())).ok()
}

/// A query from its parts, without those that are empty.
pub(super) fn query(parts: &[(&str, String)]) -> String {
    let filled: Vec<_> = parts.iter().filter(|(_, value)| !value.is_empty()).collect();
    serde_urlencoded::to_string(filled).unwrap_or_default()
}

/// A path with a query, or without one where there is nothing to ask.
pub(super) fn href(path: &str, parts: &[(&str, String)]) -> String {
    let query = query(parts);
    if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
}

/// Where the first and the next page of a list are, for those who are not on it, and where there is one. The view
/// stands in the address.
pub(super) fn pages(
    path: &str,
    view: &[(&'static str, String)],
    request: &PageRequest,
    next_cursor: Option<String>,
) -> (Option<String>, Option<String>) {
    let next = next_cursor.map(|cursor| {
        let mut parts = view.to_vec();
        parts.push(("cursor", cursor));
        href(path, &parts)
    });
    (request.cursor.as_ref().map(|_| href(path, view)), next)
}

#[cfg(test)]
mod tests {
    use super::*;
    use doorward_domain::Health;

    #[test]
    fn a_word_means_what_it_was_made_from() {
        assert_eq!(word(Health::ExpiringSoon), "expiring_soon");
        assert_eq!(meant::<Health>("expiring_soon"), Some(Health::ExpiringSoon));
        assert_eq!(meant::<Health>("boredom"), None);
        assert_eq!(meant::<Health>(""), None);
        assert_eq!(word(7), "");
    }

    #[test]
    fn a_link_keeps_what_is_asked_and_drops_what_is_not() {
        assert_eq!(href("/ui/x", &[("a", String::new())]), "/ui/x");
        assert_eq!(href("/ui/x", &[("a", "1&2".into()), ("b", String::new())]), "/ui/x?a=1%262");
    }
}
