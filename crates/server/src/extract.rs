//! Authentication is an extractor that yields what a handler needs; there is no other way in.
//!
//! Pages take [`SessionCaller`] and [`CheckedForm`]; REST takes [`OwnCaller`] or [`AdminCaller`].

mod address;
mod api_caller;
mod form;
mod id;
mod if_match;
mod json;
mod key_name;
mod query;
mod role_name;
mod session;

pub(crate) use address::{ClientAddress, ForwardedWatch, Peer, watch_forwarding};
pub(crate) use api_caller::{AdminCaller, OwnCaller, SignedInCaller};
pub(crate) use form::{CheckedForm, FormGuard};
pub(crate) use id::Id;
pub(crate) use if_match::{IfMatch, etag};
pub(crate) use json::JsonBody;
pub(crate) use key_name::KeyName;
pub(crate) use query::{NoQuery, PageQuery, QueryOf, refuse_query};
pub(crate) use role_name::RoleNamed;
pub(crate) use session::{PageRejection, SessionCaller};
