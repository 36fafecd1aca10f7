//! The vault: what is sealed here opens only under its key and at its place.

use crate::key_ring::KeyRing;
use crate::place::Place;
use crate::signature::{self, Signature};
use crate::state;
use crate::subkeys::{self, Subkeys};
use arc_swap::ArcSwap;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use doorward_domain::{Hex, KeyId, Sealed};
use secrecy::{ExposeSecret, SecretString};
use std::sync::Arc;

/// Seals and opens with the keys of one ring. Clones share them: a key that one of them is given, all have. The
/// hot path pays one atomic load for that.
#[derive(Clone)]
pub struct Vault {
    keys: Arc<ArcSwap<Keys>>,
}

/// The keys there are. Replaced as a whole, never changed.
#[derive(Clone)]
struct Keys {
    /// In the order of the ring; never empty.
    all: Vec<Arc<Subkeys>>,
    /// Which of them seals.
    sealing: usize,
}

impl Keys {
    fn of(ring: &KeyRing) -> Self {
        Self { all: ring.keys().map(|(id, bytes)| Arc::new(Subkeys::new(id, bytes))).collect(), sealing: 0 }
    }

    fn sealing(&self) -> &Subkeys {
        &self.all[self.sealing]
    }

    fn find(&self, id: &KeyId) -> Option<&Subkeys> {
        self.all.iter().find(|key| key.id == *id).map(|key| &**key)
    }

    /// The same keys, of which `id` seals, where it is among them.
    fn sealing_with(&self, id: &KeyId) -> Option<Self> {
        let sealing = self.all.iter().position(|key| key.id == *id)?;
        Some(Self { sealing, ..self.clone() })
    }
}

/// Why a sealed value does not open.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    #[error("the key ring has no key `{0}`; put it back (DOORWARD_KEY_RING) until nothing is sealed with it")]
    UnknownKey(KeyId),
    #[error("the value at {0} does not open: it was altered or moved, or its key has another value now")]
    Broken(String),
}

impl Vault {
    /// Prepares every key of the ring, of which the first seals; the ring's own bytes are wiped.
    #[expect(clippy::needless_pass_by_value, reason = "the ring ends here, so that keys live in one place")]
    pub fn new(ring: KeyRing) -> Self {
        Self { keys: Arc::new(ArcSwap::from_pointee(Keys::of(&ring))) }
    }

    /// Takes over another ring. The key that seals goes on sealing if it is still there, else the first does.
    #[expect(clippy::needless_pass_by_value, reason = "the ring ends here, so that keys live in one place")]
    pub fn reload(&self, ring: KeyRing) {
        let fresh = Keys::of(&ring);
        self.keys.rcu(|keys| fresh.sealing_with(&keys.sealing().id).unwrap_or_else(|| fresh.clone()));
    }

    /// From now on this key seals. False: there is no such key, and nothing has changed.
    pub fn seal_with(&self, id: &KeyId) -> bool {
        self.keys.rcu(|keys| keys.sealing_with(id).unwrap_or_else(|| Keys::clone(keys)));
        self.sealing_key() == *id
    }

    /// The names of all keys, in the order of the ring.
    pub fn key_ids(&self) -> Vec<KeyId> {
        self.keys.load().all.iter().map(|key| key.id.clone()).collect()
    }

    /// The key that seals.
    pub fn sealing_key(&self) -> KeyId {
        self.keys.load().sealing().id.clone()
    }

    /// Seals a secret for one place.
    pub fn seal(&self, place: &Place, secret: &impl ExposeSecret<str>) -> Sealed {
        let keys = self.keys.load();
        let key = keys.sealing();
        let bytes = subkeys::seal(&key.columns, &place.to_string(), secret.expose_secret().as_bytes());
        Sealed { key_id: key.id.clone(), bytes }
    }

