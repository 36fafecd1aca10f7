//! Metadata documents, kept as HTTP allows (RFC 9111): for as long as their server says, and an hour at most; after that
//! they are asked for again by their `ETag`. Whatever is kept was fetched through the outbound guard.

use crate::client::OAuthClient;
use bytes::Bytes;
use doorward_outbound::{OutboundError, OutboundRequest};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use std::sync::Arc;
use std::time::{Duration, Instant};
use url::Url;

/// No document counts as fresh for longer, whatever its server says.
const FRESH_MAX: Duration = Duration::from_secs(3_600);

/// Larger ones are not kept.
const BODY_MAX: usize = 64 * 1024;

/// So many documents are kept.
const DOCUMENTS: u64 = 500;

/// What was read lately.
#[derive(Clone)]
pub(crate) struct MetadataCache(moka::sync::Cache<Url, Arc<Kept>>);

struct Kept {
    body: Bytes,
    etag: Option<HeaderValue>,
    fresh_for: Duration,
    fresh_until: Instant,
}

impl Default for MetadataCache {
    fn default() -> Self {
        Self(moka::sync::Cache::new(DOCUMENTS))
    }
}

impl OAuthClient {
    /// The document at a place; none where the server has none.
    pub(crate) async fn document(&self, url: &Url) -> Result<Option<Bytes>, OutboundError> {
        let kept = self.documents.0.get(url);
        if let Some(kept) = kept.as_ref().filter(|kept| self.takes_fresh && Instant::now() < kept.fresh_until)
        {
            return Ok(Some(kept.body.clone()));
        }
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        headers.extend(
            kept.as_ref().and_then(|kept| kept.etag.clone()).map(|etag| (header::IF_NONE_MATCH, etag)),
        );
        let request = OutboundRequest { method: Method::GET, url: url.clone(), headers, body: Bytes::new() };
        let answer = self.outbound.call(request).await?;
        let unchanged = kept.filter(|_| answer.status == StatusCode::NOT_MODIFIED);
        let body = match &unchanged {
            Some(kept) => kept.body.clone(),
            None if answer.status.is_success() => answer.body,
            None => {
                self.documents.0.invalidate(url);
                return Ok(None);
            }
        };
        self.keep(url, &body, &answer.headers, unchanged.as_deref());
        Ok(Some(body))
    }

    /// `unchanged`: what was kept and is still the same; of it stays what the answer does not say (RFC 9111 §4.3.4).
    fn keep(&self, url: &Url, body: &Bytes, headers: &HeaderMap, unchanged: Option<&Kept>) {
        let fresh_for = match unchanged {
            Some(kept) if !headers.contains_key(header::CACHE_CONTROL) => Some(kept.fresh_for),
            Some(_) | None => fresh_for(headers),
        };
        let etag = headers.get(header::ETAG).or_else(|| unchanged?.etag.as_ref()).cloned();
        match fresh_for {
            Some(time) if body.len() <= BODY_MAX && (etag.is_some() || !time.is_zero()) => {
                let fresh_until = Instant::now() + time;
                let kept = Kept { body: body.clone(), etag, fresh_for: time, fresh_until };
                self.documents.0.insert(url.clone(), Arc::new(kept));
            }
            _ => self.documents.0.invalidate(url),
        }
    }
}

/// For how long an answer is fresh (RFC 9111 §5.2.2); none where it must not be kept.
fn fresh_for(headers: &HeaderMap) -> Option<Duration> {
    let values = headers.get_all(header::CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    let directives: Vec<String> =
        values.flat_map(|value| value.split(',')).map(|one| one.trim().to_ascii_lowercase()).collect();
    let has = |name: &str| directives.iter().any(|one| one == name || one.starts_with(&format!("{name}=")));
    // A document that differs by what is asked with is none that could be kept under its address.
    let varies = headers.get_all(header::VARY).iter().any(|value| value.as_bytes().contains(&b'*'));
    if has("no-store") || varies {
        return None;
    }
    if has("no-cache") {
        return Some(Duration::ZERO);
    }
    let said = directives.iter().find_map(|one| one.strip_prefix("max-age=")?.trim_matches('"').parse().ok());
    Some(Duration::from_secs(said.unwrap_or(0)).min(FRESH_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::samples::{client, serve, url};
    use axum::Router;
    use axum::response::IntoResponse;
    use axum::routing::get;
    use std::sync::Mutex;

    /// A document under these headers; how often it was sent whole, and how often it was said to be the same.
    async fn server(headers: &'static [(&'static str, &'static str)]) -> (Url, Arc<Mutex<(u32, u32)>>) {
        let counts: Arc<Mutex<(u32, u32)>> = Arc::default();
        let seen = Arc::clone(&counts);
        let route = get(move |asked: HeaderMap| async move {
            let mut seen = seen.lock().unwrap();
            if asked.get(header::IF_NONE_MATCH).is_some_and(|etag| etag == "\"v1\"") {
                seen.1 += 1;
                return StatusCode::NOT_MODIFIED.into_response();
            }
            seen.0 += 1;
            (axum::response::AppendHeaders(headers.to_vec()), "{}").into_response()
        });
        (url(&format!("{}/meta", serve(Router::new().route("/meta", route)).await)), counts)
    }

    async fn asked_thrice(headers: &'static [(&'static str, &'static str)]) -> (u32, u32) {
        let (place, counts) = server(headers).await;
        let client = client();
        for _ in 0..3 {
            assert_eq!(client.document(&place).await.unwrap().unwrap(), "{}");
        }
        let seen = counts.lock().unwrap();
        *seen
    }

    #[tokio::test]
    async fn a_document_is_kept_for_as_long_as_its_server_says() {
        assert_eq!(asked_thrice(&[("cache-control", "public, max-age=600")]).await, (1, 0));
        assert_eq!(
            asked_thrice(&[("cache-control", "max-age=600"), ("cache-control", "no-store")]).await,
            (3, 0)
        );
        assert_eq!(asked_thrice(&[("cache-control", "no-cache"), ("etag", "\"v1\"")]).await, (1, 2));
        assert_eq!(asked_thrice(&[("etag", "\"v1\"")]).await, (1, 2));
        assert_eq!(asked_thrice(&[]).await, (3, 0), "what says nothing is not kept");
        assert_eq!(asked_thrice(&[("cache-control", "max-age=600"), ("vary", "*")]).await, (3, 0));
    }

    #[tokio::test]
    async fn who_asks_anew_takes_nothing_that_is_only_fresh() {
        let (place, counts) = server(&[("cache-control", "max-age=600"), ("etag", "\"v1\"")]).await;
        let client = client();
        client.document(&place).await.unwrap();
        client.anew().document(&place).await.unwrap();
        client.document(&place).await.unwrap();
        assert_eq!(*counts.lock().unwrap(), (1, 1));
    }

    #[test]
    fn nothing_is_fresh_for_longer_than_an_hour() {
        let headers = |text: &str| HeaderMap::from_iter([(header::CACHE_CONTROL, text.parse().unwrap())]);
        assert_eq!(fresh_for(&headers("max-age=99999999")), Some(FRESH_MAX));
        assert_eq!(fresh_for(&headers("max-age=nonsense")), Some(Duration::ZERO));
        assert_eq!(fresh_for(&headers("Max-Age=\"60\"")), Some(Duration::from_secs(60)));
    }
}
