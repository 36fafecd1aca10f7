//! The data plane: MCP clients on one side, upstream MCP servers on the other, each in its own era.
//!
//! Absent here, on purpose: a refresh token, a client secret, a key. The broker is asked for a header
//! value and gives one, or a "must authorize". Messages are forwarded as text: what is not understood
//! is kept byte for byte.

pub mod bridge;
pub mod catalog;
mod catalog_reader;
pub mod envelope;
pub mod names;
pub mod resource_owners;
pub mod revision;
pub mod upstream;
mod uri_template;
