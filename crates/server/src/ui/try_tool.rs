//! Trying a tool as oneself: one is chosen from the reader's catalog, its schema makes the form, and the call
//! goes out through the same door as a client's, with the reader's own grant.

use crate::extract::{CheckedForm, SessionCaller};
use crate::state::AppState;
use crate::ui::error::PageError;
use crate::ui::form::{Asked, Fields, Form};
use crate::ui::page::{self, Frame, Here};
use crate::ui::tool_form::{self, AS_JSON, Argument};
use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use doorward_domain::{CatalogItem, CatalogKind, Gateway, GatewayState};
use doorward_mcp::{CatalogState, Tried};
use futures_util::future::join_all;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// A person waits so long for an answer.
const PATIENCE: Duration = Duration::from_secs(60);
/// More of an answer than this is cut: a page is no place for megabytes.
const SHOWN: usize = 100_000;

/// The tools to choose from.
#[derive(Template)]
#[template(path = "try_tools.html")]
struct ToolsPage {
    frame: Frame,
    gateways: Vec<Offer>,
}

/// What a gateway offers.
struct Offer {
    name: String,
    slug: String,
    tools: Vec<Tool>,
    /// Why it offers nothing now.
    problem: Option<String>,
    must_authorize: bool,
}

/// A tool as its gateway describes it. The words come from outside and are shown as text.
struct Tool {
    name: String,
    title: String,
    description: String,
    reads_only: bool,
    href: String,
}

/// One tool, with its form and perhaps an answer.
#[derive(Template)]
#[template(path = "try_tool.html")]
struct ToolPage {
    frame: Frame,
    gateway: String,
    slug: String,
    tool: Tool,
    arguments: Option<Vec<Argument>>,
    form: Form,
    outcome: Option<Outcome>,
}

/// What came of a call.
enum Outcome {
    Answer { text: String, is_error: bool },
    MustAuthorize,
    Failed(String),
}

impl Tool {
    fn new(gateway: &Gateway, item: &CatalogItem, json: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let query = serde_urlencoded::to_string([("tool", &item.name)]).unwrap_or_default();
        Self {
            name: item.name.clone(),
            title: text(&json["title"]),
            description: text(&json["description"]),
            reads_only: json["annotations"]["readOnlyHint"] == true,
            href: format!("/ui/try/{}?{query}", gateway.slug),
        }
    }
}

impl Offer {
    fn new(gateway: &Gateway, state: CatalogState) -> Self {
        let (tools, problem) = match &state {
            CatalogState::Known(catalog) => {
                let tools = catalog.of_kind(CatalogKind::Tool);
                (tools.map(|item| Tool::new(gateway, item, &json_of(item))).collect(), None)
            }
            CatalogState::MustAuthorize => (Vec::new(), None),
            CatalogState::Unreachable(error) => {
                (Vec::new(), Some(crate::ui::form::sentence(&error.to_string())))
            }
        };
        Self {
            name: gateway.name.clone(),
            slug: gateway.slug.to_string(),
            tools,
            problem,
            must_authorize: matches!(state, CatalogState::MustAuthorize),
        }
    }
}

fn json_of(item: &CatalogItem) -> Value {
    serde_json::from_str(&item.json).unwrap_or_default()
}

impl Outcome {
    fn of(tried: Tried) -> Self {
        let bytes = match tried {
            Tried::Answered(bytes) => bytes,
            Tried::MustAuthorize => return Self::MustAuthorize,
            Tried::Failed(problem) => return Self::Failed(crate::ui::form::sentence(&problem)),
        };
        match serde_json::from_slice::<Value>(&bytes) {
            Ok(answer) if answer.get("error").is_some() => {
                let said = answer["error"]["message"].as_str().unwrap_or_default();
                Self::Failed(format!("The gateway answered with an error: {said}"))
            }
            Ok(answer) => {
                let result = &answer["result"];
                Self::Answer { text: cut(words(result)), is_error: result["isError"] == true }
            }
            Err(_) => Self::Failed("The gateway's answer is no JSON.".to_owned()),
        }
    }
}

/// The text of a result where it is nothing but text, else all of it.
fn words(result: &Value) -> String {
    let content = result["content"].as_array();
    let texts = content.map(|all| all.iter().map(|part| part["text"].as_str()).collect::<Option<Vec<_>>>());
    match texts.flatten() {
        Some(texts) if !texts.is_empty() => texts.join("\n"),
        _ => serde_json::to_string_pretty(result).unwrap_or_default(),
    }
}

fn cut(text: String) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((at, _)) => format!("{}\n… and more, which is cut here", &text[..at]),
        None => text,
    }
}

/// `GET /ui/try`
pub(super) async fn show(
    State(state): State<AppState>,
    session: SessionCaller,
) -> Result<Response, PageError> {
    let caller = &session.caller;
    let gateways = state.broker.served_gateways(caller).await?;
    let states = join_all(gateways.iter().map(|gateway| state.catalogs.of(caller, gateway))).await;
    let offers = gateways.iter().zip(states).map(|(gateway, state)| Offer::new(gateway, state)).collect();
    Ok(page::page(&ToolsPage { frame: Frame::new(&state, &session, Here::TryATool), gateways: offers }))
}

/// A gateway of the reader's, and a tool of its catalog.
async fn found(
    state: &AppState,
    session: &SessionCaller,
    slug: &str,
    name: &str,
) -> Result<(Arc<Gateway>, CatalogItem), PageError> {
    let gateway = state.broker.gateway_by_slug(&session.caller, slug).await?;
    if gateway.state == GatewayState::Disabled {
        return Err(PageError::NOT_FOUND);
    }
    let CatalogState::Known(catalog) = state.catalogs.of(&session.caller, &gateway).await else {
        return Err(PageError::NOT_FOUND);
    };
    let item = catalog.of_kind(CatalogKind::Tool).find(|item| item.name == name).cloned();
    Ok((gateway, item.ok_or(PageError::NOT_FOUND)?))
}

