//! Style sheet, script and logo, embedded in the binary. Their URLs carry a hash of the content, so
//! browsers may keep them for ever. The sheet is put together from its parts: one request, in one order.

use crate::ui::error::PageError;
use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use http::header;
use rust_embed::{EmbeddedFile, RustEmbed};
use std::borrow::Cow;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::LazyLock;

#[derive(RustEmbed)]
#[folder = "static/"]
struct Files;

/// How many hexadecimal digits of the hash stand in a URL.
const HASH_DIGITS: usize = 12;

/// The style sheet's name in its URL.
const SHEET_NAME: &str = "app.css";

const SHEET: &str = concat!(
    include_str!("../../styles/base.css"),
    include_str!("../../styles/frame.css"),
    include_str!("../../styles/parts.css"),
    include_str!("../../styles/tables.css"),
    include_str!("../../styles/closely.css"),
    include_str!("../../styles/forms.css"),
    include_str!("../../styles/operation.css"),
    include_str!("../../styles/narrow.css"),
);

/// It tells one sheet from another; nobody is kept out by it.
static SHEET_HASH: LazyLock<String> = LazyLock::new(|| {
    let mut hasher = DefaultHasher::new();
    SHEET.hash(&mut hasher);
    let mut hash = format!("{:016x}", hasher.finish());
    hash.truncate(HASH_DIGITS);
    hash
});

static CSS: LazyLock<String> = LazyLock::new(|| format!("/ui/static/{}/{SHEET_NAME}", *SHEET_HASH));
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
    let (content, own_hash) = if name == SHEET_NAME {
        (Cow::Borrowed(SHEET.as_bytes()), SHEET_HASH.clone())
    } else {
        let file = Files::get(&name).ok_or(PageError::NOT_FOUND)?;
        let hash = short_hash(&file);
        (file.data, hash)
    };
    let kind = match name.rsplit('.').next() {
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        _ => "image/svg+xml",
    };
    let keep = if hash == own_hash { "public, max-age=31536000, immutable" } else { "no-cache" };
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, keep),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox"),
    ];
    Ok((headers, content.into_owned()).into_response())
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

    #[test]
    fn the_sheet_is_whole() {
        assert!(
            SHEET.starts_with("/* One sheet") && SHEET.contains(".plots") && SHEET.contains("@media print")
        );
        assert_eq!(SHEET.matches('{').count(), SHEET.matches('}').count());
    }
}
