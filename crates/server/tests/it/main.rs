//! Tests of the whole thing over the network, in folders that mirror URLs: one binary, one app a test.

#![expect(
    clippy::unwrap_used,
    reason = "the helpers of tests fail like tests; clippy allows it in test functions only"
)]

mod api;
mod audit_command;
mod backup_command;
mod baseline;
mod client_certificates;
mod command;
mod conformance;
mod control_socket;
mod deploy;
mod house;
mod journey;
mod program;
mod proxies;
mod tls;
mod ui;
