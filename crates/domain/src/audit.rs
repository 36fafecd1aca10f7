//! Who did what to whom, from where. Details are an allow list of plain facts; never a secret.

use crate::audit_chain::AuditHash;
use crate::clock::Timestamp;
use crate::ids::{AuditEventId, UserId};
use std::collections::BTreeMap;

/// Who acted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    /// A person, over REST, a page or MCP.
    User(UserId),
    /// Somebody who has not signed in (a failed login).
    Anonymous,
    /// Doorward itself: jobs, start-up.
    System,
    /// The command line on the machine.
    CommandLine,
}

impl Actor {
    /// The word for this kind of actor.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::User(_) => "user",
            Self::Anonymous => "anonymous",
            Self::System => "system",
            Self::CommandLine => "command_line",
        }
    }

    /// The person, if it is one.
    pub fn person(&self) -> Option<UserId> {
        match self {
            Self::User(id) => Some(*id),
            Self::Anonymous | Self::System | Self::CommandLine => None,
        }
    }
}

/// An event to be written, in the transaction of the change it records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAuditEvent {
    pub actor: Actor,
    /// `subject.verb`, e.g. `gateway.create`, `grant.authorize`, `connect.refused`.
    pub action: &'static str,
    /// The id of the thing acted upon, if there is one.
    pub subject: Option<String>,
    /// Whose thing it is, if it is somebody's.
    pub user_id: Option<UserId>,
    /// The network address of the caller, if there was one.
    pub address: Option<String>,
    /// What the error that a client was shown refers to this event by.
    pub reference: Option<String>,
    /// Plain facts by name.
    pub detail: BTreeMap<&'static str, String>,
}

impl NewAuditEvent {
    /// An event with an actor and an action; the rest is added by name.
    pub fn new(actor: Actor, action: &'static str) -> Self {
        Self {
            actor,
            action,
            subject: None,
            user_id: None,
            address: None,
            reference: None,
            detail: BTreeMap::new(),
        }
    }

    /// Names the thing acted upon.
    #[must_use]
    pub fn subject(mut self, subject: impl ToString) -> Self {
        self.subject = Some(subject.to_string());
        self
    }

    /// Names the person it concerns.
    #[must_use]
    pub fn concerning(mut self, user_id: UserId) -> Self {
        self.user_id = Some(user_id);
        self
    }

    /// Names where the caller came from.
    #[must_use]
    pub fn from_address(mut self, address: Option<String>) -> Self {
        self.address = address;
        self
    }

    /// Names what a client's error refers to it by.
    #[must_use]
    pub fn reference(mut self, reference: impl Into<String>) -> Self {
        self.reference = Some(reference.into());
        self
    }

    /// Adds a plain fact.
    #[must_use]
    pub fn detail(mut self, name: &'static str, value: impl ToString) -> Self {
        self.detail.insert(name, value.to_string());
        self
    }
}

/// A written event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEvent {
    /// Its number in the chain; there are no gaps.
    pub seq: i64,
    /// The hash of the event before it.
    pub previous_hash: AuditHash,
    /// Over all that follows, the number and the previous hash.
    pub hash: AuditHash,
    pub id: AuditEventId,
    pub at: Timestamp,
    pub actor: Actor,
    pub action: String,
    pub subject: Option<String>,
    pub user_id: Option<UserId>,
    pub address: Option<String>,
    pub reference: Option<String>,
    pub detail: BTreeMap<String, String>,
}
