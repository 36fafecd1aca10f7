//! How a provider is told that a grant has ended, and what that ends there.

use serde::{Deserialize, Serialize};
use url::Url;

/// How a provider is told that a grant has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RevocationMethod {
    /// RFC 7009 §2.1: a form with the token, under the client's authentication.
    #[default]
    Rfc7009,
    /// GitHub: `DELETE` with the access token as JSON, under HTTP Basic authentication of the client.
    GithubDelete,
    /// An empty `POST` that carries the access token itself as its bearer.
    BearerCall,
    /// The provider has no such call.
    None,
}

/// What ends when a provider is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RevocationReach {
    /// This token, or this grant with all its tokens.
    #[default]
    ThisGrant,
    /// Every token that the user gave to our client at this provider.
    AllOfAppForUser,
    /// Every token of the user, also those of other applications.
    AllAppsForUser,
}

impl RevocationReach {
    /// Whether telling the provider would end more than the one grant: then nobody is told unless a person
    /// has chosen so.
    pub fn is_wide(self) -> bool {
        self != Self::ThisGrant
    }
}

/// What can be done at the provider when a grant ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Telling {
    /// It is told, and this grant ends there.
    Ends,
    /// It could be told, and would end more: only a person decides that.
    EndsMore(RevocationReach),
    /// It has no call to be told by; a person can end it there by hand.
    NoSuchCall,
    /// The revocation endpoint is not known to be the provider's own; no token is sent there.
    Stranger,
}

/// What can be done at the provider, from what is known of it.
pub fn telling(
    method: RevocationMethod,
    reach: RevocationReach,
    revocation_url: Option<&Url>,
    token_url: &Url,
    issuer: Option<&str>,
) -> Telling {
    match revocation_url.filter(|_| method != RevocationMethod::None) {
        None => Telling::NoSuchCall,
        Some(url) if !may_be_told(token_url, issuer, url) => Telling::Stranger,
        Some(_) if reach.is_wide() => Telling::EndsMore(reach),
        Some(_) => Telling::Ends,
    }
}

/// Whether a token may be sent to a revocation endpoint: it stands where the token endpoint or the issuer
/// stands, or at the `api.` name of one of them (GitHub). Anything else could be a stranger's.
pub fn may_be_told(token_url: &Url, issuer: Option<&str>, revocation_url: &Url) -> bool {
    let issuer = issuer.and_then(|issuer| issuer.parse::<Url>().ok());
    [Some(token_url), issuer.as_ref()].into_iter().flatten().any(|known| {
        let same = known.origin() == revocation_url.origin();
        let api =
            known.host_str().is_some_and(|host| revocation_url.host_str() == Some(&*format!("api.{host}")));
        same || (api
            && known.scheme() == revocation_url.scheme()
            && known.port_or_known_default() == revocation_url.port_or_known_default())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_told_of_only_where_it_came_from() {
        let url = |text: &str| text.parse::<Url>().unwrap();
        let token = url("https://github.com/login/oauth/access_token");
        let told = |at: &str| may_be_told(&token, Some("https://login.example/a"), &url(at));
        assert!(told("https://github.com/revoke"));
        assert!(told("https://login.example/revoke"));
        assert!(told("https://api.github.com/applications/1/token"));
        assert!(!told("http://api.github.com/applications/1/token"));
        assert!(!told("https://api.github.com:8443/x"));
        assert!(!told("https://github.com.evil.example/x"));
        assert!(!told("https://evil.example/x"));
        assert!(!may_be_told(&token, None, &url("https://login.example/revoke")));
        assert!(RevocationReach::AllOfAppForUser.is_wide() && !RevocationReach::ThisGrant.is_wide());
    }
}
