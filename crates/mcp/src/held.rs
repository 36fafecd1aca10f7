//! What is served of a gateway that holds changes: of each tool and prompt the last version that an
//! administrator agreed to, and nothing of those that nobody has agreed to yet.

use crate::catalog::{CatalogState, Catalogs};
use crate::errors::ProtocolError;
use doorward_broker::Caller;
use doorward_domain::catalog_version::VERSIONED;
use doorward_domain::{CatalogItem, CatalogKind, CatalogVersion, Gateway, OnChange};
use doorward_storage::hash_of;
use std::sync::Arc;

/// The items as they are served. The versions of each come the oldest first.
pub(crate) fn served(items: Vec<CatalogItem>, versions: &[CatalogVersion]) -> Vec<CatalogItem> {
    items.into_iter().filter_map(|item| served_item(item, versions)).collect()
}

fn served_item(item: CatalogItem, versions: &[CatalogVersion]) -> Option<CatalogItem> {
    if !VERSIONED.contains(&item.kind) {
        return Some(item);
    }
    let mut agreed = versions
        .iter()
        .filter(|version| version.approved && version.kind == item.kind && version.name == item.name);
    let hash = hash_of(&item);
    if agreed.clone().any(|version| version.hash == hash) {
        return Some(item);
    }
    let last = agreed.next_back()?;
    Some(CatalogItem { json: last.json.clone(), ..item })
}

/// Refuses a call of what is held back: a name that is not served is not called either.
pub(crate) async fn check(
    catalogs: &Catalogs,
    caller: &Caller,
    gateway: &Arc<Gateway>,
    kind: CatalogKind,
    name: &str,
) -> Result<(), ProtocolError> {
    if gateway.on_change == OnChange::Allow {
        return Ok(());
    }
    match catalogs.of(caller, gateway).await {
        CatalogState::Known(catalog) if catalog.of_kind(kind).all(|item| item.name != name) => {
            let name: String = name.chars().take(300).collect();
            Err(ProtocolError::InvalidParams(format!(
                "{name:?} is not served: either there is no such thing, or it is new and an administrator has \
                 not agreed to it yet"
            )))
        }
        // Whoever has to authorize first is asked, and what cannot be reached says so itself.
        CatalogState::Known(_) | CatalogState::MustAuthorize | CatalogState::Unreachable(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use doorward_domain::Timestamp;

    fn item(name: &str, json: &str) -> CatalogItem {
        CatalogItem { kind: CatalogKind::Tool, name: name.into(), json: json.into() }
    }

    fn version(item: &CatalogItem, approved: bool) -> CatalogVersion {
        CatalogVersion {
            kind: item.kind,
            name: item.name.clone(),
            hash: hash_of(item),
            json: item.json.clone(),
            approved,
            baseline: false,
            first_seen_at: Timestamp::from_millis(0),
        }
    }

    #[test]
    fn what_nobody_agreed_to_is_served_as_it_was_or_not_at_all() {
        let (old, new) = (item("a", r#"{"name":"a"}"#), item("a", r#"{"name":"a","description":"x"}"#));
        let (fresh, resource) =
            (item("b", r#"{"name":"b"}"#), CatalogItem { kind: CatalogKind::Resource, ..item("r", "{}") });
        let versions = [version(&old, true), version(&new, false), version(&fresh, false)];
        let listed = vec![new.clone(), fresh.clone(), resource.clone()];
        assert_eq!(served(listed.clone(), &versions), [old.clone(), resource.clone()]);
        let agreed = [version(&old, true), version(&new, true), version(&fresh, true)];
        assert_eq!(served(listed.clone(), &agreed), listed);
        assert_eq!(served(vec![old.clone()], &agreed), [old], "what was agreed to once may come back");
    }
}
