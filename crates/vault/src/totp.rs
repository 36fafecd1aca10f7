//! Codes of an authenticator app: six digits of HMAC-SHA-1 every 30 seconds, which is what every app understands
//! (RFC 6238 §1.2). SHA-1's weakness is collisions; HMAC does not rest on them. And recovery codes.

use crate::token::hash_token;
use doorward_domain::{Entropy, RecoveryCode, TokenHash, TotpSecret};
use secrecy::ExposeSecret;
use totp_rs::{Builder, Secret, Totp};

/// Random characters of a recovery code: 80 bits, so that a plain hash of it can be stored.
const RECOVERY_CHARS: usize = 16;

/// Base32 in lower case, without what is read as something else: 32 letters, so a byte's lower five bits choose one
/// evenly.
const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// A fresh secret of 160 bits (RFC 4226 §4, R6), in base32 as apps take it.
pub fn new_totp_secret(entropy: Entropy) -> TotpSecret {
    TotpSecret::new(Secret::new_stack(entropy.bytes::<20>()).to_base32())
}

/// The step that a code belongs to; none when it is wrong. One step before and after counts too, for clocks that
/// disagree (RFC 6238 §5.2). That a step counts once only is the caller's to see to.
pub fn totp_step(secret: &TotpSecret, code: &str, seconds: u64) -> Option<i64> {
    let step = totp(secret, "doorward", "")?.check(code, seconds)?;
    i64::try_from(step).ok()
}

/// The code of a moment, as an app shows it.
pub fn totp_code(secret: &TotpSecret, seconds: u64) -> Option<String> {
    Some(totp(secret, "doorward", "")?.generate(seconds).to_string())
}

/// What an app reads from a QR code; none for a secret that is none.
pub fn totp_uri(secret: &TotpSecret, account: &str, issuer: &str) -> Option<String> {
    totp(secret, &account.replace(':', "_"), &issuer.replace(':', "_"))?.to_url().ok()
}

fn totp(secret: &TotpSecret, account: &str, issuer: &str) -> Option<Totp> {
    let secret = Secret::try_from_base32(secret.expose_secret()).ok()?;
    let issuer = (!issuer.is_empty()).then_some(issuer);
    Builder::new().with_secret(secret).with_account_name(account).with_issuer(issuer).build().ok()
}

/// A fresh recovery code, in groups of four, and the hash under which it is stored.
pub fn new_recovery_code(entropy: Entropy) -> (RecoveryCode, TokenHash) {
    let random = entropy.bytes::<RECOVERY_CHARS>();
    let letters: Vec<char> = random.iter().map(|byte| char::from(LETTERS[usize::from(byte % 32)])).collect();
    let groups: Vec<String> = letters.chunks(4).map(|group| group.iter().collect()).collect();
    let code = RecoveryCode::new(groups.join("-"));
    let hash = recovery_code_hash(code.expose_secret()).expect("a fresh code has the form of one");
    (code, hash)
}

/// The hash of a recovery code, however it is typed; none for what has not the form of one.
pub fn recovery_code_hash(typed: &str) -> Option<TokenHash> {
    let plain: String = typed.chars().filter(|c| !c.is_whitespace() && *c != '-').collect();
    let plain = plain.to_lowercase();
    let is_one = plain.len() == RECOVERY_CHARS && plain.bytes().all(|byte| LETTERS.contains(&byte));
    is_one.then(|| hash_token(&RecoveryCode::new(plain)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6238, appendix B: the secret is the ASCII text `12345678901234567890`.
    const RFC: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

    #[test]
    fn codes_are_those_of_the_rfc_for_a_step_before_and_after() {
        let secret = TotpSecret::new(RFC);
        for (seconds, code) in [(59, "287082"), (1_111_111_109, "081804"), (20_000_000_000, "353130")] {
            assert_eq!(totp_code(&secret, seconds).as_deref(), Some(code));
            let step = i64::try_from(seconds / 30).unwrap();
            for at in [seconds - 30, seconds, seconds + 30] {
                assert_eq!(totp_step(&secret, code, at), Some(step), "{seconds}");
            }
            assert_eq!(totp_step(&secret, code, seconds + 90), None);
        }
        for wrong in ["", "28708", "2870822", "+28708", "abcdef", "287083"] {
            assert_eq!(totp_step(&secret, wrong, 59), None, "{wrong}");
        }
        assert_eq!(totp_step(&TotpSecret::new("not base32!"), "287082", 59), None);
    }

    #[test]
    fn a_fresh_secret_is_read_by_an_app() {
        let secret = new_totp_secret(Entropy);
        assert_eq!(secret.expose_secret().len(), 32);
        let uri = totp_uri(&secret, "a:b@example.com", "Doorward").unwrap();
        assert!(uri.starts_with("otpauth://totp/Doorward:a_b%40example.com?"), "{uri}");
        assert!(uri.contains(secret.expose_secret()) && uri.contains("issuer=Doorward"), "{uri}");
        assert!(!format!("{secret:?}").contains(secret.expose_secret()));
    }

    #[test]
    fn a_recovery_code_is_found_however_it_is_typed() {
        let (code, hash) = new_recovery_code(Entropy);
        let text = code.expose_secret();
        assert_eq!(text.len(), 19);
        for typed in [text.to_owned(), text.to_uppercase(), text.replace('-', " "), text.replace('-', "")] {
            assert_eq!(recovery_code_hash(&typed), Some(hash), "{typed}");
        }
        assert_ne!(new_recovery_code(Entropy).1, hash);
        for other in ["", "123456", "aaaa-aaaa-aaaa-aaa", "aaaa-aaaa-aaaa-aaal", "ääää-aaaa-aaaa-aaaa"] {
            assert_eq!(recovery_code_hash(other), None, "{other}");
        }
    }
}
