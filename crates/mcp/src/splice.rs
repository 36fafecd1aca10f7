//! JSON objects as text: members are found, replaced, added and removed while every other byte stays.

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::ops::Range;

/// A string that is borrowed where it has no escapes.
#[derive(serde::Deserialize)]
pub(crate) struct Key<'a>(#[serde(borrow)] pub(crate) Cow<'a, str>);

/// The members of an object in their order, duplicates included; none when it is not an object.
pub fn members(object: &str) -> Option<Vec<(Cow<'_, str>, &RawValue)>> {
    serde_json::from_str::<Members<'_>>(object).ok().map(|members| members.0)
}

struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(Key(key)) = map.next_key()? {
            members.push((key, map.next_value()?));
        }
        Ok(Members(members))
    }
}

/// One member of an object. Where the name stands there twice the last one counts, as for most readers.
pub fn member<'a>(object: &'a RawValue, name: &str) -> Option<&'a RawValue> {
    serde_json::Deserializer::from_str(object.get()).deserialize_map(Last(name)).ok().flatten()
}

/// Finds the last member of a name.
struct Last<'n>(&'n str);

impl<'de> Visitor<'de> for Last<'_> {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(Key(key)) = map.next_key()? {
            if key == self.0 {
                found = Some(map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

/// A member found by a path of names, e.g. `["_meta", "progressToken"]`.
pub fn member_at<'a>(object: &'a RawValue, path: &[&str]) -> Option<&'a RawValue> {
    path.iter().try_fold(object, |inner, name| member(inner, name))
}

/// A member that is a string, unescaped.
pub fn text_member<'a>(object: &'a RawValue, name: &str) -> Option<Cow<'a, str>> {
    member(object, name).and_then(text)
}

/// The value of a JSON string, unescaped; none for anything else.
pub fn text(value: &RawValue) -> Option<Cow<'_, str>> {
    serde_json::from_str::<Key<'_>>(value.get()).ok().map(|key| key.0)
}

/// A string as JSON text, quotes included.
pub fn json_string(text: &str) -> String {
    serde_json::to_string(text).expect("a string is always representable as JSON")
}

/// Text that is known to be JSON, as a raw value; none when it is not JSON after all.
pub fn raw(json: String) -> Option<Box<RawValue>> {
    RawValue::from_string(json).ok()
}

/// Replaces values that were borrowed from `source` (in any order), keeping every other byte.
///
/// # Panics
/// When a value was not borrowed from `source`; that is a mistake in the calling code.
pub fn splice(source: &str, edits: &[(&RawValue, &str)]) -> String {
    let ranges = edits.iter().map(|(value, new)| (range_of(source, value), *new)).collect();
    splice_ranges(source, ranges)
}

/// Sets (`Some`) or removes (`None`) members of an object and keeps every other byte. A member that is
/// not there yet is added at the end. Where a name stands there twice, only one is left.
/// None when `object` is not an object.
pub fn edit(object: &str, edits: &[(&str, Option<&str>)]) -> Option<String> {
    let found = members(object)?;
    let ranges: Vec<Range<usize>> = found.iter().map(|(_, value)| range_of(object, value)).collect();
    let mut kept = found.len();
    let mut changes: Vec<(Range<usize>, &str)> = Vec::new();
    let mut added = String::new();
    for (name, new) in edits {
        let places: Vec<usize> = (0..found.len()).filter(|i| found[*i].0 == *name).collect();
        if let (Some(first), Some(text)) = (places.first(), new) {
            changes.push((ranges[*first].clone(), text));
        }
        let removed = if new.is_some() { places.get(1..).unwrap_or_default() } else { &places[..] };
        kept -= removed.len();
        changes.extend(removed.iter().map(|i| (whole_member(object, &ranges, *i), "")));
        if let (None, Some(text)) = (places.first(), new) {
            let comma = if kept > 0 || !added.is_empty() { "," } else { "" };
            added.push_str(&format!("{comma}{}:{text}", json_string(name)));
        }
    }
    let edited = splice_ranges(object, changes);
    Some(close(edited, kept > 0, &added))
}

