//! How large a batch is, learned from how long the last one took.

use doorward_storage::ROWS;
use std::time::Duration;

/// How many rows a batch has: as many as take about the time that a call may wait.
pub(crate) struct Pace {
    pub(crate) size: u32,
}

impl Default for Pace {
    fn default() -> Self {
        Self { size: Self::LEAST }
    }
}

impl Pace {
    const AIM: Duration = Duration::from_millis(60);
    /// Fewer are no quicker: what a transaction costs by itself outweighs them.
    const LEAST: u32 = 100;
    /// Whoever follows the change feed must not fall behind it.
    const MOST: u32 = 400;

    /// Storage inserts so many rows by one statement that it keeps prepared.
    const STEP: u32 = ROWS as u32;

    /// Learns from a batch.
    pub(crate) fn after(&mut self, took: Duration) {
        let fitting = Self::AIM.as_secs_f64() / took.as_secs_f64().max(0.000_1) * f64::from(self.size);
        let least = f64::from((self.size / 2).max(Self::LEAST));
        let most = f64::from((self.size + self.size / 2).min(Self::MOST));
        self.size = fitting.clamp(least, most) as u32 / Self::STEP * Self::STEP;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_grows_while_it_is_quick_and_halves_when_it_is_slow() {
        let mut pace = Pace::default();
        for _ in 0..20 {
            pace.after(Duration::from_millis(1));
        }
        assert_eq!(pace.size, Pace::MOST);
        pace.after(Duration::from_secs(1));
        assert_eq!(pace.size, Pace::MOST / 2);
        for _ in 0..20 {
            pace.after(Duration::from_secs(1));
        }
        assert_eq!(pace.size, Pace::LEAST);
    }
}
