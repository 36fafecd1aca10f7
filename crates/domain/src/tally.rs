//! Tallies: how many of something there were in an hour. The plots of the overview are drawn from them.

use crate::clock::Timestamp;
use crate::grant::Health;
use serde::{Deserialize, Serialize};
use std::time::Duration;

const HOUR: i64 = 3_600_000;

/// How long tallies are kept.
pub const TALLIES_KEPT: Duration = Duration::from_secs(31 * 86_400);

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TallyKind {
    /// How many grants of a health there were: the last count of an hour stands.
    Grants,
    /// Refreshes, by whether a fresh token came.
    Refreshes,
    /// Calls that went out to a gateway's server and were answered.
    Calls,
}

/// One number of one hour.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tally {
    /// The beginning of the hour, or of what was summed up.
    pub at: Timestamp,
    pub kind: TallyKind,
    /// A health, `refreshed` or `failed`, or a gateway's id.
    pub name: String,
    pub count: u64,
}

/// How far back a plot looks, and in which steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TallySpan {
    /// 24 hours.
    #[default]
    Day,
    /// 30 days.
    Month,
}

impl TallySpan {
    /// The length of a step, in milliseconds.
    pub const fn step(self) -> i64 {
        match self {
            Self::Day => HOUR,
            Self::Month => 24 * HOUR,
        }
    }

    /// The beginnings of the steps, oldest first; the last one is under way. Days are those of UTC.
    pub fn steps(self, now: Timestamp) -> Vec<Timestamp> {
        let count: i64 = match self {
            Self::Day => 24,
            Self::Month => 30,
        };
        let last = now.millis().div_euclid(self.step()) * self.step();
        (0..count).rev().map(|back| Timestamp::from_millis(last - back * self.step())).collect()
    }
}

/// The hour that a moment lies in.
pub fn hour_of(moment: Timestamp) -> Timestamp {
    Timestamp::from_millis(moment.millis().div_euclid(HOUR) * HOUR)
}

/// Numbers over time: one for each step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TallySeries<K> {
    pub of: K,
    pub counts: Vec<u64>,
}

impl<K> TallySeries<K> {
    /// All of them together.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }
}

/// What the plots show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tallies {
    pub span: TallySpan,
    pub steps: Vec<Timestamp>,
    pub grants: Vec<TallySeries<Health>>,
    pub refreshed: TallySeries<()>,
    pub failed: TallySeries<()>,
    /// By gateway slug, the busiest first; those that are gone are not named.
    pub calls: Vec<TallySeries<String>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_step_is_under_way_and_the_others_lie_before_it() {
        let now = Timestamp::from_millis(1_788_340_440_000);
        let (day, month) = (TallySpan::Day.steps(now), TallySpan::Month.steps(now));
        assert_eq!((day.len(), month.len()), (24, 30));
        assert_eq!(day[23], hour_of(now));
        assert_eq!(day[23].millis() - day[0].millis(), 23 * HOUR);
        assert_eq!(month[29].millis() % (24 * HOUR), 0);
        assert!(month[29] <= now && now.millis() - month[29].millis() < 24 * HOUR);
    }
}
