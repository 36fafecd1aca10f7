//! The endpoints as clients meet them: requests into the router, upstreams on real listeners behind it.

mod asking;
mod beside;
mod bridges;
mod checks;
mod federation;
mod harness;
mod http_sse;
mod large;
mod legacy_tasks;
mod limits;
mod listening;
mod parked;
mod relayed;
mod sessions;
mod tasks;
mod tool_access;
mod unknown;
mod upstreams;
