//! Server-sent events, read as they arrive (WHATWG HTML §9.2.6): multi-line data, CR, LF and CRLF, a
//! byte order mark, comments. One event may not exceed a limit, so that no upstream fills our memory.

use bytes::{Bytes, BytesMut};
use std::collections::VecDeque;
use std::time::Duration;

/// The largest event that is read, in bytes.
pub(crate) const EVENT_LIMIT: usize = 16 * 1024 * 1024;

/// A longer event id is ignored: it has to fit into a header.
const LONGEST_ID: usize = 1_024;

/// An event is larger than the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an event is larger than {limit} bytes")]
pub(crate) struct EventTooLarge {
    pub(crate) limit: usize,
}

/// Cuts a byte stream into the data of its events.
#[derive(Debug)]
pub(crate) struct SseParser {
    /// A line whose end has not come yet.
    line: BytesMut,
    /// The data lines of the event so far, joined by a space: the data is JSON, in which a line break
    /// between two tokens means the same, and one line is what we write again.
    data: BytesMut,
    has_data: bool,
    /// The event so far is called `endpoint`.
    is_endpoint: bool,
    endpoint: Option<Bytes>,
    after_cr: bool,
    at_start: bool,
    limit: usize,
    ready: VecDeque<Bytes>,
    /// The `id` of the event so far, which counts once the event is complete.
    id: Option<String>,
    last_id: Option<String>,
    retry: Option<Duration>,
}

impl SseParser {
    /// A parser that refuses events above `limit` bytes.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            line: BytesMut::new(),
            data: BytesMut::new(),
            has_data: false,
            is_endpoint: false,
            endpoint: None,
            after_cr: false,
            at_start: true,
            limit,
            ready: VecDeque::new(),
            id: None,
            last_id: None,
            retry: None,
        }
    }

    /// Begins with another stream that goes on where this one ended; what was half read is dropped.
    pub(crate) fn reconnected(&mut self) {
        self.line.clear();
        self.data.clear();
        (self.has_data, self.is_endpoint, self.after_cr) = (false, false, false);
        (self.at_start, self.id) = (true, None);
    }

    /// What a server needs to hear in order to go on with a stream that has ended.
    pub(crate) fn last_id(&self) -> Option<&str> {
        self.last_id.as_deref()
    }

    /// For how long the server wants to be left alone before that.
    pub(crate) fn retry(&self) -> Option<Duration> {
        self.retry
    }

    /// The data of the next complete event.
    pub(crate) fn next_event(&mut self) -> Option<Bytes> {
        self.ready.pop_front()
    }

    /// The data of the event `endpoint`, which is no message (2024-11-05, HTTP with SSE).
    pub(crate) fn take_endpoint(&mut self) -> Option<Bytes> {
        self.endpoint.take()
    }

    /// Reads one more piece of the stream.
    pub(crate) fn feed(&mut self, mut chunk: &[u8]) -> Result<(), EventTooLarge> {
        if std::mem::take(&mut self.after_cr) && chunk.first() == Some(&b'\n') {
            chunk = &chunk[1..];
        }
        while let Some(end) = chunk.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            self.grow(end)?;
            if self.line.is_empty() {
                self.take_line(&chunk[..end]);
            } else {
                self.line.extend_from_slice(&chunk[..end]);
                let line = self.line.split();
                self.take_line(&line);
            }
            let is_cr = chunk[end] == b'\r';
            chunk = &chunk[end + 1..];
            if is_cr {
                match chunk.first() {
                    Some(b'\n') => chunk = &chunk[1..],
                    Some(_) => {}
                    None => self.after_cr = true,
                }
            }
        }
        self.grow(chunk.len())?;
        self.line.extend_from_slice(chunk);
        Ok(())
    }

    fn grow(&self, by: usize) -> Result<(), EventTooLarge> {
        if self.line.len() + self.data.len() + by > self.limit {
            return Err(EventTooLarge { limit: self.limit });
        }
        Ok(())
    }

    fn take_line(&mut self, line: &[u8]) {
        let line = if std::mem::take(&mut self.at_start) {
            line.strip_prefix("\u{feff}".as_bytes()).unwrap_or(line)
        } else {
            line
        };
        if line.is_empty() {
            if let Some(id) = self.id.take() {
                self.last_id = Some(id);
            }
            let is_endpoint = std::mem::take(&mut self.is_endpoint);
            if std::mem::take(&mut self.has_data) {
                let data = self.data.split().freeze();
                if is_endpoint {
                    self.endpoint = Some(data);
                } else {
                    self.ready.push_back(data);
                }
            }
            return;
        }
        let (field, value) = field_of(line);
        match field {
            b"data" => {
                if std::mem::replace(&mut self.has_data, true) {
                    self.data.extend_from_slice(b" ");
                }
                self.data.extend_from_slice(value);
            }
            b"id" if value.len() <= LONGEST_ID && !value.contains(&0) => {
                self.id = std::str::from_utf8(value).ok().map(str::to_owned);
            }
            b"retry" => {
                let milliseconds = std::str::from_utf8(value).ok().and_then(|value| value.parse().ok());
                self.retry = milliseconds.map(Duration::from_millis).or(self.retry);
            }
            b"event" => self.is_endpoint = value == b"endpoint",
            // Comments say nothing that a call needs.
            _ => {}
        }
    }
}

