//! The published conformance suite (npm `@modelcontextprotocol/conformance`), with Doorward between it and itself,
//! and Doorward before the rigs' own fixture: what a client of each revision must find, it finds behind Doorward
//! too. See `docs/mcp.md`.

mod client;
mod server;
