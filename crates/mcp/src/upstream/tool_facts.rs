//! What a call has to know of its tool before it is sent, from the catalog that the caller sees.

use super::Inner;
use super::answer::CallError;
use super::param_headers::{ParamHeader, annotations};
use doorward_broker::Caller;
use doorward_domain::{CatalogKind, CatalogSharing, Gateway, GatewayId, UserId};
use std::collections::HashMap;
use std::sync::Arc;

/// Whose catalog: a gateway's, for one user or shared.
pub(crate) type CatalogOwner = (GatewayId, Option<UserId>);

/// The tools of one catalog that want headers, by name.
pub(super) type Annotations = HashMap<String, Vec<ParamHeader>>;

impl Inner {
    /// The headers that a tool's schema asks for, from the catalog that the caller sees.
    pub(super) async fn annotated(
        &self,
        caller: &Caller,
        gateway: &Gateway,
    ) -> Result<Arc<Annotations>, CallError> {
        let owner = owner_of_catalog(caller, gateway);
        let load = async {
            let catalog =
                self.storage.catalog(owner.0, owner.1).await.map_err(doorward_broker::BrokerError::from)?;
            let tools = catalog.iter().flat_map(|catalog| catalog.of_kind(CatalogKind::Tool));
            let wanted = tools.filter_map(|tool| match annotations(&tool.json) {
                Ok(headers) if !headers.is_empty() => Some((tool.name.clone(), headers)),
                _ => None,
            });
            Ok(Arc::new(wanted.collect::<Annotations>()))
        };
        self.annotations.try_get_with(owner, load).await.map_err(|error: Arc<CallError>| (*error).clone())
    }
}

/// Whose catalog a caller sees at a gateway.
pub(crate) fn owner_of_catalog(caller: &Caller, gateway: &Gateway) -> CatalogOwner {
    match gateway.catalog_sharing {
        CatalogSharing::PerUser => (gateway.id, Some(caller.user.id)),
        CatalogSharing::Shared => (gateway.id, None),
    }
}
