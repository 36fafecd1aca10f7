//! A form made from a tool's JSON schema, and the arguments that come back from it. What is more than a flat
//! list of plain values is typed as JSON.

use crate::ui::form::{Fields, Form};
use doorward_broker::BrokerError;
use serde_json::{Map, Value};

/// The field for arguments that no plain form can hold.
pub(super) const AS_JSON: &str = "arguments";

/// One argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Argument {
    /// In the schema.
    pub(super) name: String,
    /// In the form.
    pub(super) field: String,
    pub(super) kind: Kind,
    pub(super) required: bool,
    pub(super) help: String,
}

/// What can be typed for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Number {
        whole: bool,
    },
    /// One of these; yes and no are words too.
    Choice(Vec<String>),
}

impl Argument {
    pub(super) fn choices(&self) -> &[String] {
        if let Kind::Choice(choices) = &self.kind { choices } else { &[] }
    }

    pub(super) fn input_type(&self) -> &'static str {
        if matches!(self.kind, Kind::Number { .. }) { "number" } else { "text" }
    }
}

/// The arguments of a tool's schema; none where it is not flat and plain.
pub(super) fn arguments(schema: &Value) -> Option<Vec<Argument>> {
    let properties = match schema.get("properties") {
        Some(properties) => properties.as_object()?,
        None => return is_closed(schema).then(Vec::new),
    };
    if properties.is_empty() && !is_closed(schema) {
        return None;
    }
    let required = schema.get("required").and_then(Value::as_array);
    let needs = |name: &str| required.is_some_and(|all| all.iter().any(|one| one == name));
    let all = properties.iter().enumerate().map(|(at, (name, property))| {
        Some(Argument {
            name: name.clone(),
            field: format!("argument-{at}"),
            kind: kind(property)?,
            required: needs(name),
            help: property.get("description").and_then(Value::as_str).unwrap_or_default().to_owned(),
        })
    });
    all.collect()
}

/// Whether a schema without properties takes none at all: only what says so takes anything else.
fn is_closed(schema: &Value) -> bool {
    schema.get("additionalProperties").is_none_or(|more| more == &Value::Bool(false))
}

fn kind(property: &Value) -> Option<Kind> {
    if let Some(choices) = property.get("enum") {
        let words = choices.as_array()?.iter().map(|choice| choice.as_str().map(str::to_owned));
        return words.collect::<Option<Vec<_>>>().map(Kind::Choice);
    }
    match property.get("type").and_then(Value::as_str)? {
        "string" => Some(Kind::Text),
        "number" => Some(Kind::Number { whole: false }),
        "integer" => Some(Kind::Number { whole: true }),
        "boolean" => Some(Kind::Choice(vec!["true".to_owned(), "false".to_owned()])),
        _ => None,
    }
}

/// The form before anything is typed.
pub(super) fn blank(arguments: Option<&[Argument]>) -> Form {
    match arguments {
        Some(_) => Form::blank(),
        None => Form::with([(AS_JSON, "{}")]),
    }
}

/// What was typed, as a JSON object; or what is wrong with it.
pub(super) fn typed(
    schema: &Value,
    arguments: Option<&[Argument]>,
    fields: &Fields,
) -> Result<String, BrokerError> {
    let Some(arguments) = arguments else {
        let text = fields.text(AS_JSON);
        let text = if text.is_empty() { "{}" } else { text };
        return match serde_json::from_str(text) {
            Ok(Value::Object(_)) => Ok(text.to_owned()),
            Ok(_) => Err(invalid(AS_JSON, "write a JSON object, such as {\"name\": \"value\"}")),
            Err(error) => Err(invalid(AS_JSON, &format!("this is no JSON: {error}"))),
        };
    };
    let mut object = Map::new();
    for argument in arguments {
        let text = fields.raw(&argument.field);
        if text.is_empty() && !argument.required {
            continue;
        }
        object.insert(argument.name.clone(), value(schema, argument, text)?);
    }
    Ok(Value::Object(object).to_string())
}

fn value(schema: &Value, argument: &Argument, text: &str) -> Result<Value, BrokerError> {
    let is_truth = schema["properties"][&argument.name]["type"] == "boolean";
    match &argument.kind {
        Kind::Text => Ok(Value::String(text.to_owned())),
        Kind::Number { whole } => {
            let number: Option<serde_json::Number> = serde_json::from_str(text.trim()).ok();
            let fits = |number: &serde_json::Number| !whole || number.is_i64() || number.is_u64();
            let problem = if *whole { "type a whole number" } else { "type a number" };
            number.filter(fits).map(Value::Number).ok_or_else(|| invalid(&argument.field, problem))
        }
        Kind::Choice(choices) if choices.iter().any(|choice| choice == text) => {
            Ok(if is_truth { Value::Bool(text == "true") } else { Value::String(text.to_owned()) })
        }
        Kind::Choice(_) => Err(invalid(&argument.field, "choose one")),
    }
}

fn invalid(field: &str, problem: &str) -> BrokerError {
    BrokerError::Invalid { field: field.to_owned(), problem: problem.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(schema: &Value, query: &str) -> Result<String, BrokerError> {
        let fields = serde_urlencoded::from_str(query).unwrap();
        typed(schema, arguments(schema).as_deref(), &fields)
    }

    #[test]
    fn a_flat_schema_becomes_fields_and_the_fields_become_arguments() {
        let schema = json!({ "type": "object", "required": ["a"], "properties": {
            "a": { "type": "integer", "description": "How many." },
            "b": { "type": "boolean" },
            "c": { "enum": ["x", "y"] },
            "d": { "type": "string" },
        }});
        let all = arguments(&schema).unwrap();
        assert_eq!((all.len(), all[0].required, all[0].help.as_str()), (4, true, "How many."));
        assert_eq!((all[0].input_type(), all[1].choices().len()), ("number", 2));
        let sent = read(&schema, "argument-0=3&argument-1=true&argument-2=y&argument-3=").unwrap();
        assert_eq!(serde_json::from_str::<Value>(&sent).unwrap(), json!({ "a": 3, "b": true, "c": "y" }));
        for slip in
            ["argument-0=", "argument-0=1.5", "argument-0=1&argument-1=perhaps", "argument-0=1&argument-2=z"]
        {
            assert!(matches!(read(&schema, slip), Err(BrokerError::Invalid { .. })), "{slip}");
        }
    }

    #[test]
    fn what_is_not_flat_is_typed_as_json() {
        for schema in [
            json!({ "type": "object", "additionalProperties": true }),
            json!({ "properties": { "a": { "type": "array" } } }),
            json!({ "properties": { "a": { "enum": [1, 2] } } }),
        ] {
            assert_eq!(arguments(&schema), None, "{schema}");
            assert_eq!(read(&schema, "").unwrap(), "{}");
            assert_eq!(read(&schema, "arguments=%7B%22a%22%3A%5B1%5D%7D").unwrap(), "{\"a\":[1]}");
            assert!(read(&schema, "arguments=7").is_err() && read(&schema, "arguments=%7B").is_err());
        }
        assert_eq!(arguments(&json!({ "type": "object", "properties": {} })), Some(vec![]));
        assert_eq!(arguments(&json!({})), Some(vec![]));
    }
}
