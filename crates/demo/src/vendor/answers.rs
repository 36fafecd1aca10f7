//! How a vendor's answers look.

use super::{Answers, VendorProfile};
use crate::listener::CloseUnanswered;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use serde_json::{Map, Value, json};
use url::form_urlencoded;

/// An answer on its way.
pub(super) enum Answer {
    Plain(StatusCode, String),
    Json(StatusCode, Value),
    Form(StatusCode, Map<String, Value>),
    Redirect(String),
    /// The connection is closed instead.
    Lost,
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        match self {
            Self::Plain(status, text) => (status, text).into_response(),
            Self::Json(status, value) => (status, axum::Json(value)).into_response(),
            Self::Form(status, members) => {
                let mut form = form_urlencoded::Serializer::new(String::new());
                for (name, value) in &members {
                    form.append_pair(name, value.as_str().unwrap_or_default());
                }
                let kind = [(header::CONTENT_TYPE, "application/x-www-form-urlencoded; charset=utf-8")];
                (status, kind, form.finish()).into_response()
            }
            Self::Redirect(to) => (StatusCode::SEE_OTHER, [(header::LOCATION, to)]).into_response(),
            Self::Lost => {
                let mut response = StatusCode::OK.into_response();
                response.extensions_mut().insert(CloseUnanswered);
                response
            }
        }
    }
}

/// Tokens to be answered.
pub(super) struct Given {
    pub(super) access: String,
    pub(super) refresh: Option<String>,
    pub(super) scopes: Vec<String>,
    /// Whether they came of a code.
    pub(super) first: bool,
}

impl VendorProfile {
    pub(super) fn given(&self, given: &Given) -> Answer {
        let mut members = Map::new();
        members.insert("access_token".to_owned(), json!(given.access));
        if let Some(refresh) = &given.refresh {
            members.insert("refresh_token".to_owned(), json!(refresh));
        }
        if let Some(lifetime) = self.lifetime {
            members.insert("expires_in".to_owned(), json!(lifetime));
        }
        if let Some(separator) = self.answered_separator {
            let answered = given.scopes.iter().filter(|one| !self.unanswered_scopes.contains(&one.as_str()));
            let answered: Vec<&str> = answered.map(String::as_str).collect();
            members.insert("scope".to_owned(), json!(answered.join(separator)));
        }
        match self.answers {
            Answers::Json => {
                members.insert("token_type".to_owned(), json!("bearer"));
                Answer::Json(StatusCode::OK, Value::Object(members))
            }
            Answers::Form => {
                members.insert("token_type".to_owned(), json!("bearer"));
                Answer::Form(StatusCode::OK, members)
            }
            Answers::Slack if given.first => Answer::Json(
                StatusCode::OK,
                json!({ "ok": true, "access_token": "a-bots-token", "token_type": "bot", "scope": "chat:write",
                    "refresh_token": "a-bots-refresh-token", "expires_in": 0, "authed_user": members }),
            ),
            Answers::Slack => {
                members.insert("ok".to_owned(), json!(true));
                members.insert("token_type".to_owned(), json!("user"));
                Answer::Json(StatusCode::OK, Value::Object(members))
            }
        }
    }

    pub(super) fn refused(&self, status: u16, error: &str) -> Answer {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
        match self.answers {
            Answers::Json => Answer::Json(status, json!({ "error": error })),
            Answers::Form => {
                Answer::Form(StatusCode::OK, Map::from_iter([("error".to_owned(), json!(error))]))
            }
            Answers::Slack => Answer::Json(StatusCode::OK, json!({ "ok": false, "error": error })),
        }
    }
}
