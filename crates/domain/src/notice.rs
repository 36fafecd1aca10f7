//! Notices: the events of the audit trail that somebody outside wants to hear of at once.

use crate::clock::Timestamp;
use crate::ids::{AuditEventId, UserId};
use std::collections::BTreeMap;
use std::time::Duration;

/// After this long a notice is given up: it stands in the audit trail anyway.
pub const NOTICE_GIVEN_UP_AFTER: Duration = Duration::from_secs(3 * 86_400);

/// What is told: an allow list of what the event holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// The event's; the same at every attempt.
    pub id: AuditEventId,
    /// The event's number in the audit trail.
    pub seq: i64,
    /// `subject.verb`, the action of the event.
    pub kind: String,
    pub at: Timestamp,
    /// What kind of actor: `user`, `system` and so on.
    pub actor: &'static str,
    /// The id of the thing it is about.
    pub subject: Option<String>,
    /// The slug of the gateway it is about.
    pub gateway: Option<String>,
    /// Whose thing it is.
    pub user_id: Option<UserId>,
    /// Plain facts by name; none of them in somebody else's words.
    pub detail: BTreeMap<String, String>,
}

/// How far notices have been told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoticeCursor {
    /// The number of the last event that was told, given up, or is no notice.
    pub seq: i64,
    /// How often the next one was tried in vain.
    pub attempts: u32,
    /// Before this moment nothing is tried.
    pub next_attempt_at: Timestamp,
}

impl Default for NoticeCursor {
    fn default() -> Self {
        Self::at(0)
    }
}

impl NoticeCursor {
    /// Everything up to an event is dealt with.
    pub fn at(seq: i64) -> Self {
        Self { seq, attempts: 0, next_attempt_at: Timestamp::from_millis(0) }
    }

    /// After an attempt in vain: ten seconds, doubled each time, an hour at most.
    #[must_use]
    pub fn tried_again_later(self, now: Timestamp) -> Self {
        let wait = 10_u64.saturating_mul(1 << self.attempts.min(16)).min(3_600);
        let next_attempt_at = now.plus(Duration::from_secs(wait));
        Self { attempts: self.attempts.saturating_add(1), next_attempt_at, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_come_ever_more_rarely_and_at_least_once_an_hour() {
        let now = Timestamp::from_millis(0);
        let mut cursor = NoticeCursor::at(7);
        let mut waits = Vec::new();
        for _ in 0..40 {
            cursor = cursor.tried_again_later(now);
            waits.push(now.until(cursor.next_attempt_at).as_secs());
        }
        assert_eq!(waits[..4], [10, 20, 40, 80]);
        assert_eq!((waits[39], cursor.seq, cursor.attempts), (3_600, 7, 40));
    }
}
