//! The one guarded way to the outside. Whatever URL it is given (typed, discovered or re-resolved), it
//! connects only to an address that is public or that a setting allows, and to the very address that
//! was checked. It follows no redirect, knows no cookie and reads no proxy from the environment: a forward proxy is a
//! setting, and what can then no longer be checked is refused by its name ([`OutboundProxy`]).
//!
//! Messages name hosts and addresses; never a path, a query, a header or a body.

mod address;
mod check;
mod client;
mod connector;
mod error;
mod identity;
mod policy;
mod proxy;
mod resolver;
mod tls;

pub use check::Refusal;
pub use client::{Outbound, OutboundRequest, OutboundResponse};
pub use error::OutboundError;
pub use identity::{ClientIdentity, IdentityError};
pub use policy::{EgressPolicy, PolicyError};
pub use proxy::{OutboundProxy, ProxyError};
pub use resolver::{FixedNames, Resolver};
pub use tls::{ExtraRoots, ExtraRootsError};
