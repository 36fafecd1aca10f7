//! Where notices come from, and what the messages there tell.

use super::answer::CallError;
use super::body::{self, EventReader};
use super::exchange::Aside;
use super::line::Ear;
use super::notice::{ListKind, Notice};
use super::wire;
use crate::envelope::{Envelope, MessageKind, member, text_member};
use doorward_domain::Gateway;
use serde_json::value::RawValue;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// A stream on which nothing at all comes for so long is opened anew.
pub(super) const SILENCE: Duration = Duration::from_secs(30 * 60);

/// Where notices come from.
pub(super) enum Source {
    Nowhere,
    Stream(EventReader),
    /// The one stream that everything comes on (2024-11-05).
    Line(Ear),
}

impl Source {
    /// The next event; never one where there is no stream.
    pub(super) async fn next(&mut self, gateway: &Gateway) -> Result<Option<bytes::Bytes>, CallError> {
        match self {
            Self::Stream(reader) => reader.next_within(gateway, SILENCE).await,
            Self::Line(ear) => Ok(ear.next().await),
            Self::Nowhere => std::future::pending().await,
        }
    }
}

/// Waits for the acknowledgement, which comes first (2026-07-28, subscriptions). Gives what is
/// `followed`, the name of a list in the filter, where the upstream says.
pub(super) async fn acknowledged(
    reader: &mut EventReader,
    gateway: &Gateway,
    followed: &str,
) -> Result<Option<BTreeSet<String>>, CallError> {
    let ended = || body::broken(gateway, "it ended the stream before it acknowledged that we listen");
    loop {
        let data = reader.next(gateway).await?.ok_or_else(ended)?;
        let Ok(message) = Envelope::parse(&data) else { continue };
        match message.kind() {
            MessageKind::Notification
                if message.method == Some("notifications/subscriptions/acknowledged") =>
            {
                let filter = message.params.and_then(|params| member(params, "notifications"));
                let uris = filter.and_then(|filter| member(filter, followed));
                return Ok(uris.and_then(|uris: &RawValue| serde_json::from_str(uris.get()).ok()));
            }
            MessageKind::Response => return Err(ended()),
            MessageKind::Notification | MessageKind::Request => {}
        }
    }
}

/// What a message of a stream tells. `session`: of whom a question there is refused.
pub(super) fn notice(data: &[u8], session: Option<&Aside>) -> Option<Notice> {
    let message = Envelope::parse(data).ok()?;
    if message.kind() == MessageKind::Request {
        // Nobody's call is behind it, so nobody can be asked (2025-11-25: a server asks during a call).
        if let (Some(session), Some(id), Some(method)) = (session, message.id, message.method) {
            session.send(wire::refusal(id, method));
        }
        return None;
    }
    let method = message.method?.strip_prefix("notifications/")?;
    if method == "resources/updated" {
        let params = message.params?;
        let uri = text_member(params, "uri")?.into_owned();
        return Some(Notice::Updated { uri, params: Arc::from(params.to_owned()) });
    }
    let list = method.strip_suffix("/list_changed")?;
    ListKind::ALL.into_iter().find(|kind| kind.as_str() == list).map(Notice::Changed)
}
