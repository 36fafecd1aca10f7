//! What an administrator says of a provider, checked: tokens go to nobody whom the gateway does not name already.

use crate::gateway_input::{checked_header_name_at, checked_scopes_at};
use crate::{Broker, BrokerError};
use doorward_domain::gateway::PROTOCOL_PARAMETERS;
use doorward_domain::{ProviderFacts, UsedTemplate, Whoami, may_be_told};
use http::HeaderValue;
use serde_json::Value;
use url::Url;

/// Where the gateway's tokens may go already.
pub(crate) struct Places<'a> {
    pub(crate) upstream: &'a Url,
    pub(crate) token_url: &'a Url,
    pub(crate) issuer: Option<&'a str>,
    pub(crate) template: Option<&'a UsedTemplate>,
}

const PATH_MAX: usize = 200;
const BODY_MAX: usize = 2_000;

fn wrong(field: &str, problem: &str) -> BrokerError {
    BrokerError::invalid(format!("authorization.facts.{field}"), problem)
}

impl Broker {
    pub(crate) fn checked_facts(
        &self,
        facts: ProviderFacts,
        places: &Places<'_>,
    ) -> Result<ProviderFacts, BrokerError> {
        if facts.refresh_url.as_ref().is_some_and(|url| url.origin() != places.token_url.origin()) {
            return Err(wrong(
                "refresh_url",
                "give a URL at the host of the token endpoint: refresh tokens are sent nowhere else",
            ));
        }
        if facts.replay_safe && facts.refresh_rotation == doorward_domain::RefreshRotation::AlwaysSingleUse {
            return Err(wrong(
                "replay_safe",
                "a refresh token of a single use cannot be sent twice: correct this or refresh_rotation",
            ));
        }
        if facts.scope_param.as_deref().is_some_and(|name| !is_scope_param(name)) {
            return Err(wrong("scope_param", "give a parameter that Doorward does not set itself"));
        }
        checked_scopes_at("authorization.facts.request_only_scopes", &facts.request_only_scopes)?;
        checked_paths(&facts)?;
        if let Some(whoami) = &facts.whoami {
            self.checked_whoami(whoami, places)?;
        }
        Ok(facts)
    }

    fn checked_whoami(&self, whoami: &Whoami, places: &Places<'_>) -> Result<(), BrokerError> {
        if !self.whoami_may_be_asked(whoami, places) {
            return Err(wrong(
                "whoami.url",
                "give a URL at the host of the token endpoint, the issuer or the MCP server, or the one of the template: tokens are sent nowhere else",
            ));
        }
        if let Err(refusal) = self.parts.oauth.check_url(&whoami.url) {
            return Err(wrong("whoami.url", &refusal.to_string()));
        }
        for (name, value) in &whoami.headers {
            let field = "authorization.facts.whoami.headers";
            checked_header_name_at(field, name)?;
            if name.eq_ignore_ascii_case("authorization") || HeaderValue::from_str(value).is_err() {
                return Err(BrokerError::invalid(
                    field,
                    "give plain headers; the token's own is set by Doorward",
                ));
            }
        }
        let body = whoami.body.as_deref();
        if body.is_some_and(|body| body.len() > BODY_MAX || serde_json::from_str::<Value>(body).is_err()) {
            return Err(wrong("whoami.body", "give JSON of at most 2000 characters"));
        }
        Ok(())
    }

    /// Whether an access token may be shown to this whoami address. Asked when it is saved, and again before
    /// each call.
    pub(crate) fn whoami_may_be_asked(&self, whoami: &Whoami, places: &Places<'_>) -> bool {
        may_be_told(places.token_url, places.issuer, &whoami.url)
            || whoami.url.origin() == places.upstream.origin()
            || self.template_names(whoami, places.template)
    }

    /// Whether the gateway's template names this very address: the operator or Doorward stands behind it.
    fn template_names(&self, whoami: &Whoami, used: Option<&UsedTemplate>) -> bool {
        let named = used.and_then(|used| self.parts.templates.get(&used.id)?.fill(&used.inputs).ok());
        named.and_then(|named| named.facts.whoami).is_some_and(|named| named.url == whoami.url)
    }
}

fn is_scope_param(name: &str) -> bool {
    let word = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    word && !name.is_empty() && !PROTOCOL_PARAMETERS.contains(&name.to_ascii_lowercase().as_str())
}

/// A path is words between dots.
fn checked_paths(facts: &ProviderFacts) -> Result<(), BrokerError> {
    let whoami = facts.whoami.as_ref();
    let paths = [
        ("access_token_path", facts.access_token_path.as_deref()),
        ("refresh_token_path", facts.refresh_token_path.as_deref()),
        ("expires_in_path", facts.expires_in_path.as_deref()),
        ("scope_path", facts.scope_path.as_deref()),
        ("whoami.subject_path", whoami.map(|whoami| whoami.subject_path.as_str())),
        ("whoami.name_path", whoami.and_then(|whoami| whoami.name_path.as_deref())),
    ];
    let word = |word: &str| !word.is_empty() && !word.contains(|c: char| c.is_control() || c == ' ');
    for (field, path) in paths {
        if path.is_some_and(|path| path.len() > PATH_MAX || !path.split('.').all(word)) {
            return Err(wrong(field, "give names with dots between them, such as data.id"));
        }
    }
    Ok(())
}
