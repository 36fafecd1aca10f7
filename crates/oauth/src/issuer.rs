//! The mix-up defence: the answer's `iss` must be the issuer that was asked (RFC 9207 §2.4).

/// The answer came from another authorization server, or does not say from which.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the issuer of the authorization response is not the one that was asked")]
pub struct IssuerMismatch;

/// What Microsoft writes in the issuer of its shared addresses, where the tenant stands in what it issues.
const ANY_TENANT: &str = "{tenantid}";

/// Compares as simple strings, without normalisation (RFC 9207 §2.4, RFC 3986 §6.2.1). Where no issuer
/// is known, only a promise could be broken, and nobody made one.
pub fn check_issuer(
    expected: Option<&str>,
    promised: bool,
    received: Option<&str>,
) -> Result<(), IssuerMismatch> {
    match (expected, received) {
        (Some(expected), Some(received)) if fits(expected, received) => Ok(()),
        (Some(_), Some(_)) => Err(IssuerMismatch),
        (_, None) if promised => Err(IssuerMismatch),
        _ => Ok(()),
    }
}

/// Equal, but that the expected issuer may leave the tenant open: one segment of the path, never the host.
pub(crate) fn fits(expected: &str, received: &str) -> bool {
    let Some((before, after)) = expected.split_once(ANY_TENANT) else { return expected == received };
    let tenant = received.strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
    let in_path = before.splitn(4, '/').count() == 4 && before.ends_with('/');
    let word = |tenant: &str| {
        !tenant.is_empty() && tenant.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.')
    };
    expected == received || in_path && tenant.is_some_and(word)
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

    #[test]
    fn an_issuer_may_leave_its_tenant_open_and_nothing_else() {
        let open = "https://login.example/{tenantid}/v2.0";
        assert!(fits(open, "https://login.example/9188040d-6c67-4c5b/v2.0") && fits(open, open));
        for bad in [
            "https://login.example//v2.0",
            "https://login.example/a/b/v2.0",
            "https://evil.example/a/v2.0",
            "https://login.example/a/v2.0/",
            "https://login.example/a@b/v2.0",
        ] {
            assert!(!fits(open, bad), "{bad}");
        }
        assert!(!fits("https://{tenantid}/v2.0", "https://evil/v2.0"), "the host is never open");
    }
}