    /// Opens what was sealed for this place, with whichever key it was sealed.
    pub fn open<S: From<String>>(&self, place: &Place, sealed: &Sealed) -> Result<S, OpenError> {
        let keys = self.keys.load();
        let key = keys.find(&sealed.key_id).ok_or_else(|| OpenError::UnknownKey(sealed.key_id.clone()))?;
        let place = place.to_string();
        subkeys::open(&key.columns, &place, &sealed.bytes)
            .and_then(|plain| String::from_utf8(plain).ok())
            .map(S::from)
            .ok_or(OpenError::Broken(place))
    }

    /// Seals for another place, or again for the same one with the key that seals.
    pub fn reseal(&self, from: &Place, to: &Place, sealed: &Sealed) -> Result<Sealed, OpenError> {
        self.open::<SecretString>(from, sealed).map(|secret| self.seal(to, &secret))
    }

    /// Seals a state for one purpose: a base64url text that outsiders may hold.
    pub fn seal_state(&self, purpose: &str, plain: &[u8]) -> String {
        state::seal(self.keys.load().sealing(), purpose, plain)
    }

    /// The state in a text; none when it was altered, has another purpose or a key that is gone.
    pub fn open_state(&self, purpose: &str, text: &str) -> Option<Vec<u8>> {
        state::open(&self.keys.load().all, purpose, text)
    }

    /// A state as a text that can be read but not altered, and is the same for the same state.
    pub fn mark_state(&self, purpose: &str, plain: &[u8]) -> String {
        state::mark(self.keys.load().sealing(), purpose, plain)
    }

    /// The state in a marked text; none when it was altered, has another purpose or a key that is gone.
    pub fn marked_state(&self, purpose: &str, text: &str) -> Option<Vec<u8>> {
        state::marked(&self.keys.load().all, purpose, text)
    }

    /// Signs a message for one purpose, with the first key.
    pub fn sign(&self, purpose: &str, message: &[u8]) -> Signature {
        signature::sign(self.keys.load().sealing(), purpose, message)
    }

    /// What a key's signatures for one purpose are checked with; none for a key that the ring does not have.
    pub fn public_key(&self, purpose: &str, key: &KeyId) -> Option<Hex<32>> {
        self.keys.load().find(key).map(|key| signature::public_key(key, purpose))
    }

    /// The check value of a key (32 bytes, reveals nothing), by which a wrong ring is noticed at start.
    /// Empty for a key that the ring does not have.
    pub fn key_check(&self, key: &KeyId) -> Vec<u8> {
        self.keys.load().find(key).map(|key| key.check().to_vec()).unwrap_or_default()
    }

    /// Whether the ring's key of this name is the one that the check value was made from.
    pub fn verify_key_check(&self, key: &KeyId, check: &[u8]) -> bool {
        let keys = self.keys.load();
        keys.find(key).is_some_and(|key| verify_slices_are_equal(key.check().as_slice(), check).is_ok())
    }
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Vault").field(&self.key_ids().into_iter().map(|id| id.0).collect::<Vec<_>>()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use doorward_domain::{AccessToken, Entropy};
    use proptest::prelude::*;
    use std::time::Instant;
    use uuid::Uuid;

    const K1: &str = "k1:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
    const K2: &str = "k2:AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=";

    fn vault(ring: &str) -> Vault {
        Vault::new(KeyRing::parse(ring).unwrap())
    }

    fn place(row: u128) -> Place {
        Place::grant_access_token(Uuid::from_u128(row).into())
    }

    fn opened(vault: &Vault, place: &Place, sealed: &Sealed) -> Result<String, OpenError> {
        vault.open::<AccessToken>(place, sealed).map(|token| token.expose_secret().to_owned())
    }

    fn places() -> impl Strategy<Value = Place> {
        (0..3_u8, 0..4_u128).prop_map(|(column, row)| match column {
            0 => place(row),
            1 => Place::grant_refresh_token(Uuid::from_u128(row).into()),
            _ => Place::client_secret(Uuid::from_u128(row).into()),
        })
    }

