//! One gateway: its address, its state, and the form that changes it. The URL comes first; "Discover"
//! asks the server and fills in what it says, without saving anything.

use crate::extract::{CheckedForm, SessionCaller};
use crate::state::AppState;
use crate::ui::access_list;
use crate::ui::error::PageError;
use crate::ui::form::{Asked, Fields, Form};
use crate::ui::gateway_discovery::{discover, refused};
use crate::ui::gateway_form::{self, ERAS, FIELDS, GRANT_TYPES, WAYS};
use crate::ui::gateway_template::{self, ProviderPart, TEMPLATE};
use crate::ui::page::{self, Frame, Here, Note};
use crate::ui::parts::{Badge, Moment};
use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use doorward_broker::Caller;
use doorward_domain::{
    Gateway, GatewayAuthorization, GatewayId, GatewayState, GrantType, OnChange, Permission,
};
use std::sync::Arc;

/// A gateway, stored or new.
#[derive(Template)]
#[template(path = "gateway.html")]
struct GatewayPage {
    frame: Frame,
    title: String,
    /// None while it is new.
    saved: Option<Saved>,
    form: Form,
    /// What discovery said.
    found: Option<Note>,
    action: String,
    /// The version that the form was made from; empty while it is new.
    version: String,
    redirect_uri: String,
    header_help: &'static str,
    secret_help: &'static str,
    has_secret: bool,
    /// Who the client certificate says Doorward is, and when it ends.
    certificate: Option<(String, Moment)>,
    certificate_open: bool,
    more_open: bool,
    provider: ProviderPart,
    /// The gateways whose grants can be exchanged: id and name.
    identity_providers: Vec<(String, String)>,
    /// What the server asked for beyond its ceiling.
    refused_scopes: Vec<String>,
    /// The issuers before and now, where the server named another.
    moved_issuer: Option<(String, String)>,
}

struct Saved {
    id: String,
    slug: String,
    badge: Badge,
    mcp_url: String,
    changed: Moment,
    /// Whether people authorize it.
    oauth: bool,
    /// Who may use it.
    access: String,
    /// What happens when its server offers something new.
    on_change: &'static str,
    actions: Vec<Action>,
}

struct Action {
    verb: &'static str,
    label: &'static str,
    danger: bool,
}

const SET_SECRET: &str = "Stored sealed and never shown again.";
const REPLACE_SECRET: &str = "One is set. Leave this empty to keep it; type to replace it.";

/// The gateways where people authorize themselves, so that what they get can be exchanged elsewhere.
async fn identity_providers(state: &AppState, caller: &Caller) -> Result<Vec<(String, String)>, PageError> {
    let consents = |gateway: &&Arc<Gateway>| {
        gateway.oauth().is_some_and(|settings| settings.grant_type == GrantType::AuthorizationCode)
    };
    let gateways = state.broker.readable_gateways(caller).await?;
    Ok(gateways
        .iter()
        .filter(consents)
        .map(|gateway| (gateway.id.to_string(), gateway.name.clone()))
        .collect())
}

impl GatewayPage {
    async fn new(
        state: &AppState,
        session: &SessionCaller,
        form: Form,
        found: Option<Note>,
    ) -> Result<Self, PageError> {
        let provider = ProviderPart::of(state, &session.caller, &form)?;
        let certificate_open = gateway_form::certificate_is_open(&form);
        Ok(Self {
            frame: Frame::new(state, session, Here::Gateways),
            title: "New gateway".to_owned(),
            saved: None,
            more_open: gateway_form::more_is_wrong(&form),
            form,
            found,
            action: "/ui/gateways/new".to_owned(),
            version: String::new(),
            redirect_uri: state.broker.redirect_uri().to_string(),
            header_help: SET_SECRET,
            secret_help: SET_SECRET,
            has_secret: false,
            certificate: None,
            certificate_open,
            provider,
            identity_providers: identity_providers(state, &session.caller).await?,
            refused_scopes: Vec::new(),
            moved_issuer: None,
        })
    }

