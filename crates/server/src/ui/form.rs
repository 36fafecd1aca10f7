//! Forms: the fields that come in, and the form that goes out again when something in it is wrong.
//!
//! What comes in is an allow list by use: only fields that a handler asks for by name count. What goes
//! out again never holds a secret.

use crate::csrf;
use crate::ui::error::PageError;
use axum::extract::FromRequestParts;
use doorward_broker::BrokerError;
use doorward_domain::PageRequest;
use http::StatusCode;
use http::request::Parts;
use serde::Deserialize;
use std::convert::Infallible;

/// Fields that are never sent back to the browser.
const SECRET_FIELDS: [&str; 11] = [
    csrf::FIELD,
    "password",
    "code",
    "authorization.client_secret",
    "authorization.private_key",
    "authorization.value",
    "client_certificate.key",
    "token",
    "access_token",
    "refresh_token",
    "id_token",
];

/// Name and value pairs, of a form or of a query; a name may come several times.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(transparent)]
pub(super) struct Fields(Vec<(String, String)>);

impl Fields {
    /// Fields that nobody typed.
    pub(super) fn of<N: Into<String>, V: Into<String>>(values: impl IntoIterator<Item = (N, V)>) -> Self {
        Self(values.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }

    /// A field without blanks around it; empty when absent.
    pub(super) fn text(&self, name: &str) -> &str {
        self.raw(name).trim()
    }

    /// A field as it was typed (passwords may begin with a blank); empty when absent.
    pub(super) fn raw(&self, name: &str) -> &str {
        self.0.iter().find(|(found, _)| found == name).map_or("", |(_, value)| value)
    }

    /// A field that was filled in.
    pub(super) fn filled(&self, name: &str) -> Option<String> {
        Some(self.text(name)).filter(|text| !text.is_empty()).map(str::to_owned)
    }

    /// The page of a list that a URL asks for.
    pub(super) fn page(&self) -> PageRequest {
        PageRequest { cursor: self.filled("cursor"), ..PageRequest::default() }
    }

    /// Whether a box was ticked, or a button pressed.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(found, _)| found == name)
    }

    /// The fields whose names begin so, by the rest of their names.
    pub(super) fn starting_with(&self, prefix: &str) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().filter_map(move |(name, value)| Some((name.strip_prefix(prefix)?, value.as_str())))
    }

    /// All values of a name.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(found, _)| found == name).map(|(_, value)| value.as_str())
    }
}

/// The query of a page's URL. Pages ignore what they do not know, so that a bookmark never breaks.
#[derive(Debug)]
pub(super) struct Asked(pub(super) Fields);

impl<S: Sync> FromRequestParts<S> for Asked {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let query = parts.uri.query().unwrap_or_default();
        Ok(Self(serde_urlencoded::from_str(query).unwrap_or_default()))
    }
}

/// What is wrong with a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    /// The field's name; empty when it is about the whole form.
    pub(super) field: String,
    pub(super) text: String,
}

/// A form to be shown: what its fields hold, and what is wrong with them.
#[derive(Debug, Clone)]
pub(super) struct Form {
    values: Fields,
    problems: Vec<Problem>,
    /// It lacks nothing but a fresh login, which can be had beside it.
    pub(super) needs_fresh_login: bool,
    /// What the answer's status is.
    pub(super) status: StatusCode,
}

impl Form {
    /// A form that is shown for the first time, with these values.
    pub(super) fn with<N: Into<String>, V: Into<String>>(values: impl IntoIterator<Item = (N, V)>) -> Self {
        let values = values.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        Self {
            values: Fields(values),
            problems: Vec::new(),
            needs_fresh_login: false,
            status: StatusCode::OK,
        }
    }

    /// An empty form.
    pub(super) fn blank() -> Self {
        Self::with([("", "")])
    }

    /// What was typed, without its secrets.
    pub(super) fn again(typed: &Fields) -> Self {
        let shown = typed.0.iter().filter(|(name, _)| !SECRET_FIELDS.contains(&name.as_str()));
        Self {
            values: Fields(shown.cloned().collect()),
            problems: Vec::new(),
            needs_fresh_login: false,
            status: StatusCode::OK,
        }
    }

    /// What was typed, and why it was refused. What no form can mend is a page of its own.
    pub(super) fn refused(typed: &Fields, error: BrokerError) -> Result<Self, PageError> {
        let status = PageError::status_of(&error);
        let (field, text) = match error {
            BrokerError::FreshLoginNeeded => {
                return Ok(Self { needs_fresh_login: true, status, ..Self::again(typed) });
            }
            BrokerError::Invalid { field, problem } | BrokerError::Conflict { field, problem } => {
                (field, problem)
            }
            BrokerError::VersionMismatch
            | BrokerError::Throttled { .. }
            | BrokerError::Unavailable { .. } => (String::new(), error.to_string()),
            other => return Err(other.into()),
        };
        Ok(Self::again(typed).problem(status, field, &text))
    }

