//! An order about many grants: looked at first, with counts and names, and given with a reason; above twenty with
//! the number typed.

use crate::extract::{CheckedForm, SessionCaller};
use crate::state::AppState;
use crate::ui::error::PageError;
use crate::ui::form::{Asked, Fields, Form};
use crate::ui::oauth_token_end::{kind_of, provider_end};
use crate::ui::oauth_tokens_view::{LIST, View};
use crate::ui::page::{self, Frame, Here};
use crate::ui::parts::grouped;
use crate::ui::receipt::{Whose, told};
use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use doorward_broker::{BulkOrder, BulkPreview};
use doorward_domain::{BulkKind, Gateway, GrantChoice, Permission, ProviderEnd};
use http::StatusCode;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Above so many, the number is to be typed.
const TYPED_ABOVE: u64 = 20;

/// The preview; nothing has happened yet.
#[derive(Template)]
#[template(path = "oauth_tokens_many.html")]
struct ManyPage {
    frame: Frame,
    form: Form,
    revoke: bool,
    count: u64,
    number: String,
    /// What is to be typed; empty for few.
    typed: String,
    /// What the form brings along: the order, and which grants it means.
    along: Vec<(String, String)>,
    gateways: Vec<AtGateway>,
    names: Vec<Name>,
    /// How many more there are than names.
    more: String,
    back: String,
}

/// How many of the named ones are at one gateway, and what its provider is told.
struct AtGateway {
    slug: String,
    count: usize,
    told: String,
}

struct Name {
    who: String,
    slug: String,
}

/// Which grants, and what is done to them, as a URL or a form says it.
struct Meant {
    kind: BulkKind,
    choice: GrantChoice,
    back: String,
}

impl Meant {
    fn asked(fields: &Fields) -> Result<Self, PageError> {
        let choice = if fields.has("all") {
            GrantChoice::Filter(View::asked(fields).filter)
        } else {
            GrantChoice::Ids(fields.all("id").map(crate::ui::id).collect::<Result<_, _>>()?)
        };
        Ok(Self { kind: kind_of(fields.text("do"))?, choice, back: View::carried(fields).href() })
    }

    /// What the form brings along, so that it means the same.
    fn along(&self, fields: &Fields) -> Vec<(String, String)> {
        let mut along = vec![("do".to_owned(), fields.text("do").to_owned())];
        along.push(("view".to_owned(), fields.raw("view").to_owned()));
        match &self.choice {
            GrantChoice::Ids(ids) => along.extend(ids.iter().map(|id| ("id".to_owned(), id.to_string()))),
            GrantChoice::Filter(_) => {
                along.push(("all".to_owned(), "yes".to_owned()));
                let parts = View::asked(fields).filter_parts().into_iter();
                let parts = parts.filter(|(_, value)| !value.is_empty());
                along.extend(parts.map(|(name, value)| (name.to_owned(), value)));
            }
        }
        along
    }

    fn nothing_selected(&self) -> bool {
        matches!(&self.choice, GrantChoice::Ids(ids) if ids.is_empty())
    }
}

impl ManyPage {
    fn new(
        frame: Frame,
        form: Form,
        meant: &Meant,
        fields: &Fields,
        preview: BulkPreview,
        known: &[Arc<Gateway>],
    ) -> Self {
        let BulkPreview { count, grants } = preview;
        let mut along = meant.along(fields);
        along.push(("expected".to_owned(), count.to_string()));
        let mut slugs = BTreeMap::<&str, usize>::new();
        for grant in &grants {
            *slugs.entry(&grant.gateway_slug).or_default() += 1;
        }
        let revoke = meant.kind == BulkKind::Revoke;
        let gateways = slugs.iter().map(|(slug, count)| AtGateway {
            slug: (*slug).to_owned(),
            count: *count,
            told: if revoke { told_at(slug, known) } else { String::new() },
        });
        Self {
            frame,
            form,
            revoke,
            count,
            number: grouped(count),
            typed: if count > TYPED_ABOVE {
                format!("It is many: type {count} to confirm.")
            } else {
                String::new()
            },
            along,
            gateways: gateways.collect(),
            more: grouped(count.saturating_sub(grants.len() as u64)),
            back: meant.back.clone(),
            names: grants
                .into_iter()
                .map(|grant| Name {
                    who: grant.user_email.unwrap_or_else(|| "the gateway itself".to_owned()),
                    slug: grant.gateway_slug,
                })
                .collect(),
        }
    }
}

fn told_at(slug: &str, known: &[Arc<Gateway>]) -> String {
    let gateway = known.iter().find(|gateway| gateway.slug.as_str() == slug);
    let settings = gateway.and_then(|gateway| gateway.oauth());
    settings.map(|settings| told(settings, Whose::Theirs)).unwrap_or_default()
}

async fn preview(
    state: &AppState,
    session: &SessionCaller,
    fields: &Fields,
    meant: &Meant,
    form: Form,
) -> Result<Response, PageError> {
    let preview = state.broker.preview_bulk(&session.caller, &meant.choice).await?;
    let gateways = state.broker.gateways(&session.caller).await?;
    let (frame, status) = (Frame::new(state, session, Here::OAuthTokens), form.status);
    Ok(page::with_status(status, &ManyPage::new(frame, form, meant, fields, preview, &gateways)))
}

/// `GET /ui/oauth-tokens/many`
pub(super) async fn ask(
    State(state): State<AppState>,
    session: SessionCaller,
    Asked(asked): Asked,
) -> Result<Response, PageError> {
    let meant = Meant::asked(&asked)?;
    if meant.nothing_selected() {
        return Ok(Redirect::to(&format!("{LIST}?note=none-selected")).into_response());
    }
    session.caller.require(Permission::RevokeGrants)?;
    state.broker.require_fresh_login_to_ask(&session.caller)?;
    preview(&state, &session, &asked, &meant, Form::blank()).await
}

