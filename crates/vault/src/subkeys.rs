//! Keys derived from one key of the ring (RFC 5869). Each use has a key of its own, so that a value
//! sealed for one use opens in no other.

use crate::key_ring::KEY_BYTES;
use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Prk, Salt};
use aws_lc_rs::hmac;
use doorward_domain::KeyId;
use zeroize::Zeroizing;

/// Bytes of the authentication tag.
const TAG_LEN: usize = 16;

/// What one key of the ring can do, prepared once.
pub(crate) struct Subkeys {
    pub(crate) id: KeyId,
    /// Seals columns; prepared because every call opens a token with it.
    pub(crate) columns: RandomizedNonceKey,
    root: Prk,
}

/// The length of every derived key.
struct KeyLength;

impl KeyType for KeyLength {
    fn len(&self) -> usize {
        KEY_BYTES
    }
}

impl Subkeys {
    pub(crate) fn new(id: &KeyId, bytes: &[u8; KEY_BYTES]) -> Self {
        let root = Salt::new(HKDF_SHA256, b"doorward key ring").extract(bytes);
        let columns = aes_key(&derive(&root, "columns", ""));
        Self { id: id.clone(), columns, root }
    }

    /// The key that seals states of one purpose.
    pub(crate) fn states(&self, purpose: &str) -> RandomizedNonceKey {
        aes_key(&derive(&self.root, "state", purpose))
    }

    /// The key that marks states of one purpose.
    pub(crate) fn marks(&self, purpose: &str) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, derive(&self.root, "mark", purpose).as_slice())
    }

    /// What the key pair that signs for one purpose is made from.
    pub(crate) fn signature_seed(&self, purpose: &str) -> Zeroizing<[u8; KEY_BYTES]> {
        derive(&self.root, "signature", purpose)
    }

    /// A value by which the key is recognized and from which nothing else follows.
    pub(crate) fn check(&self) -> Zeroizing<[u8; KEY_BYTES]> {
        derive(&self.root, "key check", "")
    }
}

fn derive(root: &Prk, usage: &str, purpose: &str) -> Zeroizing<[u8; KEY_BYTES]> {
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    let info = [usage.as_bytes(), b"\0", purpose.as_bytes()];
    root.expand(&info, KeyLength)
        .and_then(|output| output.fill(key.as_mut_slice()))
        .expect("HKDF-SHA256 gives 32 bytes for any purpose");
    key
}

fn aes_key(bytes: &[u8; KEY_BYTES]) -> RandomizedNonceKey {
    RandomizedNonceKey::new(&AES_256_GCM, bytes).expect("32 bytes are an AES-256 key")
}

/// `nonce || ciphertext || tag` of `plain`, bound to `context`.
pub(crate) fn seal(key: &RandomizedNonceKey, context: &str, plain: &[u8]) -> Vec<u8> {
    let mut sealed = Vec::with_capacity(NONCE_LEN + plain.len() + TAG_LEN);
    sealed.extend_from_slice(&[0; NONCE_LEN]);
    sealed.extend_from_slice(plain);
    let (nonce, tag) = key
        .seal_in_place_separate_tag(Aad::from(context), &mut sealed[NONCE_LEN..])
        .expect("AES-256-GCM seals whatever fits into memory");
    sealed[..NONCE_LEN].copy_from_slice(nonce.as_ref());
    sealed.extend_from_slice(tag.as_ref());
    sealed
}

/// What [`seal`] sealed under the same key and context; none for anything else.
pub(crate) fn open(key: &RandomizedNonceKey, context: &str, sealed: &[u8]) -> Option<Vec<u8>> {
    let (nonce, sealed) = sealed.split_at_checked(NONCE_LEN)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    let mut buffer = Zeroizing::new(sealed.to_vec());
    let plain = key.open_in_place(nonce, Aad::from(context), &mut buffer).ok()?;
    // Exactly as long as the plain text: turning it into a boxed secret then copies nothing.
    Some(plain.to_vec())
}
