//! Authentication is an extractor that yields what a handler needs; there is no other way in.
//!
//! Pages take [`SessionCaller`] and [`CheckedForm`]; REST takes [`OwnCaller`] or [`AdminCaller`].

mod address;
mod api_caller;
mod form;
mod json;
mod page;
mod query;
mod session;

pub(crate) use address::{ClientAddress, Peer};
pub(crate) use api_caller::{AdminCaller, OwnCaller};
pub(crate) use form::{CheckedForm, FormGuard};
pub(crate) use json::JsonBody;
pub(crate) use page::IdPath;
pub(crate) use query::QueryOf;
pub(crate) use session::{PageRejection, SessionCaller};
