//! Our own tokens: random, shown once, stored as SHA-256. Their 256 bits need neither salt nor stretching.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use doorward_domain::api_token::API_TOKEN_PREFIX;
use doorward_domain::{ApiTokenPlain, Entropy, TokenHash};
use secrecy::ExposeSecret;

/// Characters at the end of an API token by which scanners tell a real one from a look-alike.
const CHECKSUM_CHARS: usize = 6;

/// Characters of an API token that a list shows.
const HINT_CHARS: usize = 4;

/// A fresh API token: the plain form is shown once, hash and hint are stored.
#[derive(Debug)]
pub struct NewApiToken {
    pub plain: ApiTokenPlain,
    pub hash: TokenHash,
    pub hint: String,
}

/// The hash under which one of our own tokens is stored and looked up.
pub fn hash_token(plain: &impl ExposeSecret<str>) -> TokenHash {
    TokenHash(sha256(plain.expose_secret()))
}

/// `dw_`, 43 random base64url characters, 6 characters of checksum.
pub fn new_api_token(entropy: Entropy) -> NewApiToken {
    let random = entropy.token();
    let hint = random[..HINT_CHARS].to_owned();
    let body = format!("{API_TOKEN_PREFIX}{random}");
    let plain = ApiTokenPlain::new(format!("{body}{}", checksum(&body)));
    NewApiToken { hash: hash_token(&plain), plain, hint }
}

/// Whether a text has the form and the checksum of an API token: cheap, before any lookup.
pub fn checksum_fits(text: &str) -> bool {
    let body_length = API_TOKEN_PREFIX.len() + 43;
    text.starts_with(API_TOKEN_PREFIX)
        && text.len() == body_length + CHECKSUM_CHARS
        && text.split_at_checked(body_length).is_some_and(|(body, sum)| checksum(body) == sum)
}

fn checksum(body: &str) -> String {
    let mut text = URL_SAFE_NO_PAD.encode(sha256(body));
    text.truncate(CHECKSUM_CHARS);
    text
}

fn sha256(text: &str) -> [u8; 32] {
    digest(&SHA256, text.as_bytes()).as_ref().try_into().expect("SHA-256 has 32 bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_api_token_has_a_prefix_a_hint_and_a_checksum() {
        let token = new_api_token(Entropy);
        let plain = token.plain.expose_secret();
        assert_eq!(plain.len(), 3 + 43 + 6);
        assert!(plain.starts_with("dw_"));
        assert_eq!(plain[3..7], token.hint);
        assert_eq!(hash_token(&token.plain), token.hash);
        assert!(checksum_fits(plain));
        assert!(!format!("{token:?}").contains(&plain[7..]));
        assert_ne!(new_api_token(Entropy).hash, token.hash);
    }

    #[test]
    fn a_mistyped_token_is_noticed_without_a_lookup() {
        let plain = new_api_token(Entropy).plain.expose_secret().to_owned();
        let last = if plain.ends_with('A') { 'B' } else { 'A' };
        assert!(!checksum_fits(&format!("{}{last}", &plain[..plain.len() - 1])));
        assert!(!checksum_fits(&plain[..plain.len() - 1]));
        assert!(!checksum_fits("dw_"));
        assert!(!checksum_fits(&format!("dw_{}", "ä".repeat(24) + "x")), "no panic inside a character");
        assert!(!checksum_fits(&plain.replacen("dw_", "gh_", 1)));
    }

    #[test]
    fn the_hash_is_sha_256() {
        let hash = hash_token(&ApiTokenPlain::new("abc"));
        assert_eq!(hash.0[..4], [0xba, 0x78, 0x16, 0xbf], "FIPS 180-2, example B.1");
    }
}
