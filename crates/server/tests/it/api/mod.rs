//! REST, one file per subject.

mod admin_audit;
mod admin_groups;
mod admin_keys;
mod admin_oauth_attempts;
mod admin_oauth_cleanup;
mod admin_oauth_providers;
mod admin_oauth_refresh;
mod admin_oauth_revoke;
mod admin_oauth_tokens;
mod admin_tallies;
mod admin_users;
mod api_tokens;
mod audited;
mod authentication;
mod bad_input;
mod catalog;
mod connections;
mod deposits;
mod gateway_changes;
mod gateway_check;
mod gateway_edits;
mod gateways;
mod permissions;
mod probes;
mod servers;
mod sign_in;
