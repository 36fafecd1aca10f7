//! The page of an access list: everyone, or these groups and people.

use crate::extract::SessionCaller;
use crate::state::AppState;
use crate::ui::error::PageError;
use crate::ui::form::{Fields, Form};
use crate::ui::page::{self, Frame, Here};
use askama::Template;
use axum::response::{IntoResponse, Redirect, Response};
use doorward_broker::{BrokerError, Caller};
use doorward_domain::{AccessList, Group, GroupId, PageRequest};
use std::collections::{BTreeSet, HashMap};

/// The page that is about nothing else.
#[derive(Template)]
#[template(path = "access.html")]
pub(super) struct AccessPage {
    frame: Frame,
    thing: Thing,
    form: Form,
    version: String,
    groups: Vec<GroupChoice>,
}

/// What the list is about.
pub(super) struct Thing {
    /// Where it has its page.
    pub(super) back: String,
    /// Where the form goes.
    pub(super) action: String,
    pub(super) name: String,
    /// What follows for those who are not named.
    pub(super) lede: &'static str,
}

impl Thing {
    /// A gateway or a virtual server.
    pub(super) fn whole(back: String, name: &str) -> Self {
        let lede = "Whoever is not named sees nothing of it, in no list and on no page. An authorization of somebody \
                    who loses access is kept aside for a while, and is back when they are.";
        Self { action: format!("{back}/access"), back, name: name.to_owned(), lede }
    }
}

impl AccessPage {
    pub(super) async fn respond(
        state: &AppState,
        session: &SessionCaller,
        frame: Frame,
        thing: Thing,
        form: Form,
        version: String,
    ) -> Result<Response, PageError> {
        let groups = choices(state, &session.caller, &form).await?;
        Ok(page::with_status(form.status, &Self { frame, thing, form, version, groups }))
    }

    /// What follows a list that somebody sent: where it has its page, or the form again with what was wrong.
    pub(super) async fn saved<T>(
        state: &AppState,
        session: &SessionCaller,
        here: Here,
        thing: Thing,
        typed: &Fields,
        saved: Result<T, BrokerError>,
    ) -> Result<Response, PageError> {
        let Err(error) = saved else {
            return Ok(Redirect::to(&format!("{}?note=access-saved", thing.back)).into_response());
        };
        let (form, version) = (Form::refused(typed, error)?, typed.text("version").to_owned());
        Self::respond(state, session, Frame::new(state, session, here), thing, form, version).await
    }
}

/// The names of the fields.
const FIELDS: &[&str] = &["access", "access.groups", "access.users"];

/// Groups to tick: the oldest, and those that are ticked already.
const GROUPS_SHOWN: u32 = 200;

/// A group to tick.
struct GroupChoice {
    id: String,
    name: String,
    /// How many people are in it, in words.
    members: String,
}

/// A stored list as form fields.
pub(super) async fn filled(
    state: &AppState,
    caller: &Caller,
    form: Form,
    access: &AccessList,
) -> Result<Form, PageError> {
    let AccessList::Only { groups, users } = access else { return Ok(form.set("access", "everyone")) };
    let emails: HashMap<_, _> = state.broker.emails_of(caller, users.iter().copied().collect()).await?;
    let mut emails: Vec<&str> = emails.values().map(String::as_str).collect();
    emails.sort_unstable();
    let form = form.set("access", "listed").set("access.users", emails.join("\n"));
    Ok(groups.iter().fold(form, |form, group| form.and("access.groups", group.to_string())))
}

/// The groups that can be ticked.
async fn choices(state: &AppState, caller: &Caller, form: &Form) -> Result<Vec<GroupChoice>, PageError> {
    let page = PageRequest { limit: GROUPS_SHOWN, cursor: None };
    let mut groups = state.broker.groups(caller, &page).await?.items;
    let ticked: BTreeSet<GroupId> = form.values("access.groups").filter_map(|id| id.parse().ok()).collect();
    for id in ticked {
        if groups.iter().all(|group| group.id != id)
            && let Ok(group) = state.broker.group(caller, id).await
        {
            groups.push(group);
        }
    }
    Ok(groups.iter().map(GroupChoice::of).collect())
}

impl GroupChoice {
    fn of(group: &Group) -> Self {
        Self { id: group.id.to_string(), name: group.name.clone(), members: people(group.members) }
    }
}

/// `1 person`, `3 people`.
pub(super) fn people(count: u64) -> String {
    if count == 1 { "1 person".to_owned() } else { format!("{count} people") }
}

/// What was typed.
pub(super) async fn typed(
    state: &AppState,
    caller: &Caller,
    typed: &Fields,
) -> Result<AccessList, BrokerError> {
    let invalid = |field: &str, problem: &str| BrokerError::Invalid {
        field: field.to_owned(),
        problem: problem.to_owned(),
    };
    match typed.text("access") {
        "everyone" => Ok(AccessList::Everyone),
        "listed" => {
            let groups: Result<_, _> = typed.all("access.groups").map(str::parse).collect();
            let emails = typed.text("access.users").split(|c: char| c.is_whitespace() || c == ',');
            let emails: Vec<&str> = emails.filter(|email| !email.is_empty()).collect();
            Ok(AccessList::Only {
                groups: groups.map_err(|_| invalid("access.groups", "tick groups of the list"))?,
                users: state.broker.people_by_email(caller, &emails, "access.users").await?,
            })
        }
        _ => Err(invalid("access", "choose one of them")),
    }
}

/// A list in a few words, for those who manage it.
pub(super) fn told(access: &AccessList) -> String {
    let AccessList::Only { groups, users } = access else { return "Everyone".to_owned() };
    let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    let grouped = match groups.len() {
        0 => None,
        1 => Some("1 group".to_owned()),
        many => Some(format!("{many} groups")),
    };
    let named = Some(users.len()).filter(|users| *users > 0).map(|users| people(count(users)));
    match (grouped, named) {
        (None, None) => "Nobody but administrators".to_owned(),
        (Some(one), None) | (None, Some(one)) => one,
        (Some(grouped), Some(named)) => format!("{grouped} and {named}"),
    }
}

#[cfg(test)]
pub(super) fn samples() -> Vec<(&'static str, String)> {
    let groups = crate::ui::samples::groups();
    let page = AccessPage {
        frame: Frame::sample(page::Here::Gateways),
        thing: Thing::whole("/ui/gateways/1".into(), "GitHub <i>https"),
        form: Form::with([("access", "listed"), ("access.groups", groups[0].id.to_string().as_str())])
            .problem(
                http::StatusCode::BAD_REQUEST,
                "access.users",
                "nobody has the e-mail address <script>no",
            ),
        version: "3".into(),
        groups: groups.iter().map(GroupChoice::of).collect(),
    };
    vec![("access", page.render().unwrap())]
}

#[cfg(test)]
mod tests {
    use super::*;
    use doorward_domain::UserId;
    use uuid::Uuid;

    #[test]
    fn a_list_is_told_in_a_few_words() {
        let list = |groups: u128, users: u128| AccessList::Only {
            groups: (0..groups).map(|n| GroupId(Uuid::from_u128(n))).collect(),
            users: (0..users).map(|n| UserId(Uuid::from_u128(n))).collect(),
        };
        assert_eq!(told(&AccessList::Everyone), "Everyone");
        assert_eq!(told(&list(0, 0)), "Nobody but administrators");
        assert_eq!(told(&list(1, 0)), "1 group");
        assert_eq!(told(&list(0, 1)), "1 person");
        assert_eq!(told(&list(2, 3)), "2 groups and 3 people");
    }
}
