//! The data plane: MCP clients on one side, upstream MCP servers on the other, each in its own era.
//!
//! Absent here, on purpose: a refresh token, a client secret, a key. The broker is asked for a header
//! value and gives one, or a "must authorize". Messages are forwarded as text: what is not understood
//! is kept byte for byte.

mod ask;
pub mod bridge;
pub mod catalog;
mod catalog_reader;
mod connections_tool;
pub mod envelope;
mod errors;
mod event_log;
mod front;
mod held;
mod limits;
mod live_session;
pub mod names;
pub mod resource_owners;
pub mod revision;
mod route;
mod selection;
mod session;
mod shown_catalog;
mod splice;
mod tasks;
mod tool_trial;
pub mod upstream;
mod uri_template;

pub use catalog::{CatalogState, Catalogs, IndexedCatalog};
pub use errors::{AUTHORIZATION_DECLINED, AUTHORIZATION_ENDED, AUTHORIZATION_REQUIRED};
pub use front::{McpParts, McpService, router};
pub use resource_owners::ResourceOwners;
pub use tool_trial::{ToolTrial, Tried};
pub use upstream::CallError;
