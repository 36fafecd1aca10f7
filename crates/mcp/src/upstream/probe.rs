//! Finding out which era an upstream speaks (2026-07-28, backward compatibility): a modern request
//! first. Only an answer that a legacy server cannot give counts as modern: a 200 alone does not.

use super::answer::{CallError, ClientFacts};
use super::body::{Whole, broken, read_whole};
use super::exchange::Exchange;
use super::handshake::server_facts;
use super::link::{Era, Place, ServerFacts};
use super::{Inner, wire};
use crate::bridge::{error_code, upward};
use crate::envelope::{Envelope, member, member_at};
use crate::revision::{Revision, code};
use doorward_domain::Gateway;
use http::StatusCode;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::time::Duration;

const PROBE_WITHIN: Duration = Duration::from_secs(30);

/// Asks an upstream with `server/discover`. A guess of legacy still has to prove itself by `initialize`.
pub(super) async fn era(
    inner: &Inner,
    exchange: &mut Exchange<'_>,
    client: &ClientFacts,
) -> Result<Era, CallError> {
    let id = inner.next_id();
    let params = upward(client, Revision::LATEST, None, "").params;
    let body = wire::request(id, "server/discover", params.as_deref());
    let mut headers = wire::headers_of(wire::version_header(Revision::LATEST));
    wire::mirror_routing("server/discover", None, &mut headers);
    let place = Place::of(exchange.gateway, headers);
    let response = exchange.post(&place, body, PROBE_WITHIN).await?;
    let whole = read_whole(exchange.gateway, response, id, PROBE_WITHIN).await?;
    judge(exchange.gateway, &whole)
}

fn judge(gateway: &Gateway, whole: &Whole) -> Result<Era, CallError> {
    let answer = whole.message.as_ref().and_then(|bytes| Envelope::parse(bytes).ok());
    let (result, error) = answer.map_or((None, None), |answer| (answer.result, answer.error));
    if let (true, Some(result)) = (whole.status.is_success(), result) {
        let Some(versions) = member(result, "supportedVersions").and_then(list) else {
            return Ok(Era::Legacy);
        };
        return era_of(gateway, &versions, || server_facts(Revision::LATEST, result));
    }
    let code = error.and_then(error_code).filter(|_| whole.status == StatusCode::BAD_REQUEST);
    match code {
        Some(code::UNSUPPORTED_VERSION) => {
            let versions = error.and_then(|error| member_at(error, &["data", "supported"])).and_then(list);
            era_of(gateway, &versions.unwrap_or_default(), silent_facts)
        }
        Some(code::HEADER_MISMATCH | code::MISSING_CLIENT_CAPABILITY | code::INVALID_PARAMS) => {
            Ok(Era::Modern(silent_facts()))
        }
        _ => Ok(Era::Legacy),
    }
}

/// A modern upstream that has said nothing about itself.
fn silent_facts() -> ServerFacts {
    ServerFacts { revision: Revision::LATEST, capabilities: None, instructions: None }
}

fn list(versions: &RawValue) -> Option<Vec<Cow<'_, str>>> {
    serde_json::from_str(versions.get()).ok()
}

fn era_of(
    gateway: &Gateway,
    versions: &[Cow<'_, str>],
    facts: impl FnOnce() -> ServerFacts,
) -> Result<Era, CallError> {
    let known = |modern| versions.iter().filter_map(|v| Revision::parse(v)).any(|r| r.is_modern() == modern);
    if known(true) {
        Ok(Era::Modern(facts()))
    } else if known(false) {
        Ok(Era::Legacy)
    } else {
        Err(broken(gateway, "it speaks no revision of the protocol that is known here"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::tests::gateway_at;

    fn judged(status: u16, message: Option<&str>) -> String {
        let whole = Whole {
            status: StatusCode::from_u16(status).unwrap(),
            message: message.map(|text| text.to_owned().into()),
        };
        match judge(&gateway_at("http://127.0.0.1:1/mcp"), &whole) {
            Ok(Era::Modern(facts)) => format!("modern {}", facts.capabilities.is_some()),
            Ok(Era::Legacy) => "legacy".into(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn only_what_a_legacy_server_cannot_say_is_modern() {
        let result = |body: &str| format!(r#"{{"jsonrpc":"2.0","id":1,"result":{body}}}"#);
        let error = |code: i32, data: &str| {
            format!(r#"{{"jsonrpc":"2.0","id":1,"error":{{"code":{code},"message":"m","data":{data}}}}}"#)
        };
        let discovered = result(r#"{"supportedVersions":["2026-07-28","2025-11-25"],"capabilities":{}}"#);
        assert_eq!(judged(200, Some(&discovered)), "modern true");
        assert_eq!(judged(200, Some(&result("{}"))), "legacy");
        assert_eq!(judged(200, Some(&result(r#"{"supportedVersions":["2025-06-18"]}"#))), "legacy");
        assert!(
            judged(200, Some(&result(r#"{"supportedVersions":["2031-01-01"]}"#))).contains("no revision")
        );
        assert_eq!(judged(202, None), "legacy");
        assert_eq!(judged(404, Some(&error(-32_601, "{}"))), "legacy");
        assert_eq!(judged(400, Some(&error(-32_000, "{}"))), "legacy");
        assert_eq!(judged(400, Some(&error(-32_602, "{}"))), "modern false");
        assert_eq!(judged(200, Some(&error(-32_602, "{}"))), "legacy");
        assert_eq!(judged(400, Some(&error(-32_022, r#"{"supported":["2026-07-28"]}"#))), "modern false");
        assert_eq!(judged(400, Some(&error(-32_022, r#"{"supported":["2025-11-25"]}"#))), "legacy");
        assert!(judged(400, Some(&error(-32_022, "{}"))).contains("no revision"));
    }
}
