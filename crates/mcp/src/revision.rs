//! The protocol revisions that Doorward speaks, and the two eras they belong to: legacy (`initialize`
//! and sessions, up to 2025-11-25) and modern (`_meta` in every request, from 2026-07-28).

/// A revision of the Model Context Protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Revision {
    /// The only one with batches.
    V2025_03_26,
    V2025_06_18,
    V2025_11_25,
    V2026_07_28,
}

impl Revision {
    /// The newest revision with `initialize`.
    pub const LATEST_LEGACY: Self = Self::V2025_11_25;

    /// The newest revision.
    pub const LATEST: Self = Self::V2026_07_28;

    /// What clients may speak with us, newest first.
    pub const OFFERED: [Self; 4] =
        [Self::V2026_07_28, Self::V2025_11_25, Self::V2025_06_18, Self::V2025_03_26];

    /// The revision with this name, if we know it.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "2025-03-26" => Some(Self::V2025_03_26),
            "2025-06-18" => Some(Self::V2025_06_18),
            "2025-11-25" => Some(Self::V2025_11_25),
            "2026-07-28" => Some(Self::V2026_07_28),
            _ => None,
        }
    }

    /// As headers and messages spell it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V2025_03_26 => "2025-03-26",
            Self::V2025_06_18 => "2025-06-18",
            Self::V2025_11_25 => "2025-11-25",
            Self::V2026_07_28 => "2026-07-28",
        }
    }

    /// Whether every request carries its own version and capabilities, without sessions.
    pub const fn is_modern(self) -> bool {
        matches!(self, Self::V2026_07_28)
    }
}

impl std::fmt::Display for Revision {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Names of `_meta` members and headers, as revision 2026-07-28 spells them.
pub mod wire {
    /// `_meta`: the revision of this request (required).
    pub const META_VERSION: &str = "io.modelcontextprotocol/protocolVersion";
    /// `_meta`: the client's capabilities (required).
    pub const META_CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
    /// `_meta`: the client's name and version.
    pub const META_CLIENT_INFO: &str = "io.modelcontextprotocol/clientInfo";
    /// `_meta`: the lowest level of `notifications/message` that is wanted.
    pub const META_LOG_LEVEL: &str = "io.modelcontextprotocol/logLevel";
    /// `_meta` of a result: who answered.
    pub const META_SERVER_INFO: &str = "io.modelcontextprotocol/serverInfo";
    /// `_meta`: the id of the `subscriptions/listen` request that a notification belongs to.
    pub const META_SUBSCRIPTION: &str = "io.modelcontextprotocol/subscriptionId";
    /// Header: the revision.
    pub const HEADER_VERSION: &str = "mcp-protocol-version";
    /// Header: a legacy session.
    pub const HEADER_SESSION: &str = "mcp-session-id";
    /// Header: the body's `method`.
    pub const HEADER_METHOD: &str = "mcp-method";
    /// Header: the body's `params.name` or `params.uri`.
    pub const HEADER_NAME: &str = "mcp-name";
    /// Prefix of the headers that mirror annotated tool arguments.
    pub const HEADER_PARAM_PREFIX: &str = "mcp-param-";
}

/// JSON-RPC error codes of the protocol.
pub mod code {
    pub const INVALID_REQUEST: i32 = -32_600;
    pub const METHOD_NOT_FOUND: i32 = -32_601;
    pub const INVALID_PARAMS: i32 = -32_602;
    pub const INTERNAL_ERROR: i32 = -32_603;
    /// Legacy: no such resource.
    pub const RESOURCE_NOT_FOUND: i32 = -32_002;
    /// Modern: a header contradicts the body.
    pub const HEADER_MISMATCH: i32 = -32_020;
    /// Modern: the client did not declare a capability that the request needs.
    pub const MISSING_CLIENT_CAPABILITY: i32 = -32_021;
    /// Modern: the revision is not spoken.
    pub const UNSUPPORTED_VERSION: i32 = -32_022;
    /// Legacy 2025-11-25: the user must open a URL first.
    pub const URL_ELICITATION_REQUIRED: i32 = -32_042;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revision_reads_back_what_it_prints() {
        for revision in
            [Revision::V2025_03_26, Revision::V2025_06_18, Revision::V2025_11_25, Revision::V2026_07_28]
        {
            assert_eq!(Revision::parse(&revision.to_string()), Some(revision));
        }
        assert_eq!(Revision::parse("1999-01-01"), None);
        assert!(Revision::LATEST.is_modern() && !Revision::LATEST_LEGACY.is_modern());
        assert!(Revision::OFFERED.is_sorted_by(|newer, older| newer > older));
    }
}
