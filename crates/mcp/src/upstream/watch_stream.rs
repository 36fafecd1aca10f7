//! The stream on which an upstream tells unasked, in its era: `subscriptions/listen` (2026-07-28), whose filter
//! stands for the whole stream, or the GET stream of a session of our own (legacy).

use super::answer::CallError;
use super::body::{self, BodyKind, EventReader};
use super::exchange::{Aside, Exchange};
use super::keeper::Keeper;
use super::link::Place;
use super::notice::{ListKind, Notice};
use super::notice_source::{self, Source, acknowledged};
use super::watch::State;
use super::{Link, wire};
use crate::bridge::upward;
use crate::envelope::{Envelope, json_string, member_at, raw};
use http::StatusCode;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// How long one step may take.
const STEP_WITHIN: Duration = Duration::from_secs(30);

/// For so long an older stream is heard beside the new one.
const LINGER: Duration = Duration::from_millis(100);

/// A changed list is told of at most this often.
const WINDOW: Duration = Duration::from_secs(1);

/// The open stream; or none, where the upstream has nothing to tell.
pub(super) struct Opened {
    link: Arc<Link>,
    source: Source,
    /// The resources that are followed on it.
    uris: BTreeSet<String>,
    refused: BTreeSet<String>,
    /// Ends the legacy session with it.
    _session: Option<OwnSession>,
}

/// A legacy session that nobody shares.
struct OwnSession(Aside);

impl Drop for OwnSession {
    fn drop(&mut self) {
        self.0.end_session();
    }
}

impl Opened {
    pub(super) async fn open(keeper: &mut Keeper) -> Result<Self, CallError> {
        let (caller, gateway) = (keeper.caller.clone(), Arc::clone(&keeper.gateway));
        let inner = Arc::clone(&keeper.inner);
        let mut exchange = Exchange::open(&inner, &caller, &gateway).await?;
        let pooled = inner.link(&mut exchange, &keeper.client).await?;
        let (generation, wanted) = keeper.now_wanted();
        let tells = |of: &str| {
            let declared = pooled.facts.capabilities.as_deref();
            declared.and_then(|all| member_at(all, &["resources", of])).is_some_and(|is| is.get() == "true")
        };
        let lists_change = ListKind::ALL.into_iter().any(|list| {
            let declared = pooled.facts.capabilities.as_deref();
            let found = declared.and_then(|all| member_at(all, &[list.as_str(), "listChanged"]));
            found.is_some_and(|is| is.get() == "true")
        });
        let mut opened = Self {
            link: Arc::clone(&pooled),
            source: Source::Nowhere,
            uris: BTreeSet::new(),
            refused: BTreeSet::new(),
            _session: None,
        };
        // An upstream that has nothing to tell is left alone.
        if !lists_change && !tells("subscribe") {
            opened.refused = wanted;
        } else if pooled.facts.revision.is_modern() {
            opened.listen(&mut exchange, keeper, wanted).await?;
        } else if pooled.line.is_everything() {
            opened.source = Source::Line(pooled.line.general_ear());
            opened.follow(&mut exchange, wanted).await;
        } else {
            let link = inner.initialize(&mut exchange, &keeper.client).await?;
            opened._session = link.has_session.then(|| OwnSession(exchange.aside(&link)));
            let response = exchange.open_stream(&link.place).await?;
            let is_stream = response.status().is_success() && body::body_kind(&response) == BodyKind::Events;
            if is_stream {
                opened.source = Source::Stream(EventReader::new(response.into_body()));
            }
            opened.link = link;
            opened.follow(&mut exchange, wanted).await;
        }
        keeper.is(opened.state(generation));
        Ok(opened)
    }

    fn state(&self, generation: u64) -> State {
        State::Open { generation, uris: self.uris.clone() }
    }

    /// Opens `subscriptions/listen` with everything that is wanted. An older stream goes on until the new one
    /// is acknowledged.
    async fn listen(
        &mut self,
        exchange: &mut Exchange<'_>,
        keeper: &Keeper,
        wanted: BTreeSet<String>,
    ) -> Result<(), CallError> {
        let id = exchange.inner.next_id();
        let uris: Vec<String> = wanted.iter().map(|uri| json_string(uri)).collect();
        let lists = ListKind::ALL.map(|list| format!("\"{}ListChanged\":true", list.as_str())).join(",");
        let uris = if uris.is_empty() {
            String::new()
        } else {
            format!(",\"resourceSubscriptions\":[{}]", uris.join(","))
        };
        let params = raw(format!("{{\"notifications\":{{{lists}{uris}}}}}"));
        let up = upward(&keeper.client, self.link.facts.revision, params.as_deref(), "");
        let body = wire::request(id, "subscriptions/listen", up.params.as_deref());
        let mut place = Place::clone(&self.link.place);
        wire::mirror_routing("subscriptions/listen", None, &mut place.headers);
        let response = exchange.post(&place, body, STEP_WITHIN).await?;
        let status = response.status();
        if status == StatusCode::NOT_FOUND {
            self.refused = wanted;
            return Ok(());
        }
        if !status.is_success() || body::body_kind(&response) != BodyKind::Events {
            return Err(body::broken(exchange.gateway, format!("it does not let us listen (HTTP {status})")));
        }
        let mut reader = EventReader::new(response.into_body());
        let acknowledged = tokio::time::timeout(
            STEP_WITHIN,
            acknowledged(&mut reader, exchange.gateway, "resourceSubscriptions"),
        )
        .await;
        let followed = acknowledged
            .map_err(|_| body::broken(exchange.gateway, "it did not acknowledge that we listen"))??;
        (self.uris, self.refused) = match followed {
            None => (wanted, BTreeSet::new()),
            Some(followed) => wanted.into_iter().partition(|uri| followed.contains(uri)),
        };
        self.source = Source::Stream(reader);
        Ok(())
    }

