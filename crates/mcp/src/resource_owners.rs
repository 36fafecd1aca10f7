//! Which gateway owns a resource URI on `/mcp`. URIs pass unchanged while one gateway lists them; where
//! two do, the older gateway keeps the URI and the others' appear as `doorward+{slug}:{original URI}`.

use crate::catalog::IndexedCatalog;
use doorward_domain::{CatalogKind, Gateway, GatewayId};
use std::borrow::Cow;
use std::sync::Arc;

/// The gateways that one caller may use, with what is known of them; the oldest first.
pub struct ResourceOwners {
    entries: Vec<(Arc<Gateway>, Option<Arc<IndexedCatalog>>)>,
}

impl ResourceOwners {
    /// `None` stands for a catalog that nobody has read.
    pub fn new(gateways: impl IntoIterator<Item = (Arc<Gateway>, Option<Arc<IndexedCatalog>>)>) -> Self {
        let mut entries: Vec<_> = gateways.into_iter().collect();
        // Ids are UUIDv7: they sort by birth.
        entries.sort_by_key(|(gateway, _)| gateway.id);
        Self { entries }
    }

    /// Who answers for a URI, and what it is called there; none when nobody does, or several could.
    pub fn owner<'u>(&self, uri: &'u str) -> Option<(&Arc<Gateway>, Cow<'u, str>)> {
        let only = || self.only_possible().map(|gateway| (gateway, Cow::Borrowed(uri)));
        self.listing(uri).or_else(only)
    }

    /// The same, of those alone that list the URI or a template that it fits.
    pub fn listing<'u>(&self, uri: &'u str) -> Option<(&Arc<Gateway>, Cow<'u, str>)> {
        if let Some((gateway, original)) = self.prefixed(uri) {
            return Some((gateway, Cow::Borrowed(original)));
        }
        let listed = |kind| self.first(move |catalog: &IndexedCatalog| catalog.lists(kind, uri));
        let found = listed(CatalogKind::Resource)
            .or_else(|| listed(CatalogKind::ResourceTemplate))
            .or_else(|| self.first(|catalog| catalog.templates().any(|template| template.matches(uri))));
        found.map(|gateway| (gateway, Cow::Borrowed(uri)))
    }

    /// A resource's URI, or a template, as clients see it.
    pub fn exposed_uri<'u>(&self, kind: CatalogKind, gateway: GatewayId, uri: &'u str) -> Cow<'u, str> {
        let keeper = self.first(|catalog| catalog.lists(kind, uri)).map(|keeper| keeper.id);
        let own = self.entries.iter().find(|(other, _)| other.id == gateway);
        match (keeper, own) {
            (Some(keeper), Some((own, _))) if keeper != gateway => {
                Cow::Owned(format!("{}{uri}", prefix_of(own)))
            }
            _ => Cow::Borrowed(uri),
        }
    }

    fn prefixed<'u>(&self, uri: &'u str) -> Option<(&Arc<Gateway>, &'u str)> {
        self.entries.iter().find_map(|(gateway, _)| Some((gateway, uri.strip_prefix(&prefix_of(gateway))?)))
    }

    fn first(&self, mut owns: impl FnMut(&IndexedCatalog) -> bool) -> Option<&Arc<Gateway>> {
        let owner =
            self.entries.iter().find(|(_, catalog)| catalog.as_ref().is_some_and(|known| owns(known)));
        owner.map(|(gateway, _)| gateway)
    }

    /// Every gateway that has resources, or of which nothing is known, could own an unlisted URI.
    fn only_possible(&self) -> Option<&Arc<Gateway>> {
        let mut possible = self
            .entries
            .iter()
            .filter(|(_, catalog)| catalog.as_ref().is_none_or(|catalog| catalog.has_resources()));
        match (possible.next(), possible.next()) {
            (Some((gateway, _)), None) => Some(gateway),
            _ => None,
        }
    }
}

