//! The published conformance suite (npm `@modelcontextprotocol/conformance`), with Doorward between it and itself.

mod client;
