//! How long the first bytes of a slow answer take from their server to the client: a result in JSON that has only
//! begun, and the first event of a stream. Both servers send a beginning, and then nothing.

use crate::LISTEN;
use crate::edges::call;
use crate::prepare::AnyError;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{HeaderValue, Response, header};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use std::convert::Infallible;
use std::sync::Mutex;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const CALLS: usize = 300;

/// What both beginnings hold.
const BEGUN: &str = "it has begun";

/// When the server sent the last beginning.
static SENT: Mutex<Option<Instant>> = Mutex::new(None);

/// What the server answers with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Beginning {
    Json,
    Events,
}

impl Beginning {
    pub const ALL: [Self; 2] = [Self::Json, Self::Events];

    /// The tool that answers so.
    pub fn tool(self) -> &'static str {
        match self {
            Self::Json => "begin-json",
            Self::Events => "begin-events",
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Json => "a result in JSON",
            Self::Events => "the first event of a stream",
        }
    }

    /// The server's side.
    pub fn answer(self) -> Response<BoxBody<Bytes, Infallible>> {
        let (kind, text) = match self {
            Self::Json => (
                "application/json",
                format!(r#"{{"jsonrpc":"2.0","result":{{"content":[{{"type":"text","text":"{BEGUN}"#),
            ),
            Self::Events => (
                "text/event-stream",
                format!(
                    "data: {{\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\",\"params\":{{\"level\":\"error\",\"data\":\"{BEGUN}\"}}}}\n\n"
                ),
            ),
        };
        let first = stream::once(async move {
            *SENT.lock().expect("nobody panics with it") = Some(Instant::now());
            Ok(Frame::data(Bytes::from(text)))
        });
        let mut response = Response::new(BodyExt::boxed(StreamBody::new(first.chain(stream::pending()))));
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        response
    }
}

/// The times of all calls, shortest first.
pub async fn measure(beginning: Beginning, token: &str) -> Result<Vec<Duration>, AnyError> {
    let mut times = Vec::with_capacity(CALLS);
    for _ in 0..CALLS {
        let mut stream = TcpStream::connect(LISTEN).await?;
        stream.set_nodelay(true)?;
        stream.write_all(call(token, beginning.tool()).as_bytes()).await?;
        let mut seen = Vec::new();
        while !String::from_utf8_lossy(&seen).contains(BEGUN) {
            if stream.read_buf(&mut seen).await? == 0 {
                return Err(format!(
                    "{}: it ended with {}",
                    beginning.name(),
                    String::from_utf8_lossy(&seen)
                )
                .into());
            }
        }
        let sent = SENT.lock().expect("nobody panics with it").take().ok_or("nothing was sent")?;
        times.push(sent.elapsed());
    }
    times.sort();
    Ok(times)
}
