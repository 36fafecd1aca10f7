//! The made-up data behind the tools: notes per account, and a few repositories.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// A repository that everyone may read.
pub(super) struct Repository {
    pub(super) name: &'static str,
    pub(super) open_pull_requests: u32,
}

pub(super) const REPOSITORIES: [Repository; 3] = [
    Repository { name: "doorbell", open_pull_requests: 2 },
    Repository { name: "keyring", open_pull_requests: 5 },
    Repository { name: "doormat", open_pull_requests: 0 },
];

pub(super) fn repository(name: &str) -> Option<&'static Repository> {
    REPOSITORIES.iter().find(|repository| repository.name == name)
}

/// Each account's notes, until the server ends.
#[derive(Default)]
pub(super) struct Notes(Mutex<HashMap<String, Vec<String>>>);

impl Notes {
    /// Adds a note and tells how many the account has now.
    pub(super) fn add(&self, account: &str, text: String) -> usize {
        let mut notes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let own = notes.entry(account.to_owned()).or_default();
        own.push(text);
        own.len()
    }

    pub(super) fn of(&self, account: &str) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(account).cloned().unwrap_or_default()
    }
}
