//! A circuit: after several failures in a row, whoever they struck, it opens. From then on a probe is let
//! through now and then, at growing and jittered distances, and nothing else, until one succeeds.

use doorward_domain::{Entropy, Timestamp};
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The first distance of a probe; it doubles with each that fails.
const PROBE_FIRST: Duration = Duration::from_secs(5);
/// The longest distance of a probe.
const PROBE_MAX: Duration = Duration::from_secs(2 * 60);

/// The circuits of one kind in this process.
pub(crate) struct Circuits<K> {
    /// So many failures in a row open one.
    opens_at: u32,
    known: Mutex<HashMap<K, Circuit>>,
}

#[derive(Debug, Clone, Copy)]
enum Circuit {
    Closed { failures: u32 },
    Open { open: Open, probes: u32 },
}

/// An open circuit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Open {
    pub(crate) since: Timestamp,
    /// Until then no request leaves.
    pub(crate) next_probe: Timestamp,
}

/// A request that was let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Admitted {
    probe: bool,
}

/// What a failure meant for its circuit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failed {
    /// The circuit stays closed.
    Blip,
    /// The circuit has just opened.
    Opened(Open),
    /// The circuit was open already.
    StillOpen(Open),
}

impl<K: Hash + Eq + Clone> Circuits<K> {
    pub(crate) fn new(opens_at: u32) -> Self {
        Self { opens_at, known: Mutex::default() }
    }

    /// The open circuit that stands in the way of a request now, if one does.
    pub(crate) fn in_the_way(&self, key: &K, now: Timestamp) -> Option<Open> {
        match self.known().get(key) {
            Some(Circuit::Open { open, .. }) if now < open.next_probe => Some(*open),
            _ => None,
        }
    }

    /// Lets a request through, or says what stands in its way. A probe moves the next one ahead, so that
    /// however it ends there is no second one meanwhile.
    pub(crate) fn admit(&self, key: &K, now: Timestamp, entropy: Entropy) -> Result<Admitted, Open> {
        match self.known().get_mut(key) {
            None | Some(Circuit::Closed { .. }) => Ok(Admitted { probe: false }),
            Some(Circuit::Open { open, .. }) if now < open.next_probe => Err(*open),
            Some(Circuit::Open { open, probes }) => {
                *probes += 1;
                open.next_probe = now.plus(distance(*probes, entropy));
                Ok(Admitted { probe: true })
            }
        }
    }

    /// Notes a failure. `at_least`: the provider asked for so much patience.
    pub(crate) fn failed(
        &self,
        key: &K,
        admitted: Admitted,
        at_least: Option<Duration>,
        now: Timestamp,
        entropy: Entropy,
    ) -> Failed {
        let mut known = self.known();
        let circuit = known.entry(key.clone()).or_insert(Circuit::Closed { failures: 0 });
        let patience = now.plus(at_least.unwrap_or_default().min(PROBE_MAX));
        match circuit {
            Circuit::Closed { failures } if *failures + 1 < self.opens_at => {
                *failures += 1;
                Failed::Blip
            }
            Circuit::Closed { .. } => {
                let next_probe = now.plus(distance(0, entropy)).max(patience);
                let open = Open { since: now, next_probe };
                *circuit = Circuit::Open { open, probes: 0 };
                Failed::Opened(open)
            }
            Circuit::Open { open, .. } => {
                // What was under way when the circuit opened says nothing new.
                if admitted.probe {
                    open.next_probe = open.next_probe.max(patience);
                }
                Failed::StillOpen(*open)
            }
        }
    }

    /// Notes that there was an answer. Gives the circuit that this has closed, if it was open.
    pub(crate) fn succeeded(&self, key: &K) -> Option<Open> {
        match self.known().remove(key)? {
            Circuit::Open { open, .. } => Some(open),
            Circuit::Closed { .. } => None,
        }
    }

    /// Forgets the circuits of what is no longer there; gives the names of those.
    pub(crate) fn keep(&self, is_there: impl Fn(&K) -> bool) -> Vec<K> {
        let mut known = self.known();
        let gone: Vec<K> = known.keys().filter(|key| !is_there(key)).cloned().collect();
        known.retain(|key, _| is_there(key));
        gone
    }

