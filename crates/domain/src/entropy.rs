//! Randomness as a parameter: the one home of the operating system's random source.

use crate::clock::Timestamp;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

/// The operating system's random source.
#[derive(Debug, Clone, Copy, Default)]
pub struct Entropy;

impl Entropy {
    /// `N` unpredictable bytes.
    ///
    /// # Panics
    /// When the operating system has no randomness to give; nothing safe can be done then.
    pub fn bytes<const N: usize>(self) -> [u8; N] {
        let mut bytes = [0; N];
        getrandom::fill(&mut bytes).expect("the operating system's random source answers");
        bytes
    }

    /// 256 random bits as 43 base64url characters: states, session ids, verifiers.
    pub fn token(self) -> String {
        URL_SAFE_NO_PAD.encode(self.bytes::<32>())
    }

    /// A fresh UUIDv7 whose time part is `now`.
    pub fn id<T: From<Uuid>>(self, now: Timestamp) -> T {
        let millis = u64::try_from(now.millis()).unwrap_or(0);
        uuid::Builder::from_unix_timestamp_millis(millis, &self.bytes::<10>()).into_uuid().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::GrantId;

    #[test]
    fn ids_sort_by_birth_and_tokens_do_not_repeat() {
        let early: GrantId = Entropy.id(Timestamp::from_millis(1_000));
        let late: GrantId = Entropy.id(Timestamp::from_millis(2_000));
        assert!(early < late);
        assert_eq!(early.0.get_version_num(), 7);
        assert_ne!(Entropy.token(), Entropy.token());
        assert_eq!(Entropy.token().len(), 43);
    }
}
