//! A real authorization server of somebody else, and its side door for tests: log in and consent without a
//! browser, introspect, and tell what it saw. The gateway never uses that door.

use crate::rig::Rig;
use doorward_demo::{McpServer, McpServerOptions, TokenCheck};
use futures_util::FutureExt;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use url::Url;

/// The client that exists from the start.
pub const CLIENT_ID: &str = "gateway";
/// Its secret.
pub const CLIENT_SECRET: &str = "gateway-secret";

/// A running authorization server; it ends with this value.
#[derive(Debug)]
pub struct Provider {
    pub issuer: String,
    pub authorization_url: Url,
    pub token_url: Url,
    /// Whether it takes RFC 8707 resource indicators as they come.
    pub binds_resources: bool,
    /// What to ask for.
    pub scopes: &'static [&'static str],
    control: Control,
    _rig: Rig,
}

/// The side door.
#[derive(Debug, Clone)]
pub struct Control {
    url: Url,
    client: reqwest::Client,
}

/// What an access token stands for.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Introspection {
    pub active: bool,
    pub account: Option<String>,
    /// The RFC 8707 resources: a string or several, as the server likes it.
    #[serde(default)]
    pub resource: Value,
}

/// What the server saw so far.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct ProviderLog {
    /// Grants that were carried out, by `grant_type`.
    pub grants: BTreeMap<String, u64>,
    /// Requests at the token endpoint, refused ones included, by `grant_type`, where the server tells.
    #[serde(default)]
    pub token_requests: BTreeMap<String, u64>,
}

impl ProviderLog {
    /// Refreshes that were carried out.
    pub fn refreshes(&self) -> u64 {
        self.grants.get("refresh_token").copied().unwrap_or_default()
    }
}

impl Provider {
    /// Reads the first line of a rig.
    pub(crate) async fn of(mut rig: Rig, binds_resources: bool, scopes: &'static [&'static str]) -> Self {
        let ready = rig.next().await;
        let text = |name: &str| {
            ready[name].as_str().unwrap_or_else(|| panic!("a rig says `{name}`: {ready}")).to_owned()
        };
        let url = |name: &str| text(name).parse().expect("a rig says whole URLs");
        let client = reqwest::Client::builder().no_proxy().build().expect("a client can be built");
        Self {
            issuer: text("issuer"),
            authorization_url: url("authorization_endpoint"),
            token_url: url("token_endpoint"),
            binds_resources,
            scopes,
            control: Control { url: url("control"), client },
            _rig: rig,
        }
    }

    /// The side door.
    pub fn control(&self) -> &Control {
        &self.control
    }

    /// An MCP server that believes this authorization server and takes tokens for itself only.
    pub async fn mcp_server(&self, options: McpServerOptions) -> McpServer {
        let any = "127.0.0.1:0".parse().expect("an address is written here");
        let check = self.token_check();
        McpServer::start_trusting(any, &self.issuer, check, options).await.expect("loopback has a free port")
    }

    fn token_check(&self) -> TokenCheck {
        let (control, binds_resources) = (self.control.clone(), self.binds_resources);
        Arc::new(move |token, resource| {
            let control = control.clone();
            async move {
                let found = control.introspect(&token).await;
                let ours = !binds_resources || found.is_for(&resource);
                found.account.filter(|_| found.active && ours)
            }
            .boxed()
        })
    }
}

impl Introspection {
    /// Whether the token is for this resource.
    pub fn is_for(&self, resource: &Url) -> bool {
        match &self.resource {
            Value::Array(several) => several.iter().any(|one| one == resource.as_str()),
            one => one == resource.as_str(),
        }
    }
}

impl Control {
    /// What an access token stands for.
    pub async fn introspect(&self, token: &str) -> Introspection {
        let answer = self.post("introspect", &[("token", token)]).await;
        serde_json::from_value(answer).expect("the side door answers as its header says")
    }

    /// Logs an account in, consents, and tells where the browser would be sent.
    pub async fn authorize(&self, url: &Url, account: &str) -> Url {
        let answer = self.post("authorize", &[("url", url.as_str()), ("account", account)]).await;
        let location =
            answer["location"].as_str().unwrap_or_else(|| panic!("no way through the consent: {answer}"));
        location.parse().expect("redirects are whole URLs")
    }

    /// What the server saw so far.
    pub async fn log(&self) -> ProviderLog {
        let answer = self.client.get(self.at("log")).send().await.expect("the side door is open");
        answer.json().await.expect("the side door answers as its header says")
    }

    /// Ends every access token before its time (oidc-provider only).
    pub async fn end_access_tokens(&self) {
        self.post("end_access_tokens", &[]).await;
    }

    async fn post(&self, path: &str, form: &[(&str, &str)]) -> Value {
        let answer = self.client.post(self.at(path)).form(form).send().await.expect("the side door is open");
        answer.json().await.expect("the side door answers JSON")
    }

    fn at(&self, path: &str) -> Url {
        self.url.join(path).expect("the side door's paths are fixed")
    }
}

#[cfg(test)]
mod tests {
    #[tokio::test]
    async fn both_real_servers_start_and_know_no_made_up_token() {
        let redirect_uri = "http://localhost:4444/oauth/callback".parse().unwrap();
        let (one, other) = tokio::join!(
            crate::oidc_provider::start(&redirect_uri, 60),
            crate::glewlwyd::start(&redirect_uri, 60)
        );
        for provider in [one, other] {
            assert!(provider.token_url.as_str().starts_with(&provider.issuer));
            assert!(!provider.control().introspect("made up").await.active);
            assert_eq!(provider.control().log().await.refreshes(), 0);
        }
    }
}
