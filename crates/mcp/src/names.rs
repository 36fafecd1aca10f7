//! The names under which clients see tools and prompts on `/mcp`: `{slug}-{name}`. A name that is given
//! once stays, whatever is registered later, so clients may remember it; routing looks it up and never
//! splits it.

use crate::upstream::CallError;
use arc_swap::ArcSwapOption;
use doorward_broker::BrokerError;
use doorward_domain::{Catalog, CatalogKind, Change, GatewayId, Slug};
use doorward_storage::{ExposedName, Storage};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The longest name that clients accept (2025-11-25, tools).
const LONGEST: usize = 128;

/// A hyphen and eight hex digits.
const HASH_LENGTH: usize = 9;

/// The kinds that are renamed. Resources keep their URIs.
const NAMED: [CatalogKind; 2] = [CatalogKind::Tool, CatalogKind::Prompt];

/// How often registering is tried when other replicas register at the same time.
const ATTEMPTS: usize = 3;

/// All exposed names, both ways.
#[derive(Debug, Default)]
pub struct NameTable {
    tools: KindTable,
    prompts: KindTable,
}

#[derive(Debug, Default)]
struct KindTable {
    by_exposed: HashMap<String, (GatewayId, String)>,
    by_original: HashMap<GatewayId, HashMap<String, String>>,
}

impl NameTable {
    /// The name that clients see; none while the item has none.
    pub fn exposed(&self, kind: CatalogKind, gateway: GatewayId, original: &str) -> Option<&str> {
        self.kind(kind)?.by_original.get(&gateway)?.get(original).map(String::as_str)
    }

    /// Whose tool or prompt a name stands for, and what it is called there.
    pub fn original(&self, kind: CatalogKind, exposed: &str) -> Option<(GatewayId, &str)> {
        self.kind(kind)?.by_exposed.get(exposed).map(|(gateway, original)| (*gateway, original.as_str()))
    }

    fn kind(&self, kind: CatalogKind) -> Option<&KindTable> {
        match kind {
            CatalogKind::Tool => Some(&self.tools),
            CatalogKind::Prompt => Some(&self.prompts),
            CatalogKind::Resource | CatalogKind::ResourceTemplate => None,
        }
    }

    fn add(&mut self, name: ExposedName) {
        let table = match name.kind {
            CatalogKind::Tool => &mut self.tools,
            CatalogKind::Prompt => &mut self.prompts,
            CatalogKind::Resource | CatalogKind::ResourceTemplate => return,
        };
        let of_gateway = table.by_original.entry(name.gateway_id).or_default();
        of_gateway.insert(name.original.clone(), name.exposed.clone());
        table.by_exposed.insert(name.exposed, (name.gateway_id, name.original));
    }

    /// Names for what the catalog lists and the table does not know yet.
    fn assign(&self, slug: &Slug, catalog: &Catalog) -> Vec<ExposedName> {
        let gateway_id = catalog.gateway_id;
        let mut taken: HashSet<(CatalogKind, String)> = HashSet::new();
        let mut seen: HashSet<(CatalogKind, &str)> = HashSet::new();
        let mut assigned = Vec::new();
        let named = catalog.items.iter().filter(|item| NAMED.contains(&item.kind));
        for item in named.filter(|item| self.exposed(item.kind, gateway_id, &item.name).is_none()) {
            if !seen.insert((item.kind, &item.name)) {
                continue;
            }
            let is_free = |name: &String| {
                self.original(item.kind, name).is_none() && !taken.contains(&(item.kind, name.clone()))
            };
            let exposed = candidates(slug, gateway_id, &item.name).find(is_free);
            let exposed = exposed.expect("candidates never end, and the taken names do");
            taken.insert((item.kind, exposed.clone()));
            let original = item.name.clone();
            assigned.push(ExposedName { gateway_id, kind: item.kind, original, exposed });
        }
        assigned
    }
}

/// The plain name where it fits, then names with a hash, each another.
fn candidates(slug: &Slug, gateway: GatewayId, original: &str) -> impl Iterator<Item = String> {
    let whole = format!("{slug}-{original}");
    let plain = (whole.len() <= LONGEST && whole.bytes().all(is_allowed)).then(|| whole.clone());
    let cut: String = whole
        .chars()
        .map(|c| if c.is_ascii() && is_allowed(c as u8) { c } else { '_' })
        .take(LONGEST - HASH_LENGTH)
        .collect();
    let seed = format!("{gateway}/{original}");
    let hashed = (0_u32..).map(move |round| format!("{cut}-{:08x}", fnv1a(&format!("{seed}/{round}"))));
    plain.into_iter().chain(hashed)
}

const fn is_allowed(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-')
}

