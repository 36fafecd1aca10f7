//! A provider's own words, fit to be kept and shown to administrators: what is or could be a secret in them is
//! withheld. Providers were seen to repeat in an error what they were sent (R39).

use doorward_domain::StateToken;
use secrecy::ExposeSecret;

/// The longest prose that is kept, in characters.
const WORDS_MAX: usize = 200;

/// What stands in the place of a secret.
const WITHHELD: &str = "[withheld]";

/// A piece of a secret this long is one: providers also repeat just the beginning of a token.
const PIECE: usize = 8;

/// Whatever is this long, has a digit in it and is no address could be a token of somebody.
const TOKEN_LIKE: usize = 24;

/// The words without what could be a secret; `sent` are the secrets that the request carried.
pub(crate) fn without_secrets(words: &str, sent: &[&str]) -> String {
    let mut fit = String::with_capacity(words.len());
    let mut rest = words;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !of_tokens(c)).unwrap_or(rest.len());
        let (piece, after) = rest.split_at(end);
        fit.push_str(if could_be_secret(piece, sent) { WITHHELD } else { piece });
        let between = after.find(of_tokens).unwrap_or(after.len());
        fit.push_str(&after[..between]);
        rest = &after[between..];
    }
    fit
}

/// What an answer to the callback says in prose (RFC 6749 §4.1.2.1), fit to be kept.
pub fn words_of_callback(words: &str, state: Option<&StateToken>) -> String {
    let sent: Vec<&str> = state.iter().map(|state| state.expose_secret()).collect();
    let words: String = words.chars().filter(|c| !c.is_control()).take(WORDS_MAX).collect();
    without_secrets(&words, &sent)
}

/// The characters that tokens are made of (RFC 6750 §2.1).
fn of_tokens(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-._~+/=".contains(c)
}

fn could_be_secret(piece: &str, sent: &[&str]) -> bool {
    // A word at the end of a sentence carries its full stop.
    let piece = piece.trim_end_matches('.');
    let no_word = piece.bytes().any(|b| b.is_ascii_digit()) && !piece.starts_with("//");
    (piece.len() >= TOKEN_LIKE && no_word)
        || (piece.len() >= PIECE && sent.iter().any(|secret| secret.contains(piece)))
        || sent.iter().any(|secret| secret.len() >= PIECE && piece.contains(secret))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r39_what_is_or_could_be_a_secret_is_withheld_from_a_providers_words() {
        let sent = ["1//04-refresh-token-of-alice", "client-secret"];
        for (words, fit) in [
            ("Token has been expired or revoked.", "Token has been expired or revoked."),
            ("bad token 1//04-refresh-token-of-alice.", "bad token [withheld]"),
            ("token '1//04-ref...' is unknown", "token '[withheld]' is unknown"),
            ("wrong secret=client-secret", "wrong [withheld]"),
            ("eyJhbGciOiJub25lIn0.eyJzdWIiOiI0MiJ9.x has ended", "[withheld] has ended"),
            (
                "see https://provider.example/docs/errors/expired",
                "see https://provider.example/docs/errors/expired",
            ),
            ("at https://provider.example/?token=client-secret", "at https://provider.example/?[withheld]"),
            ("incorrect_client_credentials", "incorrect_client_credentials"),
            ("", ""),
        ] {
            assert_eq!(without_secrets(words, &sent), fit);
        }
    }
}
