//! Authorization attempts: every browser round trip of the last two weeks, newest first.

use crate::extract::SessionCaller;
use crate::state::AppState;
use crate::ui::attempt_words::{self, LOST};
use crate::ui::error::PageError;
use crate::ui::form::{Asked, Fields};
use crate::ui::page::{self, Frame, Here};
use crate::ui::parts::{Badge, Choice, Moment};
use crate::ui::words::{meant, pages, word};
use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use doorward_domain::authorization_request::AUTHORIZATION_REQUEST_LIFETIME;
use doorward_domain::{
    AttemptFilter, AttemptState, AuthorizationAttempt, Gateway, Page, PageRequest, Permission, Timestamp,
};
use std::sync::Arc;

pub(super) const LIST: &str = "/ui/attempts";

/// The list.
#[derive(Template)]
#[template(path = "attempts.html")]
struct AttemptsPage {
    frame: Frame,
    reference: String,
    gateways: Vec<Choice>,
    states: Vec<Choice>,
    user: String,
    filtered: bool,
    rows: Vec<Row>,
    first: Option<String>,
    next: Option<String>,
}

struct Row {
    href: String,
    who: String,
    slug: String,
    badge: Badge,
    reference: String,
    started: Moment,
}

impl Row {
    fn new(attempt: AuthorizationAttempt, now: Timestamp) -> Self {
        Self {
            href: format!("{LIST}/{}", attempt.id),
            badge: badge_of(&attempt, now),
            who: attempt.user_email,
            slug: slug_of(attempt.gateway.map(|gateway| gateway.slug)),
            reference: attempt.reference,
            started: Moment::relative(attempt.started_at, now),
        }
    }
}

/// How far an attempt came; what did not come back in time never does.
pub(super) fn badge_of(attempt: &AuthorizationAttempt, now: Timestamp) -> Badge {
    let in_time = now < attempt.started_at.plus(AUTHORIZATION_REQUEST_LIFETIME);
    if attempt.state == AttemptState::SetOut && !in_time { LOST } else { attempt_words::badge(attempt.state) }
}

/// A gateway by its slug, or that none is known.
pub(super) fn slug_of(slug: Option<String>) -> String {
    slug.unwrap_or_else(|| "no known gateway".to_owned())
}

/// What a URL asks for. What is no value is no filter.
fn filter_of(asked: &Fields) -> AttemptFilter {
    AttemptFilter {
        user: asked.text("user").parse().ok(),
        gateway: asked.text("gateway").parse().ok(),
        state: meant(asked.text("state")),
        reference: asked.filled("reference"),
    }
}

fn parts(filter: &AttemptFilter) -> Vec<(&'static str, String)> {
    let AttemptFilter { user, gateway, state, reference } = filter;
    vec![
        ("reference", reference.clone().unwrap_or_default()),
        ("user", user.map(|id| id.to_string()).unwrap_or_default()),
        ("gateway", gateway.map(|id| id.to_string()).unwrap_or_default()),
        ("state", state.map(word).unwrap_or_default()),
    ]
}

impl AttemptsPage {
    fn new(
        frame: Frame,
        filter: &AttemptFilter,
        request: &PageRequest,
        gateways: &[Arc<Gateway>],
        attempts: Page<AuthorizationAttempt>,
        now: Timestamp,
    ) -> Self {
        let (first, next) = pages(LIST, &parts(filter), request, attempts.next_cursor);
        let gateway = |gateway: &Arc<Gateway>| {
            let chosen = filter.gateway == Some(gateway.id);
            Choice::new(gateway.id.to_string(), gateway.slug.as_str(), chosen)
        };
        let state =
            |state| Choice::new(word(state), attempt_words::badge(state).word, filter.state == Some(state));
        let first_gateway = Choice::any("All gateways", filter.gateway.is_none());
        let first_state = Choice::any("Every end", filter.state.is_none());
        Self {
            frame,
            reference: filter.reference.clone().unwrap_or_default(),
            gateways: std::iter::once(first_gateway).chain(gateways.iter().map(gateway)).collect(),
            states: std::iter::once(first_state).chain(AttemptState::ALL.map(state)).collect(),
            user: filter.user.map(|id| id.to_string()).unwrap_or_default(),
            filtered: *filter != AttemptFilter::default(),
            first,
            next,
            rows: attempts.items.into_iter().map(|attempt| Row::new(attempt, now)).collect(),
        }
    }
}

/// `GET /ui/attempts`. A reference names one, and leads there.
pub(super) async fn show(
    State(state): State<AppState>,
    session: SessionCaller,
    Asked(asked): Asked,
) -> Result<Response, PageError> {
    let caller = &session.caller;
    caller.require(Permission::ReadAudit)?;
    let (filter, request) = (filter_of(&asked), asked.page());
    let attempts = state.broker.attempts(caller, &filter, &request).await?;
    if let (Some(_), [one]) = (&filter.reference, attempts.items.as_slice()) {
        return Ok(Redirect::to(&format!("{LIST}/{}", one.id)).into_response());
    }
    let gateways = state.broker.gateways(caller).await?;
    let frame = Frame::new(&state, &session, Here::Attempts);
    let now = state.broker.clock().now();
    Ok(page::page(&AttemptsPage::new(frame, &filter, &request, &gateways, attempts, now)))
}

#[cfg(test)]
pub(super) fn samples() -> Vec<(&'static str, String)> {
    use crate::ui::samples;
    let page = |query: &str, items: Vec<AuthorizationAttempt>| {
        let asked: Fields = serde_urlencoded::from_str(query).unwrap();
        let gateways: Vec<_> = samples::gateways().into_iter().map(Arc::new).collect();
        let (filter, request) = (filter_of(&asked), asked.page());
        let attempts = Page { items, next_cursor: Some("n&xt".into()) };
        let frame = Frame::sample(Here::Attempts);
        AttemptsPage::new(frame, &filter, &request, &gateways, attempts, samples::NOW).render().unwrap()
    };
    vec![
        ("attempts", page("", samples::attempts())),
        ("attempts-filtered", page("state=refused&cursor=x", samples::attempts())),
        ("attempts-none", page("reference=<i>report", vec![])),
        ("attempts-empty", page("", vec![])),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::samples::{NOW, attempts};

    #[test]
    fn the_filter_stands_in_every_link_and_who_did_not_come_back_is_lost() {
        let pages = samples();
        let page = |name: &str| &pages.iter().find(|(found, _)| *found == name).unwrap().1;
        assert!(page("attempts-filtered").contains("attempts?state=refused&#38;cursor=n%26xt"));
        assert!(page("attempts-none").contains("Nothing matches"));
        assert!(page("attempts-empty").contains("Nobody has set out yet"));
        let gone = attempts().into_iter().find(|attempt| attempt.state == AttemptState::SetOut).unwrap();
        assert_eq!(badge_of(&gone, NOW).word, "Never came back");
        assert_eq!(badge_of(&gone, gone.started_at).word, "At the provider");
    }
}
