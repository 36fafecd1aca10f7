//! Who may use a gateway or a virtual server: everyone, or the people and groups on its list.

use crate::ids::{GroupId, UserId};
use std::collections::BTreeSet;

/// Who may use a thing. Those who manage gateways may use them all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum AccessList {
    /// Everyone who may sign in.
    #[default]
    Everyone,
    /// Those who are named, and the members of the groups; with nobody on it, nobody.
    Only { groups: BTreeSet<GroupId>, users: BTreeSet<UserId> },
}

impl AccessList {
    /// Whether a member of these groups may use it.
    pub fn admits(&self, user: UserId, groups: &[GroupId]) -> bool {
        match self {
            Self::Everyone => true,
            Self::Only { groups: named, users } => {
                users.contains(&user) || groups.iter().any(|group| named.contains(group))
            }
        }
    }

    /// Whether not everyone may use it.
    pub fn is_narrowed(&self) -> bool {
        matches!(self, Self::Only { .. })
    }
}

/// As the audit trail tells it.
impl std::fmt::Display for AccessList {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self::Only { groups, users } = self else { return f.write_str("everyone") };
        let groups = groups.iter().map(|id| format!("group {id}"));
        let users = users.iter().map(|id| format!("person {id}"));
        let named: Vec<String> = groups.chain(users).collect();
        f.write_str(if named.is_empty() { "nobody" } else { "" })?;
        f.write_str(&named.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn a_list_admits_the_named_and_the_members_of_its_groups_and_nobody_else() {
        let (ada, bob) = (UserId(Uuid::from_u128(1)), UserId(Uuid::from_u128(2)));
        let (ops, dev) = (GroupId(Uuid::from_u128(3)), GroupId(Uuid::from_u128(4)));
        let list = AccessList::Only { groups: [ops].into(), users: [ada].into() };
        assert!(list.admits(ada, &[]) && list.admits(bob, &[dev, ops]));
        assert!(!list.admits(bob, &[]) && !list.admits(bob, &[dev]));
        assert!(AccessList::Everyone.admits(bob, &[]));
        let empty = AccessList::Only { groups: BTreeSet::new(), users: BTreeSet::new() };
        assert!(!empty.admits(ada, &[ops]) && empty.is_narrowed());
        assert_eq!(
            (empty.to_string(), AccessList::Everyone.to_string()),
            ("nobody".into(), "everyone".into())
        );
        assert_eq!(list.to_string(), format!("group {ops}, person {ada}"));
    }
}
