//! States that travel through a client and come back: sealed under a subkey of their own.

use crate::Broker;

impl Broker {
    /// Seals bytes for a round trip through a client, as base64url text.
    pub fn seal_state(&self, purpose: &str, plain: &[u8]) -> String {
        self.parts.vault.seal_state(purpose, plain)
    }

    /// What was sealed for this purpose; none when a single bit was changed.
    pub fn open_state(&self, purpose: &str, text: &str) -> Option<Vec<u8>> {
        self.parts.vault.open_state(purpose, text)
    }

    /// A state as a name: a text that whoever holds it can read but not alter, the same for the same state.
    pub fn mark_state(&self, purpose: &str, plain: &[u8]) -> String {
        self.parts.vault.mark_state(purpose, plain)
    }

    /// The state in a marked text; none when a single bit was changed.
    pub fn marked_state(&self, purpose: &str, text: &str) -> Option<Vec<u8>> {
        self.parts.vault.marked_state(purpose, text)
    }
}
