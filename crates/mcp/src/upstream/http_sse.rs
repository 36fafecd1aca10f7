//! HTTP with SSE, the transport of 2024-11-05, which is deprecated and still met: a GET opens an event stream whose first
//! event names the URL for messages, and every answer comes on that stream. A user's clients of one kind share one.

use super::answer::{CallError, ClientFacts};
use super::body::{self, BodyKind, EventReader, Whole, broken};
use super::exchange::Exchange;
use super::handshake::{agreed, initialize_params};
use super::line::{Asks, Line};
use super::link::{Link, Place, STEP_WITHIN};
use super::{Inner, wire};
use crate::envelope::Envelope;
use bytes::Bytes;
use doorward_domain::Gateway;
use std::sync::{Arc, Mutex};
use tokio::time::timeout;
use url::Url;

impl Inner {
    /// Opens the stream and agrees on a revision; none where there is no such stream.
    pub(super) async fn open_http_sse(
        &self,
        exchange: &mut Exchange<'_>,
        client: &ClientFacts,
    ) -> Result<Option<Arc<Link>>, CallError> {
        let gateway = Arc::clone(exchange.gateway);
        let response = exchange.open_stream(&Place::of(&gateway, wire::base_headers())).await?;
        if !response.status().is_success() || body::body_kind(&response) != BodyKind::Events {
            return Ok(None);
        }
        let mut reader = EventReader::new(response.into_body());
        let named = timeout(STEP_WITHIN, reader.endpoint(&gateway)).await;
        let Some(named) = named.map_err(|_| body::silent(&gateway))?? else { return Ok(None) };
        let url = endpoint(&gateway, &named)?;
        let place = Arc::new(Place { url, headers: wire::base_headers() });
        let run = self.runs.begin(exchange.caller.user.id, gateway.id);
        let line = Line::everything(reader, exchange.aside_to(&place), run);
        let body = wire::request(self.next_id(), "initialize", Some(&initialize_params(client)));
        let answered = exchange.ask((&place, &line), body, STEP_WITHIN).await?;
        let facts = Arc::new(agreed(&gateway, answered.status, answered.message.as_ref())?.0);
        let initialized = Bytes::from_static(wire::INITIALIZED);
        exchange.post(&place, initialized, STEP_WITHIN).await?;
        // What the URL names is a session: when it is gone, so is the stream.
        Ok(Some(Arc::new(Link { facts, place, line, has_session: true, log_level: Mutex::default() })))
    }
}

impl Exchange<'_> {
    /// A request of our own and its answer, wherever that comes.
    pub(super) async fn ask(
        &mut self,
        (place, line): (&Place, &Line),
        request: Bytes,
        within: std::time::Duration,
    ) -> Result<Whole, CallError> {
        let gateway = Arc::clone(self.gateway);
        let id = Envelope::parse(&request).ok().and_then(|request| request.id?.get().parse().ok());
        let id = id.expect("a request of ours has an id of ours");
        let mut ear = line.is_everything().then(|| line.ear(id, Asks::Nobody));
        let response = self.post(place, request, within).await?;
        let status = response.status();
        let Some(ear) = ear.as_mut().filter(|_| status.is_success()) else {
            return body::read_whole(&gateway, response, id, within).await;
        };
        let answer = async {
            while let Some(message) = ear.next().await {
                if Envelope::parse(&message).is_ok_and(|message| body::is_answer_to(&message, id)) {
                    return Ok(message);
                }
            }
            Err(body::broken_off(&gateway))
        };
        let message = timeout(within, answer).await.map_err(|_| body::silent(&gateway))??;
        Ok(Whole { status, message: Some(message) })
    }
}

/// Where messages go. It gets the user's token, so it is of the gateway's own origin (2024-11-05, transports).
fn endpoint(gateway: &Gateway, named: &[u8]) -> Result<Url, CallError> {
    let named = std::str::from_utf8(named).ok().and_then(|named| gateway.url.join(named.trim()).ok());
    let url = named.ok_or_else(|| broken(gateway, "its event `endpoint` names no URL"))?;
    let is_plain = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    if url.origin() != gateway.url.origin() || !is_plain {
        return Err(broken(gateway, "its event `endpoint` names a URL of another origin than the gateway's"));
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::tests::gateway_at;

    #[test]
    fn messages_go_to_the_gateways_own_origin_alone() {
        let gateway = gateway_at("https://mcp.example.com/v1/sse");
        let of = |named: &str| endpoint(&gateway, named.as_bytes()).map(String::from).ok();
        assert_eq!(of("/messages?id=1").as_deref(), Some("https://mcp.example.com/messages?id=1"));
        assert_eq!(of("messages").as_deref(), Some("https://mcp.example.com/v1/messages"));
        assert_eq!(of("https://mcp.example.com:443/m").as_deref(), Some("https://mcp.example.com/m"));
        for foreign in [
            "https://evil.example.com/m",
            "//evil.example.com/m",
            "http://mcp.example.com/m",
            "https://mcp.example.com:8443/m",
            "https://user:pass@mcp.example.com/m",
            "javascript:alert(1)",
            "https://",
        ] {
            assert_eq!(of(foreign), None, "{foreign}");
        }
    }
}
