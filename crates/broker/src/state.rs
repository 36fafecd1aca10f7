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
}
