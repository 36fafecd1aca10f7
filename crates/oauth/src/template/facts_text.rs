//! Provider facts as people read and edit them: lines of TOML, as in a template's file. What is by the book is
//! left out.

use doorward_domain::ProviderFacts;
use serde_json::{Map, Value};

/// The facts that are not by the book, a line each.
pub fn facts_to_text(facts: &ProviderFacts) -> String {
    let book = members(&ProviderFacts::default());
    let mut odd = members(facts);
    odd.retain(|name, value| book.get(name) != Some(value));
    toml_lines("", &odd)
}

/// Facts out of their lines; the problem names the field.
pub fn facts_from_text(text: &str) -> Result<ProviderFacts, String> {
    basic_toml::from_str(text).map_err(|error| error.to_string())
}

fn members(facts: &ProviderFacts) -> Map<String, Value> {
    match serde_json::to_value(facts) {
        Ok(Value::Object(members)) => members,
        other => unreachable!("facts are an object, not {other:?}"),
    }
}

/// JSON's texts, numbers and lists are TOML's too; an object becomes dotted keys.
pub(super) fn toml_lines(prefix: &str, facts: &Map<String, Value>) -> String {
    let lines = facts.iter().filter(|(_, value)| !value.is_null()).map(|(name, value)| match value {
        Value::Object(members) => toml_lines(&format!("{prefix}{}.", key(name)), members),
        value => format!("{prefix}{} = {value}\n", key(name)),
    });
    lines.collect()
}

/// A key of TOML, quoted where it has to be.
fn key(name: &str) -> String {
    let bare = name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
    if bare { name.to_owned() } else { Value::from(name).to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ProviderTemplates;

    #[test]
    fn facts_come_back_from_their_lines_as_they_went() {
        assert_eq!(facts_to_text(&ProviderFacts::default()), "");
        assert_eq!(facts_from_text("").unwrap(), ProviderFacts::default());
        for template in ProviderTemplates::shipped().all() {
            let examples = template.inputs.iter().map(|(name, input)| (name.clone(), input.example.clone()));
            let facts = template.fill(&examples.collect()).unwrap().facts;
            let text = facts_to_text(&facts);
            assert_eq!(facts_from_text(&text).unwrap(), facts, "{}:\n{text}", template.id);
        }
        for (text, named) in [
            ("replay = true", "replay"),
            ("replay_safe = 1", "replay_safe"),
            ("refresh_rotation = \"often\"", "often"),
            ("whoami.url = \"https://a/\"", "subject_path"),
            ("oops", "line 1"),
        ] {
            let problem = facts_from_text(text).unwrap_err();
            assert!(problem.contains(named), "{text}: {problem}");
        }
    }
}
