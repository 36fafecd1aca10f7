//! From columns to words of the domain, and back. What cannot be read names its table, column and row.

use crate::error::StorageError;
use doorward_domain::{KeyId, Sealed, Timestamp, TokenHash};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::borrow::Cow;
use std::fmt::Display;
use std::str::FromStr;

/// The row that is being read, for errors.
#[derive(Clone, Copy)]
pub(crate) struct RowName<'a> {
    pub(crate) table: &'static str,
    pub(crate) id: &'a str,
}

impl RowName<'_> {
    pub(crate) fn corrupt(self, column: &'static str, why: impl Display) -> StorageError {
        StorageError::Corrupt { table: self.table, column, id: self.id.to_owned(), why: why.to_string() }
    }

    /// An id, a URL, or whatever else has a text form.
    pub(crate) fn parse<T: FromStr<Err: Display>>(
        self,
        column: &'static str,
        text: &str,
    ) -> Result<T, StorageError> {
        text.parse().map_err(|error| self.corrupt(column, error))
    }

    pub(crate) fn parse_optional<T: FromStr<Err: Display>>(
        self,
        column: &'static str,
        text: Option<&str>,
    ) -> Result<Option<T>, StorageError> {
        text.map(|text| self.parse(column, text)).transpose()
    }

    /// A list or a map.
    pub(crate) fn json<T: DeserializeOwned>(
        self,
        column: &'static str,
        text: &str,
    ) -> Result<T, StorageError> {
        // The parser's own message may quote the text, which is nobody's business in a log.
        serde_json::from_str(text).map_err(|error| {
            self.corrupt(column, format_args!("not the JSON that belongs here (line {})", error.line()))
        })
    }

    /// One of the words of an enum.
    pub(crate) fn word<T: DeserializeOwned>(
        self,
        column: &'static str,
        text: &str,
    ) -> Result<T, StorageError> {
        serde_json::from_value(serde_json::Value::String(text.to_owned()))
            .map_err(|_| self.corrupt(column, "not one of the words that this column may hold"))
    }

    /// A column that must be there because another one says so.
    pub(crate) fn required<T>(self, column: &'static str, value: Option<T>) -> Result<T, StorageError> {
        value.ok_or_else(|| self.corrupt(column, "must not be empty in a row of this kind"))
    }

    /// A pair of columns: bytes and the id of their key, both or neither.
    pub(crate) fn sealed(
        self,
        column: &'static str,
        bytes: Option<Vec<u8>>,
        key_id: Option<String>,
    ) -> Result<Option<Sealed>, StorageError> {
        match (bytes, key_id) {
            (Some(bytes), Some(key_id)) => Ok(Some(Sealed { key_id: KeyId(key_id), bytes })),
            (None, None) => Ok(None),
            _ => Err(self.corrupt(column, "sealed bytes and their key id belong together, one is missing")),
        }
    }

    pub(crate) fn hash(self, column: &'static str, bytes: &[u8]) -> Result<TokenHash, StorageError> {
        bytes
            .try_into()
            .map(TokenHash)
            .map_err(|_| self.corrupt(column, format_args!("a hash has 32 bytes, not {}", bytes.len())))
    }
}

/// A table whose rows are named by a hash: errors do not repeat it.
pub(crate) const BY_HASH: &str = "(by hash)";

/// The word of a unit variant, as the database spells it.
pub(crate) fn word(value: impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        other => unreachable!("only unit variants are stored as words, not {other:?}"),
    }
}

/// Free text from outside. PostgreSQL stores no NUL in a text, so both databases keep U+FFFD in its place.
pub(crate) fn text(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { Cow::Owned(text.replace('\0', "\u{fffd}")) } else { Cow::Borrowed(text) }
}

/// How many rows one statement inserts at most. Most that is inserted is one row or a long list, so that these two
/// lengths are worth a prepared statement ([`is_usual`]).
pub const ROWS: usize = 50;

/// Whether a statement that inserts so many rows comes again and again.
pub(crate) fn is_usual(rows: usize) -> bool {
    rows == 1 || rows == ROWS
}

/// `($1, $2), ($3, $4)`: the values of that many rows of so many columns.
pub(crate) fn values(rows: usize, columns: usize) -> String {
    let mut text = String::new();
    for number in 0..rows * columns {
        text.push_str(match number {
            0 => "($",
            _ if number % columns == 0 => "), ($",
            _ => ", $",
        });
        text.push_str(&(number + 1).to_string());
    }
    text.push(')');
    text
}

/// A list or a map as JSON.
pub(crate) fn json(value: &(impl Serialize + ?Sized)) -> String {
    serde_json::to_string(value).expect("lists and maps of text always have a JSON form")
}

pub(crate) fn key_of(sealed: Option<&Sealed>) -> Option<&str> {
    sealed.map(|sealed| sealed.key_id.0.as_str())
}

pub(crate) fn bytes_of(sealed: Option<&Sealed>) -> Option<&[u8]> {
    sealed.map(|sealed| sealed.bytes.as_slice())
}

pub(crate) fn moment(millis: Option<i64>) -> Option<Timestamp> {
    millis.map(Timestamp::from_millis)
}

pub(crate) fn millis(moment: Option<Timestamp>) -> Option<i64> {
    moment.map(Timestamp::millis)
}

/// What a moment is that never comes: it sorts behind all others, in both databases.
pub(crate) const NEVER: i64 = i64::MAX;

/// A moment that may never come.
pub(crate) fn unless_never(millis: i64) -> Option<Timestamp> {
    (millis != NEVER).then(|| Timestamp::from_millis(millis))
}

/// The column of a moment that may never come.
pub(crate) fn or_never(moment: Option<Timestamp>) -> i64 {
    moment.map_or(NEVER, Timestamp::millis)
}

/// A moment in the past that may never have been.
pub(crate) fn if_ever(millis: i64) -> Option<Timestamp> {
    (millis != 0).then(|| Timestamp::from_millis(millis))
}
