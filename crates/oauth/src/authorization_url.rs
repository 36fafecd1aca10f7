//! The address of the authorization request (RFC 6749 §4.1.1, RFC 7636 §4.3, RFC 8707 §2.1).

use crate::pkce;
use doorward_domain::gateway::PROTOCOL_PARAMETERS;
use doorward_domain::{OAuthSettings, PkceVerifier, StateToken};
use secrecy::ExposeSecret;
use url::Url;

/// Where to send the browser: to the authorization endpoint. Parameters that the endpoint's URL carries already are kept.
pub fn authorization_url(
    endpoint: &Url,
    settings: &OAuthSettings,
    redirect_uri: &Url,
    state: &StateToken,
    verifier: &PkceVerifier,
    scopes: &[String],
) -> Url {
    let mut url = endpoint.clone();
    let own: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    url.set_query(None);
    {
        let mut query = url.query_pairs_mut();
        // Checked when they were saved; skipped here as well, so that no way leads past the check.
        let ours = |name: &str| PROTOCOL_PARAMETERS.contains(&name.to_ascii_lowercase().as_str());
        query.extend_pairs(own.iter().filter(|(name, _)| !ours(name)));
        query
            .append_pair("response_type", "code")
            .append_pair("client_id", &settings.registration.client_id)
            .append_pair("redirect_uri", redirect_uri.as_str())
            .append_pair("state", state.expose_secret())
            .append_pair("code_challenge", &pkce::challenge(verifier))
            .append_pair("code_challenge_method", "S256");
        if !scopes.is_empty() {
            let name = settings.facts.scope_param.as_deref().unwrap_or("scope");
            query.append_pair(name, &settings.facts.joined(scopes));
        }
        if let Some(resource) = settings.sent_resource() {
            query.append_pair("resource", resource);
        }
        query.extend_pairs(settings.authorize_params.iter().filter(|(name, _)| !ours(name)));
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::samples::settings;
    use doorward_domain::{ScopeSeparator, SendResource};

    #[test]
    fn the_request_carries_pkce_resource_and_extras_but_no_override() {
        let mut settings = settings("https://as.example");
        let endpoint =
            "https://as.example/authorize?tenant=t&redirect_uri=https://evil.example".parse().unwrap();
        settings.authorize_params.insert("access_type".into(), "offline".into());
        settings.authorize_params.insert("state".into(), "planted".into());
        let redirect = "http://localhost:4444/oauth/callback".parse().unwrap();
        let scopes = ["read".to_owned(), "write".to_owned()];
        let url = authorization_url(
            &endpoint,
            &settings,
            &redirect,
            &StateToken::new("s1"),
            &PkceVerifier::new("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
            &scopes,
        );
        let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
        let get = |name: &str| -> Vec<&str> {
            pairs.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str()).collect()
        };
        assert_eq!(get("tenant"), ["t"]);
        assert_eq!(get("state"), ["s1"]);
        assert_eq!(get("scope"), ["read write"]);
        assert_eq!(get("code_challenge"), ["E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"]);
        assert_eq!(get("resource"), ["https://mcp.example/mcp"]);
        assert_eq!(get("access_type"), ["offline"]);
        assert_eq!(get("redirect_uri"), ["http://localhost:4444/oauth/callback"]);
    }

    #[test]
    fn the_facts_say_how_scopes_are_asked_for_and_whether_there_is_a_resource() {
        let mut settings = settings("https://as.example");
        settings.facts.scope_param = Some("user_scope".into());
        settings.facts.scope_separator_request = ScopeSeparator::Comma;
        settings.facts.send_resource = SendResource::Never;
        let redirect = "http://localhost:4444/oauth/callback".parse().unwrap();
        let scopes = ["a".to_owned(), "b".to_owned()];
        let (state, verifier) = (StateToken::new("s"), PkceVerifier::new("v"));
        let endpoint = settings.authorization_url.clone().unwrap();
        let url = authorization_url(&endpoint, &settings, &redirect, &state, &verifier, &scopes);
        let query = url.query().unwrap();
        assert!(query.contains("user_scope=a%2Cb") && !query.contains("resource"), "{query}");
    }
}
