//! What an upstream tells unasked.

use serde_json::value::RawValue;
use std::sync::Arc;

/// The lists that can change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ListKind {
    Tools,
    Prompts,
    Resources,
}

impl ListKind {
    pub(crate) const ALL: [Self; 3] = [Self::Tools, Self::Prompts, Self::Resources];

    /// As methods and filters spell it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Prompts => "prompts",
            Self::Resources => "resources",
        }
    }
}

/// Something that an upstream told.
#[derive(Debug, Clone)]
pub(crate) enum Notice {
    Changed(ListKind),
    /// `params` of the notification; `uri` is the upstream's own.
    Updated {
        uri: String,
        params: Arc<RawValue>,
    },
}
