//! Asks the provider whose account a token is of. A label for people to tell accounts apart: it proves nothing
//! and opens nothing.

use crate::client::OAuthClient;
use crate::token_response::at;
use bytes::Bytes;
use doorward_domain::{AccessToken, ProviderAccount, Whoami, WhoamiMethod};
use doorward_outbound::OutboundRequest;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use secrecy::ExposeSecret;
use serde_json::{Map, Value};

/// The longest part of an answer that is kept, in characters.
const KEPT_MAX: usize = 200;

impl OAuthClient {
    /// Whose account a token is of; none where the provider does not say so in the expected place.
    pub async fn whoami(&self, call: &Whoami, token: &AccessToken) -> Option<ProviderAccount> {
        let answer = self.outbound.call(request(call, token)?).await;
        let answer = answer.inspect_err(|error| tracing::debug!(%error, "whoami failed")).ok()?;
        tracing::debug!(host = call.url.host_str(), status = answer.status.as_u16(), "whoami answered");
        let Ok(Value::Object(members)) = serde_json::from_slice(&answer.body) else { return None };
        if !answer.status.is_success() {
            return None;
        }
        let subject = kept(&members, &call.subject_path)?;
        let name = call.name_path.as_deref().and_then(|path| kept(&members, path));
        Some(ProviderAccount { subject, name })
    }
}

fn request(call: &Whoami, token: &AccessToken) -> Option<OutboundRequest> {
    let mut headers = HeaderMap::new();
    for (name, value) in &call.headers {
        headers.insert(HeaderName::from_bytes(name.as_bytes()).ok()?, HeaderValue::from_str(value).ok()?);
    }
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    // GitHub refuses who does not name itself.
    headers.insert(header::USER_AGENT, HeaderValue::from_static("doorward"));
    let mut bearer = HeaderValue::from_str(&format!("Bearer {}", token.expose_secret())).ok()?;
    bearer.set_sensitive(true);
    headers.insert(header::AUTHORIZATION, bearer);
    if call.body.is_some() {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    let method = match call.method {
        WhoamiMethod::Get => Method::GET,
        WhoamiMethod::Post => Method::POST,
    };
    let body = Bytes::from(call.body.clone().unwrap_or_default());
    Some(OutboundRequest { method, url: call.url.clone(), headers, body })
}

/// A text or a number at a path, cut, without control characters.
fn kept(members: &Map<String, Value>, path: &str) -> Option<String> {
    let text = match at(members, path)? {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    let text: String = text.chars().filter(|c| !c.is_control()).take(KEPT_MAX).collect();
    (!text.trim().is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::samples::{client, serve, url};
    use axum::Router;
    use axum::routing::any;

    async fn asked(body: &'static str, status: u16) -> Option<ProviderAccount> {
        let answer = move |headers: axum::http::HeaderMap| async move {
            assert!(headers["authorization"] == "Bearer t" && headers["x-version"] == "7");
            (axum::http::StatusCode::from_u16(status).unwrap(), body)
        };
        let base = serve(Router::new().fallback(any(answer))).await;
        let call = Whoami {
            url: url(&format!("{base}/me")),
            method: WhoamiMethod::Post,
            subject_path: "data.viewer.id".into(),
            name_path: Some("data.viewer.email".into()),
            headers: [("x-version".to_owned(), "7".to_owned())].into(),
            body: Some("{}".into()),
        };
        client().whoami(&call, &AccessToken::new("t")).await
    }

    #[tokio::test]
    async fn s13_the_provider_says_whose_account_a_token_is_of() {
        let account = asked(r#"{"data":{"viewer":{"id":42,"email":"a\u0007@b"}}}"#, 200).await.unwrap();
        assert_eq!((account.subject.as_str(), account.name.as_deref()), ("42", Some("a@b")));
        let nameless = asked(r#"{"data":{"viewer":{"id":"x"}}}"#, 200).await.unwrap();
        assert_eq!(nameless.name, None);
        for (body, status) in
            [("{}", 200), ("[]", 200), (r#"{"data":{"viewer":{"id":"x"}}}"#, 403), ("", 200)]
        {
            assert_eq!(asked(body, status).await, None, "{status} {body}");
        }
    }
}
