//! What every handler is handed: the use cases, the catalogs, and a few facts of the settings.

use crate::cookies::Cookies;
use crate::extract::ForwardedWatch;
use doorward_broker::Broker;
use doorward_mcp::{Catalogs, ToolTrial};
use ipnet::IpNet;
use std::sync::Arc;
use url::Url;

/// The state of the router. Cheap to clone.
#[derive(Clone)]
pub(crate) struct AppState {
    pub(crate) broker: Broker,
    pub(crate) catalogs: Catalogs,
    pub(crate) trial: ToolTrial,
    pub(crate) facts: Arc<Facts>,
}

/// What pages and answers need to know of the settings.
#[derive(Debug)]
pub(crate) struct Facts {
    /// An origin: scheme, host, perhaps a port.
    pub(crate) public_url: Url,
    /// The public URL as browsers put it into `Origin`.
    pub(crate) public_origin: String,
    pub(crate) cookies: Cookies,
    /// Whose `X-Forwarded-For` counts.
    pub(crate) trusted_proxies: Vec<IpNet>,
    /// Forwarding headers from elsewhere.
    pub(crate) forwarded: ForwardedWatch,
    /// The data is a demo's: every page says so.
    pub(crate) demo: bool,
}
