//! The doctor reads what an authorization server says of itself, and holds the gateway and its template against it.

use crate::Broker;
use crate::gateway_check::{GatewayCheck, check_method, check_scopes};
use crate::gateway_discovery::Asking;
use doorward_domain::OAuthSettings;
use doorward_oauth::discovery::Spoken;
use doorward_oauth::{Metadata, TemplateOAuth};
use url::Url;

impl Broker {
    /// The metadata of the issuer, for gateways whose MCP server names none.
    pub(crate) async fn check_metadata(&self, settings: &OAuthSettings, check: &mut GatewayCheck) {
        let Some(issuer) = settings.issuer.as_deref() else {
            check.advice("metadata", "No issuer is known, so there is no metadata to compare with.");
            return;
        };
        let template = self.template_values(settings);
        let oauth = self.parts.oauth.anew();
        // Microsoft's issuer leaves the tenant open, so its metadata stands where the template says.
        let open = issuer.contains('{');
        let found = match (open, template.as_ref().and_then(|values| values.discovery_url.clone())) {
            (false, _) => oauth.metadata(issuer).await,
            (true, Some(place)) => oauth.metadata_at(&place, issuer).await,
            (true, None) => {
                check.advice(
                    "metadata",
                    "The issuer leaves its tenant open, and no template says where its metadata stands: there is nothing to compare with.",
                );
                return;
            }
        };
        match found {
            Err(error) => check.advice("metadata", format!("The issuer's metadata is of no help: {error}.")),
            Ok(found) => {
                if open {
                    check.good(
                        "issuer",
                        format!(
                            "The issuer leaves its tenant open, and the metadata names {}: an answer of any one tenant is taken, and of no other host.",
                            found.issuer
                        ),
                    );
                }
                compare_metadata(settings, &found, check);
            }
        }
    }

    /// Where the gateway is not what its template says, filled with what was given for its placeholders.
    pub(crate) fn check_template(&self, settings: &OAuthSettings, check: &mut GatewayCheck) {
        if let Some(template) = self.template_values(settings) {
            compare_template(settings, &template, check);
        }
    }

    /// What the gateway's template says today, filled with what was given for its placeholders.
    fn template_values(&self, settings: &OAuthSettings) -> Option<TemplateOAuth> {
        let used = settings.template.as_ref()?;
        let filled = self.parts.templates.get(&used.id)?.fill(&used.inputs).ok()?;
        Some(filled.oauth)
    }
}

/// Which revisions of the protocol the MCP server speaks.
pub(crate) async fn check_revisions(asking: &Asking, upstream: &Url, check: &mut GatewayCheck) {
    let subject = "protocol";
    match asking.oauth.spoken(upstream).await {
        Ok(Spoken::Listed { revisions }) => {
            check.good(subject, format!("The MCP server speaks {} of the protocol.", revisions.join(", ")));
        }
        Ok(Spoken::Sessions { revision }) => {
            let revision = revision.unwrap_or_else(|| "a revision that it does not name".to_owned());
            check.good(
                subject,
                format!("The MCP server speaks the protocol of sessions ({revision}); clients of either era reach it."),
            );
        }
        Ok(Spoken::NotSaid) => check.advice(
            subject,
            "Which revisions of the protocol the MCP server speaks shows with the first token.",
        ),
        Ok(Spoken::Foreign { revisions }) => check.wrong(
            subject,
            format!(
                "The MCP server speaks only {} of the protocol, which Doorward does not know.",
                revisions.join(", ")
            ),
        ),
        Err(error) => {
            check.advice(subject, format!("Which revisions the MCP server speaks is open: {error}."));
        }
    }
}

fn compare_metadata(settings: &OAuthSettings, found: &Metadata, check: &mut GatewayCheck) {
    if let Some(ours) = &settings.authorization_url {
        differs(check, "authorization_url", ours, &found.authorization_url);
    }
    differs(check, "token_url", &settings.token_url, &found.token_url);
    check_scopes(settings, &found.scopes, check);
    check_method(settings, found.token_endpoint_auth_methods.as_deref(), check);
    if found.s256 {
        check.good("pkce", "The provider offers PKCE with S256.");
    } else {
        check.advice(
            "pkce",
            "The provider's metadata does not announce PKCE with S256. Doorward sends it all the same.",
        );
    }
}

fn compare_template(settings: &OAuthSettings, template: &TemplateOAuth, check: &mut GatewayCheck) {
    let url = |url: &Option<Url>| url.as_ref().map(Url::to_string);
    let pairs = [
        ("authorization URL", url(&settings.authorization_url), template.authorization_url.clone()),
        ("token URL", Some(settings.token_url.to_string()), template.token_url.clone()),
        ("revocation URL", url(&settings.revocation_url), template.revocation_url.clone()),
        ("issuer", settings.issuer.clone(), template.issuer.clone()),
    ];
    // "Custom" leaves everything to be typed.
    let said = pairs.into_iter().filter_map(|(name, ours, theirs)| Some((name, ours, theirs?)));
    let said: Vec<_> = said.collect();
    let mut same = !said.is_empty();
    for (name, ours, theirs) in said {
        if ours.as_deref() != Some(&theirs) {
            same = false;
            let ours = ours.unwrap_or_else(|| "none".to_owned());
            check.advice("template", format!("The template's {name} is {theirs}; the gateway has {ours}."));
        }
    }
    if same {
        check.good("template", "Addresses and issuer are the template's.");
    }
}

pub(crate) fn differs(check: &mut GatewayCheck, subject: &'static str, ours: &Url, theirs: &Url) {
    if ours == theirs {
        check.good(subject, "The address is the one of the provider's metadata.");
    } else {
        check.advice(subject, format!("The provider's metadata names {theirs}; the gateway has {ours}."));
    }
}
