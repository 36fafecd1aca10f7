//! Trace context (W3C Trace Context, W3C Baggage) on its way to an upstream, with a span of ours between the
//! client's and the upstream's. A client gives it in headers, or in `_meta` under the same names (2026-07-28);
//! of two the one in `_meta` counts, because it belongs to this message alone. Whoever gives none gets none:
//! Doorward begins no traces, since it keeps no spans but for a line in its log.

use crate::envelope::{edit, json_string, member, text_member};
use doorward_domain::Entropy;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::value::RawValue;
use std::borrow::Cow;

const PARENT: &str = "traceparent";
const STATE: &str = "tracestate";
const BAGGAGE: &str = "baggage";

/// Longer baggage or state is dropped, and the trace goes on without it (W3C Baggage §3.3.2 names 8192 bytes).
const LONGEST: usize = 8_192;

/// The context that an upstream gets.
pub(super) struct Trace {
    traceparent: Option<String>,
    tracestate: Option<String>,
    baggage: Option<String>,
}

impl Trace {
    /// The client's context of one request, under a span of ours.
    pub(super) fn under(headers: &HeaderMap, params: Option<&RawValue>, method: &str) -> Self {
        let meta = params.and_then(|params| member(params, "_meta"));
        let said = |name| meta.and_then(|meta| text_member(meta, name)).map(Cow::into_owned);
        let (parent, source_is_meta) = match said(PARENT) {
            Some(parent) => (Some(parent), true),
            None => (header(headers, PARENT), false),
        };
        let beside = |name| if source_is_meta { said(name) } else { header(headers, name) };
        let parent = parent.as_deref().and_then(Parent::parse);
        // Baggage may come without a trace (W3C Baggage §2); a state without its parent means nothing.
        let baggage = said(BAGGAGE).or_else(|| header(headers, BAGGAGE)).filter(|text| fits(text));
        let Some(parent) = parent else {
            return Self { traceparent: None, tracestate: None, baggage };
        };
        let span: String = Entropy.bytes::<8>().iter().map(|byte| format!("{byte:02x}")).collect();
        tracing::debug!(trace = parent.trace, parent = parent.span, span, method, "a request goes on");
        Self {
            traceparent: Some(format!("00-{}-{span}-{}", parent.trace, parent.flags)),
            tracestate: beside(STATE).filter(|text| fits(text)),
            baggage,
        }
    }

    fn parts(&self) -> [(&'static str, Option<&str>); 3] {
        [
            (PARENT, self.traceparent.as_deref()),
            (STATE, self.tracestate.as_deref()),
            (BAGGAGE, self.baggage.as_deref()),
        ]
    }

    /// Into the headers of a request.
    pub(super) fn put_headers(&self, headers: &mut HeaderMap) {
        for (name, value) in self.parts() {
            if let Some(value) = value.and_then(|text| HeaderValue::from_str(text).ok()) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
    }

    /// Into the `_meta` of a request: where the keys are reserved for it, and else where the client has them.
    /// What is no valid context goes on to nobody.
    pub(super) fn put_params<'a>(
        &self,
        params: Option<Cow<'a, str>>,
        upstream_is_modern: bool,
    ) -> Option<Cow<'a, str>> {
        let text = params.as_deref().unwrap_or("{}");
        // Most requests have no context, and need not be read for one. A name may be written with escapes.
        let mentioned = |name| text.contains(name) || text.contains('\\');
        if self.parts().iter().all(|(name, value)| value.is_none() && !mentioned(*name)) {
            return params;
        }
        let Ok(raw) = serde_json::from_str::<&RawValue>(text) else { return params };
        let meta = member(raw, "_meta");
        let had = |name: &str| meta.is_some_and(|meta| member(meta, name).is_some());
        let wanted = self.parts().map(|(name, value)| {
            let value = value.filter(|_| upstream_is_modern || had(name)).map(json_string);
            (name, value)
        });
        let edits: Vec<(&str, Option<&str>)> = wanted
            .iter()
            .filter(|(name, value)| value.is_some() || had(name))
            .map(|(name, value)| (*name, value.as_deref()))
            .collect();
        if edits.is_empty() {
            return params;
        }
        let meta = edit(meta.map_or("{}", RawValue::get), &edits);
        let edited = meta.and_then(|meta| edit(text, &[("_meta", Some(&meta))]));
        edited.map(Cow::Owned).or(params)
    }
}

/// Several lines of one header are one list (RFC 9110 §5.3).
fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    let lines: Option<Vec<&str>> = headers.get_all(name).iter().map(|value| value.to_str().ok()).collect();
    lines.filter(|lines| !lines.is_empty()).map(|lines| lines.join(","))
}