    /// The same form with a problem.
    pub(super) fn problem(mut self, status: StatusCode, field: impl Into<String>, text: &str) -> Self {
        self.status = status;
        self.problems.push(Problem { field: field.into(), text: sentence(text) });
        self
    }

    /// The same form with one field filled in otherwise.
    pub(super) fn set(mut self, name: &str, value: impl Into<String>) -> Self {
        self.values.0.retain(|(found, _)| found != name);
        self.values.0.push((name.to_owned(), value.into()));
        self
    }

    /// The same form with one more value of a name that may come several times.
    pub(super) fn and(mut self, name: &str, value: impl Into<String>) -> Self {
        self.values.0.push((name.to_owned(), value.into()));
        self
    }

    /// All that a name holds.
    pub(super) fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        self.values.all(name)
    }

    /// What a field holds.
    pub(super) fn value(&self, name: &str) -> &str {
        self.values.raw(name)
    }

    /// Whether a choice is made.
    pub(super) fn chosen(&self, name: &str, value: &str) -> bool {
        self.values.all(name).any(|held| held == value)
    }

    /// What is wrong with a field; empty when nothing is.
    pub(super) fn wrong(&self, name: &str) -> &str {
        let found = self.problems.iter().find(|problem| problem.field == name);
        found.map_or("", |problem| &problem.text)
    }

    /// The same form, with the problems of a field's parts (`field.part`) at the field itself.
    pub(super) fn gathered(mut self, field: &str) -> Self {
        for problem in &mut self.problems {
            if let Some(part) = problem.field.strip_prefix(field).and_then(|rest| rest.strip_prefix('.')) {
                problem.text = format!("{part}: {}", problem.text);
                problem.field = field.to_owned();
            }
        }
        self
    }

    /// What is wrong with anything but these fields.
    pub(super) fn otherwise_wrong(&self, shown: &[&str]) -> Vec<&str> {
        let hidden = self.problems.iter().filter(|problem| !shown.contains(&problem.field.as_str()));
        hidden.map(|problem| problem.text.as_str()).collect()
    }
}

/// Words between blanks, lines or commas.
pub(super) fn words(text: &str) -> Vec<String> {
    let words = text.split([' ', '\t', '\r', '\n', ',']).filter(|word| !word.is_empty());
    words.map(str::to_owned).collect()
}

/// Said after a form that was not sent off: no page sends a secret back, so whoever has typed one is told.
pub(super) fn secrets_again(typed: &Fields) -> &'static str {
    let mut secrets = SECRET_FIELDS.iter().filter(|field| **field != csrf::FIELD);
    if secrets.any(|field| !typed.text(field).is_empty()) {
        " Give the secrets again that you have typed: no page sends them back."
    } else {
        ""
    }
}

/// With a capital and a full stop, as a page says it.
pub(super) fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|letter| letter.to_uppercase().to_string()).unwrap_or_default();
    let stop = if text.ends_with(['.', '?', '!']) { "" } else { "." };
    format!("{first}{}{stop}", letters.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(text: &str) -> Fields {
        serde_urlencoded::from_str(text).unwrap()
    }

    #[test]
    fn a_name_may_come_several_times() {
        let fields = fields("g=1&g=2&name=+a+&empty=");
        assert_eq!(fields.all("g").collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!((fields.text("name"), fields.raw("name")), ("a", " a "));
        assert_eq!((fields.filled("empty"), fields.filled("none")), (None, None));
        assert!(fields.has("empty") && !fields.has("none"));
    }

    #[test]
    fn a_refused_form_comes_back_without_its_secrets() {
        let typed = fields("email=a%40b&password=hunter22&authorization.client_secret=x&csrf=c");
        let error = BrokerError::Invalid { field: "email".into(), problem: "give another".into() };
        let form = Form::refused(&typed, error).unwrap();
        assert_eq!((form.value("email"), form.wrong("email")), ("a@b", "Give another."));
        assert_eq!(form.status, StatusCode::BAD_REQUEST);
        assert!(!format!("{form:?}").contains("hunter22"));
        assert_eq!(form.otherwise_wrong(&["email"]), Vec::<&str>::new());
        assert_eq!(form.otherwise_wrong(&[]), ["Give another."]);
    }

    #[test]
    fn a_problem_of_the_whole_form_is_shown_above_it() {
        let form = Form::refused(&Fields::default(), BrokerError::VersionMismatch).unwrap();
        assert_eq!(form.otherwise_wrong(&["url"]).len(), 1);
        assert_eq!(form.status, StatusCode::PRECONDITION_FAILED);
        assert!(Form::refused(&Fields::default(), BrokerError::NotFound { what: "gateway" }).is_err());
        assert!(form.set("a", "1").set("a", "2").chosen("a", "2"));
    }
}
