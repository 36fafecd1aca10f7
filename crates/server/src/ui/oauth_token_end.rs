//! Ending somebody's grant, or asking them to authorize again: the question, which says what it means here and
//! at the provider, and the deed.

use crate::extract::{CheckedForm, SessionCaller};
use crate::state::AppState;
use crate::ui::error::PageError;
use crate::ui::form::{Asked, Fields, Form};
use crate::ui::oauth_token::may_see;
use crate::ui::oauth_tokens::named;
use crate::ui::oauth_tokens_view::{LIST, View};
use crate::ui::page::{self, Frame, Here};
use crate::ui::receipt::{Whose, also_ends, by_hand, told};
use crate::ui::words::meant;
use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use doorward_domain::{
    BulkKind, Gateway, GrantId, ListedGrant, OAuthSettings, Permission, ProviderEnd, Telling,
};

/// The question; nothing has happened yet.
#[derive(Template)]
#[template(path = "oauth_token_end.html")]
struct EndPage {
    frame: Frame,
    form: Form,
    id: String,
    back: String,
    /// The view that goes along, so that what is done leads back to it.
    view: String,
    verb: &'static str,
    title: String,
    lines: Vec<String>,
    button: &'static str,
    danger: bool,
    choices: Vec<ProviderChoice>,
    apps_url: Option<String>,
}

/// What can be done about the provider; the first is what happens without a choice.
pub(super) struct ProviderChoice {
    pub(super) value: &'static str,
    pub(super) label: &'static str,
    pub(super) help: String,
}

impl ProviderChoice {
    const fn new(value: &'static str, label: &'static str, help: String) -> Self {
        Self { value, label, help }
    }

    /// At one provider.
    fn at(settings: &OAuthSettings) -> Vec<Self> {
        let here = |help: &str| Self::new("here_only", "End it here only", help.to_owned());
        match settings.telling() {
            Telling::Ends => vec![
                Self::new("unless_wide", "End it there too", "The provider is told.".to_owned()),
                here("The provider is not told, and goes on listing the access."),
            ],
            Telling::EndsMore(reach) => vec![
                here("The provider is not told, and goes on listing the access."),
                Self::new(
                    "there_too",
                    "End it there too",
                    format!("That also ends {}.", also_ends(reach, Whose::Theirs)),
                ),
            ],
            Telling::NoSuchCall | Telling::Stranger => Vec::new(),
        }
    }
}

/// What the URL's last word asks for.
pub(super) fn kind_of(verb: &str) -> Result<BulkKind, PageError> {
    meant(verb).ok_or(PageError::NOT_FOUND)
}

/// What a form says about the provider. The name is not that of the filter, which may stand in the same form.
pub(super) fn provider_end(fields: &Fields) -> ProviderEnd {
    meant(fields.text("at_provider")).unwrap_or_default()
}

impl EndPage {
    fn new(
        frame: Frame,
        form: Form,
        kind: BulkKind,
        from: &Fields,
        grant: &ListedGrant,
        gateway: &Gateway,
    ) -> Self {
        let (name, email) = named(grant);
        let slug = &grant.gateway.slug;
        let who = if email.is_empty() { name.clone() } else { format!("{name} ({email})") };
        let settings = gateway.oauth();
        let id = grant.id.to_string();
        let (back, view) = (View::back_to(from, grant.id, ""), from.raw("view").to_owned());
        match kind {
            BulkKind::Revoke => Self {
                title: format!("Revoke {name} at {slug}?"),
                lines: std::iter::once(format!(
                    "No call of {who} is served at {slug} from then on, and Doorward deletes the tokens. The next call asks for a new authorization."
                ))
                .chain(settings.map(|settings| told(settings, Whose::Theirs)))
                .collect(),
                verb: "revoke",
                button: "Revoke",
                danger: true,
                choices: settings.map(ProviderChoice::at).unwrap_or_default(),
                apps_url: settings.and_then(by_hand),
                frame,
                form,
                id,
                back,
                view,
            },
            BulkKind::Reauthorize => Self {
                title: format!("Ask {name} to authorize {slug} again?"),
                lines: vec![
                    format!("The tokens of {who} at {slug} are served no more; the next call asks for a new authorization."),
                    "Nothing ends at the provider, and nobody else is asked.".to_owned(),
                ],
                verb: "reauthorize",
                button: "Ask to authorize again",
                danger: false,
                choices: Vec::new(),
                apps_url: None,
                frame,
                form,
                id,
                back,
                view,
            },
        }
    }
}