    proptest! {
        #[test]
        fn a_value_opens_only_at_its_place_under_its_key_and_unaltered(
            secret in ".{0,200}", at in places(), elsewhere in places(), flip in any::<prop::sample::Index>(),
        ) {
            let vault = vault(K1);
            let sealed = vault.seal(&at, &AccessToken::new(secret.clone()));
            prop_assert_eq!(opened(&vault, &at, &sealed), Ok(secret.clone()));
            if elsewhere != at {
                prop_assert_eq!(opened(&vault, &elsewhere, &sealed), Err(OpenError::Broken(elsewhere.to_string())));
            }
            let stranger = Vault::new(KeyRing::generate(Entropy, "k1"));
            prop_assert!(opened(&stranger, &at, &sealed).is_err());
            let mut altered = sealed.clone();
            let byte = flip.index(altered.bytes.len());
            altered.bytes[byte] ^= 1;
            prop_assert!(opened(&vault, &at, &altered).is_err());
            prop_assert!(secret.len() < 4 || !sealed.bytes.windows(secret.len()).any(|w| w == secret.as_bytes()));
        }

        #[test]
        fn a_state_opens_only_for_its_purpose_and_no_garbage_opens(
            plain in prop::collection::vec(any::<u8>(), 0..100), garbage in ".{0,80}",
        ) {
            let vault = vault(K1);
            let text = vault.seal_state("cursor", &plain);
            prop_assert_eq!(vault.open_state("cursor", &text), Some(plain));
            prop_assert_eq!(vault.open_state("request", &text), None);
            prop_assert_eq!(vault.open_state("cursor", &garbage), None);
        }
    }

    #[test]
    fn a_marked_state_is_the_same_text_each_time_and_cannot_be_altered() {
        let vault = vault(K1);
        let text = vault.mark_state("task", b"state");
        assert_eq!(text, vault.mark_state("task", b"state"));
        assert_ne!(text, vault.mark_state("task", b"other"));
        assert_eq!(vault.marked_state("task", &text).as_deref(), Some(b"state".as_slice()));
        assert_eq!(vault.marked_state("cursor", &text), None, "of another purpose");
        let with_more_keys = self::vault(&format!("{K2}\n{K1}"));
        assert!(with_more_keys.marked_state("task", &text).is_some());
        assert_eq!(self::vault(K2).marked_state("task", &text), None, "by another key");
        for at in 0..text.len() {
            let mut altered = text.clone().into_bytes();
            altered[at] = if altered[at] == b'A' { b'B' } else { b'A' };
            let altered = String::from_utf8(altered).unwrap();
            let read = vault.marked_state("task", &altered);
            assert!(read.is_none(), "{at}: {altered}");
        }
        assert_eq!(vault.open_state("task", &text), None, "it is not sealed");
    }

    #[test]
    fn the_first_key_seals_and_every_key_opens() {
        let old = vault(K1).seal(&place(1), &AccessToken::new("t"));
        let old_state = vault(K1).seal_state("cursor", b"s");
        let both = vault(&format!("{K2}\n{K1}"));
        assert_eq!(opened(&both, &place(1), &old).unwrap(), "t");
        assert_eq!(both.open_state("cursor", &old_state).unwrap(), b"s");
        let again = both.reseal(&place(1), &place(2), &old).unwrap();
        assert_eq!(again.key_id.0, "k2");
        assert_eq!(opened(&vault(K2), &place(2), &again).unwrap(), "t");
    }

