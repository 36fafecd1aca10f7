//! One request of a client, owned, so that it may outlive the connection it came on.

use crate::envelope::{self, member, member_at, text_member};
use crate::errors::ProtocolError;
use crate::live_session::LiveSession;
use crate::upstream::{ClientFacts, UpstreamCall};
use doorward_broker::Caller;
use doorward_domain::{Gateway, VirtualServer};
use http::HeaderMap;
use serde_json::value::RawValue;
use std::sync::Arc;

/// Where the client is connected.
#[derive(Clone)]
pub(crate) enum Endpoint {
    /// `/mcp`: every gateway that the caller may use.
    All,
    /// `/gateways/{slug}/mcp`: one, as it is.
    One(Arc<Gateway>),
    /// `/servers/{slug}/mcp`: a selection out of several.
    Server(Arc<VirtualServer>),
}

impl Endpoint {
    /// As sessions remember it.
    pub(crate) fn path(&self) -> String {
        match self {
            Self::All => "/mcp".to_owned(),
            Self::One(gateway) => format!("/gateways/{}/mcp", gateway.slug),
            Self::Server(server) => format!("/servers/{}/mcp", server.slug),
        }
    }
}

/// A request, and all that is known of who sent it.
pub(crate) struct ClientRequest {
    pub(crate) caller: Caller,
    pub(crate) endpoint: Endpoint,
    pub(crate) facts: ClientFacts,
    /// Legacy clients have one.
    pub(crate) session: Option<Arc<LiveSession>>,
    /// The client's headers without its credentials.
    pub(crate) headers: HeaderMap,
    pub(crate) accept_sse: bool,
    pub(crate) id: Box<RawValue>,
    pub(crate) method: String,
    pub(crate) params: Option<Box<RawValue>>,
}

impl ClientRequest {
    pub(crate) fn is_modern(&self) -> bool {
        self.facts.revision.is_modern()
    }

    /// A required string among the `params`.
    pub(crate) fn text(&self, name: &str) -> Result<String, ProtocolError> {
        let found = self.params.as_deref().and_then(|params| text_member(params, name));
        let found = found.map(std::borrow::Cow::into_owned);
        found.ok_or_else(|| ProtocolError::InvalidParams(format!("`params.{name}` must be a string")))
    }

    /// A member of the `params`.
    pub(crate) fn param(&self, name: &str) -> Option<&RawValue> {
        member(self.params.as_deref()?, name)
    }

    /// Whether the client declared that it can show the user a URL.
    pub(crate) fn shows_urls(&self) -> bool {
        let declared = member_at(&self.facts.capabilities, &["elicitation", "url"]);
        declared.is_some_and(|url| url.get().starts_with('{'))
    }

    /// The request as an upstream is to get it.
    pub(crate) fn call<'a>(&'a self, params: Option<&'a RawValue>) -> UpstreamCall<'a> {
        UpstreamCall {
            id: &self.id,
            method: &self.method,
            params,
            client_headers: &self.headers,
            accept_sse: self.accept_sse,
            session: self.session.as_ref(),
        }
    }

    /// The same request with other `params`.
    pub(crate) fn with_params(&self, params: String) -> Self {
        Self { params: envelope::raw(params), ..self.at(self.endpoint.clone()) }
    }

    /// The same request at another endpoint.
    pub(crate) fn at(&self, endpoint: Endpoint) -> Self {
        Self {
            caller: self.caller.clone(),
            endpoint,
            facts: self.facts.clone(),
            session: self.session.clone(),
            headers: self.headers.clone(),
            accept_sse: self.accept_sse,
            id: self.id.clone(),
            method: self.method.clone(),
            params: self.params.clone(),
        }
    }
}
