//! Slows guessing at passwords and codes by account and by address, with a delay that grows. It never locks an
//! account: an outsider who guesses makes their own address wait, and an account waits briefly at most.

use doorward_domain::{Timestamp, UserId};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
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
/// The tables are swept beyond this many keys.
const KEYS_MAX: usize = 50_000;
/// So long a network counts as one that an account signs in from.
const HOME_FOR: Duration = Duration::from_secs(30 * 86_400);
/// As much of an e-mail address as is told apart (RFC 5321 §4.5.3.1 allows fewer characters).
const ACCOUNT_CHARS_MAX: usize = 320;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    Account(String),
    /// From a network that the account has signed in from.
    AccountAtHome(String, String),
    Address(String),
    Code(UserId),
}

impl Key {
    fn free(&self) -> u32 {
        match self {
            Self::Account(_) | Self::AccountAtHome(..) | Self::Code(_) => ACCOUNT_FREE,
            Self::Address(_) => ADDRESS_FREE,
        }
    }

    fn wait_max(&self) -> Duration {
        match self {
            Self::Account(_) | Self::AccountAtHome(..) => ACCOUNT_WAIT_MAX,
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
pub(crate) struct LoginThrottle(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    failures: HashMap<Key, Failures>,
    /// From where an account has signed in, and when last.
    homes: HashMap<Home, Timestamp>,
}

/// An account, and a network that it has signed in from.
type Home = (String, String);

impl LoginThrottle {
    /// Lets an attempt in and counts it as failed, until somebody says that it was not; or how long this account from
    /// this address must wait. Both at once, so that of attempts at the same time none slips past.
    pub(crate) fn admit(&self, email: &str, address: Option<&str>, now: Timestamp) -> Result<(), Duration> {
        let mut seen = self.seen();
        let key = seen.account_key(account(email), address, now);
        seen.admit([Some(key), address_key(address)], now)
    }

    /// The same for a person's codes.
    pub(crate) fn admit_code(
        &self,
        user: UserId,
        address: Option<&str>,
        now: Timestamp,
    ) -> Result<(), Duration> {
        self.seen().admit([Some(Key::Code(user)), address_key(address)], now)
    }

    /// Forgets an account's failures after a success; the address keeps its own but for this attempt, so
    /// that one good account does not buy guesses at others.
    pub(crate) fn succeeded(&self, email: &str, address: Option<&str>, now: Timestamp) {
        let mut seen = self.seen();
        let key = seen.account_key(account(email), address, now);
        seen.forget(&key, address);
        if let Some(address) = address {
            seen.note_home((account(email), network_of(address)), now);
        }
    }

    /// The same for a person's codes.
    pub(crate) fn code_was_right(&self, user: UserId, address: Option<&str>) {
        self.seen().forget(&Key::Code(user), address);
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    /// Where an account has signed in from before, its failures are counted apart: a stranger who keeps guessing at it
    /// makes nobody wait there.
    fn account_key(&self, account: String, address: Option<&str>, now: Timestamp) -> Key {
        let home = address.map(|address| (account.clone(), network_of(address)));
        let is_home = |home: &Home| self.homes.get(home).is_some_and(|at| at.until(now) < HOME_FOR);
        match home.filter(is_home) {
            Some((account, network)) => Key::AccountAtHome(account, network),
            None => Key::Account(account),
        }
    }

    fn admit(&mut self, keys: [Option<Key>; 2], now: Timestamp) -> Result<(), Duration> {
        let keys: Vec<Key> = keys.into_iter().flatten().collect();
        let wait = keys.iter().filter_map(|key| {
            let seen = self.failures.get(key)?;
            let open_at = seen.last.plus(delay(seen.count, key));
            (now < open_at).then(|| now.until(open_at))
        });
        if let Some(wait) = wait.max() {
            return Err(wait);
        }
        if self.failures.len() > KEYS_MAX {
            self.failures.retain(|_, seen| seen.last.until(now) < FORGET_AFTER);
        }
        for key in keys {
            let seen = self.failures.entry(key).or_insert(Failures { count: 0, last: now });
            if seen.last.until(now) >= FORGET_AFTER {
                seen.count = 0;
            }
            *seen = Failures { count: seen.count.saturating_add(1), last: now };
        }
        Ok(())
    }

    fn note_home(&mut self, home: Home, now: Timestamp) {
        if self.homes.len() > KEYS_MAX {
            self.homes.retain(|_, at| at.until(now) < HOME_FOR / 2);
        }
        self.homes.insert(home, now);
    }

    fn forget(&mut self, key: &Key, address: Option<&str>) {
        self.failures.remove(key);
        if let Some(seen) = address_key(address).and_then(|key| self.failures.get_mut(&key)) {
            seen.count = seen.count.saturating_sub(1);
        }
    }
}

/// As accounts are compared; nobody's is longer than this, so a longer one needs no more room.
fn account(email: &str) -> String {
    email.to_lowercase().chars().take(ACCOUNT_CHARS_MAX).collect()
}

fn address_key(address: Option<&str>) -> Option<Key> {
    address.map(|address| Key::Address(network_of(address)))
}

/// What one household or machine has to itself: an IPv4 address, or the first half of an IPv6 address (RFC 6177 §2),
/// of which it may use a new one for each attempt.
fn network_of(address: &str) -> String {
    match address.parse() {
        Ok(IpAddr::V6(address)) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
        Ok(IpAddr::V4(_)) | Err(_) => address.to_owned(),
    }
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

    fn wait(throttle: &LoginThrottle, email: &str, address: &str, seconds: i64) -> Option<Duration> {
        throttle.admit(email, Some(address), at(seconds)).err()
    }

    fn admitted(throttle: &LoginThrottle, often: usize, email: &str, address: &str) -> usize {
        (0..often).filter(|_| wait(throttle, email, address, 60).is_none()).count()
    }

    #[test]
    fn the_wait_grows_with_failures_and_an_account_is_never_locked_for_long() {
        let throttle = LoginThrottle::default();
        assert_eq!(admitted(&throttle, 9, "A@x", "10.0.0.1"), 5);
        assert_eq!(wait(&throttle, "a@x", "10.0.0.1", 60), Some(Duration::from_secs(1)));
        // Somebody who comes back as soon as they may, forty times.
        let mut now = 60;
        for _ in 0..40 {
            while let Some(wait) = wait(&throttle, "a@x", "10.0.0.1", now) {
                now += wait.as_secs().cast_signed();
            }
        }
        assert_eq!(wait(&throttle, "a@x", "10.0.0.1", now), Some(ADDRESS_WAIT_MAX));
        assert_eq!(wait(&throttle, "a@x", "10.0.0.2", now), Some(ACCOUNT_WAIT_MAX));
        assert_eq!(wait(&throttle, "b@x", "10.0.0.2", now), None);
    }

    #[test]
    fn success_forgets_the_account_and_an_hour_forgets_all() {
        let throttle = LoginThrottle::default();
        for number in 0..20 {
            assert_eq!(wait(&throttle, &format!("{number}@x"), "10.0.0.1", 60), None);
        }
        assert!(wait(&throttle, "a@x", "10.0.0.1", 60).is_some(), "an address has its own failures");
        assert_eq!(admitted(&throttle, 9, "a@x", "10.0.0.2"), 5);
        throttle.succeeded("a@x", Some("10.0.0.2"), at(60));
        assert_eq!(wait(&throttle, "a@x", "10.0.0.3", 60), None);
        assert_eq!(wait(&throttle, "c@x", "10.0.0.1", 3_660), None);
    }

    #[test]
    fn a_new_address_for_each_attempt_out_of_ones_own_ipv6_network_is_one_address() {
        let throttle = LoginThrottle::default();
        let tried = (1..200).filter(|number| {
            wait(&throttle, &format!("{number}@x"), &format!("2001:db8::{number:x}"), 60).is_none()
        });
        assert_eq!(tried.count(), usize::try_from(ADDRESS_FREE).unwrap());
        assert_eq!(wait(&throttle, "a@x", "2001:db8:0:1::1", 60), None, "the neighbours are somebody else");
    }

    #[test]
    fn a_stranger_who_keeps_guessing_keeps_nobody_out_of_where_they_have_signed_in_before() {
        let throttle = LoginThrottle::default();
        assert_eq!(wait(&throttle, "a@x", "10.0.0.1", 60), None);
        throttle.succeeded("a@x", Some("10.0.0.1"), at(60));
        for stranger in 0..200 {
            let _ = wait(&throttle, "a@x", &format!("10.9.0.{stranger}"), 60);
        }
        assert!(wait(&throttle, "a@x", "10.0.0.2", 60).is_some(), "who is new waits with the strangers");
        assert_eq!(admitted(&throttle, 9, "a@x", "10.0.0.1"), 5, "and at home one guesses no more often");
    }

    #[test]
    fn an_endless_name_takes_no_endless_room() {
        let throttle = LoginThrottle::default();
        assert_eq!(wait(&throttle, &"x".repeat(1_000_000), "10.0.0.1", 60), None);
        let long = |key: &Key| matches!(key, Key::Account(name) if name.len() > ACCOUNT_CHARS_MAX);
        assert!(!throttle.seen().failures.keys().any(long));
    }
}
