//! The chain of the audit trail: hashes, links, where it was cut, and how it can be broken.

use crate::clock::Timestamp;
use crate::sealed::KeyId;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::str::FromStr;

/// Bytes that are no secret and are shown as lower-case hex.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hex<const N: usize>(pub [u8; N]);

/// SHA-256 of one event and of the hash before it. Anybody may compute it again.
pub type AuditHash = Hex<32>;

impl<const N: usize> Hex<N> {
    /// Nothing but zeros: what stands before the first event.
    pub const ZEROS: Self = Self([0; N]);
}

impl<const N: usize> std::fmt::Display for Hex<N> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl<const N: usize> Serialize for Hex<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A text that is not so many bytes in hex.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not {digits} hexadecimal digits")]
pub struct HexError {
    pub digits: usize,
}

impl<const N: usize> FromStr for Hex<N> {
    type Err = HexError;

    fn from_str(text: &str) -> Result<Self, HexError> {
        let wrong = HexError { digits: 2 * N };
        if text.len() != 2 * N || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(wrong);
        }
        let mut bytes = [0; N];
        for (byte, place) in bytes.iter_mut().zip(0..) {
            *byte = u8::from_str_radix(&text[2 * place..2 * place + 2], 16).map_err(|_| wrong)?;
        }
        Ok(Self(bytes))
    }
}

impl<'de, const N: usize> Deserialize<'de> for Hex<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<str>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
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
    pub const BEGINNING: Self = Self { seq: 0, hash: AuditHash::ZEROS, at: Timestamp::from_millis(0) };
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
    pub signature: Hex<64>,
}

impl AuditAnchor {
    /// What the first event that is still there follows.
    pub fn link(&self) -> AuditLink {
        AuditLink { seq: self.seq, hash: self.hash, at: self.at }
    }
}

/// A signed statement that the chain had this head at this time. Whoever keeps it elsewhere can tell
/// later whether the trail up to there is still the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditCheckpoint {
    pub seq: i64,
    pub hash: AuditHash,
    pub at: Timestamp,
    /// The key of the ring that the signing key was derived from.
    pub key_id: String,
    pub public_key: Hex<32>,
    /// Ed25519.
    pub signature: Hex<64>,
}

/// What is signed of an anchor or a checkpoint: lines of text.
pub fn signed_statement(kind: &str, seq: i64, hash: AuditHash, at: Timestamp) -> String {
    format!("doorward audit {kind} v1\n{seq}\n{hash}\n{at}\n")
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
        let hash: AuditHash = Hex([0xa7; 32]);
        assert_eq!(hash.to_string().parse(), Ok(hash));
        for bad in ["", "a7", &"g".repeat(64), &"a".repeat(65), &"\u{e9}".repeat(32)] {
            assert_eq!(bad.parse::<AuditHash>(), Err(HexError { digits: 64 }), "{bad}");
        }
    }
}
