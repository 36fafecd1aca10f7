//! Seal and open, and hash what needs no opening. Nothing else happens here.
//!
//! Every key that is used is derived (HKDF-SHA256) from a named key of the ring: one for columns, one
//! for each purpose of a sealed state or a signature, one value by which a wrong ring is noticed. A sealed column
//! opens only under its key and at its place.

pub mod key_ring;
pub mod password;
pub mod place;
pub mod ring_file;
mod signature;
mod state;
mod subkeys;
pub mod token;
pub mod totp;
pub mod vault;
mod webhook;

pub use key_ring::{KeyRing, KeyRingError};
pub use password::PasswordError;
pub use place::Place;
pub use ring_file::{RingFile, RingFileError};
pub use signature::{Signature, is_signed_by};
pub use token::{NewApiToken, checksum_fits, hash_token, new_api_token};
pub use totp::{new_recovery_code, new_totp_secret, recovery_code_hash, totp_code, totp_step, totp_uri};
pub use vault::{OpenError, Vault};
pub use webhook::{WebhookSecret, WebhookSecretError};
