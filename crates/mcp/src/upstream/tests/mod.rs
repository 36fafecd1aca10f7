//! Calls against real listeners on loopback: every era, sessions, streams, credentials.

mod credentials;
mod eras;
pub(crate) mod fixture;
mod sessions;
mod streams;

pub(crate) use fixture::gateway_at;
