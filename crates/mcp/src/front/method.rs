//! The methods that clients may call, by era. What a later version brings is refused by name.

use crate::errors::ProtocolError;
use crate::revision::Revision;
use doorward_domain::CatalogKind;

/// What is done with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    Ping,
    SetLevel,
    Discover,
    List(CatalogKind),
    /// `tools/call`: may ask for authorization, and answers in words.
    CallTool,
    ReadResource,
    GetPrompt,
    Complete,
    /// Legacy: a session follows a resource.
    Subscribe,
    Unsubscribe,
    /// Modern: a stream of what changes.
    Listen,
    /// About a task that a call has become.
    Task,
    /// 2025-11-25: the answer to a call that has become a task.
    TaskResult,
    /// 2025-11-25: the user's tasks.
    ListTasks,
}

/// All names of the protocol's requests, as metrics may carry them.
const NAMES: [&str; 20] = [
    "completion/complete",
    "initialize",
    "logging/setLevel",
    "ping",
    "prompts/get",
    "prompts/list",
    "resources/list",
    "resources/read",
    "resources/subscribe",
    "resources/templates/list",
    "resources/unsubscribe",
    "server/discover",
    "subscriptions/listen",
    "tasks/cancel",
    "tasks/get",
    "tasks/list",
    "tasks/result",
    "tasks/update",
    "tools/call",
    "tools/list",
];

/// A method's name as a metric's label: a bounded set.
pub(super) fn label(name: &str) -> &'static str {
    NAMES.binary_search(&name).map_or("other", |at| NAMES[at])
}

impl Method {
    /// The method of this name in the client's era. `initialize` is handled before.
    pub(crate) fn of(name: &str, revision: Revision) -> Result<Self, ProtocolError> {
        match (name, revision.is_modern()) {
            ("ping", false) => Ok(Self::Ping),
            ("logging/setLevel", false) => Ok(Self::SetLevel),
            ("server/discover", true) => Ok(Self::Discover),
            ("tools/list", _) => Ok(Self::List(CatalogKind::Tool)),
            ("resources/list", _) => Ok(Self::List(CatalogKind::Resource)),
            ("resources/templates/list", _) => Ok(Self::List(CatalogKind::ResourceTemplate)),
            ("prompts/list", _) => Ok(Self::List(CatalogKind::Prompt)),
            ("tools/call", _) => Ok(Self::CallTool),
            ("resources/read", _) => Ok(Self::ReadResource),
            ("prompts/get", _) => Ok(Self::GetPrompt),
            ("completion/complete", _) => Ok(Self::Complete),
            ("resources/subscribe", false) => Ok(Self::Subscribe),
            ("resources/unsubscribe", false) => Ok(Self::Unsubscribe),
            ("subscriptions/listen", true) => Ok(Self::Listen),
            ("tasks/get" | "tasks/update" | "tasks/cancel", true) => Ok(Self::Task),
            ("tasks/get" | "tasks/cancel", _) if revision == Revision::V2025_11_25 => Ok(Self::Task),
            ("tasks/result", _) if revision == Revision::V2025_11_25 => Ok(Self::TaskResult),
            ("tasks/list", _) if revision == Revision::V2025_11_25 => Ok(Self::ListTasks),
            (name, _) => Err(ProtocolError::UnknownMethod(name.chars().take(100).collect())),
        }
    }

    /// Whether a modern client may be asked for input in the course of it (2026-07-28, MRTR).
    pub(crate) const fn takes_input(self) -> bool {
        matches!(self, Self::CallTool | Self::ReadResource | Self::GetPrompt)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_is_known_in_its_era_only() {
        for (name, legacy, modern) in [
            ("ping", true, false),
            ("logging/setLevel", true, false),
            ("server/discover", false, true),
            ("tools/call", true, true),
            ("initialize", false, false),
            ("resources/subscribe", true, false),
            ("resources/unsubscribe", true, false),
            ("subscriptions/listen", false, true),
            ("tasks/get", true, true),
            ("tasks/cancel", true, true),
            ("tasks/update", false, true),
            ("tasks/list", true, false),
            ("tasks/result", true, false),
            ("vendor/x", false, false),
        ] {
            assert_eq!(Method::of(name, Revision::V2025_11_25).is_ok(), legacy, "{name}");
            assert_eq!(Method::of(name, Revision::V2026_07_28).is_ok(), modern, "{name}");
            let older = Method::of(name, Revision::V2025_06_18);
            assert_eq!(older.is_ok(), legacy && !name.starts_with("tasks/"), "{name}");
        }
    }

    #[test]
    fn labels_are_a_bounded_set() {
        assert!(NAMES.is_sorted());
        assert_eq!(label("tools/call"), "tools/call");
        assert_eq!(label("tools/call2"), "other");
    }
}
