//! Codes, access tokens and refresh tokens, and the rules by which one becomes another.
//!
//! All tokens that descend from one consent form a family; killing it is how a provider answers theft.

use doorward_domain::Timestamp;
use std::collections::{HashMap, HashSet};
use std::time::Duration;

/// Codes are short-lived (RFC 6749 §4.1.2 recommends ten minutes at most).
const CODE_LIFETIME: Duration = Duration::from_secs(60);

/// What one account allowed one client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Permission {
    pub(crate) account: String,
    pub(crate) client_id: String,
    pub(crate) scopes: Vec<String>,
    /// The RFC 8707 resource that the tokens are for.
    pub(crate) resource: Option<String>,
}

/// An authorization code that waits to be redeemed.
pub(crate) struct Code {
    pub(crate) permission: Permission,
    pub(crate) redirect_uri: String,
    pub(crate) challenge: String,
    expires_at: Timestamp,
}

#[derive(Clone)]
struct Token {
    family: u64,
    permission: Permission,
    /// None: lives as long as its family.
    expires_at: Option<Timestamp>,
    spent: bool,
}

/// Why a code or refresh token was refused; each is `invalid_grant` on the wire.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    Unknown,
    Reused,
}

/// Everything handed out since the start.
#[derive(Default)]
pub(crate) struct Ledger {
    codes: HashMap<String, Code>,
    /// Spent codes and the family that came of each.
    spent_codes: HashMap<String, u64>,
    access_tokens: HashMap<String, Token>,
    refresh_tokens: HashMap<String, Token>,
    dead_families: HashSet<u64>,
    families: u64,
}

impl Ledger {
    pub(crate) fn add_code(
        &mut self,
        code: String,
        permission: Permission,
        redirect_uri: String,
        challenge: String,
        now: Timestamp,
    ) {
        let expires_at = now.plus(CODE_LIFETIME);
        self.codes.insert(code, Code { permission, redirect_uri, challenge, expires_at });
    }

    /// Redeems a code once and opens its family; a code that comes back kills the family it opened
    /// (RFC 6749 §4.1.2).
    pub(crate) fn take_code(&mut self, code: &str, now: Timestamp) -> Result<(u64, Code), Refusal> {
        if let Some(family) = self.spent_codes.get(code) {
            self.dead_families.insert(*family);
            return Err(Refusal::Reused);
        }
        let found = self.codes.remove(code).filter(|found| now < found.expires_at).ok_or(Refusal::Unknown)?;
        let family = self.new_family();
        self.spent_codes.insert(code.to_owned(), family);
        Ok((family, found))
    }

    /// A family that no code opened.
    pub(crate) fn new_family(&mut self) -> u64 {
        self.families += 1;
        self.families
    }

    pub(crate) fn add_access_token(
        &mut self,
        token: String,
        family: u64,
        permission: Permission,
        expires_at: Timestamp,
    ) {
        let expires_at = Some(expires_at);
        self.access_tokens.insert(token, Token { family, permission, expires_at, spent: false });
    }

    pub(crate) fn add_refresh_token(&mut self, token: String, family: u64, permission: Permission) {
        self.refresh_tokens.insert(token, Token { family, permission, expires_at: None, spent: false });
    }

    /// Looks a refresh token up for this client, and spends it when `rotate`. A spent one is refused;
    /// with `detect_reuse` it takes its family along.
    pub(crate) fn redeem_refresh_token(
        &mut self,
        token: &str,
        client_id: &str,
        rotate: bool,
        detect_reuse: bool,
    ) -> Result<(u64, Permission), Refusal> {
        let known = self.refresh_tokens.get_mut(token).ok_or(Refusal::Unknown)?;
        if known.permission.client_id != client_id {
            return Err(Refusal::Unknown);
        }
        if known.spent {
            if detect_reuse {
                self.dead_families.insert(known.family);
            }
            return Err(Refusal::Reused);
        }
        if self.dead_families.contains(&known.family) {
            return Err(Refusal::Unknown);
        }
        known.spent = rotate;
        Ok((known.family, known.permission.clone()))
    }

