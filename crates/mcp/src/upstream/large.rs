//! A JSON answer that is too large to be kept: it is rewritten as it passes, so that memory stays what it was
//! and a slow client slows its server. Only the response's `id`, and members of its result that belong to one
//! era alone, are changed; every other byte passes as it came.

use bytes::{BufMut, BytesMut};

/// White space between two members beyond this is no honest answer.
const MAX_HELD: usize = 4_096;

/// Member names and ids beyond this are not looked into.
const MAX_NAME: usize = 1_024;

/// The answer is not the JSON that was expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is not the JSON of a response")]
pub(super) struct Malformed;

/// How a response is changed.
#[derive(Debug)]
pub(super) struct Changes {
    /// The id that the server was asked under, and the client's own.
    pub(super) our_id: String,
    pub(super) client_id: String,
    /// Members of the result that are left out.
    pub(super) without: &'static [&'static str],
    /// Members of the result that are added where they are missing, as JSON text.
    pub(super) with: &'static [(&'static str, &'static str)],
}

/// Rewrites one response, piece by piece.
#[derive(Debug)]
pub(super) struct Rewriter {
    changes: Changes,
    /// The response itself, and its result while that is being read.
    levels: Vec<Level>,
    phase: Phase,
    /// How deep we are inside a value that is passed on as it is.
    depth: usize,
    string: Option<Escape>,
    name: Vec<u8>,
    /// What is done with the present value.
    value: Value,
    id: Vec<u8>,
    has_id: bool,
}