/// A line's field name and value.
fn field_of(line: &[u8]) -> (&[u8], &[u8]) {
    match line.iter().position(|byte| *byte == b':') {
        None => (line, &[]),
        Some(colon) => {
            let value = &line[colon + 1..];
            (&line[..colon], value.strip_prefix(b" ").unwrap_or(value))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(stream: &str, step: usize) -> Vec<String> {
        let mut parser = SseParser::new(1_000);
        let mut events = Vec::new();
        for chunk in stream.as_bytes().chunks(step) {
            parser.feed(chunk).unwrap();
            while let Some(event) = parser.next_event() {
                events.push(String::from_utf8(event.to_vec()).unwrap());
            }
        }
        events
    }

    #[test]
    fn trap_22_events_are_the_same_however_the_bytes_arrive() {
        let stream = "\u{feff}: hello\r\nevent: message\r\nid: 4\r\ndata: {\"a\":1}\r\n\r\ndata:{\r\rdata: 1}\n\n\
                      data:{\ndata\ndata: }\n\nretry: 5\n\n:\n\ndatax: no\n\ndata: \u{1f600}\n\ndata: unfinished\n";
        let expected = ["{\"a\":1}", "{", "1}", "{  }", "\u{1f600}"];
        for step in 1..40 {
            assert_eq!(read(stream, step), expected, "in pieces of {step}");
        }
    }

    #[test]
    fn the_last_id_and_the_wait_are_known_once_their_event_is_complete() {
        let mut parser = SseParser::new(1_000);
        parser.feed(b"id: a\nretry: 500\ndata:\n\nid: b\ndata: {}\n").unwrap();
        assert_eq!((parser.last_id(), parser.retry()), (Some("a"), Some(Duration::from_millis(500))));
        parser.reconnected();
        parser.feed(b"retry: soon\nid: c\n\n").unwrap();
        assert_eq!((parser.last_id(), parser.retry()), (Some("c"), Some(Duration::from_millis(500))));
        assert_eq!(parser.next_event().unwrap(), "");
        assert_eq!(parser.next_event(), None);
    }

    #[test]
    fn trap_22_a_large_line_is_read_and_a_larger_one_refused() {
        let mut parser = SseParser::new(1_048_600);
        parser.feed(b"data: ").unwrap();
        parser.feed(&vec![b'x'; 1_048_576]).unwrap();
        parser.feed(b"\n\n").unwrap();
        assert_eq!(parser.next_event().unwrap().len(), 1_048_576);
        let error = parser.feed(&vec![b'x'; 1_048_601]).unwrap_err();
        assert_eq!(error.to_string(), "an event is larger than 1048600 bytes");
    }

    #[test]
    fn the_event_that_names_an_endpoint_is_no_message() {
        let mut parser = SseParser::new(1_000);
        parser.feed(b"event: endpoint\ndata: /messages?id=1\n\nevent: message\ndata: {}\n\n").unwrap();
        assert_eq!(parser.take_endpoint().unwrap(), "/messages?id=1");
        assert_eq!((parser.next_event().unwrap(), parser.next_event()), (Bytes::from_static(b"{}"), None));
    }

    #[test]
    fn many_lines_of_one_event_count_together() {
        let mut parser = SseParser::new(20);
        parser.feed(b"data: 123456\n").unwrap();
        assert!(parser.feed(b"data: 1234567890\n").is_err());
    }
}
