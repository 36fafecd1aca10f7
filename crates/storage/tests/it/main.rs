//! Every method of the storage, on SQLite and on PostgreSQL: one binary, one fresh database per test.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[macro_use]
mod stage;
mod samples;

// By path, because a dependency would be a circle once the test kit starts the whole server.
#[expect(
    unreachable_pub,
    dead_code,
    reason = "it is public where it lives, in the test kit, and more than is needed here"
)]
#[path = "../../../testkit/src/postgres.rs"]
mod postgres_server;

mod api_token;
mod audit;
mod audit_chain;
mod authorization_attempt;
mod authorization_request;
mod backup;
mod bulk_job;
mod catalog;
mod cleanup_run;
mod concurrency;
mod connect_request;
mod corrupt;
mod ended_grant;
mod feed;
mod gateway;
mod grant;
mod grant_due;
mod grant_list;
mod grant_status;
mod group;
mod key_check;
mod lease;
mod notice;
mod opening;
mod orphan;
mod outbox;
mod refresh;
mod replica;
mod role;
mod sealed_column;
mod second_factor;
mod session;
mod setup_link;
mod sweep;
mod tally;
mod user;
mod virtual_server;
