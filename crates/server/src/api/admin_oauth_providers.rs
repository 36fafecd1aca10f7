//! Provider templates: what a gateway can be filled in from.

use super::Problem;
use super::error::ApiError;
use crate::extract::AdminCaller;
use crate::state::AppState;
use axum::Json;
use axum::extract::{Path, State};
use doorward_domain::TokenEndpointAuth;
use doorward_oauth::ProviderTemplate;
use doorward_oauth::template::{InputKind, Source, Sureness, TemplateInput};
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use url::Url;
use utoipa::ToSchema;

/// Every template, in the order of the list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ProviderTemplates {
    items: Vec<ProviderTemplateView>,
}

/// A template. `{name}` in a value stands for the input of that name.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ProviderTemplateView {
    id: String,
    version: u32,
    name: String,
    /// What to know before choosing it.
    note: Option<String>,
    #[schema(value_type = Option<String>, format = "uri")]
    docs_url: Option<Url>,
    /// Where a client is registered.
    #[schema(value_type = Option<String>, format = "uri")]
    app_registration_url: Option<Url>,
    /// What has to be given, by name.
    inputs: BTreeMap<String, TemplateInputView>,
    authorization_url: Option<String>,
    token_url: Option<String>,
    revocation_url: Option<String>,
    issuer: Option<String>,
    /// Where the provider's own metadata stands.
    discovery_url: Option<String>,
    /// Of token requests, with the grant types that take one.
    audience: Option<String>,
    scopes: Vec<String>,
    authorize_params: BTreeMap<String, String>,
    #[schema(value_type = Option<super::gateway_body::TokenEndpointAuthName>)]
    token_endpoint_auth: Option<TokenEndpointAuth>,
    /// Provider facts that are not by the book.
    #[schema(value_type = Object)]
    facts: Map<String, Value>,
    /// Where values come from and how sure they are, such as `facts.replay_safe`.
    sources: BTreeMap<String, SourceView>,
}

/// What has to be given for a placeholder.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TemplateInputView {
    label: String,
    help: Option<String>,
    example: String,
    default: Option<String>,
    /// `host`, `segment` (of a path) or `uri`.
    #[schema(value_type = String)]
    kind: InputKind,
}

/// Where a value comes from.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SourceView {
    /// `high`, `medium` or `low`.
    #[schema(value_type = String)]
    sure: Sureness,
    from: Option<String>,
}

impl ProviderTemplateView {
    fn new(template: &ProviderTemplate) -> Self {
        let oauth = template.oauth.clone();
        let inputs =
            template.inputs.iter().map(|(name, input)| (name.clone(), TemplateInputView::new(input)));
        let sources = template.sources.iter().map(|(field, source)| (field.clone(), SourceView::new(source)));
        Self {
            id: template.id.clone(),
            version: template.version,
            name: template.name.clone(),
            note: template.note.clone(),
            docs_url: template.docs_url.clone(),
            app_registration_url: template.app_registration_url.clone(),
            inputs: inputs.collect(),
            authorization_url: oauth.authorization_url,
            token_url: oauth.token_url,
            revocation_url: oauth.revocation_url,
            issuer: oauth.issuer,
            discovery_url: oauth.discovery_url,
            audience: oauth.audience,
            scopes: oauth.scopes,
            authorize_params: oauth.authorize_params,
            token_endpoint_auth: oauth.token_endpoint_auth,
            facts: template.facts.clone(),
            sources: sources.collect(),
        }
    }
}

impl TemplateInputView {
    fn new(input: &TemplateInput) -> Self {
        Self {
            label: input.label.clone(),
            help: input.help.clone(),
            example: input.example.clone(),
            default: input.default.clone(),
            kind: input.kind,
        }
    }
}

impl SourceView {
    fn new(source: &Source) -> Self {
        Self { sure: source.sure, from: source.from.clone() }
    }
}

/// The provider templates: what is shipped, and the operator's own.
#[utoipa::path(get, path = "/admin/oauth/providers", tag = "providers",
    responses((status = 200, body = ProviderTemplates), (status = 401, body = Problem), (status = 403, body = Problem)))]
pub(crate) async fn list(
    State(state): State<AppState>,
    AdminCaller(caller): AdminCaller,
) -> Result<Json<ProviderTemplates>, ApiError> {
    let templates = state.broker.provider_templates(&caller)?;
    Ok(Json(ProviderTemplates {
        items: templates.iter().map(|one| ProviderTemplateView::new(one)).collect(),
    }))
}

/// One provider template.
#[utoipa::path(get, path = "/admin/oauth/providers/{id}", tag = "providers", params(("id" = String, Path)),
    responses((status = 200, body = ProviderTemplateView), (status = 401, body = Problem), (status = 403, body = Problem),
        (status = 404, body = Problem)))]
pub(crate) async fn read(
    State(state): State<AppState>,
    AdminCaller(caller): AdminCaller,
    Path(id): Path<String>,
) -> Result<Json<ProviderTemplateView>, ApiError> {
    let template = state.broker.provider_template(&caller, &id)?;
    Ok(Json(ProviderTemplateView::new(&template)))
}
