//! The fields of a gateway, from a form into the use case and back. Field names are those of REST, so
//! that a refusal finds its field.

use crate::ui::form::{Fields, Form, words};
use crate::ui::gateway_template;
use doorward_broker::{
    AuthorizationInput, BrokerError, ClientCertificateInput, ClientInput, DiscoverInput, Edit, GatewayInput,
    OAuthInput, TemplateChoice,
};
use doorward_domain::{
    CatalogSharing, ClientCertificatePem, ClientSecret, EraChoice, Gateway, GatewayAuthorization, GatewayId,
    GatewayState, GrantType, HeaderSecret, OAuthSettings, ProviderFacts, TokenEndpointAuth,
};
use doorward_oauth::Discovered;
use doorward_oauth::template::{facts_from_text, facts_to_text, replace};
use std::collections::BTreeMap;

/// Fields that show their own problem; any other problem stands above the form.
pub(super) const FIELDS: &[&str] = &[
    "url",
    "name",
    "slug",
    "era",
    "authorization",
    "authorization.name",
    "authorization.value",
    "authorization.client_id",
    "authorization.client_secret",
    "authorization.authorization_url",
    "authorization.token_url",
    "authorization.scopes",
    "authorization.scope_ceiling",
    "authorization.issuer",
    "authorization.resource",
    "authorization.revocation_url",
    "authorization.authorize_params",
    "authorization.token_endpoint_auth",
    "authorization.grant_type",
    "authorization.identity_provider",
    "authorization.audience",
    "authorization.private_key",
    "authorization.assertion_kid",
    "authorization.provider_template",
    "authorization.facts",
    "client_certificate.certificate",
    "client_certificate.key",
];

/// Fields behind "More settings".
const FOLDED: [&str; 11] = [
    "authorization.facts",
    "authorization.issuer",
    "authorization.resource",
    "authorization.revocation_url",
    "authorization.authorize_params",
    "authorization.token_endpoint_auth",
    "authorization.grant_type",
    "authorization.identity_provider",
    "authorization.audience",
    "authorization.private_key",
    "authorization.assertion_kid",
];

/// How a client can show itself at the token endpoint.
pub(super) const WAYS: [(&str, &str); 5] = [
    ("", "As usual: in the form with a secret, by its id without"),
    ("basic", "Secret in the Authorization header (basic)"),
    ("post", "Secret in the form (post)"),
    ("none", "By its id alone (public client)"),
    ("private_key_jwt", "By statements that a private key signs (private_key_jwt)"),
];

/// How Doorward speaks with a server.
pub(super) const ERAS: [(&str, &str); 4] = [
    ("automatic", "Ask the server"),
    ("modern", "Revision 2026-07-28 only"),
    ("legacy", "Streamable HTTP with sessions, up to 2025-11-25"),
    ("http_sse", "HTTP+SSE, the transport of 2024-11-05"),
];

/// Whose tokens a gateway's calls carry.
pub(super) const GRANT_TYPES: [(&str, &str); 4] = [
    ("authorization_code", "Each person’s own: everybody authorizes in a browser"),
    ("client_credentials", "The gateway’s own: its client is authorized for all (client credentials)"),
    (
        "token_exchange",
        "Each person’s own, in exchange for their access token at an identity provider (RFC 8693)",
    ),
    (
        "identity_assertion",
        "Each person’s own, by what an identity provider says of them (enterprise-managed, ID-JAG)",
    ),
];

/// An empty form, ready for a URL.
pub(super) fn blank() -> Form {
    Form::with([("authorization", "discover"), ("era", "automatic")])
}

/// A stored gateway as form fields; its secrets stay where they are.
pub(super) fn of(gateway: &Gateway) -> Form {
    let form = Form::with([("name", gateway.name.as_str()), ("url", gateway.url.as_str())]);
    let form = form.set("era", era_name(gateway.era));
    let form = match gateway.catalog_sharing {
        CatalogSharing::Shared => form.set("shared", "yes"),
        CatalogSharing::PerUser => form,
    };
    match &gateway.authorization {
        GatewayAuthorization::None => form.set("authorization", "none"),
        GatewayAuthorization::StaticHeader(header) => {
            form.set("authorization", "static_header").set("authorization.name", &*header.name)
        }
        GatewayAuthorization::OAuth(settings) => {
            gateway_template::with_used(with_settings(form, settings), gateway)
        }
    }
}

