//! The sender of notices: signed webhooks as Standard Webhooks describes them, through the guarded connector.

use crate::settings::WebhookSetting;
use doorward_broker::{Broker, BrokerError};
use doorward_domain::{AuditEventId, Clock, Notice, Timestamp, UserId};
use doorward_outbound::{Outbound, OutboundRequest};
use doorward_vault::WebhookSecret;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use url::Url;

/// Where notices go. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Webhook {
    outbound: Outbound,
    /// It may hold a secret of the receiver's: it is neither logged nor shown.
    url: Arc<Url>,
    secret: WebhookSecret,
    clock: Clock,
}

/// The body: an allow list.
#[derive(Serialize)]
struct Body<'a> {
    id: AuditEventId,
    #[serde(rename = "type")]
    kind: &'a str,
    at: Timestamp,
    seq: i64,
    actor: &'a str,
    subject: Option<&'a str>,
    gateway: Option<&'a str>,
    user_id: Option<UserId>,
    detail: &'a BTreeMap<String, String>,
}

impl Webhook {
    /// Checks the settings; a sentence that names the wrong one.
    pub(crate) fn new(setting: &WebhookSetting, outbound: Outbound, clock: Clock) -> Result<Self, String> {
        let secret = WebhookSecret::parse(&setting.secret)
            .map_err(|error| format!("DOORWARD_WEBHOOK_SECRET: {error}"))?;
        outbound.check_url(&setting.url).map_err(|refusal| format!("DOORWARD_WEBHOOK_URL: {refusal}"))?;
        Ok(Self { outbound, url: Arc::new(setting.url.clone()), secret, clock })
    }

    /// Tells the notices that are due; their number.
    pub(crate) async fn tell(&self, broker: &Broker) -> Result<u64, BrokerError> {
        broker.deliver_notices(|notice| self.send(notice)).await
    }

    /// Sends one notice; it has arrived when the receiver answers 2xx. Redirects are not followed.
    async fn send(&self, notice: Notice) -> Result<(), String> {
        let body = body(&notice);
        let headers = self.headers(&notice.id.to_string(), &body)?;
        let url = Url::clone(&self.url);
        let request = OutboundRequest { method: Method::POST, url, headers, body: body.into() };
        let answer = self.outbound.call(request).await.map_err(|error| error.to_string())?;
        if answer.status.is_success() { Ok(()) } else { Err(format!("it was answered {}", answer.status)) }
    }

    fn headers(&self, id: &str, body: &str) -> Result<HeaderMap, String> {
        let seconds = self.clock.now().millis().div_euclid(1_000);
        let value = |text: String| HeaderValue::try_from(text).map_err(|error| error.to_string());
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert("webhook-id", value(id.to_owned())?);
        headers.insert("webhook-timestamp", value(seconds.to_string())?);
        headers.insert("webhook-signature", value(self.secret.sign(id, seconds, body))?);
        Ok(headers)
    }
}

fn body(notice: &Notice) -> String {
    let body = Body {
        id: notice.id,
        kind: &notice.kind,
        at: notice.at,
        seq: notice.seq,
        actor: notice.actor,
        subject: notice.subject.as_deref(),
        gateway: notice.gateway.as_deref(),
        user_id: notice.user_id,
        detail: &notice.detail,
    };
    serde_json::to_string(&body).expect("text, numbers and maps of text have a JSON form")
}
