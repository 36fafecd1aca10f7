//! What tests share: real servers, ready clients, samples. Nothing of this is in the product.

pub mod app;
pub mod browser;
pub mod certificates;
pub mod client;
pub mod conformance;
pub mod glewlwyd;
pub mod mcp_client;
pub mod oidc_provider;
pub mod postgres;
pub mod provider;
pub mod proxies;
pub mod revoke_load;
pub mod rig;