fn fits(text: &str) -> bool {
    (1..=LONGEST).contains(&text.len()) && HeaderValue::from_str(text).is_ok()
}

/// A `traceparent` (W3C Trace Context §3.2.2).
struct Parent<'a> {
    trace: &'a str,
    span: &'a str,
    flags: &'a str,
}

impl<'a> Parent<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.trim().split('-');
        let (version, trace) = (parts.next()?, parts.next()?);
        let (span, flags) = (parts.next()?, parts.next()?);
        let is_hex = |text: &str, length| {
            text.len() == length && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        };
        let is_set = |text: &str| text.bytes().any(|byte| byte != b'0');
        let whole = is_hex(version, 2) && is_hex(trace, 32) && is_hex(span, 16) && is_hex(flags, 2);
        // A later version may have more parts; ours has none.
        let known = version != "ff" && (version != "00" || parts.next().is_none());
        (whole && known && is_set(trace) && is_set(span)).then_some(Self { trace, span, flags })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envelope::raw;

    const GIVEN: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    /// What is sent, as headers and as params.
    fn sent(headers: &HeaderMap, params: &str, modern: bool) -> (HeaderMap, String) {
        let given = raw(params.to_owned()).unwrap();
        let trace = Trace::under(headers, Some(&given), "tools/call");
        let mut out = HeaderMap::new();
        trace.put_headers(&mut out);
        let params = trace.put_params(Some(Cow::Borrowed(params)), modern);
        (out, params.unwrap().into_owned())
    }

    fn is_under_a_span_of_ours(sent: &str, given: &str) {
        let (sent, given): (Vec<_>, Vec<_>) = (sent.split('-').collect(), given.split('-').collect());
        assert_eq!((sent[0], sent[1], sent[3]), ("00", given[1], given[3]));
        assert_ne!(sent[2], given[2]);
        assert!(Parent::parse(&sent.join("-")).is_some());
    }

    #[test]
    fn c8_the_clients_trace_goes_on_under_a_span_of_ours_in_headers_and_meta() {
        let came = headers(&[
            ("traceparent", GIVEN),
            ("tracestate", "a=1"),
            ("tracestate", "b=2"),
            ("baggage", "k=v"),
        ]);
        let (out, params) = sent(&came, r#"{"name":"x","n":1.10}"#, true);
        is_under_a_span_of_ours(out["traceparent"].to_str().unwrap(), GIVEN);
        assert_eq!(out["tracestate"], "a=1,b=2");
        assert_eq!(out["baggage"], "k=v");
        let meta: serde_json::Value = serde_json::from_str(&params).unwrap();
        assert_eq!(meta["_meta"]["traceparent"], out["traceparent"].to_str().unwrap());
        assert_eq!(meta["_meta"]["baggage"], "k=v");
        assert!(params.contains("\"n\":1.10"));
        // An older server gets it in headers; its `_meta` stays as the client made it.
        assert_eq!(sent(&came, r#"{"name":"x"}"#, false).1, r#"{"name":"x"}"#);
    }

    #[test]
    fn what_meta_says_counts_before_the_headers() {
        let other = GIVEN.replace("0af7", "1111");
        let came = headers(&[("traceparent", &other), ("tracestate", "of=header")]);
        let params = format!(r#"{{"_meta":{{"v":1.0,"traceparent":"{GIVEN}","tracestate":"of=meta"}}}}"#);
        for modern in [true, false] {
            let (out, params) = sent(&came, &params, modern);
            is_under_a_span_of_ours(out["traceparent"].to_str().unwrap(), GIVEN);
            assert_eq!(out["tracestate"], "of=meta");
            assert!(params.contains("\"v\":1.0") && params.contains("of=meta") && !params.contains(GIVEN));
        }
    }

    #[test]
    fn what_is_no_trace_goes_nowhere() {
        for bad in [
            "00-trace",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
        ] {
            let (out, _) = sent(&headers(&[("traceparent", bad), ("tracestate", "a=1")]), "{}", true);
            assert!(out.is_empty(), "{bad}");
            let params = format!(r#"{{"_meta":{{"traceparent":"{bad}","x":1}}}}"#);
            assert_eq!(sent(&HeaderMap::new(), &params, true).1, r#"{"_meta":{"x":1}}"#, "{bad}");
        }
        let later = "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more";
        assert!(Parent::parse(later).is_some());
        let (out, params) = sent(&HeaderMap::new(), r#"{"a":1}"#, true);
        assert!(out.is_empty() && params == r#"{"a":1}"#, "who gives none gets none");
        let split = r#"{"_meta":{"baggage":"a=1\r\nhost: b"}}"#;
        assert!(sent(&HeaderMap::new(), split, true).0.is_empty());
    }
}