/// 32-bit FNV-1a: it only has to spread, and to be the same for ever.
fn fnv1a(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

/// The table as this process knows it.
#[derive(Clone)]
pub struct Names {
    storage: Storage,
    table: Arc<ArcSwapOption<NameTable>>,
    /// Another catalog was read somewhere, perhaps with names that are not in the table.
    outdated: Arc<AtomicBool>,
    /// One reads or writes the table at a time; lookups never wait here.
    writing: Arc<tokio::sync::Mutex<()>>,
}

impl Names {
    /// A table that follows the change feed.
    pub fn new(storage: Storage) -> Self {
        let outdated = Arc::new(AtomicBool::new(true));
        let listening = Arc::clone(&outdated);
        storage.on_change(Box::new(move |change| {
            if matches!(change, Change::Catalog { .. } | Change::Gateway(_)) {
                listening.store(true, Ordering::Release);
            }
        }));
        Self { storage, table: Arc::default(), outdated, writing: Arc::default() }
    }

    /// The table as of now.
    pub async fn table(&self) -> Result<Arc<NameTable>, CallError> {
        if let Some(table) = self.current() {
            return Ok(table);
        }
        let _one_at_a_time = self.writing.lock().await;
        match self.current() {
            Some(table) => Ok(table),
            None => self.read().await,
        }
    }

    fn current(&self) -> Option<Arc<NameTable>> {
        if self.outdated.load(Ordering::Acquire) || !self.storage.feed_is_fresh() {
            return None;
        }
        self.table.load_full()
    }

    async fn read(&self) -> Result<Arc<NameTable>, CallError> {
        // Cleared before reading: what changes meanwhile sets it again.
        self.outdated.store(false, Ordering::Release);
        let mut table = NameTable::default();
        for kind in NAMED {
            let names = self.storage.exposed_names(kind).await;
            let names = names.inspect_err(|_| self.outdated.store(true, Ordering::Release));
            names.map_err(BrokerError::from)?.into_iter().for_each(|name| table.add(name));
        }
        let table = Arc::new(table);
        self.table.store(Some(Arc::clone(&table)));
        Ok(table)
    }

    /// Gives names to what a catalog lists. What has one keeps it.
    pub async fn register(&self, slug: &Slug, catalog: &Catalog) -> Result<(), CallError> {
        if self.table().await?.assign(slug, catalog).is_empty() {
            return Ok(());
        }
        let _one_at_a_time = self.writing.lock().await;
        for _ in 0..ATTEMPTS {
            let new = self.read().await?.assign(slug, catalog);
            if new.is_empty() {
                return Ok(());
            }
            self.storage.put_exposed_names(&new).await.map_err(BrokerError::from)?;
        }
        let unnamed = self.read().await?.assign(slug, catalog).len();
        if unnamed > 0 {
            tracing::warn!(gateway = %slug, unnamed, "some tools or prompts got no name and are not shown");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use doorward_domain::{CatalogItem, Timestamp};
    use proptest::prelude::*;
    use uuid::Uuid;

    fn gateway(number: u128) -> GatewayId {
        GatewayId(Uuid::from_u128(number))
    }

    fn catalog(number: u128, names: &[&str]) -> Catalog {
        let item =
            |name: &&str| CatalogItem { kind: CatalogKind::Tool, name: (*name).into(), json: "{}".into() };
        Catalog {
            gateway_id: gateway(number),
            user_id: None,
            items: names.iter().map(item).collect(),
            instructions: None,
            fetched_at: Timestamp::from_millis(0),
        }
    }

    fn slug(text: &str) -> Slug {
        Slug::parse(text).unwrap()
    }

    fn learn(table: &mut NameTable, slug_text: &str, number: u128, names: &[&str]) -> Vec<String> {
        let new = table.assign(&slug(slug_text), &catalog(number, names));
        let exposed = new.iter().map(|name| name.exposed.clone()).collect();
        new.into_iter().for_each(|name| table.add(name));
        exposed
    }

    #[test]
    fn trap_17_a_plain_name_is_slug_and_name_and_stays() {
        let mut table = NameTable::default();
        assert_eq!(learn(&mut table, "git", 1, &["search", "a.b_c", "search"]), ["git-search", "git-a.b_c"]);
        assert!(learn(&mut table, "git", 1, &["search"]).is_empty());
        assert_eq!(table.original(CatalogKind::Tool, "git-search"), Some((gateway(1), "search")));
        assert_eq!(table.exposed(CatalogKind::Tool, gateway(1), "search"), Some("git-search"));
        assert_eq!(table.original(CatalogKind::Prompt, "git-search"), None);
        assert_eq!(table.original(CatalogKind::Resource, "git-search"), None);
        table.add(ExposedName {
            gateway_id: gateway(1),
            kind: CatalogKind::Resource,
            original: "x".into(),
            exposed: "x".into(),
        });
        assert_eq!(table.exposed(CatalogKind::Resource, gateway(1), "x"), None);
    }

    #[test]
    fn trap_17_what_does_not_fit_is_cut_and_hashed() {
        let mut table = NameTable::default();
        let long = "x".repeat(200);
        let names = learn(&mut table, "git", 1, &[&long, "a/b", "größe", "a b"]);
        assert_eq!(names[0].len(), LONGEST);
        assert!(names[1].starts_with("git-a_b-") && names[3].starts_with("git-a_b-") && names[1] != names[3]);
        assert!(names[2].starts_with("git-gr__e-"));
    }

    #[test]
    fn trap_17_the_first_keeps_a_name_that_two_would_have() {
        let mut table = NameTable::default();
        assert_eq!(learn(&mut table, "a", 2, &["b-c"]), ["a-b-c"]);
        let other = learn(&mut table, "a-b", 1, &["c"]);
        assert!(other[0].starts_with("a-b-c-") && other[0].len() == 14, "{other:?}");
        assert_eq!(table.original(CatalogKind::Tool, "a-b-c"), Some((gateway(2), "b-c")));
    }

    proptest! {
        #[test]
        fn names_are_unique_reversible_and_acceptable(names in prop::collection::vec("\\PC{0,150}", 0..30)) {
            let mut table = NameTable::default();
            for (number, slug_text) in [(1, "a"), (2, "a-b")] {
                let texts: Vec<&str> = names.iter().map(String::as_str).collect();
                for exposed in learn(&mut table, slug_text, number, &texts) {
                    prop_assert!(exposed.len() <= LONGEST && exposed.bytes().all(is_allowed));
                }
                for name in &texts {
                    let exposed = table.exposed(CatalogKind::Tool, gateway(number), name).unwrap();
                    prop_assert_eq!(table.original(CatalogKind::Tool, exposed), Some((gateway(number), *name)));
                }
            }
        }
    }
}
