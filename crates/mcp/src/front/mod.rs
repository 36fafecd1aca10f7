//! The side that MCP clients see: Streamable HTTP on `/mcp` (every gateway), `/gateways/{slug}/mcp` (one
//! gateway, nothing renamed) and `/servers/{slug}/mcp` (a selection), for clients of both eras.
//!
//! Order of checks: Origin and Host, API token, gateway, size and JSON, then the protocol's own.

mod answer;
mod batch;
mod carry;
mod dispatch;
mod era;
mod follow;
mod gate;
mod handshake;
mod listen;
mod lists;
mod method;
mod notify;
mod post;
mod request;
mod stream;
mod subscribe;

pub(crate) use answer::{OwnResult, Reply, object};
pub(crate) use carry::told;
pub(crate) use dispatch::{Attempt, Needed, attempt};
pub(crate) use lists::{View, owners, view};
pub(crate) use method::Method;
pub(crate) use request::{ClientRequest, Endpoint};
pub(crate) use subscribe::list_changed;

use crate::ask::Reluctant;
use crate::catalog::Catalogs;
use crate::errors::ProtocolError;
use crate::limits::Admission;
use crate::selection;
use crate::session::Sessions;
use crate::tool_trial::ToolTrial;
use crate::upstream::Upstreams;
use axum::Router;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use axum::routing::any;
use doorward_broker::{Broker, BrokerError, Caller};
use doorward_domain::{Clock, Entropy, Gateway, GatewayState, VirtualServer};
use doorward_outbound::Outbound;
use doorward_storage::Storage;
use gate::Doors;
use std::sync::{Arc, Weak};

/// What the data plane is made of.
pub struct McpParts {
    pub broker: Broker,
    pub storage: Storage,
    pub outbound: Outbound,
    pub clock: Clock,
    pub entropy: Entropy,
}

/// The data plane, ready to be served.
pub struct McpService {
    /// `/mcp`, `/gateways/{slug}/mcp` and `/servers/{slug}/mcp`.
    pub router: Router,
    pub catalogs: Catalogs,
    /// For the page on which a person tries a tool.
    pub trial: ToolTrial,
}

/// What every request needs.
pub(crate) struct Front {
    pub(crate) broker: Broker,
    pub(crate) upstreams: Upstreams,
    pub(crate) catalogs: Catalogs,
    pub(crate) sessions: Sessions,
    pub(crate) clock: Clock,
    pub(crate) reluctant: Reluctant,
    pub(crate) admission: Admission,
    storage: Storage,
    doors: Doors,
}

/// Builds the data plane. A task that follows the change feed tells sessions what concerns them, so
/// this is called inside a Tokio runtime.
pub fn router(parts: McpParts) -> McpService {
    let upstreams = Upstreams::new(parts.broker.clone(), parts.storage.clone(), parts.outbound);
    let catalogs = Catalogs::new(upstreams.clone(), &parts.broker, parts.storage.clone());
    let front = Arc::new(Front {
        doors: Doors::new(parts.broker.public_url()),
        admission: Admission::new(parts.broker.policy().limits),
        broker: parts.broker,
        upstreams,
        catalogs: catalogs.clone(),
        sessions: Sessions::new(parts.storage.clone(), parts.clock.clone(), parts.entropy),
        clock: parts.clock,
        reluctant: Reluctant::default(),
        storage: parts.storage,
    });
    tokio::spawn(tell_sessions(Arc::downgrade(&front), front.storage.changes()));
    let router = Router::new()
        .route("/mcp", any(all_gateways))
        .route("/gateways/{slug}/mcp", any(one_gateway))
        .route("/servers/{slug}/mcp", any(virtual_server))
        .with_state(Arc::clone(&front));
    McpService { router, catalogs, trial: ToolTrial::new(front) }
}

async fn tell_sessions(
    front: Weak<Front>,
    mut changes: tokio::sync::broadcast::Receiver<doorward_storage::AppliedChange>,
) {
    use tokio::sync::broadcast::error::RecvError;
    loop {
        let received = changes.recv().await;
        let Some(front) = front.upgrade() else { return };
        match received {
            Ok(applied) => front.sessions.apply(&applied.change).await,
            Err(RecvError::Lagged(missed)) => {
                tracing::warn!(missed, "sessions were not told of some changes");
            }
            Err(RecvError::Closed) => return,
        }
    }
}

