//! Keyset pages: a limit, an opaque cursor, and the cursor of the next page.

/// What a caller asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRequest {
    /// Rows per page, 1 to 200.
    pub limit: u32,
    /// The `next_cursor` of the page before; none for the first.
    pub cursor: Option<String>,
}

impl Default for PageRequest {
    fn default() -> Self {
        Self { limit: 50, cursor: None }
    }
}

/// One page of rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The rows, in the order of the list.
    pub items: Vec<T>,
    /// Where the next page begins; none on the last.
    pub next_cursor: Option<String>,
}

impl<T> Page<T> {
    /// The same page with each row turned into something else.
    pub fn map<U>(self, each: impl FnMut(T) -> U) -> Page<U> {
        Page { items: self.items.into_iter().map(each).collect(), next_cursor: self.next_cursor }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mapping_a_page_keeps_its_cursor() {
        let page = Page { items: vec![1, 2], next_cursor: Some("c".into()) };
        let mapped = page.map(|n| n * 2);
        assert_eq!(mapped.items, [2, 4]);
        assert_eq!(mapped.next_cursor.as_deref(), Some("c"));
        assert_eq!(PageRequest::default().limit, 50);
    }
}
