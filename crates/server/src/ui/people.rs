//! The people of this Doorward, for administrators: the list, reset links, and who may sign in.

use crate::extract::{CheckedForm, SessionCaller};
use crate::state::AppState;
use crate::ui::confirm::Confirm;
use crate::ui::error::PageError;
use crate::ui::form::{Asked, Fields};
use crate::ui::gateway::version_of;
use crate::ui::page::{self, Frame, Here};
use crate::ui::parts::{Badge, Icon, Moment, Tone};
use crate::ui::person::LinkPage;
use crate::ui::role;
use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use doorward_broker::UserEdit;
use doorward_domain::{Permission, User, UserId, UserState};

/// The list.
#[derive(Template)]
#[template(path = "people.html")]
struct PeoplePage {
    frame: Frame,
    rows: Vec<Row>,
    next_cursor: Option<String>,
}

struct Row {
    id: String,
    name: String,
    email: String,
    role: String,
    badge: Badge,
    active: bool,
    second_factor: bool,
    is_you: bool,
    since: Moment,
}

impl Row {
    fn new(user: &User, you: UserId) -> Self {
        let active = user.state == UserState::Active;
        Self {
            id: user.id.to_string(),
            name: user.name.clone(),
            email: user.email.clone(),
            role: role::label(&user.role),
            badge: match user.state {
                UserState::Active if user.password_hash.is_none() => {
                    Badge::new(Tone::Info, Icon::Clock, "Invited")
                }
                UserState::Active => Badge::new(Tone::Ok, Icon::Check, "Active"),
                UserState::Disabled => Badge::new(Tone::Mute, Icon::Off, "Disabled"),
            },
            active,
            second_factor: user.has_second_factor,
            is_you: user.id == you,
            since: Moment::exact(user.created_at),
        }
    }
}

/// What can be done with a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verb {
    ResetLink,
    /// A reset link that takes the second step away, too.
    ResetAll,
    Disable,
    Enable,
}

impl Verb {
    fn parse(text: &str) -> Result<Self, PageError> {
        match text {
            "reset-link" => Ok(Self::ResetLink),
            "reset-all" => Ok(Self::ResetAll),
            "disable" => Ok(Self::Disable),
            "enable" => Ok(Self::Enable),
            _ => Err(PageError::NOT_FOUND),
        }
    }

    fn question(self, name: &str) -> (String, &'static str, &'static str) {
        match self {
            Self::ResetLink => (
                format!("Make a reset link for {name}?"),
                "Whoever opens the link chooses a new password. When they do, sessions and API tokens from before end.",
                "Make the link",
            ),
            Self::ResetAll => (
                format!("Make a link that also removes the second step of {name}?"),
                "For who has lost both the app and the recovery codes: make sure that it is they who ask. Whoever opens \
                 the link chooses a new password, and the second step is gone. When they do, sessions and API tokens \
                 from before end.",
                "Make the link",
            ),
            Self::Disable => (
                format!("Disable {name}?"),
                "They cannot sign in, their sessions and API tokens end at once, and no call of theirs is served.",
                "Disable",
            ),
            Self::Enable => (
                format!("Enable {name}?"),
                "They can sign in again with the password they had. Their API tokens stay ended.",
                "Enable",
            ),
        }
    }
}

/// `GET /ui/people`
pub(super) async fn show(
    State(state): State<AppState>,
    session: SessionCaller,
    Asked(asked): Asked,
) -> Result<Response, PageError> {
    let request = asked.page();
    let people = state.broker.users(&session.caller, &request).await?;
    let you = session.caller.user.id;
    Ok(page::page(&PeoplePage {
        frame: Frame::new(&state, &session, Here::People).noted(&asked),
        rows: people.items.iter().map(|user| Row::new(user, you)).collect(),
        next_cursor: people.next_cursor,
    }))
}

/// `GET /ui/people/{id}/{verb}`
pub(super) async fn ask(
    State(state): State<AppState>,
    session: SessionCaller,
    Path((id, verb)): Path<(String, String)>,
) -> Result<Response, PageError> {
    session.caller.require(Permission::ManageUsers)?;
    let user = state.broker.user(&session.caller, crate::ui::id(&id)?).await?;
    let asked = Verb::parse(&verb)?;
    if matches!(asked, Verb::ResetLink | Verb::ResetAll) {
        state.broker.require_fresh_login_to_ask(&session.caller)?;
    }
    let (title, line, button) = asked.question(&user.name);
    Ok(page::page(&Confirm {
        frame: Frame::new(&state, &session, Here::People),
        title,
        lines: vec![line.to_owned()],
        action: format!("/ui/people/{id}/{verb}"),
        button,
        danger: asked == Verb::Disable,
        back: "/ui/people".to_owned(),
        version: Some(user.version),
    }))
}

/// `POST /ui/people/{id}/{verb}`
pub(super) async fn perform(
    State(state): State<AppState>,
    session: SessionCaller,
    Path((id, verb)): Path<(String, String)>,
    CheckedForm(typed): CheckedForm<Fields>,
) -> Result<Response, PageError> {
    let caller = &session.caller;
    let id: UserId = crate::ui::id(&id)?;
    let of_state = |state| UserEdit { state: Some(state), ..UserEdit::default() };
    let (edit, note) = match Verb::parse(&verb)? {
        verb @ (Verb::ResetLink | Verb::ResetAll) => {
            let user = state.broker.user(caller, id).await?;
            let link = state.broker.create_reset_link(caller, id, verb == Verb::ResetAll).await?;
            return Ok(page::page(&LinkPage::new(Frame::new(&state, &session, Here::People), &user, &link)));
        }
        Verb::Disable => (of_state(UserState::Disabled), "person-disabled"),
        Verb::Enable => (of_state(UserState::Active), "person-enabled"),
    };
    state.broker.update_user(caller, id, Some(version_of(&typed)), edit).await?;
    Ok(Redirect::to(&format!("/ui/people?note={note}")).into_response())
}

#[cfg(test)]
pub(super) fn samples() -> Vec<(&'static str, String)> {
    let people = crate::ui::samples::people();
    let page = PeoplePage {
        frame: Frame::sample(Here::People),
        rows: people.iter().map(|user| Row::new(user, people[0].id)).collect(),
        next_cursor: Some("a&b".into()),
    };
    vec![("people", page.render().unwrap())]
}
