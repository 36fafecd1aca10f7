//! The one place that decides how a client is told that its user has to authorize a gateway first. Never
//! a 401: that would restart the client's login to Doorward. The sentences are ours and name only the
//! gateway; the link is ours too, and opening it consumes nothing.

mod input;
mod push;
mod rounds;

use crate::connections_tool::told;
use crate::envelope::json_string;
use crate::errors::ProtocolError;
use crate::front::{ClientRequest, Front, Method, Needed, Reply, object};
use crate::live_session::{Question, api_token_of};
use crate::revision::Revision;
use crate::upstream::in_brackets;
use doorward_domain::{ApiTokenId, ConnectRequestId, Gateway, TokenHash};
use std::sync::Arc;
use std::time::Duration;
use url::Url;

pub(crate) use input::{Resumed, carried, resume, with_our_state};
pub(crate) use rounds::rounds;

/// `_meta` of a tool's result: what has to be authorized, and where.
const META_REQUIRED: &str = "doorward/authorization_required";

/// Whoever declines within this time has not shown the question to anybody.
const TOO_QUICK: Duration = Duration::from_secs(1);

/// Clients remembered to be asked in words.
const MAX_RELUCTANT: u64 = 10_000;

/// For so long at most.
const RELUCTANT_FOR: Duration = Duration::from_secs(24 * 3_600);

/// A question to the user: one gateway, one link.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) id: ConnectRequestId,
    pub(crate) url: Url,
    /// Leads to what the grant's time line says of it, if there is something.
    reference: Option<String>,
    /// The user is connected, and the call needs more scopes than they gave.
    more_scopes: bool,
    expires_at: doorward_domain::Timestamp,
    minutes: u64,
}

impl Ask {
    /// The user's pending link for a gateway, or a new one.
    pub(crate) async fn new(
        front: &Front,
        request: &ClientRequest,
        gateway: &Arc<Gateway>,
    ) -> Result<Self, ProtocolError> {
        let link = front.broker.connect_link(&request.caller, gateway, &request.facts.name).await?;
        let left = front.clock.now().until(link.expires_at);
        Ok(Self {
            gateway: Arc::clone(gateway),
            id: link.id,
            url: link.url,
            reference: None,
            more_scopes: link.more_scopes,
            expires_at: link.expires_at,
            minutes: left.as_secs().div_ceil(60).max(1),
        })
    }

    /// The same, with what leads to the reason.
    fn referring_to(self, reference: Option<String>) -> Self {
        Self { reference, ..self }
    }

    /// What a model is told, for its user.
    pub(crate) fn sentence(&self) -> String {
        let minutes =
            if self.minutes == 1 { "1 minute".to_owned() } else { format!("{} minutes", self.minutes) };
        let what = if self.more_scopes { "needs more rights than it was given" } else { "is not connected" };
        format!(
            "{} {what}. Ask the user to open {} in a browser (they sign in to Doorward; the link is \
             good for {minutes}), then try again.{}",
            self.gateway.name,
            self.url,
            in_brackets(self.reference.as_deref())
        )
    }

    /// What a client shows its user beside the link.
    pub(crate) fn invitation(&self) -> String {
        if self.more_scopes {
            return format!("{} needs more rights to go on.", self.gateway.name);
        }
        format!("Connect {} to Doorward to go on.", self.gateway.name)
    }

    /// The same for machines.
    pub(crate) fn facts(&self) -> String {
        let mut facts = vec![
            ("authorization_url", json_string(self.url.as_str())),
            ("gateway", json_string(self.gateway.slug.as_str())),
            ("expires_at", json_string(&self.expires_at.to_string())),
        ];
        facts.extend(self.reference.as_deref().map(|reference| ("reference", json_string(reference))));
        object(&facts)
    }

    /// What leads to the reason, for machines.
    pub(crate) fn reference(&self) -> Option<&str> {
        self.reference.as_deref()
    }

    /// An elicitation in URL mode (2025-11-25). The link's id is the elicitation's: one link, one question.
    pub(crate) fn elicitation(&self) -> String {
        object(&[
            ("mode", "\"url\"".to_owned()),
            ("elicitationId", json_string(&self.id.to_string())),
            ("url", json_string(self.url.as_str())),
            ("message", json_string(&self.invitation())),
        ])
    }
}

/// How the client is told.
enum Way {
    /// 2025-11-25: `elicitation/create` on the open stream, then the answer on the same stream.
    Push(Question),
    /// 2025-11-25: the error -32042.
    UrlError,
    /// 2026-07-28: an `input_required` result.
    InputRequired,
    /// Everyone else: words.
    Sentence,
}

