//! What a change of grants, gateways and people does to what runs, and to what is kept of upstreams.

use super::Inner;
use super::link::{Link, LinkKey};
use doorward_domain::{Change, GatewayId, UserId};
use std::sync::Arc;

impl Inner {
    pub(super) fn listen(self: &Arc<Self>) {
        let runs = self.runs.clone();
        self.storage.on_change(Box::new(move |change| {
            if let Change::ServiceGrantEnded { gateway, .. } = change {
                runs.cut_all(*gateway);
            }
            if let Change::GrantEnded { user, gateway, .. } = change {
                runs.cut(*user, *gateway);
            }
        }));
        let weak = Arc::downgrade(self);
        self.storage.on_change(Box::new(move |change| {
            if let Some(inner) = weak.upgrade() {
                inner.cut_who_may_no_more(change);
            }
        }));
        let facts = self.tool_facts.clone();
        self.storage.on_change(Box::new(move |change| {
            if let Change::Catalog { gateway, user } = change {
                let (facts, owner) = (facts.clone(), (*gateway, *user));
                // A listener must not wait; a tool's headers may lag behind its new schema by a moment.
                tokio::spawn(async move { facts.invalidate(&owner).await });
            }
        }));
        let weak = Arc::downgrade(self);
        self.storage.on_change(Box::new(move |change| {
            if let (Change::Gateway(gateway), Some(inner)) = (change, weak.upgrade()) {
                inner.watches.close(*gateway);
            }
        }));
        let weak = Arc::downgrade(self);
        self.broker.on_connected(Box::new(move |user, gateway| {
            if let Some(inner) = weak.upgrade() {
                inner.drop_links(user, gateway);
                inner.watches.wake(user, gateway);
            }
        }));
    }

    /// Where a gateway needs no grant, none ends when its user loses access; nor does one when a tool is taken away: what
    /// runs there is looked at anew.
    fn cut_who_may_no_more(self: &Arc<Self>, change: &Change) {
        let running = match *change {
            Change::Gateway(edited) => self.runs.of(|_, gateway| gateway == edited),
            Change::User(edited) => self.runs.of(|user, _| user == edited),
            _ => return,
        };
        if running.is_empty() {
            return;
        }
        let inner = Arc::clone(self);
        // A listener must not wait.
        tokio::spawn(async move {
            for (user, gateway) in running {
                let may = inner.broker.may_use(user, gateway).await;
                let may = may
                    .inspect_err(|error| tracing::warn!(%error, "what runs is cut unasked"))
                    .unwrap_or(false);
                if !may {
                    inner.runs.cut(user, gateway);
                    continue;
                }
                match inner.broker.may_use_tools(user, gateway).await {
                    Ok(may) => inner.runs.cut_tools(user, gateway, may),
                    Err(error) => {
                        tracing::warn!(%error, "what runs is cut unasked");
                        inner.runs.cut(user, gateway);
                    }
                }
            }
        });
    }

    /// A session that was opened with one provider account must not serve another.
    pub(super) fn drop_links(&self, user: UserId, gateway: GatewayId) {
        let of_them = move |key: &LinkKey, _: &Arc<Link>| key.user == user && key.gateway == gateway;
        if let Err(error) = self.links.invalidate_entries_if(of_them) {
            tracing::error!(%error, "upstream sessions could not be dropped");
        }
    }
}
