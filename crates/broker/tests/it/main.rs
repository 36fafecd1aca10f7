//! The use cases against a real database and a real authorization server on loopback.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod audit;
mod authorize;
mod cleanup;
mod gateway;
mod notice;
mod people;
mod refresh;
mod refresh_background;
mod refresh_failures;
mod refresh_killed;
mod refresh_outage;
mod refresh_paths;
mod refresh_uncertain;
mod revoke;
mod world;