/// Removes what a removed first or last member may have left over, and adds new members at the end.
fn close(object: String, any_kept: bool, added: &str) -> String {
    let (Some(open), Some(end)) = (object.find('{'), object.rfind('}')) else { return object };
    let inner = object[open + 1..end].trim_matches([' ', '\t', '\r', '\n']);
    if any_kept && added.is_empty() && !inner.starts_with(',') {
        return object;
    }
    let inner = inner.strip_prefix(',').unwrap_or(inner);
    let added = if any_kept { added.to_owned() } else { added.trim_start_matches(',').to_owned() };
    let joint = if any_kept && !added.is_empty() && !added.starts_with(',') { "," } else { "" };
    format!("{}{inner}{joint}{added}{}", &object[..=open], &object[end..])
}

/// From the end of the member before (or the opening brace) to the end of this one: key, colon, value.
fn whole_member(object: &str, ranges: &[Range<usize>], index: usize) -> Range<usize> {
    let open = object.find('{').map_or(0, |at| at + 1);
    let start = index.checked_sub(1).map_or(open, |before| ranges[before].end);
    start..ranges[index].end
}

fn range_of(source: &str, value: &RawValue) -> Range<usize> {
    let start = (value.get().as_ptr() as usize).wrapping_sub(source.as_ptr() as usize);
    assert!(
        start <= source.len() && value.get().len() <= source.len() - start,
        "the value is borrowed from the source"
    );
    start..start + value.get().len()
}

fn splice_ranges(source: &str, mut changes: Vec<(Range<usize>, &str)>) -> String {
    changes.sort_by_key(|(range, _)| range.start);
    let grown: usize = changes.iter().map(|(_, new)| new.len()).sum();
    let mut out = String::with_capacity(source.len() + grown);
    let mut at = 0;
    for (range, new) in changes {
        out.push_str(&source[at..range.start]);
        out.push_str(new);
        at = range.end;
    }
    out.push_str(&source[at..]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edit_sets_adds_and_removes_members_only() {
        let object = r#"{ "a" : 1 , "b":{"a":2}, "c" : [1.10] }"#;
        assert_eq!(edit(object, &[("a", Some("9"))]).unwrap(), r#"{ "a" : 9 , "b":{"a":2}, "c" : [1.10] }"#);
        assert_eq!(edit(object, &[("b", None)]).unwrap(), r#"{ "a" : 1, "c" : [1.10] }"#);
        assert_eq!(
            edit(object, &[("a", None)]).unwrap(),
            r#"{"b":{"a":2}, "c" : [1.10]}"#.replace("{\"b", "{ \"b")
        );
        assert_eq!(edit(object, &[("c", None)]).unwrap(), r#"{ "a" : 1 , "b":{"a":2} }"#);
        assert_eq!(edit("{}", &[("n", Some("1")), ("m", Some("2"))]).unwrap(), r#"{"n":1,"m":2}"#);
        assert_eq!(edit(r#"{"a":1}"#, &[("a", None), ("b", Some("2"))]).unwrap(), r#"{"b":2}"#);
        assert_eq!(edit(r#"{"a":1}"#, &[("b", Some("2")), ("a", None)]).unwrap(), r#"{"b":2}"#);
        assert_eq!(edit(r#"{"a":1}"#, &[("b", Some("2"))]).unwrap(), r#"{"a":1,"b":2}"#);
        assert_eq!(edit(r#"{"a":1,"b":1}"#, &[("a", None), ("b", None)]).unwrap(), "{}");
        assert_eq!(edit(r#"{"a":1,"b":1,"c":1}"#, &[("a", None), ("b", None)]).unwrap(), r#"{"c":1}"#);
        assert!(edit("[]", &[]).is_none());
    }

    #[test]
    fn of_duplicates_one_is_left() {
        let object = r#"{"name":"a","x":1,"name":"b","n\u0061me":"c"}"#;
        assert_eq!(edit(object, &[("name", Some("\"z\""))]).unwrap(), r#"{"name":"z","x":1}"#);
        let value = raw(object.to_owned()).unwrap();
        assert_eq!(text_member(&value, "name").unwrap(), "c");
    }

    #[test]
    fn members_are_found_by_path() {
        let value = raw(r#"{"_meta":{"progressToken":1},"s":"a\nb"}"#.into()).unwrap();
        assert_eq!(member_at(&value, &["_meta", "progressToken"]).unwrap().get(), "1");
        assert!(member_at(&value, &["_meta", "x", "y"]).is_none());
        assert_eq!(text_member(&value, "s").unwrap(), "a\nb");
        assert!(text_member(&value, "_meta").is_none());
        assert!(raw("{".into()).is_none());
    }
}
