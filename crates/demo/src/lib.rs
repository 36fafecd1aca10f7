//! A small OAuth authorization server and an OAuth-protected MCP server, both on loopback.
//!
//! `doorward demo` runs them so that the whole journey works without an account elsewhere; tests run
//! them to see what was asked and to make them misbehave. They are providers, not part of the gateway:
//! their passwords, codes and tokens are made up at each start, protect nothing, and are kept in memory
//! as plain text so that tests can compare them.

mod authorization_server;
mod listener;
mod mcp_server;
#[cfg(test)]
mod testing;
mod vendor;

pub use authorization_server::{
    Account, AuthorizationServer, AuthorizationServerFaults, AuthorizationServerLog,
    AuthorizationServerOptions, HandedOut, IssuerInRedirect, RevocationRequest, TokenFault, TokenRequest,
};
pub use mcp_server::{
    AnswerForm, McpFault, McpServer, McpServerFaults, McpServerOptions, Revision, SeenRequest, TokenCheck,
};
pub use vendor::{
    Answers, Body, ClientWay, Revoking, Rotation, VENDOR_CLIENT, Vendor, VendorProfile, Whoami,
    vendor_profile,
};

use std::io;
use std::net::SocketAddr;

/// Both servers, wired to each other: what `doorward demo` runs beside the gateway.
pub struct Demo {
    pub authorization_server: AuthorizationServer,
    pub mcp_server: McpServer,
}

impl Demo {
    /// Starts both servers; the MCP server trusts the tokens of this authorization server only.
    ///
    /// # Errors
    /// When an address is not on loopback or is taken.
    pub async fn start(
        authorization_server: SocketAddr,
        mcp_server: SocketAddr,
        options: AuthorizationServerOptions,
    ) -> io::Result<Self> {
        let authorization_server = AuthorizationServer::start(authorization_server, options).await?;
        let mcp_server =
            McpServer::start(mcp_server, Some(&authorization_server), McpServerOptions::default()).await?;
        Ok(Self { authorization_server, mcp_server })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{ANY_PORT, Journey, McpCaller};

    #[tokio::test]
    async fn alice_and_bob_each_reach_the_demo_as_themselves() {
        let demo = Demo::start(ANY_PORT, ANY_PORT, AuthorizationServerOptions::default()).await.unwrap();
        for name in ["alice", "bob"] {
            let tokens = Journey::of(&demo, name).tokens().await;
            let caller = McpCaller::of(&demo.mcp_server).bearer(tokens["access_token"].as_str().unwrap());
            let (status, answer) = caller.modern("tools/call", r#""name":"whoami","#, "whoami").await;
            assert_eq!(status, 200);
            assert_eq!(answer["result"]["content"][0]["text"], name);
        }
    }

    #[tokio::test]
    async fn an_address_outside_loopback_is_refused() {
        let everywhere = "0.0.0.0:0".parse().unwrap();
        let refused = Demo::start(everywhere, ANY_PORT, AuthorizationServerOptions::default()).await;
        assert_eq!(refused.err().unwrap().kind(), io::ErrorKind::InvalidInput);
    }
}
