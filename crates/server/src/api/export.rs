//! A whole list as one file: read page by page while it is sent, so that its size costs no memory.

use super::audit_file::FileFormat;
use super::error::ApiError;
use axum::body::{Body, Bytes};
use axum::response::{IntoResponse, Response};
use doorward_domain::Page;
use futures_util::{StreamExt, stream};
use http::{HeaderName, header};
use serde::Serialize;
use serde_json::Value;

/// Rows per page of an export.
pub(crate) const BATCH: u32 = 200;

/// Answers with every row that `page` gives, from the first page on; CSV has the named columns. The first page
/// is read before anything is answered, so that what is wrong with the request still has its status; what fails
/// later cuts the file.
pub(crate) async fn stream<T, F, const N: usize>(
    format: FileFormat,
    name: &str,
    columns: [&'static str; N],
    cells: fn(&T) -> [String; N],
    page: impl Fn(Option<String>) -> F + Send + 'static,
) -> Result<Response, ApiError>
where
    T: Serialize + Send + 'static,
    F: Future<Output = Result<Page<T>, ApiError>> + Send + 'static,
{
    let first = page(None).await?;
    let mut start = match format {
        FileFormat::Csv => csv_lines([columns.map(|path| path.replace('.', "_"))]),
        FileFormat::Ndjson => Vec::new(),
    };
    let encode = move |items: &[T]| match format {
        FileFormat::Csv => csv_lines(items.iter().map(cells)),
        FileFormat::Ndjson => json_lines(items),
    };
    start.extend(encode(&first.items));
    let rest = stream::try_unfold((page, first.next_cursor), move |(page, cursor)| {
        let next = cursor.map(|cursor| page(Some(cursor)));
        async move {
            let Some(next) = next else { return Ok(None) };
            let next = next.await.map_err(cut)?;
            Ok(Some((Bytes::from(encode(&next.items)), (page, next.next_cursor))))
        }
    });
    let whole = stream::once(std::future::ready(Ok::<_, std::io::Error>(Bytes::from(start)))).chain(rest);
    Ok((headers(format, name), Body::from_stream(whole)).into_response())
}

/// The status is on its way already: a connection that breaks off is the only way left to say so.
fn cut(error: ApiError) -> std::io::Error {
    tracing::error!(?error, "an export was cut");
    std::io::Error::other("the export was cut")
}

fn headers(format: FileFormat, name: &str) -> [(HeaderName, String); 2] {
    let (media_type, ending) = match format {
        FileFormat::Csv => ("text/csv; charset=utf-8", "csv"),
        FileFormat::Ndjson => ("application/x-ndjson", "ndjson"),
    };
    let attachment = format!("attachment; filename=\"{name}.{ending}\"");
    [(header::CONTENT_TYPE, media_type.to_owned()), (header::CONTENT_DISPOSITION, attachment)]
}

fn json_lines(items: &[impl Serialize]) -> Vec<u8> {
    let mut lines = Vec::new();
    for item in items {
        // What a list shows always has a JSON form.
        if serde_json::to_writer(&mut lines, item).is_ok() {
            lines.push(b'\n');
        }
    }
    lines
}

/// The cells of a row whose columns are paths into what the list shows.
pub(crate) fn cells_at<const N: usize>(item: &impl Serialize, columns: [&'static str; N]) -> [String; N] {
    let item = serde_json::to_value(item).unwrap_or_default();
    columns.map(|path| {
        let value = path.split('.').fold(&item, |value, name| &value[name]);
        match value {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            Value::Array(words) => words.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" "),
            other => other.to_string(),
        }
    })
}

fn csv_lines<const N: usize>(rows: impl IntoIterator<Item = [String; N]>) -> Vec<u8> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        // Writing into memory does not fail, and every row has as many cells as the first.
        let _ = writer.write_record(row.map(harmless));
    }
    writer.into_inner().unwrap_or_default()
}

/// A spreadsheet takes a cell that begins like this for a formula, and names come from outside; an apostrophe
/// makes it a text again.
fn harmless(cell: String) -> String {
    if cell.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{cell}") } else { cell }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_that_looks_like_a_formula_is_a_text() {
        let row = ["=1+1", "+1", "-1", "@SUM(A1)", "a \"quoted\", cell", "plain"].map(str::to_owned);
        let lines = String::from_utf8(csv_lines([row])).unwrap();
        assert_eq!(lines, "'=1+1,'+1,'-1,'@SUM(A1),\"a \"\"quoted\"\", cell\",plain\n");
    }

    #[tokio::test]
    async fn what_fails_before_the_first_row_has_its_status_and_what_fails_later_cuts_the_file() {
        let refused = async |_| Err::<Page<u8>, _>(ApiError::bad_field("q", "is wrong"));
        let answer = stream(FileFormat::Csv, "n", ["n"], |n: &u8| [n.to_string()], refused).await;
        assert!(matches!(answer, Err(ApiError::BadInput { .. })));
        let cut_later = |cursor: Option<String>| async move {
            match cursor {
                None => Ok(Page { items: vec![1_u8], next_cursor: Some("c".into()) }),
                Some(_) => Err(ApiError::NoRoute),
            }
        };
        let answer = stream(FileFormat::Ndjson, "n", ["n"], |n| [n.to_string()], cut_later).await.unwrap();
        assert_eq!(answer.headers()["content-disposition"], "attachment; filename=\"n.ndjson\"");
        assert!(axum::body::to_bytes(answer.into_body(), 100).await.is_err());
    }
}
