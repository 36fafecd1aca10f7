//! One attempt at a refresh: what it is for, who asked, and what the time line and a client's error call it.

use crate::Broker;
use crate::refresh::Refreshed;
use doorward_domain::{Actor, Entropy, Grant, GrantOwner, NewAuditEvent};
use std::time::Duration;

/// Who asked for a refresh.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RefreshPath {
    /// A call whose token has ended, or is about to.
    Call,
    /// The clock.
    Background,
    /// An administrator.
    RefreshNow,
    /// A call whose token the upstream refused.
    RefusedUpstream,
}

/// What a refresh is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// A token that is outside its margin.
    Renew,
    /// A token newer than the one of this number.
    Newer { than: i64 },
    /// A token other than the one that the upstream refused.
    Replace { refused: i64 },
}

/// One attempt.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub(crate) need: Need,
    pub(crate) path: RefreshPath,
    /// Leads from the error that a client is shown to the event in the time line.
    pub(crate) reference: String,
}

impl RefreshPath {
    fn word(self) -> &'static str {
        match self {
            Self::Call => "call",
            Self::Background => "background",
            Self::RefreshNow => "refresh_now",
            Self::RefusedUpstream => "refused_upstream",
        }
    }
}

impl Need {
    /// The number of the token that does not meet the need, where it is a certain one.
    pub(crate) fn unmet_by(self) -> Option<i64> {
        match self {
            Self::Renew => None,
            Self::Newer { than } => Some(than),
            Self::Replace { refused } => Some(refused),
        }
    }
}

impl Attempt {
    /// An attempt under a reference of its own: 48 random bits, as many as a person can read out.
    pub(crate) fn new(need: Need, path: RefreshPath, entropy: Entropy) -> Self {
        let reference = entropy.bytes::<6>().map(|byte| format!("{byte:02x}")).concat();
        Self { need, path, reference }
    }

    /// What became of a grant, for its time line.
    pub(crate) fn event(&self, grant: &Grant, action: &'static str) -> NewAuditEvent {
        grant_event(grant, action).detail("path", self.path.word())
    }

    /// The same of a failure: with its reason, the provider's words, and the reference.
    pub(crate) fn failure(&self, grant: &Grant, action: &'static str) -> NewAuditEvent {
        let told = [("error", &grant.last_error), ("provider_words", &grant.provider_words)];
        let event = self.event(grant, action).reference(&self.reference);
        told.into_iter().fold(event, |event, (name, value)| match value {
            Some(value) => event.detail(name, value),
            None => event,
        })
    }

    pub(crate) fn must_authorize(&self) -> Refreshed {
        Refreshed::MustAuthorize { reference: Some(self.reference.clone()) }
    }

    pub(crate) fn later(&self, problem: String, retry_after: Option<Duration>) -> Refreshed {
        Refreshed::Later { problem, retry_after, reference: Some(self.reference.clone()) }
    }
}

impl Broker {
    /// Counts how a refresh ended.
    pub(crate) fn count(&self, attempt: &Attempt, result: &'static str) {
        let path = attempt.path.word();
        metrics::counter!("doorward_refreshes_total", "result" => result, "path" => path).increment(1);
        self.count_refresh(result == "refreshed");
    }
}

/// What became of a grant, as the audit trail names it.
pub(crate) fn grant_event(grant: &Grant, action: &'static str) -> NewAuditEvent {
    let event =
        NewAuditEvent::new(Actor::System, action).subject(grant.id).detail("number", grant.refresh_number);
    match grant.owner {
        GrantOwner::User(user) => event.concerning(user),
        GrantOwner::Service => event,
    }
}
