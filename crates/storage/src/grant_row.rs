//! A grant as columns. Its state is an enum with data; a combination of columns that is none of its
//! variants is corrupt.

use crate::error::StorageError;
use crate::row::{RowName, if_ever, moment, unless_never, word};
use doorward_domain::{
    Change, Fingerprint, GatewayId, Grant, GrantId, GrantOwner, GrantState, ProviderAccount, SealedTokenSet,
    Timestamp, UserId,
};

macro_rules! grant_columns {
    () => {
        "id, owner_kind, user_id, gateway_id, label, state, state_reason, orphaned_since, fingerprint, \
         account_subject, account_name, scopes_requested, scopes_granted, access_token, access_token_key_id, \
         refresh_token, refresh_token_key_id, id_token, id_token_key_id, expires_at, ends_at, refresh_number, redeeming_number, created_at, \
         authorized_at, issued_at, last_used_at, last_refreshed_at, retry_at, failures, last_error, \
         provider_words, reference, deposited_by, exchanged, version"
    };
}
pub(crate) use grant_columns;

#[derive(sqlx::FromRow)]
pub(crate) struct GrantRow {
    pub(crate) id: String,
    owner_kind: String,
    user_id: Option<String>,
    gateway_id: String,
    label: String,
    state: String,
    state_reason: Option<String>,
    orphaned_since: Option<i64>,
    fingerprint: String,
    account_subject: Option<String>,
    account_name: Option<String>,
    scopes_requested: String,
    scopes_granted: String,
    access_token: Vec<u8>,
    access_token_key_id: String,
    refresh_token: Option<Vec<u8>>,
    refresh_token_key_id: Option<String>,
    id_token: Option<Vec<u8>>,
    id_token_key_id: Option<String>,
    expires_at: i64,
    ends_at: i64,
    refresh_number: i64,
    redeeming_number: Option<i64>,
    created_at: i64,
    authorized_at: i64,
    issued_at: i64,
    last_used_at: i64,
    last_refreshed_at: Option<i64>,
    retry_at: Option<i64>,
    failures: i64,
    last_error: Option<String>,
    provider_words: Option<String>,
    reference: Option<String>,
    deposited_by: Option<String>,
    exchanged: bool,
    version: i64,
}

impl GrantRow {
    pub(crate) fn into_grant(self) -> Result<Grant, StorageError> {
        let row = RowName { table: "grants", id: &self.id };
        let access_token =
            row.sealed("access_token", Some(self.access_token), Some(self.access_token_key_id))?;
        Ok(Grant {
            id: row.parse("id", &self.id)?,
            owner: owner(row, &self.owner_kind, self.user_id.as_deref())?,
            gateway_id: row.parse("gateway_id", &self.gateway_id)?,
            state: state(row, &self.state, self.state_reason.as_deref())?,
            orphaned_since: moment(self.orphaned_since),
            account: account(row, self.account_subject, self.account_name)?,
            scopes_requested: row.json("scopes_requested", &self.scopes_requested)?,
            scopes_granted: row.json("scopes_granted", &self.scopes_granted)?,
            tokens: SealedTokenSet {
                access_token: row.required("access_token", access_token)?,
                refresh_token: row.sealed("refresh_token", self.refresh_token, self.refresh_token_key_id)?,
                id_token: row.sealed("id_token", self.id_token, self.id_token_key_id)?,
                expires_at: unless_never(self.expires_at),
            },
            label: self.label,
            fingerprint: Fingerprint(self.fingerprint),
            refresh_number: self.refresh_number,
            redeeming_number: self.redeeming_number,
            created_at: Timestamp::from_millis(self.created_at),
            authorized_at: Timestamp::from_millis(self.authorized_at),
            issued_at: Timestamp::from_millis(self.issued_at),
            last_used_at: if_ever(self.last_used_at),
            last_refreshed_at: moment(self.last_refreshed_at),
            ends_at: unless_never(self.ends_at),
            retry_at: moment(self.retry_at),
            failures: self.failures,
            last_error: self.last_error,
            provider_words: self.provider_words,
            reference: self.reference,
            deposited_by: self.deposited_by,
            exchanged: self.exchanged,
            version: self.version,
        })
    }
}