    #[test]
    fn a_clone_learns_a_new_key_before_it_seals_and_forgets_an_old_one() {
        let vault = vault(K1);
        let clone = vault.clone();
        let ring = |text: &str| KeyRing::parse(text).unwrap();
        let names = |ids: Vec<KeyId>| ids.into_iter().map(|id| id.0).collect::<Vec<_>>();
        vault.reload(ring(&format!("{K2}\n{K1}")));
        assert_eq!(names(clone.key_ids()), ["k2", "k1"]);
        assert_eq!(clone.sealing_key().0, "k1", "a new key opens, and seals when it is told to");
        let before = clone.seal(&place(1), &AccessToken::new("t"));
        assert!(!vault.seal_with(&KeyId("k3".into())));
        assert!(vault.seal_with(&KeyId("k2".into())));
        assert_eq!(clone.seal(&place(1), &AccessToken::new("t")).key_id.0, "k2");
        let again = clone.reseal(&place(1), &place(1), &before).unwrap();
        vault.reload(ring(K2));
        assert_eq!(opened(&clone, &place(1), &before), Err(OpenError::UnknownKey(KeyId("k1".into()))));
        assert_eq!(opened(&clone, &place(1), &again).unwrap(), "t");
    }

    #[test]
    fn a_missing_key_and_a_broken_value_are_told_apart() {
        let sealed = vault(K1).seal(&place(1), &AccessToken::new("canary"));
        let unknown = opened(&vault(K2), &place(1), &sealed).unwrap_err();
        assert_eq!(unknown, OpenError::UnknownKey(KeyId("k1".into())));
        assert!(unknown.to_string().contains("no key `k1`"));
        let short = Sealed { key_id: KeyId("k1".into()), bytes: vec![0; 5] };
        let broken = opened(&vault(K1), &place(1), &short).unwrap_err();
        assert!(broken.to_string().starts_with("the value at grants/access_token/"));
        assert!(vault(K2).reseal(&place(1), &place(2), &sealed).is_err());
        assert_eq!(vault(K2).open_state("cursor", &vault(K1).seal_state("cursor", b"s")), None);
    }

    #[test]
    fn bytes_that_are_no_text_count_as_broken() {
        let vault = vault(K1);
        let bytes = subkeys::seal(&vault.keys.load().sealing().columns, &place(1).to_string(), &[0xff]);
        let sealed = Sealed { key_id: KeyId("k1".into()), bytes };
        assert!(matches!(opened(&vault, &place(1), &sealed), Err(OpenError::Broken(_))));
    }

    #[test]
    fn a_key_check_fits_only_the_key_it_was_made_from() {
        let (k1, k2) = (KeyId("k1".into()), KeyId("k2".into()));
        let check = vault(K1).key_check(&k1);
        assert_eq!(check.len(), 32);
        assert!(vault(K1).verify_key_check(&k1, &check));
        let renamed = vault(&K2.replace("k2", "k1"));
        assert!(!renamed.verify_key_check(&k1, &check), "the same name, another key");
        assert!(!vault(K1).verify_key_check(&k2, &vault(K1).key_check(&k2)), "an unknown key fits nothing");
    }

    #[test]
    fn sealing_twice_gives_two_texts_and_debug_shows_names_only() {
        let vault = vault(K1);
        let token = AccessToken::new("t");
        assert_ne!(vault.seal(&place(1), &token), vault.seal(&place(1), &token));
        assert_ne!(vault.seal_state("p", b"s"), vault.seal_state("p", b"s"));
        assert_eq!(format!("{vault:?}"), r#"Vault(["k1"])"#);
    }

    #[test]
    fn opening_a_token_costs_microseconds() {
        let vault = vault(K1);
        let sealed = vault.seal(&place(1), &AccessToken::new("x".repeat(1_500)));
        let batch = || {
            let begin = Instant::now();
            (0..100).for_each(|_| assert!(opened(&vault, &place(1), &sealed).is_ok()));
            begin.elapsed() / 100
        };
        let best = (0..20).map(|_| batch()).min().unwrap();
        // 20 microseconds are the promise of a release build; a debug build under coverage gets more.
        let promise = if cfg!(debug_assertions) { 200 } else { 20 };
        assert!(best.as_micros() < promise, "{best:?}");
    }
}
