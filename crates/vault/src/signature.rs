//! Signatures that outsiders can check (Ed25519, RFC 8032): each key of the ring signs with a key pair that
//! is derived from it, so that whoever only has the database can sign nothing.

use crate::subkeys::Subkeys;
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use doorward_domain::{Hex, KeyId};

/// A signature, and by whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// The key of the ring that the signing key is derived from.
    pub key_id: KeyId,
    pub public_key: Hex<32>,
    pub bytes: Hex<64>,
}

pub(crate) fn sign(key: &Subkeys, purpose: &str, message: &[u8]) -> Signature {
    let pair = pair(key, purpose);
    let bytes = pair.sign(message).as_ref().try_into().map(Hex).expect("an Ed25519 signature has 64 bytes");
    Signature { key_id: key.id.clone(), public_key: public_key_of(&pair), bytes }
}

pub(crate) fn public_key(key: &Subkeys, purpose: &str) -> Hex<32> {
    public_key_of(&pair(key, purpose))
}

/// Whether a signature of a message was made with the key of this public half.
pub fn is_signed_by(public_key: &Hex<32>, message: &[u8], signature: &Hex<64>) -> bool {
    UnparsedPublicKey::new(&ED25519, public_key.0).verify(message, &signature.0).is_ok()
}

fn pair(key: &Subkeys, purpose: &str) -> Ed25519KeyPair {
    let seed = key.signature_seed(purpose);
    Ed25519KeyPair::from_seed_unchecked(seed.as_slice()).expect("32 bytes are an Ed25519 seed")
}

fn public_key_of(pair: &Ed25519KeyPair) -> Hex<32> {
    pair.public_key().as_ref().try_into().map(Hex).expect("an Ed25519 public key has 32 bytes")
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
        assert!(!is_signed_by(&made.public_key, b"message", &Hex([7; 64])));
        assert_ne!(vault(K1).sign("other", b"message").public_key, made.public_key);
        let both = vault(&format!("{K2}\n{K1}"));
        assert_eq!(both.public_key("audit", &made.key_id), Some(made.public_key));
        assert_eq!(both.sign("audit", b"message").key_id.0, "k2", "the first key signs");
        assert_eq!(vault(K2).public_key("audit", &made.key_id), None);
    }
}
