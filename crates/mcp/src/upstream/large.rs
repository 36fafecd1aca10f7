//! A JSON answer that is not kept: it is rewritten as it passes, so that its client has the first bytes at once,
//! memory stays what it was, and a slow client slows its server. Only the response's `id`, and members of its
//! result that belong to one era alone, are changed; every other byte passes as it came.

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
    /// A member of the result that is left out unless it is an object.
    pub(super) object_or_nothing: Option<&'static str>,
    /// Members that only a complete result has: no questions, no task.
    pub(super) complete: &'static [&'static str],
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
    /// The name of the present member, and what stands between it and the value.
    name: Vec<u8>,
    /// What is done with the present value.
    value: Value,
    /// The present value, where it is looked at.
    seen: Vec<u8>,
    has_id: bool,
    is_complete: bool,
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
    /// Passed if it is an object, else left out.
    ObjectOrNothing,
    /// The id: what stood there is looked at.
    Replaced,
    /// The result: its members are looked at.
    Entered,
    /// The type of the result, which has to be the one that passes; it is left out or passed.
    Type {
        passed: bool,
    },
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
            seen: Vec::new(),
            has_id: false,
            is_complete: false,
        }
    }

    /// Whether what has been read can only be the beginning of a complete result.
    pub(super) fn is_complete(&self) -> bool {
        self.is_complete
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
                    (Escape::No, b'"') => return self.named().map(|()| true),
                    _ => Phase::Name(Escape::No),
                };
            }
            Phase::Colon => match byte {
                _ if self.name.len() > MAX_NAME => return Err(Malformed),
                b':' => self.name.push(byte),
                _ if byte.is_ascii_whitespace() => self.name.push(byte),
                _ => return self.begin(byte, out),
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
    fn named(&mut self) -> Result<(), Malformed> {
        let name: String = serde_json::from_slice(&self.name).map_err(|_| Malformed)?;
        let in_result = self.levels.len() == 2;
        let without = in_result && self.changes.without.contains(&name.as_str());
        self.value = match name.as_str() {
            "id" if !in_result => Value::Replaced,
            "result" if !in_result => Value::Entered,
            "resultType" if in_result => Value::Type { passed: !without },
            name if in_result && self.changes.object_or_nothing == Some(name) => Value::ObjectOrNothing,
            _ if without => Value::LeftOut,
            _ => Value::Passed,
        };
        if in_result {
            self.is_complete |= self.changes.complete.contains(&name.as_str());
            let level = self.levels.last_mut().ok_or(Malformed)?;
            level.found.extend(self.changes.with.iter().map(|(with, _)| *with).filter(|with| *with == name));
        }
        self.phase = Phase::Colon;
        Ok(())
    }

    /// The member is passed on: its name, after what was held since the member before it.
    fn put_name(&mut self, out: &mut BytesMut) -> Result<(), Malformed> {
        let level = self.levels.last_mut().ok_or(Malformed)?;
        let held = std::mem::take(&mut level.held);
        // The comma before a member that is now the first goes with the members before it.
        let is_first = level.members == 0;
        out.extend(held.iter().copied().filter(|byte| !is_first || *byte != b','));
        if !is_first && !held.contains(&b',') {
            out.put_u8(b',');
        }
        level.members += 1;
        out.put_slice(&self.name);
        Ok(())
    }

    /// The first byte of a value. Says whether it was taken.
    fn begin(&mut self, byte: u8, out: &mut BytesMut) -> Result<bool, Malformed> {
        self.value = match self.value {
            Value::ObjectOrNothing if byte == b'{' => Value::Passed,
            Value::ObjectOrNothing => Value::LeftOut,
            Value::Entered if byte != b'{' => Value::Passed,
            decided => decided,
        };
        self.seen.clear();
        match self.value {
            Value::LeftOut | Value::Type { passed: false } => {
                self.levels.last_mut().ok_or(Malformed)?.held.clear();
            }
            _ => self.put_name(out)?,
        }
        if self.value == Value::Entered {
            self.levels.push(Level::default());
            self.phase = Phase::Between;
            out.put_u8(byte);
            return Ok(true);
        }
        if self.value == Value::Replaced {
            out.put_slice(self.changes.client_id.as_bytes());
        }
        self.phase = if matches!(byte, b'"' | b'{' | b'[') { Phase::Inside } else { Phase::Plain };
        (self.depth, self.string) = (0, None);
        Ok(false)
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
        if matches!(self.value, Value::Replaced | Value::Type { .. }) {
            let room = MAX_NAME.saturating_sub(self.seen.len()).min(bytes.len());
            self.seen.extend_from_slice(&bytes[..room]);
        }
        if matches!(self.value, Value::Passed | Value::Type { passed: true }) {
            out.put_slice(bytes);
        }
    }

    fn end_of_value(&mut self) -> Result<(), Malformed> {
        match self.value {
            Value::Replaced => {
                self.has_id = self.seen == self.changes.our_id.as_bytes();
                if !self.has_id {
                    return Err(Malformed);
                }
            }
            Value::Type { .. } if self.seen == b"\"complete\"" => self.is_complete = true,
            Value::Type { .. } => return Err(Malformed),
            _ => {}
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
        let changes = Changes {
            our_id: "77".into(),
            client_id: "\"c\"".into(),
            without,
            with,
            object_or_nothing: Some("structuredContent").filter(|_| !without.is_empty()),
            complete: &["content"],
        };
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
                r#"{"id":77,"result":{"structuredContent" : [1,"}"],"a":1,"ttlMs":3}}"#,
                r#"{"id":"c","result":{"structuredContent" : [1,"}"],"a":1,"ttlMs":3,"resultType":"complete"}}"#,
                r#"{"id":"c","result":{"a":1}}"#,
            ),
            (
                r#"{"id":77,"result":{"structuredContent":{"ttlMs":1},"resultType":"complete"}}"#,
                r#"{"id":"c","result":{"structuredContent":{"ttlMs":1},"resultType":"complete","ttlMs":0}}"#,
                r#"{"id":"c","result":{"structuredContent":{"ttlMs":1}}}"#,
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
        for text in [
            "[1]",
            "{\"id\":78,\"result\":{}}",
            "{\"result\":{}}",
            "{\"id\":77",
            "{\"id\":77}x",
            "\"",
            "",
            "{\"id\":77,\"result\":{\"content\":[],\"resultType\":\"input_required\"}}",
            "{\"id\":77,\"result\":{\"resultType\":7}}",
        ] {
            assert_eq!(rewritten(text, 3, &[], &[]), Err(Malformed), "{text}");
        }
    }

    #[test]
    fn a_result_is_known_to_be_complete_by_what_only_complete_ones_have() {
        for (text, is_complete) in [
            ("{\"result\":{\"content\"", true),
            ("{\"result\":{\"a\":{\"content\":1},\"resultType\":\"complete\",", true),
            ("{\"content\":1,\"result\":{\"a\":{\"content\":1},\"b\":[\"content\"", false),
            ("{\"error\":{\"content\":1}", false),
        ] {
            let mut rewriter = Rewriter::new(Changes {
                our_id: "77".into(),
                client_id: "1".into(),
                without: &[],
                with: &[],
                object_or_nothing: None,
                complete: &["content"],
            });
            rewriter.feed(text.as_bytes(), &mut BytesMut::new()).unwrap();
            assert_eq!(rewriter.is_complete(), is_complete, "{text}");
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