fn with_settings(form: Form, settings: &OAuthSettings) -> Form {
    let params = settings.authorize_params.iter();
    let params: Vec<String> = params.map(|(name, value)| format!("{name}={value}")).collect();
    let auth = settings.registration.token_endpoint_auth.as_str();
    form.set("authorization", "oauth")
        .set("authorization.grant_type", settings.grant_type.as_str())
        .set(
            "authorization.identity_provider",
            settings.identity_provider.map(|id| id.to_string()).unwrap_or_default(),
        )
        .set(
            "authorization.assertion_kid",
            settings.registration.assertion_kid.as_deref().unwrap_or_default(),
        )
        .set("authorization.client_id", &*settings.registration.client_id)
        .set(
            "authorization.authorization_url",
            settings.authorization_url.as_ref().map_or("", |url| url.as_str()),
        )
        .set("authorization.token_url", settings.token_url.as_str())
        .set("authorization.revocation_url", settings.revocation_url.as_ref().map_or("", |url| url.as_str()))
        .set("authorization.issuer", settings.issuer.as_deref().unwrap_or_default())
        .set("authorization.resource", settings.resource.as_deref().unwrap_or_default())
        .set("authorization.audience", settings.audience.as_deref().unwrap_or_default())
        .set("authorization.scopes", settings.scopes.join(" "))
        .set("authorization.scope_ceiling", settings.scope_ceiling.join(" "))
        .set("authorization.authorize_params", params.join("\n"))
        .set("authorization.token_endpoint_auth", auth)
        .set("authorization.facts", facts_to_text(&settings.facts))
}

/// The form of a client that is typed, with how the server lets it show itself.
pub(super) fn with_offered_auth(form: Form, found: &Discovered) -> Form {
    // A secret is sent in the form (post) as usual, unless the server says that it takes it in the header alone.
    let offers = |way: &str| {
        found.token_endpoint_auth_methods.as_ref().is_some_and(|offered| offered.iter().any(|one| one == way))
    };
    let basic = offers("client_secret_basic") && !offers("client_secret_post");
    let unset = form.value("authorization.token_endpoint_auth").is_empty();
    if basic && unset { form.set("authorization.token_endpoint_auth", "basic") } else { form }
}

/// The form with what an issuer says of itself; resource and scopes stay as they were typed.
pub(super) fn with_issuers_word(form: Form, found: &Discovered) -> Form {
    with_offered_auth(form, found)
        .set("authorization.authorization_url", found.authorization_url.as_str())
        .set("authorization.token_url", found.token_url.as_str())
        .set("authorization.revocation_url", found.revocation_url.as_ref().map_or("", |url| url.as_str()))
        .set("authorization.issuer", &*found.issuer)
}

/// The form with what the server says of itself.
pub(super) fn with_discovered(form: Form, found: &Discovered) -> Form {
    form.set("authorization.authorization_url", found.authorization_url.as_str())
        .set("authorization.token_url", found.token_url.as_str())
        .set("authorization.revocation_url", found.revocation_url.as_ref().map_or("", |url| url.as_str()))
        .set("authorization.issuer", &*found.issuer)
        .set("authorization.resource", found.resource.as_deref().unwrap_or_default())
        .set("authorization.scopes", found.scopes.join(" "))
}

/// Whether something behind "More settings" is wrong.
pub(super) fn more_is_wrong(form: &Form) -> bool {
    FOLDED.iter().any(|field| !form.wrong(field).is_empty())
}

/// Whether something about the client certificate is wrong, or half of it has to be typed again.
pub(super) fn certificate_is_open(form: &Form) -> bool {
    let wrong = |field: &&str| !form.wrong(field).is_empty();
    let typed = !form.value("client_certificate.certificate").is_empty();
    typed || ["client_certificate.certificate", "client_certificate.key"].iter().any(wrong)
}

/// A new gateway, as typed.
pub(super) fn new_gateway(typed: &Fields) -> Result<GatewayInput, BrokerError> {
    let publish = typed.text("do") == "publish";
    Ok(GatewayInput {
        slug: typed.filled("slug"),
        name: typed.filled("name"),
        state: Some(if publish { GatewayState::Published } else { GatewayState::Draft }),
        ..edited_gateway(typed)?
    })
}