    /// Subscribes to what is wanted, and unsubscribes from what is wanted no more.
    async fn follow(&mut self, exchange: &mut Exchange<'_>, wanted: BTreeSet<String>) {
        for uri in self.uris.difference(&wanted) {
            let _ = subscription(exchange, &self.link, "resources/unsubscribe", uri).await;
        }
        let mut followed = BTreeSet::new();
        let mut refused = BTreeSet::new();
        for uri in wanted {
            let already = self.uris.contains(&uri);
            match already || subscription(exchange, &self.link, "resources/subscribe", &uri).await {
                true => followed.insert(uri),
                false => refused.insert(uri),
            };
        }
        (self.uris, self.refused) = (followed, refused);
    }

    /// Reads until the stream ends; follows what is wanted meanwhile.
    pub(super) async fn read(&mut self, keeper: &mut Keeper) -> Result<(), CallError> {
        let gateway = Arc::clone(&keeper.gateway);
        let mut changed = BTreeSet::new();
        let mut tell_at = Instant::now();
        loop {
            let wanted = &mut keeper.wanted;
            tokio::select! {
                data = self.source.next(&gateway) => {
                    let Some(data) = data? else { return Ok(()) };
                    match self.notice(&data) {
                        Some(Notice::Changed(list)) => drop(changed.insert(list)),
                        Some(updated) => keeper.tell(updated),
                        None => {}
                    }
                }
                is_more = wanted.changed() => {
                    if is_more.is_err() {
                        return Ok(());
                    }
                    self.want(keeper).await?;
                }
                () = sleep_until(tell_at), if !changed.is_empty() => {
                    keeper.tell_changed(std::mem::take(&mut changed)).await;
                    tell_at = Instant::now() + WINDOW;
                }
            }
        }
    }

    async fn want(&mut self, keeper: &mut Keeper) -> Result<(), CallError> {
        let (generation, wanted) = keeper.now_wanted();
        // Somebody left and somebody came, for the same.
        if wanted == self.uris.union(&self.refused).cloned().collect() {
            keeper.is(self.state(generation));
            return Ok(());
        }
        let (caller, gateway) = (keeper.caller.clone(), Arc::clone(&keeper.gateway));
        let inner = Arc::clone(&keeper.inner);
        if matches!(self.source, Source::Nowhere) {
            self.refused = wanted;
        } else {
            let mut exchange = Exchange::open(&inner, &caller, &gateway).await?;
            if self.link.facts.revision.is_modern() {
                let old = std::mem::replace(&mut self.source, Source::Nowhere);
                self.listen(&mut exchange, keeper, wanted).await?;
                if let Source::Stream(old) = old {
                    self.linger(old, keeper).await;
                }
            } else {
                self.follow(&mut exchange, wanted).await;
            }
        }
        keeper.is(self.state(generation));
        Ok(())
    }

    fn notice(&self, data: &[u8]) -> Option<Notice> {
        notice_source::notice(data, self._session.as_ref().map(|session| &session.0))
    }

    /// What the older stream said until the new one was acknowledged is heard as well.
    async fn linger(&mut self, mut old: EventReader, keeper: &Keeper) {
        let gateway = Arc::clone(&keeper.gateway);
        let mut said = Vec::new();
        let reading = async {
            while let Ok(Some(data)) = old.next(&gateway).await {
                said.push(data);
            }
        };
        let _ = tokio::time::timeout(LINGER, reading).await;
        let mut changed = BTreeSet::new();
        for data in said {
            match self.notice(&data) {
                Some(Notice::Changed(list)) => drop(changed.insert(list)),
                Some(updated) => keeper.tell(updated),
                None => {}
            }
        }
        if !changed.is_empty() {
            keeper.tell_changed(changed).await;
        }
    }
}

/// Whether a legacy upstream took a subscription, or its end.
async fn subscription(exchange: &mut Exchange<'_>, link: &Link, method: &str, uri: &str) -> bool {
    let id = exchange.inner.next_id();
    let body = wire::request(id, method, Some(&format!("{{\"uri\":{}}}", json_string(uri))));
    let whole = exchange.ask((&link.place, &link.line), body, STEP_WITHIN).await;
    let message = whole.ok().and_then(|whole| whole.message);
    message.is_some_and(|message| Envelope::parse(&message).is_ok_and(|message| message.result.is_some()))
}
