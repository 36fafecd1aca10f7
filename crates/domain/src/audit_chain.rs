//! The chain of the audit trail: hashes, links, where it was cut, and how it can be broken.

use crate::clock::Timestamp;
use crate::sealed::KeyId;
use std::str::FromStr;

/// SHA-256 of one event and of the hash before it. No secret: anybody may compute it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditHash(pub [u8; 32]);

impl AuditHash {
    /// What stands before the first event.
    pub const BEGINNING: Self = Self([0; 32]);
}

impl std::fmt::Display for AuditHash {
    /// Lower-case hex.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl serde::Serialize for AuditHash {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A text that is no hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a hash is 64 hexadecimal digits")]
pub struct AuditHashError;

impl FromStr for AuditHash {
    type Err = AuditHashError;

    fn from_str(text: &str) -> Result<Self, AuditHashError> {
        if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(AuditHashError);
        }
        let mut bytes = [0; 32];
        for (byte, place) in bytes.iter_mut().zip(0..) {
            *byte = u8::from_str_radix(&text[2 * place..2 * place + 2], 16).map_err(|_| AuditHashError)?;
        }
        Ok(Self(bytes))
    }
}

/// One event's place in the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditLink {
    pub seq: i64,
    pub hash: AuditHash,
    pub at: Timestamp,
}

impl AuditLink {
    /// What stands before the first event.
    pub const BEGINNING: Self = Self { seq: 0, hash: AuditHash::BEGINNING, at: Timestamp::from_millis(0) };
}

/// Where retention has cut the chain: the last event that is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditAnchor {
    pub seq: i64,
    pub hash: AuditHash,
    /// When it was cut.
    pub at: Timestamp,
    /// The key of the ring that the signing key was derived from.
    pub signing_key: KeyId,
    pub signature: Vec<u8>,
}

/// The first event at which the chain does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChainBreak {
    #[error("event {seq} is not what was written: its hash does not fit its content")]
    Altered { seq: i64 },
    #[error("event {seq} does not follow the event before it: one of the two was replaced or moved")]
    Unlinked { seq: i64 },
    #[error("events {seq} to {through} are missing")]
    Missing { seq: i64, through: i64 },
}

impl ChainBreak {
    /// The first bad number.
    pub fn seq(self) -> i64 {
        match self {
            Self::Altered { seq } | Self::Unlinked { seq } | Self::Missing { seq, .. } => seq,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_reads_back_from_its_text_and_nothing_else_does() {
        let hash = AuditHash([0xa7; 32]);
        assert_eq!(hash.to_string().parse(), Ok(hash));
        for bad in ["", "a7", &"g".repeat(64), &"a".repeat(65), &"\u{e9}".repeat(32)] {
            assert_eq!(bad.parse::<AuditHash>(), Err(AuditHashError), "{bad}");
        }
    }
}
