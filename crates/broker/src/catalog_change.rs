//! What has changed in a gateway's tools and prompts, and an administrator's word on it.

use crate::{Broker, BrokerError, Caller};
use doorward_domain::{CatalogVersion, GatewayId, Permission};

/// How many changes are shown.
const SHOWN: usize = 100;

/// A version that was not there at the first reading, and what it is to be compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogDifference {
    pub version: CatalogVersion,
    /// The item as it was before, as the upstream sent it; none where it is new.
    pub before: Option<String>,
}

impl Broker {
    /// What has changed since a gateway was first read, the newest first.
    pub async fn catalog_changes(
        &self,
        caller: &Caller,
        id: GatewayId,
    ) -> Result<Vec<CatalogDifference>, BrokerError> {
        caller.require(Permission::ReadGateways)?;
        self.readable_gateway(caller, id).await?;
        Ok(differences(&self.storage().catalog_versions(id).await?))
    }

    /// Agrees to versions, by their hashes; how many were held till now.
    pub async fn approve_catalog_changes(
        &self,
        caller: &Caller,
        id: GatewayId,
        hashes: &[String],
    ) -> Result<u64, BrokerError> {
        caller.require(Permission::ManageGateways)?;
        let gateway = self.gateway(caller, id).await?;
        if hashes.is_empty() {
            return Err(BrokerError::invalid("hashes", "name what you agree to"));
        }
        let known = self.storage().catalog_versions(id).await?;
        let mut told = Vec::new();
        for hash in hashes {
            let Some(version) = known.iter().find(|version| version.hash == *hash) else {
                return Err(BrokerError::invalid("hashes", format!("there is no version {hash} any more")));
            };
            told.push(format!("{} {} {hash}", version.kind.as_str(), version.name));
        }
        let told: String = told.join(", ").chars().take(4_000).collect();
        let event = caller.event("catalog.agree").subject(id).detail("slug", &gateway.slug);
        Ok(self.storage().approve_catalog_versions(id, hashes, event.detail("agreed", told)).await?)
    }
}

/// The versions come by kind and name, the oldest first.
fn differences(versions: &[CatalogVersion]) -> Vec<CatalogDifference> {
    let mut found: Vec<CatalogDifference> = Vec::new();
    for (at, version) in versions.iter().enumerate().filter(|(_, version)| !version.baseline) {
        let mut earlier = versions[..at]
            .iter()
            .filter(|earlier| (earlier.kind, &earlier.name) == (version.kind, &version.name));
        // What is served while a version is held is the last one that was agreed to.
        let agreed = earlier.clone().rfind(|earlier| earlier.approved);
        let before = agreed.or_else(|| earlier.next_back());
        found.push(CatalogDifference {
            version: version.clone(),
            before: before.map(|before| before.json.clone()),
        });
    }
    found.sort_by_key(|difference| (!difference.version.approved, difference.version.first_seen_at));
    found.reverse();
    found.truncate(SHOWN);
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use doorward_domain::{CatalogKind, Timestamp};

    fn version(name: &str, at: i64, approved: bool, baseline: bool) -> CatalogVersion {
        CatalogVersion {
            kind: CatalogKind::Tool,
            name: name.into(),
            hash: format!("{name}{at}"),
            json: format!("{{\"v\":{at}}}"),
            approved,
            baseline,
            first_seen_at: Timestamp::from_millis(at),
        }
    }

    #[test]
    fn a_difference_is_against_what_is_served_and_held_ones_come_first() {
        let versions = [
            version("a", 1, true, true),
            version("a", 2, false, false),
            version("a", 3, false, false),
            version("b", 4, true, false),
        ];
        let told: Vec<_> = differences(&versions)
            .into_iter()
            .map(|difference| (difference.version.hash, difference.before))
            .collect();
        assert_eq!(
            told,
            [
                ("a3".to_owned(), Some("{\"v\":1}".to_owned())),
                ("a2".to_owned(), Some("{\"v\":1}".to_owned())),
                ("b4".to_owned(), None),
            ]
        );
    }
}
