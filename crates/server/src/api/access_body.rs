//! An access list as REST takes and shows it.

use doorward_broker::BrokerError;
use doorward_domain::{AccessList, GroupId, UserId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Who may use it.
#[derive(Debug, Clone, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AccessBody {
    #[serde(rename = "for")]
    of: AccessFor,
    /// `listed`: ids of groups.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>)]
    groups: Vec<GroupId>,
    /// `listed`: ids of people.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>)]
    users: Vec<UserId>,
}

/// For whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AccessFor {
    Everyone,
    /// The groups and people that are listed, and nobody else but those who manage gateways.
    Listed,
}

impl AccessBody {
    pub(crate) fn into_list(self) -> Result<AccessList, BrokerError> {
        let is_empty = self.groups.is_empty() && self.users.is_empty();
        match self.of {
            AccessFor::Everyone if is_empty => Ok(AccessList::Everyone),
            AccessFor::Everyone => Err(BrokerError::Invalid {
                field: "access".to_owned(),
                problem: "a list of groups or people goes with \"for\": \"listed\"".to_owned(),
            }),
            AccessFor::Listed => Ok(AccessList::Only {
                groups: self.groups.into_iter().collect(),
                users: self.users.into_iter().collect(),
            }),
        }
    }
}

impl From<&AccessList> for AccessBody {
    fn from(access: &AccessList) -> Self {
        match access {
            AccessList::Everyone => Self { of: AccessFor::Everyone, groups: Vec::new(), users: Vec::new() },
            AccessList::Only { groups, users } => Self {
                of: AccessFor::Listed,
                groups: groups.iter().copied().collect(),
                users: users.iter().copied().collect(),
            },
        }
    }
}
