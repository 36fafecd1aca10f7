//! Catalogs without the tools that are hidden from somebody: made once for all from whom the same is hidden, and again when
//! the catalog or what is hidden has changed.

use crate::catalog::IndexedCatalog;
use doorward_domain::{GatewayId, UserId};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Catalogs kept in memory.
const MAX_SHOWN: u64 = 2_000;

/// Whose catalog, and what is missing in it.
type Key = (GatewayId, Option<UserId>, Arc<BTreeSet<String>>);

/// What is shown, and what it was made of.
#[derive(Clone)]
struct Shown {
    whole: Arc<IndexedCatalog>,
    shown: Arc<IndexedCatalog>,
}

/// All of them.
pub(crate) struct ShownCatalogs(moka::sync::Cache<Key, Shown>);

impl Default for ShownCatalogs {
    fn default() -> Self {
        Self(moka::sync::Cache::new(MAX_SHOWN))
    }
}

impl ShownCatalogs {
    /// The catalog without these tools.
    pub(crate) fn without(
        &self,
        whole: Arc<IndexedCatalog>,
        hidden: Arc<BTreeSet<String>>,
    ) -> Arc<IndexedCatalog> {
        if hidden.is_empty() {
            return whole;
        }
        let key = (whole.gateway_id, whole.user_id, hidden);
        let kept = self.0.get(&key).filter(|kept| Arc::ptr_eq(&kept.whole, &whole));
        if let Some(kept) = kept {
            return kept.shown;
        }
        let shown = Arc::new(whole.without(&key.2));
        self.0.insert(key, Shown { whole, shown: Arc::clone(&shown) });
        shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use doorward_domain::{Catalog, CatalogItem, CatalogKind, Entropy, Timestamp};

    fn catalog(gateway: GatewayId, tools: &[&str]) -> Arc<IndexedCatalog> {
        let item = |name: &&str| CatalogItem {
            kind: CatalogKind::Tool,
            name: (*name).to_owned(),
            json: format!("{{\"name\":\"{name}\"}}"),
        };
        Arc::new(IndexedCatalog::new(Catalog {
            gateway_id: gateway,
            user_id: None,
            items: tools.iter().map(item).collect(),
            instructions: None,
            fetched_at: Timestamp::from_millis(0),
        }))
    }

    fn names(catalog: &IndexedCatalog) -> Vec<&str> {
        catalog.items.iter().map(|item| item.name.as_str()).collect()
    }

    #[test]
    fn a_catalog_is_made_once_for_all_from_whom_the_same_is_hidden_and_anew_after_a_change() {
        let all = ShownCatalogs::default();
        let hidden = |tools: &[&str]| Arc::new(tools.iter().map(|tool| (*tool).to_owned()).collect());
        let whole = catalog(Entropy.id(Timestamp::from_millis(0)), &["a", "b", "c"]);
        let first = all.without(Arc::clone(&whole), hidden(&["b"]));
        assert_eq!(names(&first), ["a", "c"]);
        let again = all.without(Arc::clone(&whole), hidden(&["b"]));
        assert!(Arc::ptr_eq(&first, &again), "for somebody else from whom the same is hidden");
        assert_eq!(names(&all.without(Arc::clone(&whole), hidden(&["a", "c"]))), ["b"]);
        assert!(Arc::ptr_eq(&all.without(Arc::clone(&whole), hidden(&[])), &whole));
        let read_again = catalog(whole.gateway_id, &["a", "b", "d"]);
        assert_eq!(names(&all.without(read_again, hidden(&["b"]))), ["a", "d"]);
        let other = catalog(Entropy.id(Timestamp::from_millis(1)), &["b", "z"]);
        assert_eq!(names(&all.without(other, hidden(&["b"]))), ["z"]);
    }
}
