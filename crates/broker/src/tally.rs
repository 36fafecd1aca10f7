//! Counting for the plots: in memory by every call and refresh, written once a minute. Each process adds what
//! it has counted, so that replicas add up.

use crate::{Broker, BrokerError, Caller};
use doorward_domain::tally::hour_of;
use doorward_domain::{
    GatewayId, Health, Permission, Tallies, Tally, TallyKind, TallySeries, TallySpan, Timestamp,
};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};

const REFRESHED: &str = "refreshed";
const FAILED: &str = "failed";

/// What is counted and not written yet, by the hour.
#[derive(Debug, Default)]
pub(crate) struct Counted {
    calls: Mutex<HashMap<(Timestamp, GatewayId), u64>>,
    refreshes: Mutex<HashMap<(Timestamp, &'static str), u64>>,
}

impl Counted {
    fn call(&self, now: Timestamp, gateway: GatewayId, count: u64) {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        *calls.entry((hour_of(now), gateway)).or_default() += count;
    }

    fn refresh(&self, now: Timestamp, result: &'static str, count: u64) {
        let mut refreshes = self.refreshes.lock().unwrap_or_else(PoisonError::into_inner);
        *refreshes.entry((hour_of(now), result)).or_default() += count;
    }
}

impl Broker {
    /// Counts a call that a gateway's server has answered.
    pub fn called(&self, gateway: GatewayId) {
        self.counted.call(self.now(), gateway, 1);
    }

    /// Counts a refresh, by whether a fresh token came of it.
    pub(crate) fn count_refresh(&self, fresh: bool) {
        self.counted.refresh(self.now(), if fresh { REFRESHED } else { FAILED }, 1);
    }

    /// Writes what was counted since the last time, and how many grants there are of each health. Called about
    /// once a minute, and at the end.
    pub async fn flush_tallies(&self) -> Result<(), BrokerError> {
        let now = self.now();
        let counts = self.shared_counts().await?;
        let calls = std::mem::take(&mut *self.counted.calls.lock().unwrap_or_else(PoisonError::into_inner));
        let refreshes =
            std::mem::take(&mut *self.counted.refreshes.lock().unwrap_or_else(PoisonError::into_inner));
        let tally = |at, kind, name: String, count| Tally { at, kind, name, count };
        let mut tallies: Vec<Tally> = Health::ALL
            .map(|health| {
                let count = counts.of_health(health);
                tally(hour_of(now), TallyKind::Grants, health.as_str().to_owned(), count)
            })
            .into();
        tallies.extend(
            calls.iter().map(|((at, id), count)| tally(*at, TallyKind::Calls, id.to_string(), *count)),
        );
        tallies.extend(
            refreshes
                .iter()
                .map(|((at, name), count)| tally(*at, TallyKind::Refreshes, (*name).to_owned(), *count)),
        );
        let written = self.storage().add_tallies(tallies, now).await;
        if written.is_err() {
            // They are counted once more, to be written at the next beat.
            for ((at, gateway), count) in calls {
                self.counted.call(at, gateway, count);
            }
            for ((at, result), count) in refreshes {
                self.counted.refresh(at, result, count);
            }
        }
        Ok(written?)
    }

    /// What the plots show.
    pub async fn tallies(&self, caller: &Caller, span: TallySpan) -> Result<Tallies, BrokerError> {
        caller.require(Permission::ReadGrants)?;
        if caller.is_narrowed() {
            return Err(BrokerError::Forbidden { need: Permission::ReadGrants });
        }
        let steps = span.steps(self.now());
        let since = steps[0];
        let storage = self.storage();
        let refreshes = storage.tallies(TallyKind::Refreshes, since, span.step()).await?;
        let named = |wanted: &'static str| {
            let of = refreshes.iter().filter(|tally| tally.name == wanted);
            TallySeries { of: (), counts: summed(of, &steps, span) }
        };
        let hours = storage.hourly_tallies(TallyKind::Grants, since).await?;
        Ok(Tallies {
            span,
            grants: Health::ALL
                .map(|health| TallySeries { of: health, counts: levels(&hours, health, &steps, span) })
                .into(),
            refreshed: named(REFRESHED),
            failed: named(FAILED),
            calls: self.calls_by_gateway(&steps, span).await?,
            steps,
        })
    }

    async fn calls_by_gateway(
        &self,
        steps: &[Timestamp],
        span: TallySpan,
    ) -> Result<Vec<TallySeries<String>>, BrokerError> {
        let calls = self.storage().tallies(TallyKind::Calls, steps[0], span.step()).await?;
        let directory = self.directory().await?;
        let mut by_gateway: BTreeMap<String, Vec<&Tally>> = BTreeMap::new();
        for tally in &calls {
            let known = tally.name.parse().ok().and_then(|id: GatewayId| directory.get(id));
            let name =
                known.map_or_else(|| "gateways that are gone".to_owned(), |found| found.slug.to_string());
            by_gateway.entry(name).or_default().push(tally);
        }
        let mut series: Vec<_> = by_gateway
            .into_iter()
            .map(|(of, tallies)| TallySeries { of, counts: summed(tallies.into_iter(), steps, span) })
            .collect();
        series.sort_by_key(|series| std::cmp::Reverse(series.total()));
        Ok(series)
    }
}

fn index(at: Timestamp, steps: &[Timestamp], span: TallySpan) -> Option<usize> {
    let passed = at.millis().checked_sub(steps[0].millis())?.div_euclid(span.step());
    usize::try_from(passed).ok().filter(|index| *index < steps.len())
}

/// One sum for each step.
fn summed<'a>(tallies: impl Iterator<Item = &'a Tally>, steps: &[Timestamp], span: TallySpan) -> Vec<u64> {
    let mut counts = vec![0; steps.len()];
    for tally in tallies {
        if let Some(index) = index(tally.at, steps, span) {
            counts[index] += tally.count;
        }
    }
    counts
}

/// The last level of each step; none was counted while Doorward did not run.
fn levels(hours: &[Tally], health: Health, steps: &[Timestamp], span: TallySpan) -> Vec<u64> {
    let mut levels = vec![0; steps.len()];
    // They come oldest first.
    for tally in hours.iter().filter(|tally| tally.name == health.as_str()) {
        if let Some(index) = index(tally.at, steps, span) {
            levels[index] = tally.count;
        }
    }
    levels
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    fn tally(hours: i64, name: &str, count: u64) -> Tally {
        Tally { at: Timestamp::from_millis(hours * HOUR), kind: TallyKind::Grants, name: name.into(), count }
    }

    #[test]
    fn sums_add_up_within_a_step_and_of_levels_the_last_one_stands() {
        let steps = TallySpan::Month.steps(Timestamp::from_millis(100 * 24 * HOUR));
        let last_day = 100 * 24;
        let hours = [tally(last_day, "valid", 3), tally(last_day + 5, "valid", 2), tally(0, "valid", 9)];
        assert_eq!(summed(hours.iter(), &steps, TallySpan::Month)[28..], [0, 5]);
        assert_eq!(levels(&hours, Health::Valid, &steps, TallySpan::Month)[28..], [0, 2]);
        assert_eq!(levels(&hours, Health::Expired, &steps, TallySpan::Month)[29], 0);
    }
}
