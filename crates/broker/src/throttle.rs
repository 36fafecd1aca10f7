//! Slows guessing at passwords and codes by account and by address, with a delay that grows. It never locks an
//! account: an outsider who guesses makes their own address wait, and an account waits briefly at most.

use doorward_domain::{Timestamp, UserId};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Failures of an account that cost nothing.
const ACCOUNT_FREE: u32 = 5;
/// Failures from an address that cost nothing: many people may share one.
const ADDRESS_FREE: u32 = 20;
/// The longest wait for a code: long, because only who knows the password gets to guess at one, so that no stranger
/// can make anybody wait. Six digits do not stand much guessing.
const CODE_WAIT_MAX: Duration = Duration::from_secs(15 * 60);
/// The longest wait for an address.
const ADDRESS_WAIT_MAX: Duration = Duration::from_secs(15 * 60);
/// The longest wait for an account, whoever guesses: short, so that nobody is locked out by a stranger.
const ACCOUNT_WAIT_MAX: Duration = Duration::from_secs(30);
/// A quiet time after which failures are forgotten.
const FORGET_AFTER: Duration = Duration::from_secs(60 * 60);
/// The table is swept beyond this many keys.
const KEYS_MAX: usize = 50_000;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    Account(String),
    Address(String),
    Code(UserId),
}

impl Key {
    fn free(&self) -> u32 {
        match self {
            Self::Account(_) | Self::Code(_) => ACCOUNT_FREE,
            Self::Address(_) => ADDRESS_FREE,
        }
    }

    fn wait_max(&self) -> Duration {
        match self {
            Self::Account(_) => ACCOUNT_WAIT_MAX,
            Self::Address(_) => ADDRESS_WAIT_MAX,
            Self::Code(_) => CODE_WAIT_MAX,
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Failures {
    count: u32,
    last: Timestamp,
}

/// Failed logins of this process.
#[derive(Debug, Default)]
pub(crate) struct LoginThrottle {
    failures: Mutex<HashMap<Key, Failures>>,
}

impl LoginThrottle {
    /// How long this account from this address must wait; none when it may try now.
    pub(crate) fn wait(&self, email: &str, address: Option<&str>, now: Timestamp) -> Option<Duration> {
        self.wait_of(keys(email, address), now)
    }

    /// The same for a person's codes.
    pub(crate) fn wait_for_code(
        &self,
        user: UserId,
        address: Option<&str>,
        now: Timestamp,
    ) -> Option<Duration> {
        self.wait_of(code_keys(user, address), now)
    }

    fn wait_of(&self, keys: impl Iterator<Item = Key>, now: Timestamp) -> Option<Duration> {
        let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        keys.filter_map(|key| {
            let seen = failures.get(&key)?;
            let open_at = seen.last.plus(delay(seen.count, &key));
            (now < open_at).then(|| now.until(open_at))
        })
        .max()
    }

    /// Notes an attempt as failed, before it is judged: so attempts at the same time do not slip past.
    pub(crate) fn attempted(&self, email: &str, address: Option<&str>, now: Timestamp) {
        self.note(keys(email, address), now);
    }

    /// The same for a person's codes.
    pub(crate) fn attempted_code(&self, user: UserId, address: Option<&str>, now: Timestamp) {
        self.note(code_keys(user, address), now);
    }

    fn note(&self, keys: impl Iterator<Item = Key>, now: Timestamp) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if failures.len() > KEYS_MAX {
            failures.retain(|_, seen| seen.last.until(now) < FORGET_AFTER);
        }
        for key in keys {
            let seen = failures.entry(key).or_insert(Failures { count: 0, last: now });
            if seen.last.until(now) >= FORGET_AFTER {
                seen.count = 0;
            }
            *seen = Failures { count: seen.count.saturating_add(1), last: now };
        }
    }

    /// Forgets an account's failures after a success; the address keeps its own but for this attempt, so
    /// that one good account does not buy guesses at others.
    pub(crate) fn succeeded(&self, email: &str, address: Option<&str>) {
        self.forget(&Key::Account(email.to_lowercase()), address);
    }

    /// The same for a person's codes.
    pub(crate) fn code_was_right(&self, user: UserId, address: Option<&str>) {
        self.forget(&Key::Code(user), address);
    }

    fn forget(&self, key: &Key, address: Option<&str>) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures.remove(key);
        let address = address.map(|address| Key::Address(address.to_owned()));
        if let Some(seen) = address.and_then(|address| failures.get_mut(&address)) {
            seen.count = seen.count.saturating_sub(1);
        }
    }
}

fn code_keys(user: UserId, address: Option<&str>) -> impl Iterator<Item = Key> {
    let address = address.map(|address| Key::Address(address.to_owned()));
    std::iter::once(Key::Code(user)).chain(address)
}

fn keys(email: &str, address: Option<&str>) -> impl Iterator<Item = Key> {
    let address = address.map(|address| Key::Address(address.to_owned()));
    std::iter::once(Key::Account(email.to_lowercase())).chain(address)
}

/// Nothing for the first failures, then 1, 2, 4, ... seconds.
fn delay(count: u32, key: &Key) -> Duration {
    match count.checked_sub(key.free()) {
        None => Duration::ZERO,
        Some(beyond) => Duration::from_secs(1 << beyond.min(20)).min(key.wait_max()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1_000)
    }

    #[test]
    fn the_wait_grows_with_failures_and_an_account_is_never_locked_for_long() {
        let throttle = LoginThrottle::default();
        for _ in 0..4 {
            throttle.attempted("A@x", Some("10.0.0.1"), at(0));
        }
        assert_eq!(throttle.wait("a@x", Some("10.0.0.1"), at(0)), None);
        throttle.attempted("a@x", Some("10.0.0.1"), at(0));
        assert_eq!(throttle.wait("a@x", Some("10.0.0.1"), at(0)), Some(Duration::from_secs(1)));
        for _ in 0..40 {
            throttle.attempted("a@x", Some("10.0.0.1"), at(0));
        }
        assert_eq!(throttle.wait("a@x", Some("10.0.0.1"), at(0)), Some(ADDRESS_WAIT_MAX));
        assert_eq!(throttle.wait("a@x", Some("10.0.0.2"), at(0)), Some(ACCOUNT_WAIT_MAX));
        assert_eq!(throttle.wait("b@x", Some("10.0.0.2"), at(0)), None);
    }

    #[test]
    fn success_forgets_the_account_and_an_hour_forgets_all() {
        let throttle = LoginThrottle::default();
        for _ in 0..30 {
            throttle.attempted("a@x", Some("10.0.0.1"), at(0));
        }
        throttle.succeeded("a@x", Some("10.0.0.1"));
        assert_eq!(throttle.wait("a@x", None, at(0)), None);
        assert!(throttle.wait("a@x", Some("10.0.0.1"), at(0)).is_some());
        throttle.attempted("c@x", Some("10.0.0.1"), at(3_600));
        assert_eq!(throttle.wait("c@x", Some("10.0.0.1"), at(3_600)), None);
    }
}
