//! Which events of the audit trail a page shows: what was typed, as a filter and as a query again.

use crate::state::AppState;
use crate::ui::form::{Fields, Form};
use doorward_broker::{BrokerError, Caller};
use doorward_domain::{Actor, Timestamp, UserId};
use doorward_storage::AuditFilter;
use http::StatusCode;
use std::time::Duration;

/// The fields of the form, in its order.
const NAMES: [&str; 8] = ["person", "action", "actor", "subject", "reference", "address", "from", "to"];

/// What is asked for.
pub(super) struct Asking {
    pub(super) form: Form,
    /// None: something in the form names nothing, so nothing is shown.
    pub(super) filter: Option<AuditFilter>,
}

impl Asking {
    /// Reads a query. A person is meant by e-mail address or id.
    pub(super) async fn read(state: &AppState, caller: &Caller, asked: &Fields) -> Result<Self, BrokerError> {
        let mut form = Form::again(asked);
        let user = match asked.filled("person") {
            Some(text) => match person(state, caller, &text).await? {
                Some(id) => Some(id),
                None => return Ok(Self::wrong(form, "person", "nobody has this e-mail address or id")),
            },
            None => None,
        };
        let (since, until) = (day(asked.text("from")), day(asked.text("to")));
        for (name, moment) in [("from", since), ("to", until)] {
            if moment.is_none() && asked.filled(name).is_some() {
                form = form.problem(StatusCode::BAD_REQUEST, name, "choose a day");
            }
        }
        if form.status != StatusCode::OK {
            return Ok(Self { form, filter: None });
        }
        let filter = AuditFilter {
            action_prefix: asked.filled("action"),
            user,
            actor: actor(asked.text("actor")),
            subject: asked.filled("subject"),
            reference: asked.filled("reference"),
            address: asked.filled("address"),
            since,
            until: until.map(|day| day.plus(Duration::from_secs(86_400))),
        };
        Ok(Self { form, filter: Some(filter) })
    }

    fn wrong(form: Form, field: &str, problem: &str) -> Self {
        Self { form: form.problem(StatusCode::BAD_REQUEST, field, problem), filter: None }
    }

    /// Whether anything is asked for beyond everything.
    pub(super) fn is_narrow(&self) -> bool {
        NAMES.iter().any(|name| !self.form.value(name).trim().is_empty())
    }

    /// The query of the same page from a cursor on.
    pub(super) fn href(&self, cursor: &str) -> String {
        let mut pairs: Vec<(&str, &str)> =
            NAMES.iter().map(|name| (*name, self.form.value(name).trim())).collect();
        pairs.push(("cursor", cursor));
        pairs.retain(|(_, value)| !value.is_empty());
        format!("/ui/audit?{}", serde_urlencoded::to_string(pairs).unwrap_or_default())
    }
}

/// The same filter as the export of REST spells it.
pub(super) fn export_href(filter: &AuditFilter, format: &str) -> String {
    let text = |value: &Option<Timestamp>| value.map(|moment| moment.to_string());
    let actor = filter.actor.as_ref().map(|actor| match actor.person() {
        Some(id) => id.to_string(),
        None => actor.kind().to_owned(),
    });
    let pairs = [
        ("action", filter.action_prefix.clone()),
        ("user", filter.user.map(|id| id.to_string())),
        ("actor", actor),
        ("grant", filter.subject.clone()),
        ("reference", filter.reference.clone()),
        ("address", filter.address.clone()),
        ("since", text(&filter.since)),
        ("until", text(&filter.until)),
    ];
    let pairs: Vec<_> = pairs.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
    let rest = serde_urlencoded::to_string(pairs).unwrap_or_default();
    let and = if rest.is_empty() { "" } else { "&" };
    format!("/admin/audit/export?format={format}{and}{rest}")
}

async fn person(state: &AppState, caller: &Caller, text: &str) -> Result<Option<UserId>, BrokerError> {
    if let Ok(id) = text.parse() {
        return Ok(Some(id));
    }
    state.broker.person_of_email(caller, text).await
}

fn actor(text: &str) -> Option<Actor> {
    match text {
        "anonymous" => Some(Actor::Anonymous),
        "system" => Some(Actor::System),
        "command_line" => Some(Actor::CommandLine),
        _ => None,
    }
}

/// The beginning of a day, by UTC.
fn day(text: &str) -> Option<Timestamp> {
    format!("{text}T00:00:00Z").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_is_kept_in_its_address_and_the_export_takes_the_same_filter() {
        let asked: Fields =
            serde_urlencoded::from_str("action=grant.&from=2026-09-01&nonsense=1&actor=").unwrap();
        let asking = Asking { form: Form::again(&asked), filter: None };
        assert!(asking.is_narrow());
        assert_eq!(asking.href("a&b"), "/ui/audit?action=grant.&from=2026-09-01&cursor=a%26b");
        let filter = AuditFilter {
            action_prefix: Some("grant.".into()),
            actor: actor("system"),
            since: day("2026-09-01"),
            ..AuditFilter::default()
        };
        assert_eq!(
            export_href(&filter, "csv"),
            "/admin/audit/export?format=csv&action=grant.&actor=system&since=2026-09-01T00%3A00%3A00Z"
        );
        assert_eq!(export_href(&AuditFilter::default(), "ndjson"), "/admin/audit/export?format=ndjson");
        assert_eq!((day("yesterday"), actor("king")), (None, None));
    }
}