    /// Every open circuit.
    pub(crate) fn open(&self) -> Vec<(K, Open)> {
        let known = self.known();
        let open = known.iter().filter_map(|(key, circuit)| match circuit {
            Circuit::Open { open, .. } => Some((key.clone(), *open)),
            Circuit::Closed { .. } => None,
        });
        open.collect()
    }

    fn known(&self) -> MutexGuard<'_, HashMap<K, Circuit>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The distance of the next probe after so many: doubled each time, with up to a quarter of jitter.
fn distance(probes: u32, entropy: Entropy) -> Duration {
    let doubled = PROBE_FIRST.saturating_mul(1 << probes.min(8)).min(PROBE_MAX);
    jittered(doubled, entropy)
}

/// A wait with up to a quarter added at random, so that those who wait do not come back all at once.
pub(crate) fn jittered(wait: Duration, entropy: Entropy) -> Duration {
    let [jitter] = entropy.bytes::<1>();
    wait + wait.mul_f64(f64::from(jitter) / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_millis(0);

    fn at(seconds: u64) -> Timestamp {
        START.plus(Duration::from_secs(seconds))
    }

    fn failed(circuits: &Circuits<&'static str>, seconds: u64) -> Option<Failed> {
        let admitted = circuits.admit(&"p", at(seconds), Entropy).ok()?;
        Some(circuits.failed(&"p", admitted, None, at(seconds), Entropy))
    }

    #[test]
    fn failures_in_a_row_open_a_circuit_and_an_answer_in_between_starts_the_count_anew() {
        let circuits = Circuits::new(3);
        assert_eq!(failed(&circuits, 0), Some(Failed::Blip));
        assert_eq!(failed(&circuits, 0), Some(Failed::Blip));
        assert_eq!(circuits.succeeded(&"p"), None);
        assert_eq!(failed(&circuits, 1), Some(Failed::Blip));
        assert_eq!(failed(&circuits, 1), Some(Failed::Blip));
        assert!(matches!(failed(&circuits, 2), Some(Failed::Opened(open)) if open.since == at(2)));
        assert_eq!(failed(&circuits, 3), None, "nothing leaves");
        assert!(circuits.in_the_way(&"p", at(3)).is_some() && circuits.in_the_way(&"q", at(3)).is_none());
        assert_eq!(circuits.succeeded(&"p").map(|open| open.since), Some(at(2)));
        assert_eq!(circuits.in_the_way(&"p", at(3)), None);
    }

    #[test]
    fn probes_of_an_open_circuit_are_few_and_come_ever_more_rarely() {
        let circuits = Circuits::new(1);
        let sent: Vec<u64> = (0..3_600).filter(|second| failed(&circuits, *second).is_some()).collect();
        let distances: Vec<u64> = sent.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!((24..=34).contains(&sent.len()), "{sent:?}");
        assert!(distances[0] >= 5 && distances.iter().all(|distance| *distance <= 151), "{distances:?}");
        assert!(distances[6..].iter().all(|distance| *distance >= 120), "{distances:?}");
    }

    #[test]
    fn stragglers_do_not_prolong_an_outage_and_what_is_gone_is_forgotten() {
        let circuits = Circuits::new(1);
        let (one, other) = [0, 0].map(|_| circuits.admit(&"p", START, Entropy).unwrap()).into();
        let Failed::Opened(open) = circuits.failed(&"p", one, None, START, Entropy) else { panic!() };
        let patience = Some(Duration::from_secs(100));
        let late = circuits.failed(&"p", other, patience, START, Entropy);
        assert_eq!(late, Failed::StillOpen(open));
        let probe = circuits.admit(&"p", open.next_probe, Entropy).unwrap();
        let after = circuits.failed(&"p", probe, patience, open.next_probe, Entropy);
        let Failed::StillOpen(after) = after else { panic!() };
        assert!(after.next_probe >= open.next_probe.plus(Duration::from_secs(100)));
        assert_eq!(circuits.open(), [("p", after)]);
        assert_eq!(circuits.keep(|_| false), ["p"]);
        assert!(circuits.open().is_empty());
    }
}
