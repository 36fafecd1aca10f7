//! Calls against real listeners on loopback: every era, sessions, streams, credentials.

pub(crate) mod credentials;
mod cuts;
mod eras;
pub(crate) mod fixture;
mod passing;
mod reach;
mod sessions;
mod streams;

pub(crate) use fixture::gateway_at;
