//! One authorization attempt closely: a time line of requests and answers without what is secret in them, the
//! provider's words, and the likely fix.

use crate::extract::SessionCaller;
use crate::state::AppState;
use crate::ui::attempt_words;
use crate::ui::attempts::{badge_of, slug_of};
use crate::ui::error::PageError;
use crate::ui::page::{self, Frame, Here};
use crate::ui::parts::{Badge, Moment, Tone};
use crate::ui::words::href;
use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use doorward_broker::AttemptDetails;
use doorward_domain::{AttemptStep, Permission, Timestamp};

/// The page.
#[derive(Template)]
#[template(path = "attempt.html")]
struct AttemptPage {
    frame: Frame,
    who: String,
    theirs: String,
    slug: String,
    gateway: Option<String>,
    badge: Badge,
    likely_fix: Option<&'static str>,
    reference: String,
    audit: String,
    token: Option<String>,
    started: Moment,
    steps: Vec<Step>,
}

/// One step, as a person reads it.
struct Step {
    tone: Tone,
    title: &'static str,
    request: Option<String>,
    code: Option<String>,
    provider_words: Option<String>,
    facts: Vec<(&'static str, String)>,
    /// What is wrong is not folded away.
    open: bool,
    at: Moment,
    /// Since the first one.
    after: String,
}

impl Step {
    fn new(step: &AttemptStep, first: Timestamp) -> Self {
        let (tone, title) = attempt_words::told(step);
        Self {
            tone,
            title,
            request: attempt_words::request_line(step),
            code: attempt_words::code(step).map(str::to_owned),
            provider_words: attempt_words::provider_words(step).map(str::to_owned),
            facts: attempt_words::facts(step),
            open: matches!(tone, Tone::Bad | Tone::Warn),
            at: Moment::exact(step.at),
            after: after(first, step.at),
        }
    }
}

/// `+1.2 s` since the beginning.
fn after(first: Timestamp, at: Timestamp) -> String {
    let passed = first.until(at);
    match passed.as_secs() {
        0..60 => format!("+{:.1} s", passed.as_secs_f64()),
        seconds => format!("+{} min {} s", seconds / 60, seconds % 60),
    }
}

impl AttemptPage {
    fn new(frame: Frame, details: AttemptDetails, now: Timestamp) -> Self {
        let token = details.grant().map(|grant| format!("/ui/oauth-tokens/{grant}"));
        let AttemptDetails { attempt, steps, likely_fix } = details;
        let first = steps.first().map_or(attempt.started_at, |step| step.at);
        Self {
            frame,
            badge: badge_of(&attempt, now),
            theirs: href(super::attempts::LIST, &[("user", attempt.user_id.to_string())]),
            gateway: attempt.gateway.as_ref().map(|gateway| format!("/ui/gateways/{}", gateway.id)),
            slug: slug_of(attempt.gateway.map(|gateway| gateway.slug)),
            who: attempt.user_email,
            audit: href("/ui/audit", &[("reference", attempt.reference.clone())]),
            reference: attempt.reference,
            token,
            started: Moment::exact(attempt.started_at),
            steps: steps.iter().map(|step| Step::new(step, first)).collect(),
            likely_fix,
        }
    }
}

/// `GET /ui/attempts/{id}`
pub(super) async fn show(
    State(state): State<AppState>,
    session: SessionCaller,
    Path(id): Path<String>,
) -> Result<Response, PageError> {
    let caller = &session.caller;
    if !caller.may(Permission::ReadAudit) {
        return Err(PageError::NOT_FOUND);
    }
    let details = state.broker.attempt(caller, crate::ui::id(&id)?).await?;
    let frame = Frame::new(&state, &session, Here::Attempts);
    Ok(page::page(&AttemptPage::new(frame, details, state.broker.clock().now())))
}

#[cfg(test)]
pub(super) fn samples() -> Vec<(&'static str, String)> {
    use crate::ui::samples;
    let page = |name, number: usize| {
        let attempt = samples::attempts().swap_remove(number);
        let steps = samples::attempt_steps(number == 0);
        let likely_fix = (number == 0).then_some("Compare the two.");
        let details = AttemptDetails { attempt, steps, likely_fix };
        let frame = Frame::sample(Here::Attempts);
        (name, AttemptPage::new(frame, details, samples::NOW).render().unwrap())
    };
    vec![page("attempt-refused", 0), page("attempt-connected", 1)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::samples::NOW;
    use std::time::Duration;

    #[test]
    fn what_is_wrong_is_open_and_says_how_to_mend_it() {
        let pages = samples();
        let refused = &pages[0].1;
        assert!(refused.contains("Likely fix") && refused.contains("<details open>"), "{refused}");
        assert!(refused.contains("[withheld]") && refused.contains("invalid_client"));
        assert!(!pages[1].1.contains("Likely fix") && !pages[1].1.contains("<details open>"));
    }

    #[test]
    fn the_time_since_the_beginning_is_told() {
        assert_eq!(after(NOW, NOW.plus(Duration::from_millis(1_240))), "+1.2 s");
        assert_eq!(after(NOW, NOW.plus(Duration::from_secs(61))), "+1 min 1 s");
    }
}
