//! The audit trail, for administrators: who did what, newest first, with every fact of each event.

use crate::extract::SessionCaller;
use crate::state::AppState;
use crate::ui::audit_filter::{Asking, export_href};
use crate::ui::audit_words::{Emails, name_of, people_in, sentence_of, who};
use crate::ui::error::PageError;
use crate::ui::form::{Asked, Form};
use crate::ui::page::{self, Frame, Here};
use crate::ui::parts::Moment;
use askama::Template;
use axum::extract::State;
use axum::response::Response;
use doorward_domain::{AuditEvent, Page, Permission};

/// Actions that can be chosen: how they begin, and what they are about.
const SUBJECTS: [(&str, &str); 10] = [
    ("", "Everything"),
    ("grant.", "OAuth tokens"),
    ("authorization.", "Authorizations in the browser"),
    ("gateway.", "Gateways"),
    ("user.", "People"),
    ("log", "Sign-ins"),
    ("api_token.", "API tokens"),
    ("cleanup.", "Cleanup"),
    ("keys.", "Keys"),
    ("audit.", "The audit trail itself"),
];

const ACTORS: [(&str, &str); 4] = [
    ("", "Anybody"),
    ("system", "Doorward itself"),
    ("command_line", "The command line"),
    ("anonymous", "Somebody not signed in"),
];

/// The page.
#[derive(Template)]
#[template(path = "audit.html")]
struct AuditPage {
    frame: Frame,
    form: Form,
    narrow: bool,
    more_open: bool,
    /// The newest event and its hash, where the page begins there.
    head: Option<(i64, String)>,
    rows: Vec<Row>,
    exports: Option<(String, String)>,
    older: Option<String>,
}

/// One event.
struct Row {
    seq: i64,
    at: Moment,
    who: String,
    what: String,
    action: String,
    facts: Vec<(String, String)>,
    /// Where the time line of the thing is.
    more: Option<String>,
    /// Where the steps of the round trip are, of which this event tells the end.
    attempt: Option<String>,
}

impl Row {
    fn new(event: &AuditEvent, people: &Emails) -> Self {
        let mut facts = Vec::new();
        let mut fact = |name: &str, value: Option<String>| {
            facts.extend(value.map(|value| (name.to_owned(), value)));
        };
        fact("Whose", event.user_id.map(|id| name_of(id, people)));
        fact("Thing", event.subject.clone());
        fact("From", event.address.clone());
        fact("Reference", event.reference.clone());
        for (name, value) in &event.detail {
            fact(&name.replace('_', " "), Some(value.clone()));
        }
        fact("Hash", Some(event.hash.to_string()));
        fact("Hash before", Some(event.previous_hash.to_string()));
        Self {
            seq: event.seq,
            at: Moment::exact(event.at),
            who: who(&event.actor, people),
            what: sentence_of(event),
            action: event.action.clone(),
            facts,
            attempt: event.reference.as_ref().filter(|_| of_attempt(&event.action)).map(|reference| {
                crate::ui::words::href(crate::ui::attempts::LIST, &[("reference", reference.clone())])
            }),
            more: event.subject.as_ref().map(|subject| {
                let query = serde_urlencoded::to_string([("subject", subject)]).unwrap_or_default();
                format!("/ui/audit?{query}")
            }),
        }
    }
}

/// Whether an event's reference is that of an authorization attempt.
fn of_attempt(action: &str) -> bool {
    action.starts_with("authorization.") || matches!(action, "grant.authorize" | "gateway.test_login")
}

impl AuditPage {
    fn new(frame: Frame, asking: &Asking, events: &Page<AuditEvent>, people: &Emails, begins: bool) -> Self {
        let form = asking.form.clone();
        let newest = events.items.first().filter(|_| begins && !asking.is_narrow());
        Self {
            frame,
            narrow: asking.is_narrow(),
            more_open: ["actor", "subject", "reference", "address"]
                .iter()
                .any(|name| !form.value(name).is_empty()),
            form,
            head: newest.map(|event| (event.seq, event.hash.to_string())),
            rows: events.items.iter().map(|event| Row::new(event, people)).collect(),
            exports: asking
                .filter
                .as_ref()
                .map(|filter| (export_href(filter, "csv"), export_href(filter, "ndjson"))),
            older: events.next_cursor.as_deref().map(|cursor| asking.href(cursor)),
        }
    }
}

/// `GET /ui/audit`
pub(super) async fn show(
    State(state): State<AppState>,
    session: SessionCaller,
    Asked(asked): Asked,
) -> Result<Response, PageError> {
    let caller = &session.caller;
    caller.require(Permission::ReadAudit)?;
    let asking = Asking::read(&state, caller, &asked).await?;
    let request = asked.page();
    let events = match &asking.filter {
        Some(filter) => state.broker.audit_events(caller, filter, &request).await?,
        None => Page { items: Vec::new(), next_cursor: None },
    };
    let people = state.broker.emails_of(caller, people_in(&events.items)).await?;
    let frame = Frame::new(&state, &session, Here::Audit);
    let page = AuditPage::new(frame, &asking, &events, &people, request.cursor.is_none());
    Ok(page::with_status(page.form.status, &page))
}

#[cfg(test)]
pub(super) fn samples() -> Vec<(&'static str, String)> {
    use doorward_storage::AuditFilter;
    let events = Page { items: crate::ui::samples::audit_events(), next_cursor: Some("a&b".into()) };
    let none = Page { items: vec![], next_cursor: None };
    let page = |form: Form, filter, events: &Page<AuditEvent>| {
        let asking = Asking { form, filter };
        AuditPage::new(Frame::sample(Here::Audit), &asking, events, &Emails::new(), true).render().unwrap()
    };
    let refused = Form::with([("person", "<i>report"), ("reference", "x")]).problem(
        http::StatusCode::BAD_REQUEST,
        "person",
        "nobody has this e-mail address or id",
    );
    vec![
        ("audit", page(Form::blank(), Some(AuditFilter::default()), &events)),
        ("audit-none", page(refused, None, &none)),
    ]
}
