//! The navigation: what stands where, and who sees it. A page that is added gets a line here.

use crate::ui::page::Here;
use doorward_domain::Permission;

/// Pages that belong together.
#[derive(Debug, Clone)]
pub(super) struct Group {
    /// Empty for what stands above all groups.
    pub(super) title: &'static str,
    pub(super) entries: Vec<&'static Entry>,
}

/// One page.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) here: Here,
    pub(super) href: &'static str,
    pub(super) label: &'static str,
    /// None: everybody who has signed in sees it.
    need: Option<Permission>,
}

impl Entry {
    const fn open(here: Here, href: &'static str, label: &'static str) -> Self {
        Self { here, href, label, need: None }
    }

    const fn for_those_who(need: Permission, here: Here, href: &'static str, label: &'static str) -> Self {
        Self { here, href, label, need: Some(need) }
    }
}

const START: &[Entry] = &[Entry::open(Here::Overview, "/ui", "Overview")];

const ACCESS: &[Entry] = &[
    Entry::for_those_who(Permission::ReadGrants, Here::OAuthTokens, "/ui/oauth-tokens", "OAuth tokens"),
    Entry::open(Here::ConnectAClient, "/ui/connect-a-client", "Connect a client"),
    Entry::open(Here::TryATool, "/ui/try", "Try a tool"),
    Entry::open(Here::ApiTokens, "/ui/tokens", "API tokens"),
    Entry::for_those_who(Permission::ReadUsers, Here::People, "/ui/people", "People"),
    Entry::for_those_who(Permission::ReadUsers, Here::Groups, "/ui/groups", "Groups"),
    Entry::for_those_who(Permission::ReadUsers, Here::Roles, "/ui/roles", "Roles"),
];

const SERVERS: &[Entry] = &[
    Entry::for_those_who(Permission::ReadGateways, Here::Gateways, "/ui/gateways", "Gateways"),
    Entry::for_those_who(Permission::ReadGateways, Here::Servers, "/ui/servers", "Virtual servers"),
];

const OPERATION: &[Entry] = &[
    Entry::for_those_who(Permission::ReadAudit, Here::Attempts, "/ui/attempts", "Attempts"),
    Entry::for_those_who(Permission::ReadAudit, Here::Audit, "/ui/audit", "Audit"),
    Entry::for_those_who(Permission::ReadCleanup, Here::Cleanup, "/ui/cleanup", "Cleanup"),
    Entry::for_those_who(Permission::ReadKeys, Here::Keys, "/ui/keys", "Keys"),
];

const GROUPS: [(&str, &[Entry]); 4] =
    [("", START), ("Access", ACCESS), ("Servers", SERVERS), ("Operation", OPERATION)];

/// The groups as far as somebody may open them; a group without a page is left out.
pub(super) fn groups(may: impl Fn(Permission) -> bool) -> Vec<Group> {
    let seen = |entries: &'static [Entry]| -> Vec<&'static Entry> {
        entries.iter().filter(|entry| entry.need.is_none_or(&may)).collect()
    };
    let groups = GROUPS.into_iter().map(|(title, entries)| Group { title, entries: seen(entries) });
    groups.filter(|group| !group.entries.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_sees_what_they_may_open_and_no_empty_group() {
        let shown = |may: fn(Permission) -> bool| -> Vec<&str> {
            groups(may).iter().flat_map(|group| group.entries.iter().map(|entry| entry.label)).collect()
        };
        assert_eq!(shown(|_| false), ["Overview", "Connect a client", "Try a tool", "API tokens"]);
        assert!(groups(|_| false).iter().all(|group| group.title != "Servers"));
        assert!(shown(|need| need == Permission::ReadGrants).contains(&"OAuth tokens"));
        assert_eq!(shown(|_| true).len(), GROUPS.iter().map(|(_, entries)| entries.len()).sum::<usize>());
    }
}
