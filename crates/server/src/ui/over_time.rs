//! The plots of the overview: how grants fare over time, how refreshes end, and how much each gateway is used.

use crate::state::AppState;
use crate::ui::attention::is_faint;
use crate::ui::error::PageError;
use crate::ui::parts::{Badge, Tab, Tone};
use crate::ui::plot::{Plot, Series};
use doorward_broker::Caller;
use doorward_domain::{Permission, Tallies, TallySeries, TallySpan};

/// Gateways that have a line of their own; the rest share one.
const OWN_LINES: usize = 8;

/// What is drawn.
pub(super) struct OverTime {
    pub(super) tabs: Vec<Tab>,
    pub(super) grants: Plot,
    pub(super) refreshes: Plot,
    pub(super) calls: Vec<Plot>,
}

impl OverTime {
    /// The plots; none for who may not see everybody's grants.
    pub(super) async fn of(
        state: &AppState,
        caller: &Caller,
        span: TallySpan,
    ) -> Result<Option<Self>, PageError> {
        if !caller.may(Permission::ReadGrants) {
            return Ok(None);
        }
        Ok(Some(Self::new(state.broker.tallies(caller, span).await?)))
    }

    fn new(tallies: Tallies) -> Self {
        let Tallies { span, steps, grants, refreshed, failed, calls } = tallies;
        let in_words = match span {
            TallySpan::Day => "in the last 24 hours, by the hour",
            TallySpan::Month => "in the last 30 days, by the day",
        };
        let plot = |id, title: &str, series| Plot {
            id,
            title: format!("{title} {in_words}"),
            steps: steps.clone(),
            series,
        };
        let grants = grants.into_iter().map(|series| {
            let badge = Badge::health(series.of);
            let (tone, faint) = (badge.tone, is_faint(series.of));
            Series { tone, faint, word: badge.word.to_owned(), counts: series.counts }
        });
        let count = |tone, word: &str, counts| Series { tone, faint: false, word: word.to_owned(), counts };
        let refreshes =
            vec![count(Tone::Ok, "Refreshed", refreshed.counts), count(Tone::Bad, "Failed", failed.counts)];
        let calls = busiest(calls).into_iter().zip(CALL_IDS).map(|(series, id)| {
            let title = format!("Calls to {}", series.of);
            plot(id, &title, vec![count(Tone::Info, &series.of, series.counts)])
        });
        Self {
            calls: calls.collect(),
            grants: plot("grants-over-time", "Grants by health", grants.collect()),
            refreshes: plot("refreshes", "Refreshes", refreshes),
            tabs: vec![
                Tab { href: "/ui".to_owned(), label: "24 hours", here: span == TallySpan::Day },
                Tab { href: "/ui?span=month".to_owned(), label: "30 days", here: span == TallySpan::Month },
            ],
        }
    }
}

/// One more than there are lines, for the rest.
const CALL_IDS: [&str; OWN_LINES + 1] =
    ["calls-1", "calls-2", "calls-3", "calls-4", "calls-5", "calls-6", "calls-7", "calls-8", "calls-9"];

/// The busiest gateways, and all others as one.
fn busiest(mut calls: Vec<TallySeries<String>>) -> Vec<TallySeries<String>> {
    let rest = calls.split_off(calls.len().min(OWN_LINES));
    let together = rest.into_iter().reduce(|mut sum, next| {
        for (sum, count) in sum.counts.iter_mut().zip(next.counts) {
            *sum += count;
        }
        sum
    });
    calls.extend(together.map(|series| TallySeries { of: "all others".to_owned(), ..series }));
    calls
}

#[cfg(test)]
pub(super) fn sample() -> OverTime {
    use crate::ui::samples::NOW;
    use doorward_domain::Health;
    let steps = TallySpan::Day.steps(NOW);
    let counts = |of: fn(u64) -> u64| (0..24).map(of).collect::<Vec<_>>();
    let series = |of: &str, counts| TallySeries { of: of.to_owned(), counts };
    OverTime::new(Tallies {
        span: TallySpan::Day,
        steps,
        grants: vec![
            TallySeries { of: Health::Valid, counts: counts(|at| 1_180 + at) },
            TallySeries { of: Health::NeedsAuthorization, counts: counts(|at| 30 - at) },
        ],
        refreshed: TallySeries { of: (), counts: counts(|at| at * 3 % 41) },
        failed: TallySeries { of: (), counts: counts(|at| at % 5 / 4) },
        calls: vec![series("github-mcp", counts(|at| at * at)), series("<b>admin", counts(|at| at % 3))],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_busiest_have_lines_of_their_own_and_the_rest_share_one() {
        let many = (0..20).map(|number| TallySeries { of: format!("g{number}"), counts: vec![1, number] });
        let shown = busiest(many.collect());
        assert_eq!((shown.len(), shown[7].of.as_str()), (9, "g7"));
        assert_eq!((shown[8].of.as_str(), &shown[8].counts[..]), ("all others", &[12, (8..20).sum()][..]));
        assert_eq!(busiest(vec![]), vec![]);
    }

    #[test]
    fn every_plot_has_a_name_of_its_own() {
        let sample = sample();
        let ids = [sample.grants.id, sample.refreshes.id, sample.calls[0].id, sample.calls[1].id];
        assert!(ids.iter().enumerate().all(|(at, id)| !ids[at + 1..].contains(id)));
        assert!(sample.grants.title.ends_with("by the hour"));
    }
}