async fn question(
    state: &AppState,
    session: &SessionCaller,
    id: GrantId,
    kind: BulkKind,
    from: &Fields,
    form: Form,
) -> Result<Response, PageError> {
    let details = state.broker.grant_details(&session.caller, id).await?;
    let (frame, status) = (Frame::new(state, session, Here::OAuthTokens), form.status);
    Ok(page::with_status(status, &EndPage::new(frame, form, kind, from, &details.listed, &details.gateway)))
}

/// `GET /ui/oauth-tokens/{id}/{verb}`
pub(super) async fn ask(
    State(state): State<AppState>,
    session: SessionCaller,
    Path((id, verb)): Path<(String, String)>,
    Asked(asked): Asked,
) -> Result<Response, PageError> {
    may_see(&session.caller)?;
    session.caller.require(Permission::RevokeGrants)?;
    question(&state, &session, crate::ui::id(&id)?, kind_of(&verb)?, &asked, Form::blank()).await
}

/// `POST /ui/oauth-tokens/{id}/{verb}`
pub(super) async fn perform(
    State(state): State<AppState>,
    session: SessionCaller,
    Path((id, verb)): Path<(String, String)>,
    CheckedForm(typed): CheckedForm<Fields>,
) -> Result<Response, PageError> {
    let caller = &session.caller;
    may_see(caller)?;
    let (id, kind): (GrantId, _) = (crate::ui::id(&id)?, kind_of(&verb)?);
    let reason = typed.filled("reason");
    let done = match kind {
        BulkKind::Revoke => {
            let ended = state.broker.revoke(caller, id, reason.as_deref(), provider_end(&typed)).await;
            ended.map(|ended| format!("{LIST}/ended/{}", ended.grant_id))
        }
        BulkKind::Reauthorize => {
            let asked = state.broker.require_authorization(caller, id, reason.as_deref()).await;
            asked.map(|()| View::back_to(&typed, id, "asked-again"))
        }
    };
    match done {
        Ok(to) => Ok(Redirect::to(&to).into_response()),
        Err(error) => question(&state, &session, id, kind, &typed, Form::refused(&typed, error)?).await,
    }
}

#[cfg(test)]
pub(super) fn samples() -> Vec<(&'static str, String)> {
    use crate::ui::samples;
    use doorward_domain::{GatewayAuthorization, RevocationReach};
    let page = |kind, reach, url: Option<&str>, form: Form| {
        let mut gateway = samples::oauth_gateway();
        if let GatewayAuthorization::OAuth(settings) = &mut gateway.authorization {
            settings.facts.revocation_reach = reach;
            settings.facts.user_apps_url = "https://github.com/settings/applications".parse().ok();
            settings.revocation_url = url.map(|path| settings.token_url.join(path).unwrap());
        }
        let frame = Frame::sample(Here::OAuthTokens);
        EndPage::new(frame, form, kind, &Fields::default(), &samples::listed(), &gateway).render().unwrap()
    };
    let (narrow, wide) = (RevocationReach::ThisGrant, RevocationReach::AllAppsForUser);
    let problem = Form::blank().problem(http::StatusCode::BAD_REQUEST, "reason", "<script>no</script>");
    vec![
        ("oauth-token-revoke", page(BulkKind::Revoke, narrow, Some("/revoke"), Form::blank())),
        ("oauth-token-revoke-wide", page(BulkKind::Revoke, wide, Some("/revoke"), problem)),
        ("oauth-token-revoke-no-call", page(BulkKind::Revoke, narrow, None, Form::blank())),
        ("oauth-token-reauthorize", page(BulkKind::Reauthorize, narrow, None, Form::blank())),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_question_names_user_and_gateway_and_says_what_the_provider_is_told() {
        let pages = samples();
        let page = |name: &str| &pages.iter().find(|(found, _)| *found == name).unwrap().1;
        let narrow = page("oauth-token-revoke");
        assert!(narrow.contains("h.tanaka@acme.example") && narrow.contains("github-mcp"));
        assert!(
            narrow.contains("is told right afterwards") && narrow.contains("value=\"unless_wide\" checked")
        );
        let wide = page("oauth-token-revoke-wide");
        assert!(wide.contains("value=\"here_only\" checked"), "the narrow choice is the first");
        assert!(wide.contains("also those of other applications"));
        let no_call = page("oauth-token-revoke-no-call");
        assert!(no_call.contains("has no way to be told") && !no_call.contains("name=\"at_provider\""));
        assert!(no_call.contains("github.com/settings/applications"));
        assert!(page("oauth-token-reauthorize").contains("Nothing ends at the provider"));
    }
}