    fn of(self, state: &AppState, gateway: &Gateway, version: String) -> Self {
        let mut mcp_url = state.facts.public_url.clone();
        mcp_url.set_path(&format!("gateways/{}/mcp", gateway.slug));
        let (has_header, has_secret) = match &gateway.authorization {
            GatewayAuthorization::None => (false, false),
            GatewayAuthorization::StaticHeader(_) => (true, false),
            GatewayAuthorization::OAuth(settings) => (false, settings.registration.client_secret.is_some()),
        };
        Self {
            title: gateway.name.clone(),
            action: format!("/ui/gateways/{}", gateway.id),
            version,
            header_help: if has_header { REPLACE_SECRET } else { SET_SECRET },
            secret_help: if has_secret { REPLACE_SECRET } else { SET_SECRET },
            has_secret,
            certificate: gateway
                .client_certificate
                .as_ref()
                .map(|certificate| (certificate.subject.clone(), Moment::exact(certificate.ends_at))),
            provider: self.provider.at(state, gateway),
            identity_providers: {
                let itself = gateway.id.to_string();
                self.identity_providers.into_iter().filter(|(id, _)| *id != itself).collect()
            },
            refused_scopes: gateway
                .oauth()
                .map(|settings| settings.refused_scopes.clone())
                .unwrap_or_default(),
            moved_issuer: gateway
                .oauth()
                .and_then(|settings| Some((settings.former_issuer.clone()?, settings.issuer.clone()?))),
            saved: Some(Saved {
                id: gateway.id.to_string(),
                slug: gateway.slug.to_string(),
                badge: Badge::gateway(gateway.state),
                mcp_url: mcp_url.to_string(),
                changed: Moment::exact(gateway.updated_at),
                oauth: gateway.oauth().is_some(),
                access: access_list::told(&gateway.access),
                on_change: on_change(gateway.on_change),
                actions: actions(gateway.state),
            }),
            ..self
        }
    }

    fn respond(&self) -> Response {
        page::with_status(self.form.status, self)
    }
}

const fn on_change(mode: OnChange) -> &'static str {
    match mode {
        OnChange::Allow => "Changes are served at once",
        OnChange::Hold => "Changes are held until an administrator agrees",
    }
}

fn actions(state: GatewayState) -> Vec<Action> {
    let action = |verb, label, danger| Action { verb, label, danger };
    let mut actions = match state {
        GatewayState::Draft => vec![action("publish", "Publish…", false)],
        GatewayState::Published => vec![action("disable", "Disable…", true)],
        GatewayState::Disabled => vec![action("publish", "Enable…", false)],
    };
    actions.insert(0, action("check", "Check…", false));
    actions.push(action("delete", "Delete…", true));
    actions
}

/// `GET /ui/gateways/new`, perhaps with `?template=github`
pub(super) async fn show_new(
    State(state): State<AppState>,
    session: SessionCaller,
    Asked(asked): Asked,
) -> Result<Response, PageError> {
    session.caller.require(Permission::ManageGateways)?;
    let (form, note) = match asked.filled("template") {
        Some(id) => {
            let chosen = Fields::of([(TEMPLATE, id)]);
            gateway_template::fill(&state, &session.caller, &chosen)?
        }
        None => (gateway_form::blank(), None),
    };
    Ok(GatewayPage::new(&state, &session, form, note).await?.respond())
}

/// `POST /ui/gateways/new`
pub(super) async fn create(
    State(state): State<AppState>,
    session: SessionCaller,
    CheckedForm(typed): CheckedForm<Fields>,
) -> Result<Response, PageError> {
    let caller = &session.caller;
    caller.require(Permission::ManageGateways)?;
    if let Some((form, found)) = helped(&state, caller, &typed, None).await? {
        return Ok(GatewayPage::new(&state, &session, form, found).await?.respond());
    }
    let created = match gateway_form::new_gateway(&typed) {
        Ok(input) => state.broker.create_gateway(caller, input).await,
        Err(error) => Err(error),
    };
    match created {
        Ok(gateway) => {
            let published = gateway.state == GatewayState::Published;
            let note = if published { "created-published" } else { "created" };
            Ok(Redirect::to(&format!("/ui/gateways/{}?note={note}", gateway.id)).into_response())
        }
        Err(error) => {
            let form = refused(&state, caller, &typed, None, error).await?;
            Ok(GatewayPage::new(&state, &session, form, None).await?.respond())
        }
    }
}

/// `GET /ui/gateways/{id}`
pub(super) async fn show(
    State(state): State<AppState>,
    session: SessionCaller,
    Path(id): Path<String>,
    Asked(asked): Asked,
) -> Result<Response, PageError> {
    session.caller.require(Permission::ReadGateways)?;
    let gateway = state.broker.readable_gateway(&session.caller, crate::ui::id(&id)?).await?;
    let mut page = GatewayPage::new(&state, &session, gateway_form::of(&gateway), None).await?;
    page.frame = page.frame.noted(&asked);
    Ok(page.of(&state, &gateway, gateway.version.to_string()).respond())
}