pub(crate) fn account(
    row: RowName<'_>,
    subject: Option<String>,
    name: Option<String>,
) -> Result<Option<ProviderAccount>, StorageError> {
    match (subject, name) {
        (Some(subject), name) => Ok(Some(ProviderAccount { subject, name })),
        (None, None) => Ok(None),
        (None, Some(_)) => Err(row.corrupt("account_subject", "an account has a name but no subject")),
    }
}

pub(crate) fn state(row: RowName<'_>, state: &str, reason: Option<&str>) -> Result<GrantState, StorageError> {
    match (state, reason) {
        ("active", None) => Ok(GrantState::Active),
        ("uncertain", None) => Ok(GrantState::Uncertain),
        ("needs_authorization", Some(reason)) => {
            row.word("state_reason", reason).map(GrantState::NeedsAuthorization)
        }
        _ => Err(row.corrupt("state", "no such state, or state_reason does not fit it")),
    }
}

/// The columns of a state: its word, its reason.
pub(crate) fn state_columns(state: GrantState) -> (&'static str, Option<String>) {
    match state {
        GrantState::Active => ("active", None),
        GrantState::Uncertain => ("uncertain", None),
        GrantState::NeedsAuthorization(reason) => ("needs_authorization", Some(word(reason))),
    }
}

pub(crate) fn owner(row: RowName<'_>, kind: &str, user_id: Option<&str>) -> Result<GrantOwner, StorageError> {
    match (kind, user_id) {
        ("user", Some(id)) => row.parse("user_id", id).map(GrantOwner::User),
        ("service", None) => Ok(GrantOwner::Service),
        _ => Err(row.corrupt("owner_kind", "no such kind of owner, or user_id does not fit it")),
    }
}

/// The columns of an owner: its kind, and the person if it is one.
pub(crate) fn owner_columns(owner: GrantOwner) -> (&'static str, Option<String>) {
    match owner {
        GrantOwner::User(id) => ("user", Some(id.to_string())),
        GrantOwner::Service => ("service", None),
    }
}

/// Which grant it is: what the feed and ended records need, and all that may be read of a corrupt row.
#[derive(sqlx::FromRow)]
pub(crate) struct GrantName {
    pub(crate) id: String,
    pub(crate) owner_kind: String,
    pub(crate) user_id: Option<String>,
    pub(crate) gateway_id: String,
}

macro_rules! grant_name_columns {
    () => {
        "id, owner_kind, user_id, gateway_id"
    };
}
pub(crate) use grant_name_columns;

impl GrantName {
    pub(crate) fn owner(&self) -> Result<GrantOwner, StorageError> {
        owner(self.row(), &self.owner_kind, self.user_id.as_deref())
    }

    pub(crate) fn gateway(&self) -> Result<GatewayId, StorageError> {
        self.row().parse("gateway_id", &self.gateway_id)
    }

    pub(crate) fn parsed_id(&self) -> Result<GrantId, StorageError> {
        self.row().parse("id", &self.id)
    }

    pub(crate) fn change(&self) -> Result<Change, StorageError> {
        let (gateway, grant) = (self.gateway()?, self.parsed_id()?);
        Ok(match self.owner()? {
            GrantOwner::User(user) => Change::Grant { user, gateway, grant },
            GrantOwner::Service => Change::ServiceGrant { gateway, grant },
        })
    }

    /// The change when the grant has ended, or is refused from now on.
    pub(crate) fn ended(&self) -> Result<Change, StorageError> {
        Ok(match self.change()? {
            Change::Grant { user, gateway, grant } => Change::GrantEnded { user, gateway, grant },
            Change::ServiceGrant { gateway, grant } => Change::ServiceGrantEnded { gateway, grant },
            other => other,
        })
    }

    fn row(&self) -> RowName<'_> {
        RowName { table: "grants", id: &self.id }
    }
}

/// The change of a grant that is at hand.
pub(crate) fn change_of(grant: &Grant) -> Change {
    match grant.owner {
        GrantOwner::User(user) => Change::Grant { user, gateway: grant.gateway_id, grant: grant.id },
        GrantOwner::Service => Change::ServiceGrant { gateway: grant.gateway_id, grant: grant.id },
    }
}

/// The person who owns a grant, if it is a person.
pub(crate) fn person(owner: GrantOwner) -> Option<UserId> {
    match owner {
        GrantOwner::User(id) => Some(id),
        GrantOwner::Service => None,
    }
}
