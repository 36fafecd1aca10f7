//! One caller's exchange with one upstream: each request carries the caller's own credential, and a
//! 401 makes the broker renew it once. The client's own bearer is never in reach here.

use super::answer::CallError;
use super::link::Place;
use super::{Inner, Link};
use bytes::Bytes;
use doorward_broker::{Access, Caller, DPOP, StepUp, UpstreamHeader, wanted_scopes};
use doorward_domain::Gateway;
use doorward_outbound::{Outbound, OutboundError, OutboundRequest};
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Method, Response, StatusCode};
use hyper::body::Incoming;
use std::sync::Arc;
use std::time::Duration;

/// A caller, a gateway, and the credential of the moment.
pub(super) struct Exchange<'a> {
    pub(super) inner: &'a Inner,
    pub(super) caller: &'a Caller,
    pub(super) gateway: &'a Arc<Gateway>,
    pub(super) header: Option<UpstreamHeader>,
    /// It shows the gateway's client certificate, where it has one.
    outbound: Outbound,
    refusals: u8,
    /// The upstream wanted something of its own in the proof, and got it.
    gave_nonce: bool,
}

impl<'a> Exchange<'a> {
    /// Asks the broker what the upstream gets; nothing is sent when the user must authorize first.
    pub(super) async fn open(
        inner: &'a Inner,
        caller: &'a Caller,
        gateway: &'a Arc<Gateway>,
    ) -> Result<Self, CallError> {
        let access = inner.broker.access(caller, gateway).await?;
        let header = header_of(access, gateway)?;
        let outbound = inner.outbound.showing(inner.broker.client_identity(gateway)?);
        Ok(Self { inner, caller, gateway, header, outbound, refusals: 0, gave_nonce: false })
    }

    /// Sends one message. `limit`: until the headers of the answer are there.
    pub(super) async fn post(
        &mut self,
        to: &Place,
        body: Bytes,
        limit: Duration,
    ) -> Result<Response<Incoming>, CallError> {
        self.send(to, Post(body), limit).await
    }

    /// Opens a stream on which a server speaks by itself.
    pub(super) async fn open_stream(&mut self, at: &Place) -> Result<Response<Incoming>, CallError> {
        self.send(at, Get, RESUMED_WITHIN).await
    }

    async fn send(
        &mut self,
        to: &Place,
        sending: Sending,
        limit: Duration,
    ) -> Result<Response<Incoming>, CallError> {
        loop {
            let request = request_to(to, self.header.as_ref(), sending.clone());
            let answered = self.outbound.stream_within(request, limit).await;
            let response = answered.map_err(|error| unreachable_error(self.gateway, &error))?;
            let status = response.status();
            if self.wants_nonce(&response) {
                continue;
            }
            // Some servers answer 401 where a scope is missing.
            if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
                && let Some(wanted) = wanted_scopes(response.headers())
            {
                return Err(self.step_up(status, &wanted).await?);
            }
            if status != StatusCode::UNAUTHORIZED {
                self.note_use(status);
                return Ok(response);
            }
            self.renew().await?;
        }
    }

    /// Notes what the upstream wants in the next proof; whether this request is to be sent again with it, once
    /// (RFC 9449 §9).
    fn wants_nonce(&mut self, response: &Response<Incoming>) -> bool {
        let Some(proof) = self.header.as_ref().and_then(|header| header.proof.as_ref()) else { return false };
        let is_new = proof.note_nonce(response.headers());
        let again = is_new && response.status() == StatusCode::UNAUTHORIZED && !self.gave_nonce;
        self.gave_nonce |= again;
        again
    }

    fn note_use(&self, status: StatusCode) {
        let used = self.header.as_ref().and_then(|header| header.used.as_ref());
        if let (true, Some(used)) = (status.is_success(), used) {
            self.inner.broker.served(used);
        }
    }

    /// The upstream wants more scopes: the user is asked, or the refusal stands.
    async fn step_up(&self, status: StatusCode, wanted: &[String]) -> Result<CallError, CallError> {
        let Some(used) = self.header.as_ref().and_then(|header| header.used) else {
            return Ok(self.refused(status, "it forbids this gateway's credential what was asked"));
        };
        let problem = match self.inner.broker.step_up(self.caller, self.gateway, &used, wanted).await? {
            StepUp::Ask => {
                return Ok(CallError::MustAuthorize { gateway: Arc::clone(self.gateway), reference: None });
            }
            StepUp::BeyondCeiling => {
                "it wants more scopes than an administrator allows it; they see which on the gateway's page"
            }
            StepUp::Exhausted => {
                "it wants scopes that three consents did not bring; the provider does not give them to this user"
            }
            StepUp::Nothing => "it forbids this user what was asked, although the token has the scopes",
        };
        Ok(self.refused(status, problem))
    }

    fn refused(&self, status: StatusCode, problem: &str) -> CallError {
        CallError::Upstream {
            gateway: self.gateway.slug.to_string(),
            status: status.as_u16(),
            problem: problem.to_owned(),
        }
    }

