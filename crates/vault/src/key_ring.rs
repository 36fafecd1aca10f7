//! The key ring: named 256-bit keys. The first seals, all open, so that a key is rotated by putting a
//! new one in front and retired when nothing is sealed with it any more.

use base64::Engine;
use base64::alphabet::STANDARD as ALPHABET;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use doorward_domain::{Entropy, KeyId};
use secrecy::SecretString;
use zeroize::Zeroizing;

/// Bytes of a key (AES-256).
pub(crate) const KEY_BYTES: usize = 32;

/// Characters of a key in padded base64.
const ENCODED_KEY_CHARS: usize = KEY_BYTES.div_ceil(3) * 4;

/// Standard base64; the padding may be left out, as some generators do.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &ALPHABET,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// One named key. Its bytes are wiped when it is dropped.
struct NamedKey {
    id: KeyId,
    bytes: Zeroizing<[u8; KEY_BYTES]>,
}

impl NamedKey {
    fn generate(entropy: Entropy, name: &str) -> Self {
        let id = KeyId(name.to_owned());
        assert!(id.is_plain(), "a generated key has a plain name");
        Self { id, bytes: Zeroizing::new(entropy.bytes::<KEY_BYTES>()) }
    }
}

/// Named keys in order of preference; never empty, and no name occurs twice.
pub struct KeyRing {
    keys: Vec<NamedKey>,
}

/// Why a text is not a key ring. Entries are named by position or name, never by value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyRingError {
    #[error("the key ring is empty: give at least one entry `name:base64 of 32 bytes`")]
    Empty,
    #[error("entry {position} of the key ring has no `:`; write it as `name:base64 of 32 bytes`")]
    NoName { position: usize },
    #[error("the name in entry {position} of the key ring is not 1 to 32 of a-z, 0-9 and '-'")]
    Name { position: usize },
    #[error("key `{name}` of the key ring is not base64")]
    Encoding { name: KeyId },
    #[error(
        "key `{name}` of the key ring has {bytes} bytes; it needs 32 (`openssl rand -base64 32` makes one)"
    )]
    Length { name: KeyId, bytes: usize },
    #[error("the key ring names key `{name}` twice")]
    Duplicate { name: KeyId },
}

impl KeyRing {
    /// Reads `name:base64(32 bytes)` entries, separated by newlines or commas; `#` begins a comment.
    pub fn parse(text: &str) -> Result<Self, KeyRingError> {
        let entries = text
            .lines()
            .map(|line| line.split('#').next().unwrap_or_default())
            .flat_map(|line| line.split(','))
            .map(str::trim)
            .filter(|entry| !entry.is_empty());
        let mut keys: Vec<NamedKey> = Vec::new();
        for (index, entry) in entries.enumerate() {
            let key = parse_entry(entry, index + 1)?;
            if keys.iter().any(|known| known.id == key.id) {
                return Err(KeyRingError::Duplicate { name: key.id });
            }
            keys.push(key);
        }
        if keys.is_empty() { Err(KeyRingError::Empty) } else { Ok(Self { keys }) }
    }

    /// A ring with one fresh key.
    ///
    /// # Panics
    /// When `name` is not 1 to 32 of a-z, 0-9 and '-': names of generated keys are written in the code.
    pub fn generate(entropy: Entropy, name: &str) -> Self {
        Self { keys: vec![NamedKey::generate(entropy, name)] }
    }

    /// The same ring with a fresh key in front.
    ///
    /// # Panics
    /// When `name` is not a plain one, or is in the ring already.
    #[must_use]
    pub fn with_new(mut self, entropy: Entropy, name: &str) -> Self {
        assert!(self.key_ids().all(|id| id.0 != name), "a new key has a new name");
        self.keys.insert(0, NamedKey::generate(entropy, name));
        self
    }

    /// The same ring without a key; none when nothing would be left.
    pub fn without(mut self, id: &KeyId) -> Option<Self> {
        self.keys.retain(|key| key.id != *id);
        (!self.keys.is_empty()).then_some(self)
    }

    /// The ring in the form that [`KeyRing::parse`] reads, one entry a line.
    pub fn to_text(&self) -> SecretString {
        // Exactly the room that is needed: growing or shrinking would leave keys behind in freed memory.
        let length = self.keys.iter().map(|key| key.id.0.len() + ":\n".len() + ENCODED_KEY_CHARS).sum();
        let mut text = String::with_capacity(length);
        for key in &self.keys {
            text.push_str(&key.id.0);
            text.push(':');
            STANDARD.encode_string(key.bytes.as_slice(), &mut text);
            text.push('\n');
        }
        SecretString::from(text)
    }

    /// The names of all keys, the sealing one first.
    pub fn key_ids(&self) -> impl Iterator<Item = &KeyId> {
        self.keys.iter().map(|key| &key.id)
    }

