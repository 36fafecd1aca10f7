//! Tests of the whole thing over the network, in folders that mirror URLs: one binary, one app a test.

mod api;
mod journey;
mod command;
