//! How much one person and one gateway may ask for: generous, so that only what runs away meets them.

/// The limits of one installation. Nothing here ever locks anybody out: what is too much now is taken later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// `DOORWARD_CALLS_AT_ONCE_PER_USER`: calls of one person that run at one gateway. Those at other gateways
    /// do not count, so that a gateway that hangs takes none of theirs.
    pub calls_at_once_per_user: u32,
    /// `DOORWARD_CALLS_AT_ONCE_PER_GATEWAY`: calls of everybody that run at one gateway.
    pub calls_at_once_per_gateway: u32,
    /// `DOORWARD_REQUESTS_PER_MINUTE_PER_USER`: MCP requests of one person, of any method.
    pub requests_per_minute_per_user: u32,
    /// `DOORWARD_CALLS_PER_MINUTE_PER_GATEWAY`: calls of everybody to one gateway.
    pub calls_per_minute_per_gateway: u32,
    /// `DOORWARD_STREAMS_PER_USER`: subscriptions of one person that are open at this replica.
    pub streams_per_user: u32,
    /// `DOORWARD_SESSIONS_PER_USER`: MCP sessions of one person; a new one takes the place of the longest unused.
    pub sessions_per_user: u32,
    /// `DOORWARD_AUTHORIZATIONS_PER_USER`: pending authorization requests of one person; a new one takes the
    /// place of the oldest.
    pub authorizations_per_user: u32,
    /// `DOORWARD_MESSAGE_MIB`: the largest message that an MCP client may send.
    pub message_mib: u32,
    /// `DOORWARD_HEADER_KIB`: the largest head of a request.
    pub header_kib: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            calls_at_once_per_user: 100,
            calls_at_once_per_gateway: 2_000,
            requests_per_minute_per_user: 60_000,
            calls_per_minute_per_gateway: 600_000,
            streams_per_user: 100,
            sessions_per_user: 1_000,
            authorizations_per_user: 100,
            message_mib: 4,
            header_kib: 64,
        }
    }
}