async fn all_gateways(State(front): State<Arc<Front>>, request: Request) -> Response {
    front.serve(Place::All, request).await
}

async fn one_gateway(
    State(front): State<Arc<Front>>,
    Path(slug): Path<String>,
    request: Request,
) -> Response {
    front.serve(Place::Gateway(slug), request).await
}

async fn virtual_server(
    State(front): State<Arc<Front>>,
    Path(slug): Path<String>,
    request: Request,
) -> Response {
    front.serve(Place::Server(slug), request).await
}

/// Where a request came in, before it is known who sent it.
enum Place {
    All,
    Gateway(String),
    Server(String),
}

impl Front {
    async fn serve(self: Arc<Self>, place: Place, request: Request) -> Response {
        let origin = match self.doors.check(request.headers(), request.uri()) {
            Ok(origin) => origin,
            Err(error) => return answer::refusal(&error, None, false),
        };
        let mut response = if gate::is_preflight(&request) {
            answer::nothing(http::StatusCode::NO_CONTENT)
        } else {
            self.admit(&place, request).await.unwrap_or_else(|error| answer::refusal(&error, None, false))
        };
        if let Some(origin) = origin {
            gate::share_with(&origin, response.headers_mut());
        }
        response
    }

    async fn admit(self: Arc<Self>, place: &Place, request: Request) -> Result<Response, ProtocolError> {
        // A body cannot be shared between threads; the rest can.
        let (parts, body) = request.into_parts();
        let caller = gate::authenticate(&self.broker, &parts).await?;
        let endpoint = match place {
            Place::All => Endpoint::All,
            Place::Gateway(slug) => Self::open_endpoint(self.broker.gateway_by_slug(&caller, slug).await)?,
            Place::Server(slug) => {
                Self::open_server(self.broker.virtual_server_by_slug(&caller, slug).await)?
            }
        };
        match parts.method {
            http::Method::POST => {
                Ok(Box::pin(post::post(&self, caller, endpoint, (parts.headers, body))).await)
            }
            http::Method::GET => stream::get(&self, &caller, &endpoint, &parts.headers).await,
            http::Method::DELETE => stream::delete(&self, &caller, &endpoint, &parts.headers).await,
            http::Method::OPTIONS => Ok(answer::nothing(http::StatusCode::NO_CONTENT)),
            _ => Err(ProtocolError::HttpMethod { allow: gate::METHODS }),
        }
    }

    /// The endpoint as it stands now, after a wait in which the gateway may have changed.
    pub(crate) async fn endpoint_now(
        &self,
        caller: &Caller,
        endpoint: &Endpoint,
    ) -> Result<Endpoint, ProtocolError> {
        match endpoint {
            Endpoint::All => Ok(Endpoint::All),
            Endpoint::One(gateway) => Self::open_endpoint(self.broker.gateway(caller, gateway.id).await),
            Endpoint::Server(server) => {
                Self::open_server(self.broker.virtual_server_by_slug(caller, server.slug.as_str()).await)
            }
        }
    }

    /// The gateways at an endpoint that the caller may use, by slug.
    pub(crate) async fn gateways_at(
        &self,
        caller: &Caller,
        endpoint: &Endpoint,
    ) -> Result<Vec<Arc<Gateway>>, ProtocolError> {
        Ok(match endpoint {
            Endpoint::All => self.broker.served_gateways(caller).await?,
            Endpoint::One(gateway) => vec![Arc::clone(gateway)],
            Endpoint::Server(server) => selection::gateways(self, caller, server).await?,
        })
    }

    fn open_endpoint(found: Result<Arc<Gateway>, BrokerError>) -> Result<Endpoint, ProtocolError> {
        match found {
            Ok(gateway) if gateway.state != GatewayState::Disabled => Ok(Endpoint::One(gateway)),
            Ok(_) | Err(BrokerError::NotFound { .. }) => Err(ProtocolError::NoSuchGateway),
            Err(error) => Err(error.into()),
        }
    }

    fn open_server(found: Result<Arc<VirtualServer>, BrokerError>) -> Result<Endpoint, ProtocolError> {
        match found {
            Ok(server) => Ok(Endpoint::Server(server)),
            Err(BrokerError::NotFound { .. }) => Err(ProtocolError::NoSuchServer),
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests;