/// `POST /ui/gateways/{id}`
pub(super) async fn update(
    State(state): State<AppState>,
    session: SessionCaller,
    Path(id): Path<String>,
    CheckedForm(typed): CheckedForm<Fields>,
) -> Result<Response, PageError> {
    let caller = &session.caller;
    let gateway = managed(&state, caller, &id).await?;
    let version = typed.text("version").to_owned();
    let (form, found) = if let Some(helped) = helped(&state, caller, &typed, Some(gateway.id)).await? {
        helped
    } else {
        let updated = match gateway_form::edited_gateway(&typed) {
            Ok(input) => {
                state.broker.update_gateway(caller, gateway.id, Some(version_of(&typed)), input).await
            }
            Err(error) => Err(error),
        };
        match updated {
            Ok(updated) => {
                let to = format!("/ui/gateways/{id}?note=saved&people={}", updated.must_reauthorize);
                return Ok(Redirect::to(&to).into_response());
            }
            Err(error) => (refused(&state, caller, &typed, Some(gateway.id), error).await?, None),
        }
    };
    Ok(GatewayPage::new(&state, &session, form, found).await?.of(&state, &gateway, version).respond())
}

/// What a button fills into the form, without saving anything; none for the buttons that save.
async fn helped(
    state: &AppState,
    caller: &Caller,
    typed: &Fields,
    gateway: Option<GatewayId>,
) -> Result<Option<(Form, Option<Note>)>, PageError> {
    Ok(match typed.text("do") {
        "discover" => Some(discover(state, caller, typed, gateway).await?),
        "fill" => Some(gateway_template::fill(state, caller, typed)?),
        _ => None,
    })
}

/// A gateway, for those who manage them.
pub(super) async fn managed(state: &AppState, caller: &Caller, id: &str) -> Result<Arc<Gateway>, PageError> {
    caller.require(Permission::ManageGateways)?;
    let id: GatewayId = crate::ui::id(id)?;
    Ok(state.broker.gateway(caller, id).await?)
}

/// The version that a form was made from. Without one, no version fits.
pub(super) fn version_of(typed: &Fields) -> i64 {
    typed.text("version").parse().unwrap_or(-1)
}

#[cfg(test)]
pub(super) fn samples() -> Vec<(&'static str, String)> {
    use crate::ui::parts::Tone;
    use doorward_broker::BrokerError;
    let page = |form: Form, found: Option<Note>| GatewayPage {
        frame: Frame::sample(Here::Gateways),
        title: "New gateway".into(),
        saved: None,
        more_open: true,
        form,
        found,
        action: "/ui/gateways/new".into(),
        version: String::new(),
        redirect_uri: "http://localhost:4444/oauth/callback".into(),
        header_help: SET_SECRET,
        secret_help: SET_SECRET,
        has_secret: false,
        certificate: None,
        certificate_open: true,
        provider: ProviderPart::default(),
        identity_providers: vec![("0190f5d2-7c1e-7000-8000-000000000001".into(), "Acme sign-in <b>".into())],
        refused_scopes: vec!["admin:<b>".into()],
        moved_issuer: Some(("https://old.example/<b>".into(), "https://new.example".into())),
    };
    let gateway = &crate::ui::samples::gateways()[0];
    let saved = GatewayPage {
        title: gateway.name.clone(),
        version: "3".into(),
        secret_help: REPLACE_SECRET,
        has_secret: true,
        certificate: Some(("CN=<b>doorward".into(), Moment::exact(gateway.updated_at))),
        more_open: false,
        saved: Some(Saved {
            id: gateway.id.to_string(),
            slug: gateway.slug.to_string(),
            badge: Badge::gateway(gateway.state),
            mcp_url: "http://localhost:4444/gateways/github-mcp/mcp".into(),
            changed: Moment::exact(gateway.updated_at),
            oauth: gateway.oauth().is_some(),
            access: "2 groups and 1 person".into(),
            on_change: on_change(gateway.on_change),
            actions: actions(gateway.state),
        }),
        ..page(gateway_form::of(gateway), None)
    };
    let typed: Fields = serde_urlencoded::from_str("url=ftp%3A%2F%2Fx&authorization=oauth&do=save").unwrap();
    let error =
        BrokerError::Invalid { field: "url".into(), problem: "the URL must begin with https://".into() };
    let refused = page(
        Form::refused(&typed, error).unwrap(),
        Some(Note::new(Tone::Info, "<i>https://as.example</i> guards it.")),
    );
    let new = GatewayPage { more_open: false, ..page(gateway_form::blank(), None) };
    vec![
        ("gateway-new", new.render().unwrap()),
        ("gateway-refused", refused.render().unwrap()),
        ("gateway", saved.render().unwrap()),
    ]
}