fn way(front: &Front, request: &ClientRequest, method: Method) -> Way {
    if !request.shows_urls() || !method.takes_input() || front.reluctant.contains(request) {
        return Way::Sentence;
    }
    match (request.facts.revision, &request.session) {
        (Revision::V2026_07_28, _) => Way::InputRequired,
        (Revision::V2025_11_25, Some(session)) if request.accept_sse => {
            session.question().map_or(Way::UrlError, Way::Push)
        }
        (Revision::V2025_11_25, _) => Way::UrlError,
        (Revision::V2025_06_18 | Revision::V2025_03_26, _) => Way::Sentence,
    }
}

/// Tells the client that its user has to authorize a gateway.
pub(crate) async fn ask(
    front: &Arc<Front>,
    request: &Arc<ClientRequest>,
    method: Method,
    needed: Needed,
) -> Result<Reply, ProtocolError> {
    let ask = Ask::new(front, request, &needed.gateway).await?.referring_to(needed.reference);
    let (label, reply) = match way(front, request, method) {
        Way::Push(question) => {
            let messages = push::push(Arc::clone(front), Arc::clone(request), method, question, ask);
            ("push", Ok(Reply::Stream(messages)))
        }
        Way::UrlError => ("url_error", Err(open_url(request, ask))),
        Way::InputRequired => ("input_required", Ok(input::required(front, request, method, &ask))),
        Way::Sentence => ("sentence", in_words(request, method, ask, !needed.link_wanted)),
    };
    metrics::counter!("doorward_mcp_asks_total", "way" => label).increment(1);
    reply
}

/// The request as it may go on after a wait, in which the API token may have ended, the user may have
/// been disabled and the gateway may have been edited or closed.
async fn after_wait(
    front: &Front,
    request: &Arc<ClientRequest>,
) -> Result<Arc<ClientRequest>, ProtocolError> {
    if !front.broker.still_may(&request.caller).await? {
        return Err(ProtocolError::Unauthorized { presented: true });
    }
    Ok(Arc::new(request.at(front.endpoint_now(&request.caller, &request.endpoint).await?)))
}

/// The error that carries the link; the client hears on its own stream when the user is back.
fn open_url(request: &ClientRequest, ask: Ask) -> ProtocolError {
    if let Some(session) = &request.session {
        session.announce(ask.id);
    }
    ProtocolError::OpenUrl(Box::new(ask))
}

fn in_words(
    request: &ClientRequest,
    method: Method,
    ask: Ask,
    is_error: bool,
) -> Result<Reply, ProtocolError> {
    if method != Method::CallTool {
        return Err(ProtocolError::MustAuthorize(Box::new(ask)));
    }
    Ok(told(request, &ask.sentence(), is_error).meta(META_REQUIRED, ask.facts()).reply())
}

/// What became of a question without a grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refusal {
    /// The user said no: no link.
    Declined,
    /// The user put it off: it may come up again.
    Cancelled,
}

impl Refusal {
    fn of(action: &str) -> Option<Self> {
        match action {
            "decline" => Some(Self::Declined),
            "cancel" => Some(Self::Cancelled),
            _ => None,
        }
    }

    fn answer(
        self,
        request: &ClientRequest,
        method: Method,
        gateway: &Gateway,
    ) -> Result<Reply, ProtocolError> {
        let name = &gateway.name;
        let sentence = match self {
            Self::Declined => format!("The user declined to connect {name}, so this cannot be done."),
            Self::Cancelled => {
                format!(
                    "The user did not connect {name} now, so this was not done. It may be tried again later."
                )
            }
        };
        match method {
            Method::CallTool => Ok(told(request, &sentence, true).reply()),
            _ => Err(ProtocolError::Declined(sentence)),
        }
    }
}

/// Clients that declare URL elicitation but dismiss it unseen: from then on they are told in words.
#[derive(Debug)]
pub(crate) struct Reluctant(moka::sync::Cache<ReluctantClient, ()>);

/// A session, or where there is none a token and the client's name.
type ReluctantClient = (Option<ApiTokenId>, Option<TokenHash>, String);

impl Default for Reluctant {
    fn default() -> Self {
        let clients = moka::sync::Cache::builder().max_capacity(MAX_RELUCTANT).time_to_live(RELUCTANT_FOR);
        Self(clients.build())
    }
}

impl Reluctant {
    fn contains(&self, request: &ClientRequest) -> bool {
        self.0.contains_key(&reluctant_client(request))
    }

    fn remember(&self, request: &ClientRequest) {
        self.0.insert(reluctant_client(request), ());
    }
}

fn reluctant_client(request: &ClientRequest) -> ReluctantClient {
    let session = request.session.as_ref().map(|session| session.hash);
    (api_token_of(&request.caller), session, request.facts.name.clone())
}
