//! Turns what a deserializer says into a sentence with the field in front.

use crate::api::ApiError;

/// What is wrong with an input, and with which field of it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BadInput {
    field: Option<String>,
    problem: String,
}

impl BadInput {
    /// From the path of the place and the deserializer's words. Its words quote what was sent as a wrong
    /// type; that is cut off, since what was sent can be a secret in the wrong place.
    pub(crate) fn new(path: &str, message: &str) -> Self {
        let message = message.rfind(" at line ").map_or(message, |end| &message[..end]);
        let path = if path == "." { "" } else { path };
        if let Some(rest) = message.strip_prefix("unknown field `")
            && let Some((name, known)) = rest.split_once('`')
        {
            let known = known.trim_start_matches(", ").replace('`', "");
            let problem = match known.as_str() {
                "" => "is not known here".to_owned(),
                known => format!("is not known here ({known})"),
            };
            return Self { field: Some(within(path, name)), problem };
        }
        if let Some(name) = message.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`')) {
            return Self { field: Some(within(path, name)), problem: "is missing".to_owned() };
        }
        let field = (!path.is_empty()).then(|| path.to_owned());
        Self { field, problem: without_value(message) }
    }
}

impl From<BadInput> for ApiError {
    fn from(bad: BadInput) -> Self {
        Self::BadInput { field: bad.field, problem: bad.problem }
    }
}

/// The path of a field inside another; where the path already ends with its name it stands.
fn within(path: &str, name: &str) -> String {
    let ends_with_it =
        path.strip_suffix(name).is_some_and(|before| before.is_empty() || before.ends_with('.'));
    match path {
        "" => name.to_owned(),
        _ if ends_with_it => path.to_owned(),
        _ => format!("{path}.{name}"),
    }
}

/// `invalid type: string "secret", expected u32` without the value.
fn without_value(message: &str) -> String {
    for kind in ["invalid type", "invalid value", "unknown variant", "invalid length"] {
        if message.starts_with(kind)
            && let Some(at) = message.rfind(", expected ")
        {
            return format!("{kind}: {}", &message[at + 2..]);
        }
    }
    message.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(path: &str, message: &str) -> (Option<String>, String) {
        let bad = BadInput::new(path, message);
        (bad.field, bad.problem)
    }

    #[test]
    fn a_wrong_value_is_not_repeated() {
        let (field, problem) =
            told("a.b", "invalid type: string \"hunter2\", expected u32 at line 1 column 9");
        assert_eq!((field.as_deref(), problem.as_str()), (Some("a.b"), "invalid type: expected u32"));
        let (_, problem) = told("a", "unknown variant `hunter2`, expected `x` or `y`");
        assert_eq!(problem, "unknown variant: expected `x` or `y`");
        assert_eq!(told(".", "something else"), (None, "something else".to_owned()));
    }

    #[test]
    fn an_unknown_field_is_named_once() {
        let (field, problem) = told("inner.x", "unknown field `x`, expected `a` or `b`");
        assert_eq!(
            (field.as_deref(), problem.as_str()),
            (Some("inner.x"), "is not known here (expected a or b)")
        );
        assert_eq!(told(".", "unknown field `x`").0.as_deref(), Some("x"));
        assert_eq!(told("inner", "missing field `x`").0.as_deref(), Some("inner.x"));
    }
}
