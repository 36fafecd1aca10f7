//! The use cases against a real database and a real authorization server on loopback.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod accounts;
mod audit;
mod authorize;
mod cleanup;
mod client_metadata;
mod gateway;
mod gateway_check;
mod notice;
mod people;
mod refresh;
mod refresh_background;
mod refresh_failures;
mod refresh_killed;
mod refresh_outage;
mod refresh_paths;
mod refresh_uncertain;
mod registration_removal;
mod revoke;
mod service_grant;
mod step_up;
mod template_versions;
mod vendors;
mod world;