/// An edit, as typed. Its state has buttons of its own.
pub(super) fn edited_gateway(typed: &Fields) -> Result<GatewayInput, BrokerError> {
    let sharing = if typed.has("shared") { CatalogSharing::Shared } else { CatalogSharing::PerUser };
    Ok(GatewayInput {
        slug: None,
        name: Some(typed.text("name").to_owned()),
        url: Some(typed.text("url").to_owned()),
        state: None,
        access: None,
        on_change: None,
        era: era(typed)?,
        tool_access: None,
        catalog_sharing: Some(sharing),
        client_certificate: client_certificate(typed),
        authorization: Some(authorization(typed)?),
    })
}

/// The certificate and key that were typed, the box that removes them, or neither.
pub(super) fn client_certificate(typed: &Fields) -> Edit<ClientCertificateInput> {
    let (certificate, key) =
        (typed.text("client_certificate.certificate"), typed.text("client_certificate.key"));
    if typed.has("clear_client_certificate") {
        return Edit::Clear;
    }
    if certificate.is_empty() && key.is_empty() {
        return Edit::Keep;
    }
    let key = ClientCertificatePem::new(key);
    Edit::Set(ClientCertificateInput { certificate: certificate.to_owned(), key })
}

fn authorization(typed: &Fields) -> Result<AuthorizationInput, BrokerError> {
    Ok(match typed.text("authorization") {
        "discover" => AuthorizationInput::Discover(Box::new(discover(typed)?)),
        "none" => AuthorizationInput::None,
        "static_header" => AuthorizationInput::StaticHeader {
            name: typed.text("authorization.name").to_owned(),
            value: secret(typed, "authorization.value")
                .map_or(Edit::Keep, |text| Edit::Set(HeaderSecret::new(text))),
        },
        "oauth" => AuthorizationInput::OAuth(Box::new(oauth(typed)?)),
        _ => return Err(invalid("authorization", "choose one of them")),
    })
}

/// What is typed where the server is asked for the rest.
fn discover(typed: &Fields) -> Result<DiscoverInput, BrokerError> {
    Ok(DiscoverInput {
        grant_type: grant_type(typed)?.unwrap_or_default(),
        identity_provider: identity_provider(typed)?,
        audience: typed.filled("authorization.audience"),
        scope_ceiling: scope_ceiling(typed),
        client: client(typed)?,
    })
}

/// A client that was registered by hand; none where nothing of one is typed.
fn client(typed: &Fields) -> Result<Option<ClientInput>, BrokerError> {
    let (client_secret, auth) = (client_secret(typed), token_endpoint_auth(typed)?);
    let assertion_kid = typed.filled("authorization.assertion_kid");
    let Some(client_id) = typed.filled("authorization.client_id") else {
        if matches!(client_secret, Edit::Set(_)) || auth.is_some() || assertion_kid.is_some() {
            return Err(invalid(
                "authorization.client_id",
                "give the client's id, too, or leave its secret, its way of showing itself and its key ID out",
            ));
        }
        return Ok(None);
    };
    Ok(Some(ClientInput { client_id, client_secret, token_endpoint_auth: auth, assertion_kid }))
}

/// A private key takes the place of the secret.
fn client_secret(typed: &Fields) -> Edit<ClientSecret> {
    let key = secret(typed, "authorization.private_key");
    match key.or_else(|| secret(typed, "authorization.client_secret")) {
        Some(text) => Edit::Set(ClientSecret::new(text)),
        None if typed.has("clear_client_secret") => Edit::Clear,
        None => Edit::Keep,
    }
}

fn oauth(typed: &Fields) -> Result<OAuthInput, BrokerError> {
    let template = gateway_template::choice(typed);
    Ok(OAuthInput {
        grant_type: grant_type(typed)?,
        identity_provider: identity_provider(typed)?,
        authorization_url: typed.text("authorization.authorization_url").to_owned(),
        token_url: typed.text("authorization.token_url").to_owned(),
        revocation_url: typed.filled("authorization.revocation_url"),
        facts: facts(typed, template.as_ref())?,
        keep_alive: None,
        issuer: typed.filled("authorization.issuer"),
        resource: typed.filled("authorization.resource"),
        audience: typed.filled("authorization.audience"),
        scopes: words(typed.text("authorization.scopes")),
        scope_ceiling: scope_ceiling(typed),
        authorize_params: authorize_params(typed.text("authorization.authorize_params"))?,
        client_id: typed.text("authorization.client_id").to_owned(),
        client_secret: client_secret(typed),
        token_endpoint_auth: token_endpoint_auth(typed)?,
        assertion_kid: typed.filled("authorization.assertion_kid"),
        template,
    })
}

