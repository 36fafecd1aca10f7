//! The mix-up defence: the answer's `iss` must be the issuer that was asked (RFC 9207 §2.4).

/// The answer came from another authorization server, or does not say from which.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the issuer of the authorization response is not the one that was asked")]
pub struct IssuerMismatch;

/// Compares as simple strings, without normalisation (RFC 9207 §2.4, RFC 3986 §6.2.1). Where no issuer
/// is known, only a promise could be broken, and nobody made one.
pub fn check_issuer(
    expected: Option<&str>,
    promised: bool,
    received: Option<&str>,
) -> Result<(), IssuerMismatch> {
    match (expected, received) {
        (Some(expected), Some(received)) if expected == received => Ok(()),
        (Some(_), Some(_)) => Err(IssuerMismatch),
        (_, None) if promised => Err(IssuerMismatch),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r33_a_different_or_missing_issuer_is_refused() {
        let a = Some("https://a");
        assert_eq!(check_issuer(a, true, a), Ok(()));
        assert_eq!(check_issuer(a, false, None), Ok(()));
        assert_eq!(check_issuer(None, false, a), Ok(()));
        assert_eq!(check_issuer(a, false, Some("https://b")), Err(IssuerMismatch));
        assert_eq!(check_issuer(a, false, Some("https://a/")), Err(IssuerMismatch));
        assert_eq!(check_issuer(a, true, None), Err(IssuerMismatch));
    }
}
