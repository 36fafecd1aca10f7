//! The two eras, turned into each other for plain calls: what a request needs on its way up (`up`), and
//! what a response must lose or gain on its way down (`down`). Between two parties of one era nothing is
//! touched but the id and the progress token. What is not listed here passes byte for byte.

mod asks;
mod down;
mod up;

pub use asks::{InputRequired, Then};
pub(crate) use asks::{ask, declared, declares_any, needed, parts, takes_input};
pub use down::{Downward, NeedsMore, error_code, item_for};
pub use up::{Upward, client_info, upward};

use crate::envelope::edit;
use std::borrow::Cow;

fn edited<'a>(object: &'a str, edits: &[(&str, Option<&str>)]) -> Cow<'a, str> {
    edit(object, edits).map_or(Cow::Borrowed(object), Cow::Owned)
}

#[cfg(test)]
pub(crate) mod tests;