/// A form without the field leaves it as it is.
fn scope_ceiling(typed: &Fields) -> Option<Vec<String>> {
    typed.has("authorization.scope_ceiling").then(|| words(typed.text("authorization.scope_ceiling")))
}

/// The facts as lines; a form without them leaves them as they are.
fn facts(typed: &Fields, template: Option<&TemplateChoice>) -> Result<Option<ProviderFacts>, BrokerError> {
    if !typed.has("authorization.facts") {
        return Ok(None);
    }
    let nothing = BTreeMap::new();
    let text = replace(typed.text("authorization.facts"), template.map_or(&nothing, |chosen| &chosen.inputs));
    facts_from_text(&text).map(Some).map_err(|problem| invalid("authorization.facts", &problem))
}

/// A secret that was typed. Blanks around it are a slip of the clipboard.
fn secret<'a>(typed: &'a Fields, name: &str) -> Option<&'a str> {
    Some(typed.text(name)).filter(|text| !text.is_empty())
}

fn authorize_params(text: &str) -> Result<BTreeMap<String, String>, BrokerError> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines
        .map(|line| {
            let pair =
                line.split_once('=').map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()));
            pair.ok_or_else(|| invalid("authorization.authorize_params", "write one name=value a line"))
        })
        .collect()
}

const fn era_name(era: EraChoice) -> &'static str {
    match era {
        EraChoice::Automatic => "automatic",
        EraChoice::Modern => "modern",
        EraChoice::Legacy => "legacy",
        EraChoice::HttpSse => "http_sse",
    }
}

/// A form without the field leaves it as it is.
fn era(typed: &Fields) -> Result<Option<EraChoice>, BrokerError> {
    match typed.text("era") {
        "" => Ok(None),
        "automatic" => Ok(Some(EraChoice::Automatic)),
        "modern" => Ok(Some(EraChoice::Modern)),
        "legacy" => Ok(Some(EraChoice::Legacy)),
        "http_sse" => Ok(Some(EraChoice::HttpSse)),
        _ => Err(invalid("era", "choose one of the list")),
    }
}

/// A form without the field leaves it as it is.
fn grant_type(typed: &Fields) -> Result<Option<GrantType>, BrokerError> {
    match typed.text("authorization.grant_type") {
        "" => Ok(None),
        "authorization_code" => Ok(Some(GrantType::AuthorizationCode)),
        "client_credentials" => Ok(Some(GrantType::ClientCredentials)),
        "token_exchange" => Ok(Some(GrantType::TokenExchange)),
        "identity_assertion" => Ok(Some(GrantType::IdentityAssertion)),
        _ => Err(invalid("authorization.grant_type", "choose one of the list")),
    }
}

/// The gateway where people have what is exchanged; where nothing is exchanged, a choice left over counts for nothing.
fn identity_provider(typed: &Fields) -> Result<Option<GatewayId>, BrokerError> {
    let exchanges = grant_type(typed)?.is_some_and(GrantType::is_exchange);
    match typed.filled("authorization.identity_provider").filter(|_| exchanges) {
        None => Ok(None),
        Some(id) => id
            .parse()
            .map(Some)
            .map_err(|_| invalid("authorization.identity_provider", "choose one of the list")),
    }
}

fn token_endpoint_auth(typed: &Fields) -> Result<Option<TokenEndpointAuth>, BrokerError> {
    match typed.text("authorization.token_endpoint_auth") {
        "" => Ok(None),
        "basic" => Ok(Some(TokenEndpointAuth::Basic)),
        "post" => Ok(Some(TokenEndpointAuth::Post)),
        "none" => Ok(Some(TokenEndpointAuth::None)),
        "private_key_jwt" => Ok(Some(TokenEndpointAuth::PrivateKeyJwt)),
        _ => Err(invalid("authorization.token_endpoint_auth", "choose one of the list")),
    }
}

