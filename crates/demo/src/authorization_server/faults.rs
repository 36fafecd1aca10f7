//! Switches that make the authorization server misbehave, as real ones were seen to.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// What the token endpoint does instead of answering properly.
#[derive(Debug, Clone)]
pub enum TokenFault {
    /// 503 with `Retry-After`; nothing is processed.
    Unavailable { retry_after_seconds: u64 },
    /// An OAuth error of the test's choice; nothing is processed.
    Refused { status: u16, error: String },
    /// The same, with a description of the test's choice.
    RefusedSaying { status: u16, error: String, description: String },
    /// Just this answer; nothing is processed.
    Says { status: u16, content_type: String, body: String },
    /// Status 200 with an error inside, as GitHub does; nothing is processed.
    OkWithError { error: String },
    /// 307 to another place; nothing is processed.
    Redirect { location: String },
    /// Processed only when the test notifies.
    RequestHeldUntil(Arc<Notify>),
    /// Processed and answered after a while.
    Delayed(Duration),
    /// Processed at once, answered when the test notifies.
    HeldUntil(Arc<Notify>),
    /// Processed, then the connection is closed without an answer: the token may have been spent.
    AnswerLost,
    /// Processed, but the answer breaks off in the middle of the JSON.
    Malformed,
    /// Processed, but the answer carries this many bytes of padding.
    Huge { bytes: usize },
    /// Processed, and answered as `application/x-www-form-urlencoded`.
    FormEncoded,
}

/// What `iss` (RFC 9207) an authorization response carries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum IssuerInRedirect {
    #[default]
    Right,
    Wrong(String),
    /// None, although the metadata promises it.
    Missing,
}

#[derive(Default)]
struct Switches {
    token_answers: VecDeque<TokenFault>,
    standing: Option<TokenFault>,
    revocation_answers: VecDeque<TokenFault>,
    issuer: IssuerInRedirect,
    canary: Option<String>,
}

/// The switches of one authorization server; clones share them.
#[derive(Clone, Default)]
pub struct AuthorizationServerFaults(Arc<Mutex<Switches>>);

impl AuthorizationServerFaults {
    /// The next token request meets this fault; several calls queue up, one a request.
    pub fn next_token_answer(&self, fault: TokenFault) {
        self.with(|switches| switches.token_answers.push_back(fault));
    }

    /// From now on every token request meets this fault, until there is none again. What was queued comes first.
    pub fn every_token_answer(&self, fault: Option<TokenFault>) {
        self.with(|switches| switches.standing = fault);
    }

    /// The next revocation meets this fault, if it is one that strikes before anything is processed.
    pub fn next_revocation_answer(&self, fault: TokenFault) {
        self.with(|switches| switches.revocation_answers.push_back(fault));
    }

    /// From now on redirects carry this `iss`.
    pub fn issuer_in_redirects(&self, issuer: IssuerInRedirect) {
        self.with(|switches| switches.issuer = issuer);
    }

    /// From now on every code, token and client secret that is handed out contains this word.
    pub fn canary(&self, word: impl Into<String>) {
        self.with(|switches| switches.canary = Some(word.into()));
    }

    pub(crate) fn take_token_fault(&self) -> Option<TokenFault> {
        self.with(|switches| switches.token_answers.pop_front().or_else(|| switches.standing.clone()))
    }

    pub(crate) fn take_revocation_fault(&self) -> Option<TokenFault> {
        self.with(|switches| switches.revocation_answers.pop_front())
    }

    pub(crate) fn issuer(&self) -> IssuerInRedirect {
        self.with(|switches| switches.issuer.clone())
    }

    /// A secret's text: random, with the canary before it where one is planted.
    pub(crate) fn mark(&self, random: String) -> String {
        match self.with(|switches| switches.canary.clone()) {
            Some(canary) => format!("{canary}-{random}"),
            None => random,
        }
    }

    fn with<T>(&self, act: impl FnOnce(&mut Switches) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
