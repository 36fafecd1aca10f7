//! States: short sealed texts that travel through other people's hands (a cursor, a retry's request
//! state) and must come back unaltered. Each purpose has a key of its own.

use crate::subkeys::{self, Subkeys};
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::sync::Arc;

/// `base64url(length of the key id || key id || nonce || ciphertext || tag)`.
pub(crate) fn seal(key: &Subkeys, purpose: &str, plain: &[u8]) -> String {
    let id = key.id.0.as_bytes();
    let length = u8::try_from(id.len()).expect("a key id has at most 32 characters");
    let sealed = subkeys::seal(&key.states(purpose), purpose, plain);
    URL_SAFE_NO_PAD.encode([&[length], id, &sealed].concat())
}

/// The plain state; none when it was altered, has another purpose, or its key is not in the ring.
pub(crate) fn open(keys: &[Arc<Subkeys>], purpose: &str, text: &str) -> Option<Vec<u8>> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let (length, rest) = bytes.split_first()?;
    let (id, sealed) = rest.split_at_checked(usize::from(*length))?;
    let key = keys.iter().find(|key| key.id.0.as_bytes() == id)?;
    subkeys::open(&key.states(purpose), purpose, sealed)
}

/// Bytes of a mark.
const MARK_LEN: usize = 32;

/// `base64url(length of the key id || key id || mark || plain)`, the mark being HMAC-SHA256 of the plain state. It can be
/// read by whoever holds it, and altered by nobody. The same state under the same key is the same text, so that a name
/// made of it stays a name.
pub(crate) fn mark(key: &Subkeys, purpose: &str, plain: &[u8]) -> String {
    let id = key.id.0.as_bytes();
    let length = u8::try_from(id.len()).expect("a key id has at most 32 characters");
    let mark = hmac::sign(&key.marks(purpose), plain);
    URL_SAFE_NO_PAD.encode([&[length], id, mark.as_ref(), plain].concat())
}

/// The plain state in a marked text; none when it was altered, has another purpose, or its key is not in the ring.
pub(crate) fn marked(keys: &[Arc<Subkeys>], purpose: &str, text: &str) -> Option<Vec<u8>> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let (length, rest) = bytes.split_first()?;
    let (id, rest) = rest.split_at_checked(usize::from(*length))?;
    let (mark, plain) = rest.split_at_checked(MARK_LEN)?;
    let key = keys.iter().find(|key| key.id.0.as_bytes() == id)?;
    hmac::verify(&key.marks(purpose), plain, mark).ok()?;
    Some(plain.to_vec())
}