/// `GET /ui/try/{slug}`
pub(super) async fn ask(
    State(state): State<AppState>,
    session: SessionCaller,
    Path(slug): Path<String>,
    Asked(asked): Asked,
) -> Result<Response, PageError> {
    let (gateway, item) = found(&state, &session, &slug, asked.raw("tool")).await?;
    let json = json_of(&item);
    let arguments = tool_form::arguments(&json["inputSchema"]);
    let form = tool_form::blank(arguments.as_deref());
    let frame = Frame::new(&state, &session, Here::TryATool);
    let tool = Tool::new(&gateway, &item, &json);
    let page = ToolPage { frame, gateway: gateway.name.clone(), slug, tool, arguments, form, outcome: None };
    Ok(page::page(&page))
}

/// `POST /ui/try/{slug}`
pub(super) async fn call(
    State(state): State<AppState>,
    session: SessionCaller,
    Path(slug): Path<String>,
    CheckedForm(typed): CheckedForm<Fields>,
) -> Result<Response, PageError> {
    let (gateway, item) = found(&state, &session, &slug, typed.raw("tool")).await?;
    let json = json_of(&item);
    let schema = &json["inputSchema"];
    let arguments = tool_form::arguments(schema);
    let (form, outcome) = match tool_form::typed(schema, arguments.as_deref(), &typed) {
        Ok(given) => {
            let calling = state.trial.call(&session.caller, &gateway, &item.name, &given);
            let outcome = match tokio::time::timeout(PATIENCE, calling).await {
                Ok(tried) => Outcome::of(tried),
                Err(_) => {
                    Outcome::Failed("There was no answer within a minute: the call was cut.".to_owned())
                }
            };
            (Form::again(&typed), Some(outcome))
        }
        Err(error) => (Form::refused(&typed, error)?, None),
    };
    let frame = Frame::new(&state, &session, Here::TryATool);
    let tool = Tool::new(&gateway, &item, &json);
    let page = ToolPage { frame, gateway: gateway.name.clone(), slug, tool, arguments, form, outcome };
    Ok(page::with_status(page.form.status, &page))
}

#[cfg(test)]
pub(super) fn samples() -> Vec<(&'static str, String)> {
    use serde_json::json;
    let gateway = &crate::ui::samples::gateways()[0];
    let item = |name: &str, schema: Value| {
        let json = json!({ "name": name, "title": "Adds <img src=x>", "description": "<i>report", "inputSchema": schema });
        CatalogItem { kind: CatalogKind::Tool, name: name.into(), json: json.to_string() }
    };
    let offer = |problem: Option<&str>, must_authorize, tools| Offer {
        name: "GitHub".into(),
        slug: "github-mcp".into(),
        tools,
        problem: problem.map(str::to_owned),
        must_authorize,
    };
    let flat = json!({ "properties": { "a": { "type": "integer" }, "b": { "type": "boolean", "description": "<i>https" } }, "required": ["a"] });
    let add = item("add<b>admin", flat);
    let tool = |item: &CatalogItem| Tool::new(gateway, item, &json_of(item));
    let list = ToolsPage {
        frame: Frame::sample(Here::TryATool),
        gateways: vec![
            offer(None, false, vec![tool(&add)]),
            offer(None, true, vec![]),
            offer(Some("it does not answer"), false, vec![]),
        ],
    };
    let none = ToolsPage { frame: Frame::sample(Here::TryATool), gateways: vec![] };
    let page = |item: &CatalogItem, form: Form, outcome| {
        let page = ToolPage {
            frame: Frame::sample(Here::TryATool),
            gateway: "GitHub".into(),
            slug: "github-mcp".into(),
            tool: tool(item),
            arguments: tool_form::arguments(&json_of(item)["inputSchema"]),
            form,
            outcome,
        };
        page.render().unwrap()
    };
    let wrong = Form::blank().problem(http::StatusCode::BAD_REQUEST, "argument-0", "type a whole number");
    let echo = item("echo", json!({ "additionalProperties": true }));
    let answer = Outcome::Answer { text: "<script>alert(1)</script>".into(), is_error: true };
    vec![
        ("try", list.render().unwrap()),
        ("try-nothing", none.render().unwrap()),
        ("try-tool", page(&add, wrong, None)),
        ("try-tool-answer", page(&echo, tool_form::blank(None), Some(answer))),
        ("try-tool-asks", page(&add, Form::blank(), Some(Outcome::MustAuthorize))),
        ("try-tool-failed", page(&add, Form::blank(), Some(Outcome::Failed("It is <i>https down.".into())))),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_answer_is_its_text_and_everything_where_it_is_more_than_text() {
        let of = |answer: Value| Outcome::of(Tried::Answered(answer.to_string().into()));
        let text = json!({ "result": { "content": [{ "type": "text", "text": "a" }, { "type": "text", "text": "b" }] } });
        assert!(matches!(of(text), Outcome::Answer { text, is_error: false } if text == "a\nb"));
        let image = json!({ "result": { "isError": true, "content": [{ "type": "image", "data": "x" }] } });
        assert!(matches!(of(image), Outcome::Answer { text, is_error: true } if text.contains("\"image\"")));
        let refused = json!({ "error": { "code": 1, "message": "no" } });
        assert!(matches!(of(refused), Outcome::Failed(text) if text.ends_with("no")));
        assert!(matches!(Outcome::of(Tried::Answered("x".into())), Outcome::Failed(_)));
        assert!(cut("x".repeat(SHOWN + 1)).ends_with("cut here") && cut("x".into()) == "x");
    }
}
