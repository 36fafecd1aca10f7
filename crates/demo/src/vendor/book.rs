//! What a vendor has handed out.

use super::Rotation;
use doorward_domain::Timestamp;
use std::collections::HashMap;
use std::time::Duration;

/// One consent.
#[derive(Debug, Clone)]
pub(super) struct Grant {
    pub(super) account: (String, String),
    pub(super) scopes: Vec<String>,
    pub(super) challenge: String,
    /// Whether there is a refresh token.
    pub(super) offline: bool,
    pub(super) opens_api: bool,
    /// When its refresh tokens end; none: never.
    pub(super) renews_until: Option<Timestamp>,
}

#[derive(Debug, Clone)]
struct Token {
    grant: usize,
    ends_at: Option<Timestamp>,
    /// From when on its return ends the family.
    dead_from: Option<Timestamp>,
}

#[derive(Default)]
pub(super) struct Book {
    grants: Vec<Option<Grant>>,
    codes: HashMap<String, usize>,
    access: HashMap<String, Token>,
    refresh: HashMap<String, Token>,
    pub(super) consents: usize,
}

impl Book {
    pub(super) fn consent(&mut self, code: String, grant: Grant) {
        self.consents += 1;
        self.codes.insert(code, self.grants.len());
        self.grants.push(Some(grant));
    }

    /// The consent behind a code, which is good once.
    pub(super) fn take_code(&mut self, code: &str) -> Option<(usize, Grant)> {
        let number = self.codes.remove(code)?;
        Some((number, self.grants[number].clone()?))
    }

    pub(super) fn hand_out(
        &mut self,
        number: usize,
        access: String,
        refresh: Option<String>,
        ends_at: Option<Timestamp>,
    ) {
        self.access.insert(access, Token { grant: number, ends_at, dead_from: None });
        if let Some(refresh) = refresh {
            self.refresh.insert(refresh, Token { grant: number, ends_at: None, dead_from: None });
        }
    }

    /// The consent behind a refresh token, which is used by this.
    pub(super) fn redeem(
        &mut self,
        token: &str,
        rotation: Rotation,
        now: Timestamp,
    ) -> Option<(usize, Grant)> {
        let held = self.refresh.get_mut(token)?;
        let number = held.grant;
        if held.dead_from.is_some_and(|from| now >= from) {
            self.grants[number] = None;
            return None;
        }
        let leeway = match rotation {
            Rotation::SingleUse => Some(Duration::ZERO),
            Rotation::SingleUseAfter(seconds) => Some(Duration::from_secs(seconds.into())),
            Rotation::NoRefreshTokens | Rotation::OldStaysValid | Rotation::Stays => None,
        };
        held.dead_from = held.dead_from.or(leeway.map(|leeway| now.plus(leeway)));
        let grant = self.grants[number].clone()?;
        grant.renews_until.is_none_or(|end| now < end).then_some((number, grant))
    }

    pub(super) fn lives(&self, access: &str, now: Timestamp) -> Option<&Grant> {
        let token = self.access.get(access).filter(|token| token.ends_at.is_none_or(|end| now < end))?;
        self.grants[token.grant].as_ref()
    }

    pub(super) fn renews(&self, refresh: &str, now: Timestamp) -> bool {
        let alive = |token: &&Token| token.dead_from.is_none_or(|from| now < from);
        let token = self.refresh.get(refresh).filter(alive);
        token.is_some_and(|token| self.grants[token.grant].is_some())
    }

    /// Ends the whole consent behind a token; false where the token is unknown.
    pub(super) fn end(&mut self, token: &str) -> bool {
        let found = self.access.get(token).or_else(|| self.refresh.get(token));
        found.map(|found| found.grant).is_some_and(|number| self.grants[number].take().is_some())
    }
}
