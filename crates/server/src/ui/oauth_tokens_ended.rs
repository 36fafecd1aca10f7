//! "Recently ended": what is left of grants, newest first, with why, by whom, and the provider's answer.

use crate::extract::SessionCaller;
use crate::state::AppState;
use crate::ui::error::PageError;
use crate::ui::form::{Asked, Fields};
use crate::ui::oauth_token_ended::who;
use crate::ui::oauth_tokens::tabs;
use crate::ui::page::{self, Frame, Here};
use crate::ui::parts::{Badge, Choice, Moment, Tab, host_of};
use crate::ui::receipt;
use crate::ui::time_line::{self, People};
use crate::ui::words::{href, meant, pages, word};
use askama::Template;
use axum::extract::State;
use axum::response::Response;
use doorward_domain::{EndCause, EndedGrant, Gateway, Page, PageRequest, Receipt, Timestamp};
use doorward_storage::EndedFilter;
use std::sync::Arc;

const HERE: &str = "/ui/oauth-tokens/ended";

/// The list.
#[derive(Template)]
#[template(path = "oauth_tokens_ended.html")]
struct EndedListPage {
    frame: Frame,
    tabs: Vec<Tab>,
    gateways: Vec<Choice>,
    causes: Vec<Choice>,
    receipts: Vec<Choice>,
    /// Filters that links bring, and that stay when the form is sent.
    kept: Vec<(&'static str, String)>,
    filtered: bool,
    export: String,
    rows: Vec<Row>,
    first: Option<String>,
    next: Option<String>,
}

struct Row {
    id: String,
    who: String,
    slug: String,
    provider: String,
    provider_host: String,
    cause: &'static str,
    by: String,
    reason: Option<String>,
    ended: Moment,
    badge: Badge,
    detail: Option<String>,
}

impl Row {
    fn new(ended: EndedGrant, people: &People, now: Timestamp) -> Self {
        Self {
            id: ended.grant_id.to_string(),
            who: who(&ended),
            cause: time_line::cause(ended.cause),
            by: time_line::by(&ended.actor, people),
            ended: Moment::relative(ended.ended_at, now),
            badge: receipt::badge(ended.receipt),
            provider_host: host_of(&ended.provider).to_owned(),
            slug: ended.gateway_slug,
            provider: ended.provider,
            reason: ended.reason,
            detail: ended.receipt_detail,
        }
    }
}

/// What a URL asks for. What is no value is no filter.
fn filter_of(asked: &Fields) -> EndedFilter {
    EndedFilter {
        user: asked.text("user").parse().ok(),
        gateway: asked.text("gateway").parse().ok(),
        cause: meant(asked.text("cause")),
        receipt: meant(asked.text("receipt")),
        job: asked.text("job").parse().ok(),
    }
}

fn parts(filter: &EndedFilter) -> Vec<(&'static str, String)> {
    let EndedFilter { user, gateway, cause, receipt, job } = filter;
    vec![
        ("user", user.map(|id| id.to_string()).unwrap_or_default()),
        ("gateway", gateway.map(|id| id.to_string()).unwrap_or_default()),
        ("cause", cause.map(word).unwrap_or_default()),
        ("receipt", receipt.map(word).unwrap_or_default()),
        ("job", job.map(|id| id.to_string()).unwrap_or_default()),
    ]
}

impl EndedListPage {
    fn new(
        frame: Frame,
        filter: &EndedFilter,
        request: &PageRequest,
        gateways: &[Arc<Gateway>],
        ended: Page<EndedGrant>,
        people: &People,
        now: Timestamp,
    ) -> Self {
        let (first, next) = pages(HERE, &parts(filter), request, ended.next_cursor);
        let mut export = parts(filter);
        export.push(("format", "csv".to_owned()));
        let kept = parts(filter).into_iter();
        let kept = kept.filter(|(name, value)| matches!(*name, "user" | "job") && !value.is_empty());
        Self {
            frame,
            tabs: tabs(true),
            gateways: gateway_choices(filter, gateways),
            causes: cause_choices(filter.cause),
            receipts: receipt_choices(filter.receipt),
            kept: kept.collect(),
            filtered: *filter != EndedFilter::default(),
            export: href("/admin/oauth/ended/export", &export),
            first,
            next,
            rows: ended.items.into_iter().map(|ended| Row::new(ended, people, now)).collect(),
        }
    }
}

fn gateway_choices(filter: &EndedFilter, gateways: &[Arc<Gateway>]) -> Vec<Choice> {
    let choices = gateways.iter().map(|gateway| {
        Choice::new(gateway.id.to_string(), gateway.slug.as_str(), filter.gateway == Some(gateway.id))
    });
    std::iter::once(Choice::any("All gateways", filter.gateway.is_none())).chain(choices).collect()
}

fn cause_choices(chosen: Option<EndCause>) -> Vec<Choice> {
    let choices =
        EndCause::ALL.map(|cause| Choice::new(word(cause), time_line::cause(cause), chosen == Some(cause)));
    std::iter::once(Choice::any("Every cause", chosen.is_none())).chain(choices).collect()
}

fn receipt_choices(chosen: Option<Receipt>) -> Vec<Choice> {
    let choices = Receipt::ALL
        .map(|receipt| Choice::new(word(receipt), receipt::badge(receipt).word, chosen == Some(receipt)));
    std::iter::once(Choice::any("Every answer", chosen.is_none())).chain(choices).collect()
}

/// `GET /ui/oauth-tokens/ended`
pub(super) async fn show(
    State(state): State<AppState>,
    session: SessionCaller,
    Asked(asked): Asked,
) -> Result<Response, PageError> {
    let caller = &session.caller;
    let (filter, request) = (filter_of(&asked), asked.page());
    let ended = state.broker.ended_grants(caller, &filter, &request).await?;
    let acted = ended.items.iter().filter_map(|ended| ended.actor.person());
    let people = state.broker.emails_of(caller, acted.collect()).await?;
    let gateways = state.broker.gateways(caller).await?;
    let frame = Frame::new(&state, &session, Here::OAuthTokens);
    let now = state.broker.clock().now();
    let page = EndedListPage::new(frame, &filter, &request, &gateways, ended, &people, now);
    Ok(page::page(&page))
}

#[cfg(test)]
pub(super) fn samples() -> Vec<(&'static str, String)> {
    use crate::ui::samples;
    let page = |query: &str, items: Vec<EndedGrant>| {
        let asked: Fields = serde_urlencoded::from_str(query).unwrap();
        let gateways: Vec<_> = samples::gateways().into_iter().map(Arc::new).collect();
        let (filter, request) = (filter_of(&asked), asked.page());
        let ended = Page { items, next_cursor: Some("n&xt".into()) };
        let frame = Frame::sample(Here::OAuthTokens);
        EndedListPage::new(frame, &filter, &request, &gateways, ended, &samples::emails(), samples::NOW)
            .render()
            .unwrap()
    };
    let all = || Receipt::ALL.into_iter().map(samples::ended_grant).collect();
    vec![
        ("oauth-tokens-ended", page("", all())),
        ("oauth-tokens-ended-filtered", page("cause=revoked&receipt=refused&cursor=x", all())),
        ("oauth-tokens-ended-empty", page("", vec![])),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filter_stands_in_every_link_of_the_page() {
        let pages = samples();
        let page = |name: &str| &pages.iter().find(|(found, _)| *found == name).unwrap().1;
        let filtered = page("oauth-tokens-ended-filtered");
        assert!(filtered.contains("ended?cause=revoked&#38;receipt=refused&#38;cursor=n%26xt"), "{filtered}");
        assert!(filtered.contains("export?cause=revoked&#38;receipt=refused&#38;format=csv"));
        assert!(filtered.contains("<option value=\"refused\" selected>"));
        assert!(page("oauth-tokens-ended-empty").contains("Nothing has ended"));
    }
}
