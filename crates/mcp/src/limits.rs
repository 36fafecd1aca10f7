//! Who may have how much going on: calls at once and by the minute, for a person and for a gateway, and open
//! streams. What is too much is answered with 429 and when to come back (RFC 6585 §4), and counted; it locks
//! nobody out, and what one gateway keeps waiting counts at that gateway alone.

use crate::errors::ProtocolError;
use doorward_domain::{GatewayId, Limits, UserId};
use governor::clock::Clock as _;
use governor::{DefaultKeyedRateLimiter, Quota};
use std::collections::HashMap;
use std::hash::Hash;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// When to come back where an end of something is waited for, which nobody can foretell.
const SOON: Duration = Duration::from_secs(1);

/// After so many requests the keys that are at rest are forgotten; to count them at each would cost more than the rest.
const FORGET_EVERY: u64 = 10_000;

/// Which limit was met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Limit {
    CallsAtOncePerUser,
    CallsAtOncePerGateway,
    RequestsPerMinutePerUser,
    CallsPerMinutePerGateway,
    StreamsPerUser,
}

impl Limit {
    /// As the metric has it, and the setting behind `DOORWARD_`.
    fn label(self) -> &'static str {
        match self {
            Self::CallsAtOncePerUser => "calls_at_once_per_user",
            Self::CallsAtOncePerGateway => "calls_at_once_per_gateway",
            Self::RequestsPerMinutePerUser => "requests_per_minute_per_user",
            Self::CallsPerMinutePerGateway => "calls_per_minute_per_gateway",
            Self::StreamsPerUser => "streams_per_user",
        }
    }

    /// How much it is, as the settings have it.
    fn allowed(self, limits: &Limits) -> u32 {
        match self {
            Self::CallsAtOncePerUser => limits.calls_at_once_per_user,
            Self::CallsAtOncePerGateway => limits.calls_at_once_per_gateway,
            Self::RequestsPerMinutePerUser => limits.requests_per_minute_per_user,
            Self::CallsPerMinutePerGateway => limits.calls_per_minute_per_gateway,
            Self::StreamsPerUser => limits.streams_per_user,
        }
    }
}

impl std::fmt::Display for Limit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::CallsAtOncePerUser => "calls of yours running at this gateway",
            Self::CallsAtOncePerGateway => "calls running at this gateway",
            Self::RequestsPerMinutePerUser => "requests of yours in a minute",
            Self::CallsPerMinutePerGateway => "calls to this gateway in a minute",
            Self::StreamsPerUser => "streams of yours open",
        })
    }
}

/// What is going on now, held against what is allowed.
pub(crate) struct Admission {
    allowed: Limits,
    calls_of_users: Counted<(UserId, GatewayId)>,
    calls_at_gateways: Counted<GatewayId>,
    streams_of_users: Counted<UserId>,
    requests_of_users: Rate<UserId>,
    calls_to_gateways: Rate<GatewayId>,
}

/// A call that is counted while this lives.
pub(crate) struct CallTurn {
    _of_user: Turn<(UserId, GatewayId)>,
    _at_gateway: Turn<GatewayId>,
}

impl Admission {
    pub(crate) fn new(allowed: Limits) -> Self {
        Self {
            allowed,
            calls_of_users: Counted::default(),
            calls_at_gateways: Counted::default(),
            streams_of_users: Counted::default(),
            requests_of_users: Rate::new(Limit::RequestsPerMinutePerUser.allowed(&allowed)),
            calls_to_gateways: Rate::new(Limit::CallsPerMinutePerGateway.allowed(&allowed)),
        }
    }

    /// Lets one request of a person in.
    pub(crate) fn request(&self, user: UserId) -> Result<(), ProtocolError> {
        self.pass(&self.requests_of_users, user, Limit::RequestsPerMinutePerUser)
    }

    /// Lets one call of a person through to a gateway, and counts it until it has ended.
    pub(crate) fn call(&self, user: UserId, gateway: GatewayId) -> Result<CallTurn, ProtocolError> {
        let of_user = self.take(&self.calls_of_users, (user, gateway), Limit::CallsAtOncePerUser)?;
        let at_gateway = self.take(&self.calls_at_gateways, gateway, Limit::CallsAtOncePerGateway)?;
        self.pass(&self.calls_to_gateways, gateway, Limit::CallsPerMinutePerGateway)?;
        Ok(CallTurn { _of_user: of_user, _at_gateway: at_gateway })
    }

    /// Counts an open stream of a person until it is dropped.
    pub(crate) fn stream(&self, user: UserId) -> Result<Turn<UserId>, ProtocolError> {
        self.take(&self.streams_of_users, user, Limit::StreamsPerUser)
    }

    fn take<K: Eq + Hash + Copy>(
        &self,
        counted: &Counted<K>,
        key: K,
        limit: Limit,
    ) -> Result<Turn<K>, ProtocolError> {
        counted.take(key, limit.allowed(&self.allowed)).ok_or_else(|| self.met(limit, SOON))
    }

    fn pass<K: Eq + Hash + Clone>(&self, rate: &Rate<K>, key: K, limit: Limit) -> Result<(), ProtocolError> {
        rate.pass(key).map_err(|wait| self.met(limit, wait))
    }