fn invalid(field: &str, problem: &str) -> BrokerError {
    BrokerError::Invalid { field: field.to_owned(), problem: problem.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::samples;

    fn typed(text: &str) -> Fields {
        serde_urlencoded::from_str(text).unwrap()
    }

    fn oauth_of(text: &str) -> OAuthInput {
        match authorization(&typed(text)).unwrap() {
            AuthorizationInput::OAuth(input) => *input,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_empty_secret_is_kept_a_ticked_box_clears_it_and_text_replaces_it() {
        let start = "authorization=oauth&authorization.client_secret=";
        assert!(matches!(oauth_of(start).client_secret, Edit::Keep));
        assert!(matches!(oauth_of(&format!("{start}&clear_client_secret=yes")).client_secret, Edit::Clear));
        assert!(matches!(
            oauth_of(&format!("{start}new&clear_client_secret=yes")).client_secret,
            Edit::Set(_)
        ));
    }

    #[test]
    fn scopes_and_parameters_are_read_line_by_line_and_word_by_word() {
        let input = oauth_of(
            "authorization=oauth&authorization.scopes=repo,+user%0Aread&authorization.authorize_params=a%3Db%3Dc%0A%0Ad%3D&authorization.token_endpoint_auth=basic",
        );
        assert_eq!(input.scopes, ["repo", "user", "read"]);
        assert_eq!(input.authorize_params["a"], "b=c");
        assert_eq!(input.authorize_params["d"], "");
        assert_eq!(input.token_endpoint_auth, Some(TokenEndpointAuth::Basic));
        assert!(authorize_params("lonely").is_err());
        assert!(token_endpoint_auth(&typed("authorization.token_endpoint_auth=x")).is_err());
        assert!(authorization(&typed("authorization=x")).is_err());
    }

    #[test]
    fn a_stored_gateway_comes_back_as_it_was_and_its_secrets_do_not() {
        for gateway in samples::gateways() {
            let form = of(&gateway);
            assert_eq!(form.value("url"), gateway.url.as_str());
            assert!(!format!("{form:?}").contains("Sealed"));
        }
        let oauth = of(&samples::gateways()[0]);
        assert!(
            oauth.chosen("authorization", "oauth") && oauth.value("authorization.scopes").contains("repo")
        );
        assert_eq!(oauth.value("authorization.authorize_params"), "access_type=offline");
    }

    #[test]
    fn facts_are_lines_and_a_form_without_them_leaves_them() {
        assert!(oauth_of("authorization=oauth").facts.is_none());
        assert_eq!(
            oauth_of("authorization=oauth&authorization.facts=").facts,
            Some(ProviderFacts::default())
        );
        let facts = oauth_of(
            "authorization=oauth&authorization.provider_template=keycloak&authorization.inputs_of=keycloak\
             &authorization.provider_inputs.host=a.example\
             &authorization.facts=user_apps_url+%3D+%22https%3A%2F%2F%7Bhost%7D%2Fapps%22",
        );
        assert_eq!(facts.facts.unwrap().user_apps_url.unwrap().as_str(), "https://a.example/apps");
        let wrong =
            authorization(&typed("authorization=oauth&authorization.facts=replay+%3D+true")).unwrap_err();
        assert!(
            matches!(wrong, BrokerError::Invalid { field, problem } if field == "authorization.facts" && problem.contains("replay"))
        );
    }

    #[test]
    fn only_the_publish_button_publishes() {
        let state = |text: &str| new_gateway(&typed(text)).unwrap().state.unwrap();
        assert_eq!(state("authorization=none&do=publish"), GatewayState::Published);
        assert_eq!(state("authorization=none&do=draft"), GatewayState::Draft);
        let input = new_gateway(&typed("authorization=none&url=https%3A%2F%2Fa&shared=yes&slug=+")).unwrap();
        assert_eq!(
            (input.slug, input.name, input.catalog_sharing, input.era),
            (None, None, Some(CatalogSharing::Shared), None)
        );
    }

    #[test]
    fn each_protocol_of_the_list_can_be_chosen_and_comes_back() {
        for (value, _) in ERAS {
            let chosen = era(&typed(&format!("era={value}"))).unwrap().unwrap();
            assert_eq!(era_name(chosen), value);
        }
        assert!(era(&typed("era=x")).is_err());
    }
}