    /// The key that seals.
    pub fn sealing_key(&self) -> &KeyId {
        &self.keys[0].id
    }

    /// Names and bytes, for the vault that is built on them.
    pub(crate) fn keys(&self) -> impl Iterator<Item = (&KeyId, &[u8; KEY_BYTES])> {
        self.keys.iter().map(|key| (&key.id, &*key.bytes))
    }
}

/// The name of the next generated key: `k` and a number above that of every name that is or was in use.
pub fn next_name<'a>(used: impl IntoIterator<Item = &'a KeyId>) -> String {
    let number = |id: &KeyId| id.0.strip_prefix('k')?.parse::<u32>().ok();
    let highest = used.into_iter().filter_map(number).max().unwrap_or(0);
    format!("k{}", highest.saturating_add(1))
}

impl std::fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.key_ids().map(|id| &id.0)).finish()
    }
}

fn parse_entry(entry: &str, position: usize) -> Result<NamedKey, KeyRingError> {
    let (name, encoded) = entry.split_once(':').ok_or(KeyRingError::NoName { position })?;
    let (name, encoded) = (name.trim(), encoded.trim());
    let id = KeyId(name.to_owned());
    if !id.is_plain() {
        return Err(KeyRingError::Name { position });
    }
    let Ok(decoded) = LENIENT.decode(encoded).map(Zeroizing::new) else {
        return Err(KeyRingError::Encoding { name: id });
    };
    match <[u8; KEY_BYTES]>::try_from(decoded.as_slice()) {
        Ok(bytes) => Ok(NamedKey { id, bytes: Zeroizing::new(bytes) }),
        Err(_) => Err(KeyRingError::Length { name: id, bytes: decoded.len() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    const K1: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
    const K2: &str = "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI";

    fn refused(text: &str) -> KeyRingError {
        KeyRing::parse(text).unwrap_err()
    }

    #[test]
    fn entries_are_separated_by_lines_or_commas_and_may_carry_comments() {
        let ring =
            KeyRing::parse(&format!("# new, since May\nnew : {K2} # first, seals\n\nold-1:{K1},x:{K1}"))
                .unwrap();
        let names: Vec<_> = ring.key_ids().map(ToString::to_string).collect();
        assert_eq!(names, ["new", "old-1", "x"]);
        assert_eq!(ring.sealing_key(), &KeyId("new".into()));
        assert_eq!(ring.keys().next().unwrap().1, &[2; 32]);
    }

    #[test]
    fn a_generated_ring_reads_back_from_its_text() {
        let ring = KeyRing::generate(Entropy, "k1");
        let text = ring.to_text();
        assert_eq!(text.expose_secret().len(), "k1:\n".len() + ENCODED_KEY_CHARS);
        let again = KeyRing::parse(text.expose_secret()).unwrap();
        assert!(ring.keys().eq(again.keys()));
        assert!(!ring.keys().eq(KeyRing::generate(Entropy, "k1").keys()));
    }

    #[test]
    fn each_mistake_is_named_without_the_value() {
        let name = KeyId("k1".into());
        assert_eq!(refused(" \n# nothing\n,"), KeyRingError::Empty);
        assert_eq!(refused(&format!("k1:{K1}\n{K2}")), KeyRingError::NoName { position: 2 });
        assert_eq!(refused(&format!("K1:{K1}")), KeyRingError::Name { position: 1 });
        assert_eq!(refused(&format!(":{K1}")), KeyRingError::Name { position: 1 });
        assert_eq!(refused("k1:canary!"), KeyRingError::Encoding { name: name.clone() });
        assert_eq!(refused("k1:AQEB"), KeyRingError::Length { name: name.clone(), bytes: 3 });
        assert_eq!(refused(&format!("k1:{K1},k1:{K2}")), KeyRingError::Duplicate { name });
        assert!(!refused("k1:canary!").to_string().contains("canary"));
    }

    #[test]
    fn a_new_key_goes_in_front_under_the_next_name_and_the_last_one_stays() {
        let ring = KeyRing::parse(&format!("k7:{K1},old:{K2}")).unwrap();
        let name = next_name(ring.key_ids());
        assert_eq!((name.as_str(), next_name([]).as_str()), ("k8", "k1"));
        let ring = ring.with_new(Entropy, &name);
        assert_eq!(format!("{ring:?}"), r#"["k8", "k7", "old"]"#);
        let ring = ring.without(&KeyId("k7".into())).unwrap().without(&KeyId("old".into())).unwrap();
        assert_eq!(format!("{ring:?}"), r#"["k8"]"#);
        assert!(ring.without(&KeyId("k8".into())).is_none());
    }

    #[test]
    fn debug_shows_names_only() {
        assert_eq!(format!("{:?}", KeyRing::parse(&format!("k1:{K1}")).unwrap()), r#"["k1"]"#);
    }
}