fn prefix_of(gateway: &Gateway) -> String {
    format!("doorward+{}:", gateway.slug)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::tests::gateway_at;
    use doorward_domain::{Catalog, CatalogItem, Slug, Timestamp};
    use uuid::Uuid;

    const R: CatalogKind = CatalogKind::Resource;
    const T: CatalogKind = CatalogKind::ResourceTemplate;

    fn entry(
        number: u128,
        slug: &str,
        items: Option<&[(CatalogKind, &str)]>,
    ) -> (Arc<Gateway>, Option<Arc<IndexedCatalog>>) {
        let mut gateway = gateway_at("http://127.0.0.1/mcp");
        (gateway.id, gateway.slug) = (GatewayId(Uuid::from_u128(number)), Slug::parse(slug).unwrap());
        let item = |(kind, name): &(CatalogKind, &str)| CatalogItem {
            kind: *kind,
            name: (*name).to_owned(),
            json: "{}".into(),
        };
        let catalog = items.map(|items| {
            Arc::new(IndexedCatalog::new(Catalog {
                gateway_id: gateway.id,
                user_id: None,
                items: items.iter().map(item).collect(),
                instructions: None,
                fetched_at: Timestamp::from_millis(0),
            }))
        });
        (Arc::new(gateway), catalog)
    }

    fn owner(owners: &ResourceOwners, uri: &str) -> Option<String> {
        owners.owner(uri).map(|(gateway, uri)| format!("{} {uri}", gateway.slug))
    }

    #[test]
    fn trap_18_the_older_gateway_keeps_a_uri_that_two_list() {
        let owners = ResourceOwners::new([
            entry(2, "young", Some(&[(R, "file:///x"), (R, "file:///y"), (T, "t://{a}")])),
            entry(1, "old", Some(&[(R, "file:///x"), (T, "t://{a}")])),
        ]);
        let (old, young) = (GatewayId(Uuid::from_u128(1)), GatewayId(Uuid::from_u128(2)));
        assert_eq!(owners.exposed_uri(R, old, "file:///x"), "file:///x");
        assert_eq!(owners.exposed_uri(R, young, "file:///x"), "doorward+young:file:///x");
        assert_eq!(owners.exposed_uri(R, young, "file:///y"), "file:///y");
        assert_eq!(owners.exposed_uri(T, young, "t://{a}"), "doorward+young:t://{a}");
        assert_eq!(owner(&owners, "file:///x").unwrap(), "old file:///x");
        assert_eq!(owner(&owners, "file:///y").unwrap(), "young file:///y");
        assert_eq!(owner(&owners, "doorward+young:file:///x").unwrap(), "young file:///x");
        assert_eq!(owner(&owners, "t://1").unwrap(), "old t://1");
        assert_eq!(owner(&owners, "t://{a}").unwrap(), "old t://{a}");
        assert_eq!(owner(&owners, "doorward+young:t://1").unwrap(), "young t://1");
        assert_eq!(owner(&owners, "other://"), None);
        assert_eq!(owner(&owners, "doorward+nobody:x"), None);
    }

    #[test]
    fn trap_18_an_unlisted_uri_goes_to_the_only_gateway_that_could_own_it() {
        let tools_only: &[(CatalogKind, &str)] = &[(CatalogKind::Tool, "t")];
        let one =
            ResourceOwners::new([entry(1, "a", Some(&[(R, "x://1")])), entry(2, "b", Some(tools_only))]);
        assert_eq!(owner(&one, "x://2").unwrap(), "a x://2");
        let unknown = ResourceOwners::new([entry(1, "a", Some(&[(R, "x://1")])), entry(2, "b", None)]);
        assert_eq!(owner(&unknown, "x://2"), None);
        let nobody = ResourceOwners::new([entry(2, "b", Some(tools_only))]);
        assert_eq!(owner(&nobody, "x://2"), None);
        assert_eq!(owner(&ResourceOwners::new([entry(2, "b", None)]), "x://2").unwrap(), "b x://2");
    }
}
