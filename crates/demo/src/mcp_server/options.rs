//! How an MCP server is set up: which revisions it speaks, and in which form it answers.

/// A revision of the Model Context Protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Revision {
    V2025_06_18,
    V2025_11_25,
    V2026_07_28,
}

impl Revision {
    /// Every revision, oldest first.
    pub const ALL: [Self; 3] = [Self::V2025_06_18, Self::V2025_11_25, Self::V2026_07_28];

    /// As the wire names it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V2025_06_18 => "2025-06-18",
            Self::V2025_11_25 => "2025-11-25",
            Self::V2026_07_28 => "2026-07-28",
        }
    }

    /// Whether it knows no sessions and carries its version in each request.
    pub const fn is_modern(self) -> bool {
        match self {
            Self::V2025_06_18 | Self::V2025_11_25 => false,
            Self::V2026_07_28 => true,
        }
    }
}

/// In which form requests are answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerForm {
    /// `application/json`.
    Json,
    /// `text/event-stream`, with a progress notification first where the request has a progress token.
    Sse,
}

/// What an MCP server is started with.
#[derive(Debug, Clone)]
pub struct McpServerOptions {
    /// The revisions it speaks, oldest first.
    pub revisions: Vec<Revision>,
    pub answer: AnswerForm,
    /// How many items a page of a list holds; none: all of them.
    pub page_size: Option<usize>,
}

impl Default for McpServerOptions {
    /// Every revision, JSON answers, whole lists.
    fn default() -> Self {
        Self { revisions: Revision::ALL.into(), answer: AnswerForm::Json, page_size: None }
    }
}

impl McpServerOptions {
    /// One revision and nothing else, as most servers in the field.
    pub fn only(revision: Revision) -> Self {
        Self { revisions: vec![revision], ..Self::default() }
    }

    pub(crate) fn speaks(&self, name: &str, modern: bool) -> Option<Revision> {
        let mut known = self.revisions.iter().copied();
        known.find(|revision| revision.as_str() == name && revision.is_modern() == modern)
    }

    pub(crate) fn newest_legacy(&self) -> Option<Revision> {
        self.revisions.iter().copied().rfind(|revision| !revision.is_modern())
    }

    pub(crate) fn is_modern(&self) -> bool {
        self.revisions.iter().any(|revision| revision.is_modern())
    }
}
