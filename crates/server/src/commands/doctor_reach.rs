//! What the doctor sees from outside: whether the public URL leads here, and who writes forwarding headers.

use super::doctor::{Finding, differs};
use crate::api::{CHALLENGE, PROOF, proof_of};
use crate::app::App;
use bytes::Bytes;
use doorward_domain::{Entropy, Timestamp};
use doorward_outbound::{EgressPolicy, Outbound, OutboundRequest, OutboundResponse};
use http::header::DATE;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use std::time::Duration;

/// How long the public URL may take.
const WITHIN: Duration = Duration::from_secs(5);

/// Whether a request to the public URL comes back to this installation: who answers seals what was asked, which only
/// the key ring can.
pub(super) async fn public_url(app: &App) -> Vec<Finding> {
    let url = app.broker().public_url();
    let asked = Entropy.token();
    match ask(app, &asked).await {
        Err(why) if app.is_serving() => {
            vec![Finding::Wrong(format!(
                "{url} (DOORWARD_PUBLIC_URL) does not answer from here, so perhaps not to browsers: {why}"
            ))]
        }
        Err(why) => vec![Finding::Advice(format!(
            "{url} does not answer ({why}), and no server runs beside this command: ask again beside one"
        ))],
        Ok(answer) => {
            let mut findings = judged(app, &asked, &answer);
            findings.extend(clock_in_front(app, &answer));
            findings
        }
    }
}

/// The answer says when it was sent (RFC 9110 §6.6.1). A proxy in front writes that itself, by its own clock.
fn clock_in_front(app: &App, answer: &OutboundResponse) -> Option<Finding> {
    let there = sent_at(&answer.headers)?;
    differs(app.broker().clock().now(), there, "what answers at the public URL")
}

fn sent_at(headers: &HeaderMap) -> Option<Timestamp> {
    Timestamp::from_http_date(headers.get(DATE)?.to_str().ok()?)
}

async fn ask(app: &App, asked: &str) -> Result<OutboundResponse, String> {
    let mut url = app.broker().public_url().clone();
    let host = url.host_str().unwrap_or_default().to_owned();
    url.set_path("health");
    // The operator's own address may be private; nothing is sent there but a question.
    let policy = EgressPolicy::parse("0.0.0.0/0,::/0", &host).map_err(|error| error.to_string())?;
    let outbound = Outbound::through(policy, WITHIN, None, app.extra_roots().clone());
    let outbound = outbound.map_err(|error| error.to_string())?;
    let value = HeaderValue::from_str(asked).map_err(|error| error.to_string())?;
    let headers = HeaderMap::from_iter([(CHALLENGE, value)]);
    let request = OutboundRequest { method: Method::GET, url, headers, body: Bytes::new() };
    outbound.call(request).await.map_err(|error| error.to_string())
}

fn judged(app: &App, asked: &str, answer: &OutboundResponse) -> Vec<Finding> {
    let url = app.broker().public_url();
    let proof = answer.headers.get(PROOF).and_then(|value| value.to_str().ok());
    let version = proof.and_then(|proof| proof_of(app.broker(), asked, proof));
    match version {
        Some(version) if version == env!("CARGO_PKG_VERSION") => {
            vec![Finding::Good(format!("{url} leads to this installation"))]
        }
        Some(version) => vec![
            Finding::Good(format!("{url} leads to this installation")),
            Finding::Advice(format!(
                "the server there is doorward {version}, this command is {}: use one version",
                env!("CARGO_PKG_VERSION")
            )),
        ],
        None if proof.is_some() => vec![Finding::Wrong(format!(
            "another Doorward answers at {url}, whose key ring is not this one: mend DOORWARD_PUBLIC_URL, or what is in \
             front of it"
        ))],
        None if answer.status == StatusCode::OK => vec![Finding::Wrong(format!(
            "what answers at {url} is no Doorward of this version, or a proxy in front of it drops the header {CHALLENGE}"
        ))],
        None => vec![Finding::Wrong(format!(
            "{url} answers {}: it does not lead to this installation",
            answer.status.as_u16()
        ))],
    }
}

/// Forwarding headers from whom nobody trusts, and a proxy that must be there and that nobody trusts.
pub(super) fn forwarding(app: &App) -> Vec<Finding> {
    let facts = app.facts();
    let mut findings = Vec::new();
    if let Some((peer, count)) = facts.forwarded.seen() {
        findings.push(Finding::Advice(format!(
            "{count} requests came with forwarding headers from {peer}, whose word does not count: if it is your proxy, add \
             it to DOORWARD_TRUSTED_PROXIES, or everybody seems to come from there; if not, somebody tries to deceive you \
             in vain"
        )));
    }
    let behind_tls_elsewhere = facts.public_url.scheme() == "https" && !app.has_tls();
    if behind_tls_elsewhere && facts.trusted_proxies.is_empty() {
        findings.push(Finding::Advice(
            "the public URL is https and Doorward has no TLS of its own, so a proxy is in front: name it in \
             DOORWARD_TRUSTED_PROXIES, or throttling and the audit trail see its address alone"
                .to_owned(),
        ));
    }
    if findings.is_empty() {
        findings.push(Finding::Good(
            "forwarding headers come from trusted proxies alone, or not at all".to_owned(),
        ));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_says_what_the_clock_in_front_takes_for_the_time() {
        let dated = |date| HeaderMap::from_iter([(DATE, HeaderValue::from_static(date))]);
        let read = sent_at(&dated("Fri, 27 Nov 2026 00:10:00 GMT")).map(|at| at.to_string());
        assert_eq!(read.as_deref(), Some("2026-11-27T00:10:00Z"));
        assert_eq!(sent_at(&dated("soon")), None);
        assert_eq!(sent_at(&HeaderMap::new()), None);
    }
}
