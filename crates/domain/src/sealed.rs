//! What the database holds instead of a secret: sealed bytes under a named key, or a hash.

/// The name of a key in the key ring, e.g. `k1`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub String);

impl KeyId {
    /// Whether it is 1 to 32 of a-z, 0-9 and '-', as every name in a ring is.
    pub fn is_plain(&self) -> bool {
        (1..=32).contains(&self.0.len())
            && self.0.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    }
}

impl std::fmt::Display for KeyId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// A secret sealed by the vault. It opens only under the same key and at the same place
/// (`table/column/row id` is its associated data).
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed {
    /// The key it was sealed with.
    pub key_id: KeyId,
    /// Nonce, ciphertext and tag.
    pub bytes: Vec<u8>,
}

impl std::fmt::Debug for Sealed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sealed({}, {} bytes)", self.key_id, self.bytes.len())
    }
}

/// SHA-256 of one of our own random tokens (256 bits of entropy, so no salt is needed).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenHash(pub [u8; 32]);

impl std::fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TokenHash")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_neither_ciphertext_nor_hash() {
        let sealed = Sealed { key_id: KeyId("k1".into()), bytes: vec![7; 40] };
        assert_eq!(format!("{sealed:?}"), "Sealed(k1, 40 bytes)");
        assert_eq!(format!("{:?}", TokenHash([9; 32])), "TokenHash");
    }
}
