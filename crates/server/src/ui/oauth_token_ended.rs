//! What is left of one grant: the receipt after a revoke, and whenever somebody looks it up later. It is true
//! whenever it is loaded.

use crate::extract::SessionCaller;
use crate::state::AppState;
use crate::ui::error::PageError;
use crate::ui::oauth_token::may_see;
use crate::ui::oauth_tokens_view::LIST;
use crate::ui::page::{self, Frame, Here};
use crate::ui::parts::{Moment, host_of};
use crate::ui::receipt::Outcome;
use crate::ui::time_line::{self, Entry, People};
use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use doorward_broker::EndedDetails;
use doorward_domain::{EndedGrant, GrantId, Timestamp};

/// The receipt.
#[derive(Template)]
#[template(path = "oauth_token_ended.html")]
struct EndedPage {
    frame: Frame,
    id: String,
    who: String,
    slug: String,
    cause: &'static str,
    by: String,
    ended: Moment,
    reason: Option<String>,
    outcome: Outcome,
    provider: String,
    provider_host: String,
    account: Option<String>,
    scopes: Vec<String>,
    authorized: Moment,
    last_used: Option<Moment>,
    /// The order about many that ended it.
    job: Option<String>,
    time_line: Vec<Entry>,
}

/// Whose it was, as a page names them.
pub(super) fn who(ended: &EndedGrant) -> String {
    ended.user_email.clone().unwrap_or_else(|| "the gateway itself".to_owned())
}

impl EndedPage {
    fn new(frame: Frame, details: EndedDetails, people: &People, now: Timestamp) -> Self {
        let EndedDetails { ended, time_line } = details;
        Self {
            frame,
            id: ended.grant_id.to_string(),
            who: who(&ended),
            slug: ended.gateway_slug.clone(),
            cause: time_line::cause(ended.cause),
            by: time_line::by(&ended.actor, people),
            ended: Moment::exact(ended.ended_at),
            outcome: Outcome::of(&ended, now),
            provider_host: host_of(&ended.provider).to_owned(),
            authorized: Moment::exact(ended.authorized_at),
            last_used: ended.last_used_at.map(Moment::exact),
            job: ended.job.map(|job| format!("{LIST}/jobs/{job}")),
            time_line: time_line::entries(&time_line, people),
            reason: ended.reason,
            provider: ended.provider,
            account: ended.account.map(|account| account.name.unwrap_or(account.subject)),
            scopes: ended.scopes_granted,
        }
    }
}

/// `GET /ui/oauth-tokens/ended/{id}`
pub(super) async fn show(
    State(state): State<AppState>,
    session: SessionCaller,
    Path(id): Path<String>,
) -> Result<Response, PageError> {
    let caller = &session.caller;
    may_see(caller)?;
    let id: GrantId = crate::ui::id(&id)?;
    let details = state.broker.ended_details(caller, id).await?;
    let mut acted = time_line::who_acted(&details.time_line);
    acted.extend(details.ended.actor.person());
    let people = state.broker.emails_of(caller, acted).await?;
    let frame = Frame::new(&state, &session, Here::OAuthTokens);
    Ok(page::page(&EndedPage::new(frame, details, &people, state.broker.clock().now())))
}

#[cfg(test)]
pub(super) fn samples() -> Vec<(&'static str, String)> {
    use crate::ui::samples::{NOW, emails, ended_grant, time_line};
    use doorward_domain::Receipt;
    let page = |receipt| {
        let details = EndedDetails { ended: ended_grant(receipt), time_line: time_line() };
        EndedPage::new(Frame::sample(Here::OAuthTokens), details, &emails(), NOW).render().unwrap()
    };
    vec![
        ("oauth-token-ended-pending", page(Receipt::Pending)),
        ("oauth-token-ended-confirmed", page(Receipt::EndedAtProvider)),
        ("oauth-token-ended-no-call", page(Receipt::NoSuchCall)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_success_is_shown_before_the_provider_has_confirmed() {
        let pages = samples();
        let receipt = |name: &str| {
            let page = &pages.iter().find(|(found, _)| *found == name).unwrap().1;
            page.split_once("id=\"receipt\"").unwrap().1.split_once("</section>").unwrap().0.to_owned()
        };
        let pending = receipt("oauth-token-ended-pending");
        assert!(!pending.contains("badge ok") && pending.contains("has not confirmed yet"), "{pending}");
        assert!(receipt("oauth-token-ended-confirmed").contains("badge ok"));
        assert!(receipt("oauth-token-ended-no-call").contains("https://github.com/settings/applications"));
        assert!(pages[0].1.contains("data-reload") && !pages[1].1.contains("data-reload"));
    }
}