    /// What an access token was issued for, whether or not it still lives.
    pub(crate) fn issued(&self, token: &str) -> Option<&Permission> {
        self.access_tokens.get(token).map(|known| &known.permission)
    }

    /// Whom an access token speaks for, while it lives.
    pub(crate) fn access(&self, token: &str, now: Timestamp) -> Option<&Permission> {
        let known = self.access_tokens.get(token)?;
        let alive =
            known.expires_at.is_none_or(|end| now < end) && !self.dead_families.contains(&known.family);
        alive.then_some(&known.permission)
    }

    /// Ends a token of this client: an access token alone, a refresh token with its whole family (RFC 7009 §2.1).
    pub(crate) fn revoke(&mut self, token: &str, client_id: &str) {
        let own = |known: &Token| known.permission.client_id == client_id;
        if let Some(family) =
            self.refresh_tokens.get(token).filter(|known| own(known)).map(|known| known.family)
        {
            self.dead_families.insert(family);
        } else if self.access_tokens.get(token).is_some_and(own) {
            self.access_tokens.remove(token);
        }
    }

    /// Forgets every access token; refresh tokens stay.
    pub(crate) fn end_access_tokens(&mut self) {
        self.access_tokens.clear();
    }

    /// Kills every family: all that was handed out so far is worth nothing.
    pub(crate) fn end_grants(&mut self) {
        self.dead_families.extend(1..=self.families);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);

    fn permission() -> Permission {
        Permission {
            account: "alice".to_owned(),
            client_id: "client".to_owned(),
            scopes: Vec::new(),
            resource: None,
        }
    }

    fn ledger_with_code() -> Ledger {
        let mut ledger = Ledger::default();
        ledger.add_code("code".to_owned(), permission(), "http://localhost/".to_owned(), String::new(), NOW);
        ledger
    }

    #[test]
    fn a_code_works_once_and_its_return_kills_what_it_gave() {
        let mut ledger = ledger_with_code();
        let (family, _) = ledger.take_code("code", NOW).ok().unwrap();
        ledger.add_access_token("token".to_owned(), family, permission(), NOW.plus(CODE_LIFETIME));
        assert!(ledger.access("token", NOW).is_some());
        assert_eq!(ledger.take_code("code", NOW).err(), Some(Refusal::Reused));
        assert!(ledger.access("token", NOW).is_none());
    }

    #[test]
    fn a_code_dies_after_a_minute() {
        let late = NOW.plus(CODE_LIFETIME);
        assert_eq!(ledger_with_code().take_code("code", late).err(), Some(Refusal::Unknown));
    }

    #[test]
    fn a_spent_refresh_token_kills_its_family_only_where_reuse_is_detected() {
        for detect in [false, true] {
            let mut ledger = Ledger::default();
            ledger.add_refresh_token("first".to_owned(), 1, permission());
            assert!(ledger.redeem_refresh_token("first", "client", true, detect).is_ok());
            ledger.add_refresh_token("second".to_owned(), 1, permission());
            let again = ledger.redeem_refresh_token("first", "client", true, detect);
            assert_eq!(again.err(), Some(Refusal::Reused));
            let second = ledger.redeem_refresh_token("second", "client", true, detect);
            assert_eq!(second.is_ok(), !detect);
        }
    }

    #[test]
    fn a_refresh_token_serves_its_own_client_only_and_without_rotation_for_ever() {
        let mut ledger = Ledger::default();
        ledger.add_refresh_token("token".to_owned(), 1, permission());
        assert_eq!(ledger.redeem_refresh_token("token", "other", false, true).err(), Some(Refusal::Unknown));
        for _ in 0..2 {
            assert!(ledger.redeem_refresh_token("token", "client", false, true).is_ok());
        }
    }
}