#[derive(Debug, Default)]
struct Level {
    /// Commas and white space since the last member.
    held: Vec<u8>,
    members: usize,
    found: Vec<&'static str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Before the response.
    Start,
    /// Between members.
    Between,
    /// In a member's name.
    Name(Escape),
    /// Between a name and its value.
    Colon,
    /// In a value that is neither string nor nested.
    Plain,
    /// In a nested value, or a string.
    Inside,
    /// After the response.
    End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Escape {
    No,
    Yes,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Value {
    Passed,
    LeftOut,
    /// The id: what stood there is looked at.
    Replaced,
    /// The result: its members are looked at.
    Entered,
}

impl Rewriter {
    pub(super) fn new(changes: Changes) -> Self {
        Self {
            changes,
            levels: Vec::new(),
            phase: Phase::Start,
            depth: 0,
            string: None,
            name: Vec::new(),
            value: Value::Passed,
            id: Vec::new(),
            has_id: false,
        }
    }

    /// Rewrites the next piece.
    pub(super) fn feed(&mut self, piece: &[u8], out: &mut BytesMut) -> Result<(), Malformed> {
        out.reserve(piece.len());
        let mut rest = piece;
        while let Some((&byte, after)) = rest.split_first() {
            if self.phase == Phase::Inside {
                let taken = self.inside(rest);
                self.put(&rest[..taken], out);
                rest = &rest[taken..];
                continue;
            }
            if self.byte(byte, out)? {
                rest = after;
            }
        }
        Ok(())
    }

    /// Whether a whole response has passed, and was the one that was asked for.
    pub(super) fn finish(&self) -> Result<(), Malformed> {
        if self.phase == Phase::End && self.has_id { Ok(()) } else { Err(Malformed) }
    }

    /// One byte outside of nested values. Says whether it was taken; one that was not is looked at again.
    fn byte(&mut self, byte: u8, out: &mut BytesMut) -> Result<bool, Malformed> {
        match self.phase {
            Phase::Start => match byte {
                b'{' => {
                    self.levels.push(Level::default());
                    self.phase = Phase::Between;
                    out.put_u8(byte);
                }
                _ if byte.is_ascii_whitespace() => {}
                _ => return Err(Malformed),
            },
            Phase::Between => self.between(byte, out)?,
            Phase::Name(escape) => {
                self.name.push(byte);
                self.phase = match (escape, byte) {
                    _ if self.name.len() > MAX_NAME => return Err(Malformed),
                    (Escape::No, b'\\') => Phase::Name(Escape::Yes),
                    (Escape::No, b'"') => return self.named(out).map(|()| true),
                    _ => Phase::Name(Escape::No),
                };
            }
            Phase::Colon => match byte {
                b':' => self.put_name(&[byte], out),
                _ if byte.is_ascii_whitespace() => self.put_name(&[byte], out),
                _ => return Ok(self.begin(byte, out)),
            },
            Phase::Plain => {
                if matches!(byte, b',' | b'}') || byte.is_ascii_whitespace() {
                    self.end_of_value()?;
                    return Ok(false);
                }
                self.put(&[byte], out);
            }
            Phase::Inside => return Ok(false),
            Phase::End if byte.is_ascii_whitespace() => {}
            Phase::End => return Err(Malformed),
        }
        Ok(true)
    }

    fn between(&mut self, byte: u8, out: &mut BytesMut) -> Result<(), Malformed> {
        let level = self.levels.last_mut().ok_or(Malformed)?;
        match byte {
            b'"' => {
                self.name.clear();
                self.name.push(byte);
                self.phase = Phase::Name(Escape::No);
            }
            b'}' => self.close(out),
            b',' if level.held.len() < MAX_HELD => level.held.push(byte),
            _ if byte.is_ascii_whitespace() && level.held.len() < MAX_HELD => level.held.push(byte),
            _ => return Err(Malformed),
        }
        Ok(())
    }

    /// A member's name is whole: what is done with the member is decided.
    fn named(&mut self, out: &mut BytesMut) -> Result<(), Malformed> {
        let name: String = serde_json::from_slice(&self.name).map_err(|_| Malformed)?;
        let in_result = self.levels.len() == 2;
        self.value = match name.as_str() {
            "id" if !in_result => Value::Replaced,
            "result" if !in_result => Value::Entered,
            name if in_result && self.changes.without.contains(&name) => Value::LeftOut,
            _ => Value::Passed,
        };
        let level = self.levels.last_mut().ok_or(Malformed)?;
        if in_result {
            level.found.extend(self.changes.with.iter().map(|(with, _)| *with).filter(|with| *with == name));
        }
        let held = std::mem::take(&mut level.held);
        if self.value != Value::LeftOut {
            // The comma before a member that is now the first goes with the members before it.
            let is_first = level.members == 0;
            out.extend(held.iter().copied().filter(|byte| !is_first || *byte != b','));
            if !is_first && !held.contains(&b',') {
                out.put_u8(b',');
            }
            level.members += 1;
            out.put_slice(&self.name);
        }
        self.phase = Phase::Colon;
        Ok(())
    }

    fn put_name(&self, bytes: &[u8], out: &mut BytesMut) {
        if self.value != Value::LeftOut {
            out.put_slice(bytes);
        }
    }

    /// The first byte of a value.
    fn begin(&mut self, byte: u8, out: &mut BytesMut) -> bool {
        match (self.value, byte) {
            (Value::Entered, b'{') => {
                self.levels.push(Level::default());
                self.phase = Phase::Between;
                out.put_u8(byte);
                return true;
            }
            (Value::Entered, _) => self.value = Value::Passed,
            (Value::Replaced, _) => {
                out.put_slice(self.changes.client_id.as_bytes());
                self.id.clear();
            }
            _ => {}
        }
        self.phase = if matches!(byte, b'"' | b'{' | b'[') { Phase::Inside } else { Phase::Plain };
        (self.depth, self.string) = (0, None);
        false
    }

    /// How many bytes belong to the nested value or string that we are in; the phase changes at its end.
    fn inside(&mut self, rest: &[u8]) -> usize {
        for (at, byte) in rest.iter().enumerate() {
            match (self.string, byte) {
                (Some(Escape::Yes), _) => self.string = Some(Escape::No),
                (Some(Escape::No), b'\\') => self.string = Some(Escape::Yes),
                (Some(Escape::No), b'"') => self.string = None,
                (Some(Escape::No), _) => continue,
                (None, b'"') => self.string = Some(Escape::No),
                (None, b'{' | b'[') => self.depth += 1,
                (None, b'}' | b']') => self.depth = self.depth.saturating_sub(1),
                (None, _) => continue,
            }
            if self.depth == 0 && self.string.is_none() {
                self.phase = Phase::Plain;
                return at + 1;
            }
        }
        rest.len()
    }

    fn put(&mut self, bytes: &[u8], out: &mut BytesMut) {
        match self.value {
            Value::Passed | Value::Entered => out.put_slice(bytes),
            Value::LeftOut => {}
            Value::Replaced => {
                let room = MAX_NAME.saturating_sub(self.id.len()).min(bytes.len());
                self.id.extend_from_slice(&bytes[..room]);
            }
        }
    }

    fn end_of_value(&mut self) -> Result<(), Malformed> {
        if self.value == Value::Replaced {
            self.has_id = self.id == self.changes.our_id.as_bytes();
            if !self.has_id {
                return Err(Malformed);
            }
        }
        self.value = Value::Passed;
        self.phase = Phase::Between;
        Ok(())
    }

    /// The end of the result, or of the response.
    fn close(&mut self, out: &mut BytesMut) {
        let Some(level) = self.levels.pop() else { return };
        if self.levels.len() == 1 {
            let missing = self.changes.with.iter().filter(|(name, _)| !level.found.contains(name));
            for (at, (name, value)) in missing.enumerate() {
                if level.members > 0 || at > 0 {
                    out.put_u8(b',');
                }
                out.put_slice(format!("\"{name}\":{value}").as_bytes());
            }
        }
        out.extend(level.held.iter().copied().filter(|byte| *byte != b','));
        out.put_u8(b'}');
        self.phase = if self.levels.is_empty() { Phase::End } else { Phase::Between };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const WITH: &[(&str, &str)] = &[("resultType", "\"complete\""), ("ttlMs", "0")];
    const WITHOUT: &[&str] = &["resultType", "ttlMs"];

    fn rewritten(
        text: &str,
        step: usize,
        without: &'static [&'static str],
        with: &'static [(&'static str, &'static str)],
    ) -> Result<String, Malformed> {
        let changes = Changes { our_id: "77".into(), client_id: "\"c\"".into(), without, with };
        let mut rewriter = Rewriter::new(changes);
        let mut out = BytesMut::new();
        for piece in text.as_bytes().chunks(step) {
            rewriter.feed(piece, &mut out)?;
        }
        rewriter.finish()?;
        Ok(String::from_utf8(out.to_vec()).unwrap())
    }

    #[test]
    fn only_the_id_and_the_eras_own_members_change() {
        for (text, up, down) in [
            (
                r#"{"result":{"a":"}{\"\\"},"jsonrpc":"2.0","id":77}"#,
                r#"{"result":{"a":"}{\"\\","resultType":"complete","ttlMs":0},"jsonrpc":"2.0","id":"c"}"#,
                r#"{"result":{"a":"}{\"\\"},"jsonrpc":"2.0","id":"c"}"#,
            ),
            (
                r#" {"id": 77 , "result" : { "resultType":"complete" , "b":[1.10,{"ttlMs":1}] , "ttlMs" : 5 } }"#,
                r#"{"id": "c" , "result" : { "resultType":"complete" , "b":[1.10,{"ttlMs":1}] , "ttlMs" : 5 } }"#,
                r#"{"id": "c" , "result" : {  "b":[1.10,{"ttlMs":1}] } }"#,
            ),
            (
                r#"{"id":77,"result":{}}"#,
                r#"{"id":"c","result":{"resultType":"complete","ttlMs":0}}"#,
                r#"{"id":"c","result":{}}"#,
            ),
            (
                r#"{"id":77,"error":{"code":1,"ttlMs":2}}"#,
                r#"{"id":"c","error":{"code":1,"ttlMs":2}}"#,
                r#"{"id":"c","error":{"code":1,"ttlMs":2}}"#,
            ),
        ] {
            for step in 1..12 {
                assert_eq!(rewritten(text, step, &[], WITH).unwrap(), up, "{text}");
                assert_eq!(rewritten(text, step, WITHOUT, &[]).unwrap(), down, "{text}");
            }
        }
    }

    #[test]
    fn what_is_no_response_of_ours_is_refused() {
        for text in
            ["[1]", "{\"id\":78,\"result\":{}}", "{\"result\":{}}", "{\"id\":77", "{\"id\":77}x", "\"", ""]
        {
            assert_eq!(rewritten(text, 3, &[], &[]), Err(Malformed), "{text}");
        }
    }

    fn json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<i64>().prop_map(Into::into),
            any::<String>().prop_map(Into::into),
        ];
        leaf.prop_recursive(3, 20, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
                prop::collection::btree_map("[a-c\\\\\"}]{0,2}", inner, 0..4)
                    .prop_map(|all| serde_json::Value::Object(all.into_iter().collect())),
            ]
        })
    }

    proptest! {
        /// However it arrives, the same comes out as when it is edited whole.
        #[test]
        fn trap_21_a_large_answer_is_bit_equal_but_for_its_id(result in json(), step in 1_usize..9) {
            let text = format!("{{\"jsonrpc\":\"2.0\",\"id\":77,\"result\":{{\"x\":{result}}},\"v\":{result}}}");
            let expected = text.replacen("77", "\"c\"", 1);
            prop_assert_eq!(rewritten(&text, step, &[], &[]).unwrap(), expected);
        }
    }
}
