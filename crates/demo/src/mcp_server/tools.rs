//! The tools: who am I, notes of one's own, a sum, and an echo that alters nothing.

use super::Shared;
use super::methods::{MethodError, Reply, read};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

pub(super) fn list() -> Vec<Value> {
    let none = json!({ "type": "object", "properties": {} });
    let any = json!({ "type": "object", "additionalProperties": true });
    let note =
        json!({ "type": "object", "properties": { "text": { "type": "string" } }, "required": ["text"] });
    let sum = json!({
        "type": "object",
        "properties": { "a": { "type": "number" }, "b": { "type": "number" } },
        "required": ["a", "b"],
    });
    [
        ("whoami", "Tells which account the access token speaks for.", &none, true),
        ("create_note", "Adds a note of your own.", &note, false),
        ("list_notes", "Lists your own notes.", &none, true),
        ("add", "Adds two numbers.", &sum, true),
        ("echo", "Gives the arguments back byte for byte.", &any, true),
    ]
    .map(|(name, description, schema, read_only)| {
        json!({
            "name": name,
            "description": description,
            "inputSchema": schema,
            "annotations": { "readOnlyHint": read_only },
        })
    })
    .into()
}

#[derive(Deserialize)]
struct CallParams<'a> {
    name: String,
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct NoteArguments {
    text: String,
}

#[derive(Deserialize)]
struct SumArguments {
    a: f64,
    b: f64,
}

pub(super) fn call(server: &Shared, account: &str, params: Option<&RawValue>) -> Result<Reply, MethodError> {
    let text = params.map_or("{}", RawValue::get);
    let params: CallParams<'_> = serde_json::from_str(text)
        .map_err(|error| MethodError::InvalidParams(format!("the parameters are wrong: {error}")))?;
    let answer = match params.name.as_str() {
        "whoami" => account.to_owned(),
        "create_note" => {
            let note: NoteArguments = read(params.arguments)?;
            format!("{account} has {} note(s) now", server.notes.add(account, note.text))
        }
        "list_notes" => server.notes.of(account).join("\n"),
        "add" => {
            let sum: SumArguments = read(params.arguments)?;
            (sum.a + sum.b).to_string()
        }
        "echo" => return Ok(echo(params.arguments)),
        other => return Err(MethodError::InvalidParams(format!("there is no tool `{other}`"))),
    };
    Ok(Reply::plain(&json!({ "content": [{ "type": "text", "text": answer }] })))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Echo<'a> {
    content: [Value; 1],
    structured_content: &'a RawValue,
    /// A field that no revision knows: whoever forwards it proves that unknown fields survive.
    vendor_field: &'a RawValue,
}

/// The arguments as text, as structured content, and in an unknown field: each with the very bytes
/// that came.
fn echo(arguments: Option<&RawValue>) -> Reply {
    let arguments = arguments.unwrap_or(RawValue::NULL);
    let content = [json!({ "type": "text", "text": arguments.get() })];
    let echo = Echo { content, structured_content: arguments, vendor_field: arguments };
    let text = serde_json::to_string(&echo).expect("raw JSON and strings serialize");
    Reply { text, is_cacheable: false }
}
