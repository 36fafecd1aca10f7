//! Style sheet, script and logo, embedded in the binary. Their URLs carry a hash of the content, so
//! browsers may keep them for ever.

use crate::ui::error::PageError;
use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use http::header;
use rust_embed::{EmbeddedFile, RustEmbed};
use std::sync::LazyLock;

#[derive(RustEmbed)]
#[folder = "static/"]
struct Files;

/// How many hexadecimal digits of the hash stand in a URL.
const HASH_DIGITS: usize = 12;

static CSS: LazyLock<String> = LazyLock::new(|| url("app.css"));
static JS: LazyLock<String> = LazyLock::new(|| url("app.js"));
static ICON: LazyLock<String> = LazyLock::new(|| url("logo.svg"));

/// Where the style sheet is.
pub(crate) fn css() -> &'static str {
    &CSS
}

/// Where the script is.
pub(crate) fn js() -> &'static str {
    &JS
}

/// Where the icon of the site is.
pub(crate) fn icon() -> &'static str {
    &ICON
}

fn url(name: &str) -> String {
    let hash = Files::get(name).map(|file| short_hash(&file)).unwrap_or_default();
    format!("/ui/static/{hash}/{name}")
}

fn short_hash(file: &EmbeddedFile) -> String {
    let hash = file.metadata.sha256_hash();
    hash.iter().take(HASH_DIGITS / 2).map(|byte| format!("{byte:02x}")).collect()
}

/// `GET /ui/static/{hash}/{name}`. Another binary's hash gets this binary's file, and does not keep it.
pub(super) async fn file(Path((hash, name)): Path<(String, String)>) -> Result<Response, PageError> {
    let file = Files::get(&name).ok_or(PageError::NOT_FOUND)?;
    let kind = match name.rsplit('.').next() {
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        _ => "image/svg+xml",
    };
    let keep = if hash == short_hash(&file) { "public, max-age=31536000, immutable" } else { "no-cache" };
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, keep),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox"),
    ];
    Ok((headers, file.data.into_owned()).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn get(url: &str) -> Option<Response> {
        let mut parts = url.rsplit('/').map(str::to_owned);
        let (name, hash) = (parts.next().unwrap(), parts.next().unwrap());
        file(Path((hash, name))).await.ok()
    }

    #[tokio::test]
    async fn a_file_is_kept_for_ever_under_its_own_hash_only() {
        for url in [css(), js(), icon()] {
            let answer = get(url).await.unwrap();
            assert!(answer.headers()[header::CACHE_CONTROL].to_str().unwrap().contains("immutable"), "{url}");
        }
        let other = get("/ui/static/000000000000/app.css").await.unwrap();
        assert_eq!(other.headers()[header::CACHE_CONTROL], "no-cache");
        assert!(get("/ui/static/x/passwd").await.is_none());
    }
}