    fn met(&self, limit: Limit, wait: Duration) -> ProtocolError {
        metrics::counter!("doorward_limited_total", "limit" => limit.label()).increment(1);
        // Retry-After has whole seconds (RFC 9110 §10.2.3), and who comes early comes in vain.
        let retry_after = Duration::from_secs(wait.as_secs() + 1);
        ProtocolError::Limited { limit, allowed: limit.allowed(&self.allowed), retry_after }
    }
}

/// How many of something each key has.
struct Counted<K>(Arc<Mutex<HashMap<K, u32>>>);

/// One of them; it gives its place back when dropped.
pub(crate) struct Turn<K: Eq + Hash> {
    counted: Arc<Mutex<HashMap<K, u32>>>,
    key: K,
}

impl<K> Default for Counted<K> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<K: Eq + Hash + Copy> Counted<K> {
    fn take(&self, key: K, most: u32) -> Option<Turn<K>> {
        let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counted.entry(key).or_default();
        if *count >= most {
            return None;
        }
        *count += 1;
        drop(counted);
        Some(Turn { counted: Arc::clone(&self.0), key })
    }
}

impl<K: Eq + Hash> Drop for Turn<K> {
    fn drop(&mut self) {
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counted.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                counted.remove(&self.key);
            }
        }
    }
}

/// How often each key may come in a minute; what was not used is saved up, for one minute at most.
struct Rate<K: Eq + Hash + Clone> {
    limiter: DefaultKeyedRateLimiter<K>,
    passes: AtomicU64,
}

impl<K: Eq + Hash + Clone> Rate<K> {
    fn new(per_minute: u32) -> Self {
        let per_minute = NonZeroU32::new(per_minute).unwrap_or(NonZeroU32::MIN);
        let limiter = DefaultKeyedRateLimiter::keyed(Quota::per_minute(per_minute));
        Self { limiter, passes: AtomicU64::new(0) }
    }

    /// Counts one, or says how long to wait.
    fn pass(&self, key: K) -> Result<(), Duration> {
        if self.passes.fetch_add(1, Ordering::Relaxed) % FORGET_EVERY == FORGET_EVERY - 1 {
            self.limiter.retain_recent();
        }
        self.limiter.check_key(&key).map_err(|until| until.wait_time_from(self.limiter.clock().now()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use doorward_domain::{Clock, Entropy};

    fn ids() -> (UserId, UserId, GatewayId, GatewayId) {
        let now = Clock::System.now();
        (Entropy.id(now), Entropy.id(now), Entropy.id(now), Entropy.id(now))
    }

    fn limit(refused: Result<CallTurn, ProtocolError>) -> Limit {
        match refused.err().expect("it is too much") {
            ProtocolError::Limited { limit, .. } => limit,
            other => unreachable!("{other}"),
        }
    }

    #[test]
    fn one_persons_calls_at_one_gateway_leave_others_and_other_gateways_alone() {
        let admission = Admission::new(Limits { calls_at_once_per_user: 2, ..Limits::default() });
        let (alice, bob, one, other) = ids();
        let first = admission.call(alice, one).unwrap();
        let _second = admission.call(alice, one).unwrap();
        assert_eq!(limit(admission.call(alice, one)), Limit::CallsAtOncePerUser);
        assert!(admission.call(alice, other).is_ok() && admission.call(bob, one).is_ok());
        drop(first);
        assert!(admission.call(alice, one).is_ok(), "an ended call gives its place back");
    }

    #[test]
    fn a_gateway_takes_so_many_at_once_and_by_the_minute() {
        let (alice, bob, one, other) = ids();
        let at_once = Admission::new(Limits { calls_at_once_per_gateway: 1, ..Limits::default() });
        let _held = at_once.call(alice, one).unwrap();
        assert_eq!(limit(at_once.call(bob, one)), Limit::CallsAtOncePerGateway);
        assert!(at_once.call(bob, other).is_ok());

        let rate = Admission::new(Limits { calls_per_minute_per_gateway: 2, ..Limits::default() });
        assert!(rate.call(alice, one).is_ok() && rate.call(bob, one).is_ok());
        match rate.call(bob, one).err() {
            Some(ProtocolError::Limited {
                limit: Limit::CallsPerMinutePerGateway,
                allowed: 2,
                retry_after,
            }) => {
                assert!(retry_after > Duration::ZERO && retry_after <= Duration::from_secs(30));
            }
            other => unreachable!("{}", other.is_some()),
        }
        assert!(rate.call(bob, other).is_ok());
    }

    #[test]
    fn a_refused_call_leaves_no_count_behind() {
        let admission = Admission::new(Limits { calls_at_once_per_gateway: 1, ..Limits::default() });
        let (alice, bob, one, _) = ids();
        let held = admission.call(alice, one).unwrap();
        for _ in 0..5 {
            assert!(admission.call(bob, one).is_err());
        }
        drop(held);
        assert!(admission.calls_of_users.0.lock().unwrap().is_empty());
        assert!(admission.calls_at_gateways.0.lock().unwrap().is_empty());
        assert!(admission.call(bob, one).is_ok());
    }
}
