//! Passwords: Argon2id with the parameters that OWASP names (19 MiB, two passes, one lane).
//!
//! Hashing is slow on purpose, so it runs on the blocking pool and two at a time: a flood of logins
//! waits in line and neither stalls the other work nor fills the memory.

use argon2::password_hash::{PasswordHasher, PasswordVerifier, phc};
use argon2::{Algorithm, Argon2, Params, Version};
use doorward_domain::user::{PASSWORD_MAX_BYTES, PASSWORD_MIN_CHARS, PasswordHash};
use doorward_domain::{Entropy, Password};
use secrecy::ExposeSecret;
use tokio::sync::Semaphore;

/// Memory of one hash, in KiB.
const MEMORY_KIB: u32 = 19 * 1_024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// How many hashes are computed at one time.
static TURNS: Semaphore = Semaphore::const_new(2);

/// The hash of nothing that anybody knows, with the parameters above.
const NOBODYS_HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$ZG9vcndhcmRub2JvZHkhIQ$\
    bm9ib2R5IGtub3dzIHRoZSBwYXNzd29yZCBvZiB0aGk";

/// Why a password is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    #[error("the password is too short: use at least {PASSWORD_MIN_CHARS} characters")]
    TooShort,
    #[error("the password is too long: use at most {PASSWORD_MAX_BYTES} bytes")]
    TooLong,
}

/// Hashes a new password, when it is neither too short nor too long.
pub async fn hash(password: &Password, entropy: Entropy) -> Result<PasswordHash, PasswordError> {
    if password.expose_secret().chars().count() < PASSWORD_MIN_CHARS {
        return Err(PasswordError::TooShort);
    }
    if password.expose_secret().len() > PASSWORD_MAX_BYTES {
        return Err(PasswordError::TooLong);
    }
    let password = password.clone();
    let salt = entropy.bytes::<16>();
    Ok(in_turn(move || hash_with_salt(&password, &salt)).await)
}

/// Whether it is the password. A hash that cannot be read fits no password.
pub async fn verify(password: &Password, hash: &PasswordHash) -> bool {
    if password.expose_secret().len() > PASSWORD_MAX_BYTES {
        return false;
    }
    let (password, hash) = (password.clone(), hash.clone());
    in_turn(move || fits(&password, &hash.0)).await
}

/// Takes as long as [`verify`] does, for a login of somebody who does not exist: the answer's time
/// must not tell who has an account.
pub async fn verify_nothing(password: &Password) {
    verify(password, &PasswordHash(NOBODYS_HASH.to_owned())).await;
}

/// Runs a hash on the blocking pool when its turn comes. The turn is given back when the hash is
/// done, not when the caller loses interest.
async fn in_turn<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let turn = TURNS.acquire().await.expect("the semaphore is never closed");
    tokio::task::spawn_blocking(move || {
        let result = work();
        drop(turn);
        result
    })
    .await
    .expect("hashing does not panic, and the runtime outlives its callers")
}

fn argon2id() -> Argon2<'static> {
    let params =
        Params::new(MEMORY_KIB, PASSES, LANES, None).expect("the parameters are within Argon2's limits");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

fn hash_with_salt(password: &Password, salt: &[u8; 16]) -> PasswordHash {
    let hash: phc::PasswordHash = argon2id()
        .hash_password_with_salt(password.expose_secret().as_bytes(), salt)
        .expect("a salt of 16 bytes and a password of at most 1024 are within Argon2's limits");
    PasswordHash(hash.to_string())
}

fn fits(password: &Password, hash: &str) -> bool {
    phc::PasswordHash::new(hash)
        .is_ok_and(|hash| argon2id().verify_password(password.expose_secret().as_bytes(), &hash).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_fits_its_own_hash_only() {
        let password = Password::new("correct horse battery");
        let hash = hash(&password, Entropy).await.unwrap();
        assert!(hash.0.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        assert!(verify(&password, &hash).await);
        assert!(!verify(&Password::new("correct horse batterx"), &hash).await);
        assert!(!verify(&password, &PasswordHash("not a hash".into())).await);
        assert_ne!(super::hash(&password, Entropy).await.unwrap(), hash, "each hash has a salt of its own");
    }

    #[tokio::test]
    async fn short_and_endless_passwords_are_refused_before_any_work() {
        assert_eq!(hash(&Password::new("ä".repeat(9)), Entropy).await, Err(PasswordError::TooShort));
        let endless = Password::new("x".repeat(PASSWORD_MAX_BYTES + 1));
        assert_eq!(hash(&endless, Entropy).await, Err(PasswordError::TooLong));
        assert!(!verify(&endless, &PasswordHash(NOBODYS_HASH.into())).await);
        assert!(PasswordError::TooShort.to_string().contains("at least 10 characters"));
    }

    #[tokio::test]
    async fn an_unknown_user_costs_what_a_known_one_costs() {
        let nobody = phc::PasswordHash::new(NOBODYS_HASH).unwrap();
        let params = Params::try_from(&nobody).unwrap();
        assert_eq!((params.m_cost(), params.t_cost(), params.p_cost()), (MEMORY_KIB, PASSES, LANES));
        assert_eq!(nobody.hash.unwrap().len(), 32);
        verify_nothing(&Password::new("anything at all")).await;
    }
}