/// `POST /ui/oauth-tokens/many`
pub(super) async fn perform(
    State(state): State<AppState>,
    session: SessionCaller,
    CheckedForm(typed): CheckedForm<Fields>,
) -> Result<Response, PageError> {
    let meant = Meant::asked(&typed)?;
    let refused = match order(&typed, &meant) {
        Ok(order) => match state.broker.order_bulk(&session.caller, order).await {
            Ok(job) => return Ok(Redirect::to(&format!("{LIST}/jobs/{}", job.id)).into_response()),
            Err(error) => Form::refused(&typed, error)?,
        },
        Err(form) => form,
    };
    preview(&state, &session, &typed, &meant, refused).await
}

/// The order that a form gives; or the form again, where it lacks what an order needs.
fn order(typed: &Fields, meant: &Meant) -> Result<BulkOrder, Form> {
    let refused =
        |field: &str, problem: &str| Form::again(typed).problem(StatusCode::BAD_REQUEST, field, problem);
    let expected: u64 = typed.text("expected").parse().map_err(|_| refused("", "the page was incomplete"))?;
    let number: String = typed.text("typed").chars().filter(char::is_ascii_digit).collect();
    if expected > TYPED_ABOVE && number != expected.to_string() {
        return Err(refused("typed", &format!("type {expected}, so that nobody does this by a slip")));
    }
    let reason =
        typed.filled("reason").ok_or_else(|| refused("reason", "say why; it stays with each record"))?;
    let provider = match meant.kind {
        BulkKind::Revoke => provider_end(typed),
        BulkKind::Reauthorize => ProviderEnd::default(),
    };
    Ok(BulkOrder { kind: meant.kind, choice: meant.choice.clone(), reason, provider, expected })
}

#[cfg(test)]
pub(super) fn samples() -> Vec<(&'static str, String)> {
    use crate::ui::samples;
    use doorward_storage::ChosenGrant;
    let page = |query: &str, count: u64, form: Form| {
        let fields: Fields = serde_urlencoded::from_str(query).unwrap();
        let meant = Meant::asked(&fields).unwrap();
        let grant = |slug: &str| ChosenGrant {
            id: samples::listed().id,
            user_email: Some("<b>admin</b>@acme.example".into()),
            gateway_slug: slug.into(),
        };
        let grants = if count == 0 { vec![] } else { vec![grant("github-mcp"), grant("tickets")] };
        let gateways: Vec<_> = samples::gateways().into_iter().map(Arc::new).collect();
        let preview = BulkPreview { count, grants };
        ManyPage::new(Frame::sample(Here::OAuthTokens), form, &meant, &fields, preview, &gateways)
            .render()
            .unwrap()
    };
    let id = "0190f5d2-7c1e-7000-8000-000000000001";
    let problem = Form::blank().problem(StatusCode::BAD_REQUEST, "typed", "<script>no</script>");
    vec![
        ("oauth-tokens-many", page("do=revoke&all=yes&health=expired&view=q%3Da", 1_284, problem)),
        ("oauth-tokens-few", page(&format!("do=revoke&id={id}&id={id}"), 2, Form::blank())),
        ("oauth-tokens-many-again", page("do=reauthorize&all=yes&q=a", 21, Form::blank())),
        ("oauth-tokens-none", page(&format!("do=revoke&id={id}"), 0, Form::blank())),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(text: &str) -> Result<BulkOrder, Form> {
        let fields: Fields = serde_urlencoded::from_str(text).unwrap();
        order(&fields, &Meant::asked(&fields).unwrap())
    }

    #[test]
    fn above_twenty_the_number_is_typed_and_a_reason_is_always_given() {
        let few = given("do=revoke&all=yes&q=a&expected=20&reason=x&at_provider=here_only").unwrap();
        assert_eq!((few.expected, few.provider), (20, ProviderEnd::HereOnly));
        let GrantChoice::Filter(filter) = few.choice else { panic!("a filter was given") };
        assert_eq!((filter.q.as_deref(), filter.provider), (Some("a"), None), "two things with one name");
        for (typed, right) in [("", false), ("20", false), ("21", true), ("+21", true)] {
            let order = given(&format!("do=revoke&all=yes&q=a&expected=21&reason=x&typed={typed}"));
            assert_eq!(order.is_ok(), right, "{typed}");
        }
        assert!(given("do=revoke&all=yes&q=a&expected=1284&reason=x&typed=1%2C284").is_ok());
        let silent = given("do=reauthorize&all=yes&q=a&expected=1&reason=+").unwrap_err();
        assert!(silent.wrong("reason").contains("why"));
        assert!(given("do=revoke&all=yes&q=a&reason=x").is_err(), "without the number that was seen");
    }

    #[test]
    fn the_preview_names_the_order_and_what_it_means() {
        let pages = samples();
        let page = |name: &str| &pages.iter().find(|(found, _)| *found == name).unwrap().1;
        let many = page("oauth-tokens-many");
        assert!(many.contains("Revoke 1,284 OAuth tokens?") && many.contains("name=\"typed\""));
        assert!(many.contains("and 1,282 more") && many.contains("name=\"health\" value=\"expired\""));
        assert!(many.contains("href=\"/ui/oauth-tokens?q=a\""), "it leads back to where it was asked");
        let few = page("oauth-tokens-few");
        assert!(!few.contains("name=\"typed\"") && few.matches("name=\"id\"").count() == 2);
        assert!(!page("oauth-tokens-many-again").contains("name=\"at_provider\""));
        assert!(page("oauth-tokens-none").contains("None of them is there any more"));
    }
}