    /// The upstream refused the credential: one renewal, then the refusal stands.
    async fn renew(&mut self) -> Result<(), CallError> {
        let refused = |problem: &str| self.refused(StatusCode::UNAUTHORIZED, problem);
        let Some(used) = self.header.as_ref().and_then(|header| header.used) else {
            return Err(refused("it asks for an authorization that this gateway's settings do not give"));
        };
        let access = self.inner.broker.access_after_refusal(self.caller, self.gateway, &used).await?;
        let header = header_of(access, self.gateway)?;
        if self.refusals > 0 {
            return Err(refused("it refuses a token that was just renewed"));
        }
        self.refusals += 1;
        self.header = header;
        Ok(())
    }

    /// The means to send what nobody waits for.
    pub(super) fn aside(&self, link: &Link) -> Aside {
        self.aside_to(&link.place)
    }

    /// The same before there is a link.
    pub(super) fn aside_to(&self, place: &Arc<Place>) -> Aside {
        Aside {
            outbound: self.outbound.clone(),
            gateway: Arc::clone(self.gateway),
            to: Arc::clone(place),
            header: self.header.clone(),
        }
    }
}

/// A way to send a message of ours beside a call: answers to a server's requests, cancellations.
#[derive(Clone)]
pub(super) struct Aside {
    outbound: Outbound,
    gateway: Arc<Gateway>,
    to: Arc<Place>,
    header: Option<UpstreamHeader>,
}

/// How long a message beside a call may take.
const ASIDE_WITHIN: Duration = Duration::from_secs(10);

/// How long a server may take to go on with a stream.
const RESUMED_WITHIN: Duration = Duration::from_secs(30);

impl Aside {
    /// Sends in the background. That it does not arrive changes nothing for the call.
    pub(super) fn send(&self, body: String) {
        let request = request_to(&self.to, self.header.as_ref(), Post(body.into()));
        let (outbound, slug) = (self.outbound.clone(), self.gateway.slug.clone());
        tokio::spawn(async move {
            if let Err(error) = outbound.stream_within(request, ASIDE_WITHIN).await {
                tracing::debug!(gateway = %slug, %error, "a message beside a call was not delivered");
            }
        });
    }

    /// Ends the link's session, in the background.
    pub(super) fn end_session(&self) {
        let request = request_to(&self.to, self.header.as_ref(), Delete);
        let outbound = self.outbound.clone();
        tokio::spawn(async move { drop(outbound.stream_within(request, ASIDE_WITHIN).await) });
    }

    /// Asks a legacy server to go on with a stream that it ended (2025-11-25, transports, resumability).
    pub(super) async fn resume(&self, last_event_id: &str) -> Result<Response<Incoming>, CallError> {
        let mut from = Place::clone(&self.to);
        let id = HeaderValue::from_str(last_event_id);
        let id = id.map_err(|_| super::body::broken(&self.gateway, "its event id is no header value"))?;
        from.headers.insert(HeaderName::from_static("last-event-id"), id);
        self.open_stream_at(&from).await
    }

    /// Opens the stream for what belongs to no request (2025-11-25, transports).
    pub(super) async fn open_stream(&self) -> Result<Response<Incoming>, CallError> {
        self.open_stream_at(&self.to).await
    }

    async fn open_stream_at(&self, place: &Place) -> Result<Response<Incoming>, CallError> {
        let request = request_to(place, self.header.as_ref(), Get);
        let answered = self.outbound.stream_within(request, RESUMED_WITHIN).await;
        answered.map_err(|error| unreachable_error(&self.gateway, &error))
    }

    pub(super) fn gateway(&self) -> &Arc<Gateway> {
        &self.gateway
    }
}

/// What is sent to an upstream.
#[derive(Clone)]
enum Sending {
    Post(Bytes),
    Get,
    Delete,
}
use Sending::{Delete, Get, Post};

fn request_to(to: &Place, credential: Option<&UpstreamHeader>, sending: Sending) -> OutboundRequest {
    let (method, body) = match sending {
        Post(body) => (Method::POST, body),
        Get => (Method::GET, Bytes::new()),
        Delete => (Method::DELETE, Bytes::new()),
    };
    let Place { url, mut headers } = to.clone();
    if let Some(credential) = credential {
        headers.insert(credential.name.clone(), credential.value.clone());
        let proof = credential.proof.as_ref().and_then(|proof| proof.header(&method, &url));
        headers.extend(proof.map(|proof| (DPOP, proof)));
    }
    if method != Method::POST {
        headers.remove(CONTENT_TYPE);
        headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
    }
    OutboundRequest { method, url, headers, body }
}

fn header_of(access: Access, gateway: &Arc<Gateway>) -> Result<Option<UpstreamHeader>, CallError> {
    match access {
        Access::Open => Ok(None),
        Access::Header(header) => Ok(Some(header)),
        Access::MustAuthorize { reference } => {
            Err(CallError::MustAuthorize { gateway: Arc::clone(gateway), reference })
        }
        Access::Unavailable { problem, retry_after, reference } => {
            Err(CallError::Unavailable { problem, retry_after, reference })
        }
    }
}

fn unreachable_error(gateway: &Gateway, error: &OutboundError) -> CallError {
    CallError::Unreachable {
        gateway: gateway.slug.to_string(),
        why: error.to_string(),
        may_have_run: error.request_may_have_arrived(),
    }
}
