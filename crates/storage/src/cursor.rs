//! Keyset pages: a cursor is the key of the last row, opaque to its holder and good for its own list only.

use crate::error::StorageError;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use doorward_domain::{Page, PageRequest};

/// The most rows a page has, whatever was asked for.
const MOST: u32 = 200;

/// The key of a row: a number (a time or a sequence), then an id for rows that share it.
pub(crate) type Key = (i64, String);

/// Where a page starts (exclusive), and how many rows to read: one more than asked, to see if there are more.
pub(crate) struct Slice {
    pub(crate) after: Key,
    pub(crate) limit: i64,
    list: &'static str,
}

impl Slice {
    /// Reads the cursor of a request to `list`; without one the page starts at `first`.
    pub(crate) fn of(list: &'static str, first: i64, request: &PageRequest) -> Result<Self, StorageError> {
        let after = match &request.cursor {
            None => (first, String::new()),
            Some(cursor) => parse(list, cursor).ok_or(StorageError::BadCursor)?,
        };
        Ok(Self { after, limit: i64::from(request.limit.clamp(1, MOST)) + 1, list })
    }

    /// Turns the rows that were read into a page.
    pub(crate) fn page<T>(&self, mut items: Vec<T>, key: impl Fn(&T) -> Key) -> Page<T> {
        let wanted = usize::try_from(self.limit - 1).unwrap_or(usize::MAX);
        let more = items.len() > wanted;
        items.truncate(wanted);
        let next_cursor = items.last().filter(|_| more).map(|last| self.cursor(key(last)));
        Page { items, next_cursor }
    }

    fn cursor(&self, (number, id): Key) -> String {
        URL_SAFE_NO_PAD.encode(format!("{}:{number}:{id}", self.list))
    }
}

fn parse(list: &str, cursor: &str) -> Option<Key> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()?;
    let (number, id) = text.strip_prefix(list)?.strip_prefix(':')?.split_once(':')?;
    let plain = id.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    Some((number.parse().ok()?, plain.then(|| id.to_owned())?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_leads_back_to_its_key_and_to_no_other_list() {
        let request = PageRequest { limit: 1, cursor: None };
        let slice = Slice::of("users", 0, &request).unwrap();
        let page = slice.page(vec![7, 8], |row| (*row, "ab-12".to_owned()));
        assert_eq!(page.items, [7]);
        let next = PageRequest { limit: 1, cursor: page.next_cursor };
        assert_eq!(Slice::of("users", 0, &next).unwrap().after, (7, "ab-12".to_owned()));
        assert!(matches!(Slice::of("gateways", 0, &next), Err(StorageError::BadCursor)));
    }

    #[test]
    fn the_last_page_has_no_cursor() {
        let slice = Slice::of("users", 0, &PageRequest { limit: 2, cursor: None }).unwrap();
        assert_eq!(slice.page(vec![7, 8], |row| (*row, String::new())).next_cursor, None);
    }

    #[test]
    fn a_cursor_with_a_null_byte_never_reaches_the_database() {
        for text in ["users:1:a\0b", "users:one:ab", "users", "users:1"] {
            let request = PageRequest { limit: 2, cursor: Some(URL_SAFE_NO_PAD.encode(text)) };
            assert!(matches!(Slice::of("users", 0, &request), Err(StorageError::BadCursor)), "{text:?}");
        }
    }

    #[test]
    fn a_page_has_at_least_one_row_and_at_most_two_hundred() {
        for (asked, read) in [(0, 2), (201, 201), (u32::MAX, 201)] {
            let slice = Slice::of("users", 0, &PageRequest { limit: asked, cursor: None }).unwrap();
            assert_eq!(slice.limit, read);
        }
    }
}
