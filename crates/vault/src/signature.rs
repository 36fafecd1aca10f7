//! Signatures that outsiders can check (Ed25519, RFC 8032): each key of the ring signs with a key pair that
//! is derived from it, so that whoever only has the database can sign nothing.

use crate::subkeys::Subkeys;
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use doorward_domain::KeyId;

/// The public half of a signing key.
pub type PublicKey = [u8; 32];

/// A signature, and by whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// The key of the ring that the signing key is derived from.
    pub key_id: KeyId,
    pub public_key: PublicKey,
    pub bytes: Vec<u8>,
}

pub(crate) fn sign(key: &Subkeys, purpose: &str, message: &[u8]) -> Signature {
    let pair = pair(key, purpose);
    let bytes = pair.sign(message).as_ref().to_vec();
    Signature { key_id: key.id.clone(), public_key: public_key_of(&pair), bytes }
}

pub(crate) fn public_key(key: &Subkeys, purpose: &str) -> PublicKey {
    public_key_of(&pair(key, purpose))
}

/// Whether a signature of a message was made with the key of this public half.
pub fn is_signed_by(public_key: &PublicKey, message: &[u8], signature: &[u8]) -> bool {
    UnparsedPublicKey::new(&ED25519, public_key).verify(message, signature).is_ok()
}

fn pair(key: &Subkeys, purpose: &str) -> Ed25519KeyPair {
    let seed = key.signature_seed(purpose);
    Ed25519KeyPair::from_seed_unchecked(seed.as_slice()).expect("32 bytes are an Ed25519 seed")
}

fn public_key_of(pair: &Ed25519KeyPair) -> PublicKey {
    pair.public_key().as_ref().try_into().expect("an Ed25519 public key has 32 bytes")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{KeyRing, Vault};

    const K1: &str = "k1:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
    const K2: &str = "k2:AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=";

    #[test]
    fn a_signature_fits_its_message_its_purpose_and_its_key() {
        let vault = |ring: &str| Vault::new(KeyRing::parse(ring).unwrap());
        let made = vault(K1).sign("audit", b"message");
        assert!(is_signed_by(&made.public_key, b"message", &made.bytes));
        assert!(!is_signed_by(&made.public_key, b"massage", &made.bytes));
        assert!(!is_signed_by(&made.public_key, b"message", &made.bytes[1..]));
        assert_ne!(vault(K1).sign("other", b"message").public_key, made.public_key);
        let both = vault(&format!("{K2}\n{K1}"));
        assert_eq!(both.public_key("audit", &made.key_id), Some(made.public_key));
        assert_eq!(both.sign("audit", b"message").key_id.0, "k2", "the first key signs");
        assert_eq!(vault(K2).public_key("audit", &made.key_id), None);
    }
}
