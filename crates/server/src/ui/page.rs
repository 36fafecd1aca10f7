//! How a page leaves: as HTML, under a policy that lets nothing run but our own files.

use crate::extract::SessionCaller;
use crate::state::AppState;
use crate::ui::form::Fields;
use crate::ui::menu::{self, Group};
use crate::ui::parts::Tone;
use askama::Template;
use axum::response::{Html, IntoResponse, Response};
use doorward_domain::{Permission, Role};
use http::{HeaderValue, StatusCode, header};

/// No inline script or style, nothing from elsewhere, no frames (CSP level 3).
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
     font-src 'self'; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'";

/// A page.
pub(super) fn page(template: &impl Template) -> Response {
    with_status(StatusCode::OK, template)
}

/// A page with another status than 200.
pub(super) fn with_status(status: StatusCode, template: &impl Template) -> Response {
    match template.render() {
        Ok(html) => {
            let headers = [(header::CONTENT_SECURITY_POLICY, POLICY)];
            (status, headers, Html(html)).into_response()
        }
        Err(error) => {
            tracing::error!(%error, "a page could not be rendered");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// A page whose form is answered with a redirect to a provider. Chromium holds `form-action` against
/// every hop of that redirect, and a provider may send the browser on to a company's login elsewhere.
pub(super) fn page_that_leads_to(provider_origin: &str, template: &impl Template) -> Response {
    let mut response = page(template);
    let policy = HeaderValue::try_from(format!("{POLICY} {provider_origin} https:"));
    if let Ok(policy) = policy {
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}

/// Where in the navigation a page stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Here {
    Overview,
    OAuthTokens,
    ApiTokens,
    ConnectAClient,
    TryATool,
    People,
    Groups,
    Gateways,
    Attempts,
    Servers,
    Cleanup,
    Audit,
    Keys,
    Connections,
    Sessions,
    SecondFactor,
    Roles,
}

/// What surrounds a signed-in page.
#[derive(Debug, Clone)]
pub(super) struct Frame {
    pub(super) demo: bool,
    pub(super) email: String,
    /// Decides which buttons stand on a page; the server asks again when one is pressed.
    role: Role,
    /// The navigation, as far as the reader may go.
    pub(super) menu: Vec<Group>,
    /// Goes into every form.
    pub(super) csrf: String,
    pub(super) here: Here,
    pub(super) note: Option<Note>,
}

impl Frame {
    pub(super) fn new(state: &AppState, session: &SessionCaller, here: Here) -> Self {
        Self {
            demo: state.facts.demo,
            email: session.caller.user.email.clone(),
            role: session.caller.user.role.clone(),
            menu: menu::groups(|need| session.caller.may(need)),
            csrf: session.csrf.clone(),
            here,
            note: None,
        }
    }

    /// Whether the reader manages gateways.
    pub(super) fn manages_gateways(&self) -> bool {
        self.role.may(Permission::ManageGateways)
    }

    /// Whether the reader cleans up.
    pub(super) fn cleans_up(&self) -> bool {
        self.role.may(Permission::RunCleanup)
    }

    /// Whether the reader changes keys.
    pub(super) fn manages_keys(&self) -> bool {
        self.role.may(Permission::ManageKeys)
    }

    /// Whether the reader changes people.
    pub(super) fn manages_users(&self) -> bool {
        self.role.may(Permission::ManageUsers)
    }

    /// Whether the reader looks at what happened.
    pub(super) fn reads_audit(&self) -> bool {
        self.role.may(Permission::ReadAudit)
    }

    /// Whether the reader may anything beyond their own things.
    pub(super) fn is_more_than_a_user(&self) -> bool {
        self.role.is_more_than_a_user()
    }

    /// With the note that the URL asks for.
    pub(super) fn noted(mut self, asked: &Fields) -> Self {
        self.note = Note::asked(asked);
        self
    }

    #[cfg(test)]
    pub(super) fn sample(here: Here) -> Self {
        Self {
            demo: true,
            email: "<b>admin</b>@acme.example".into(),
            role: Role::Administrator,
            menu: menu::groups(|_| true),
            csrf: "token-of-the-form".into(),
            here,
            note: None,
        }
    }
}

/// One line about what has just happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Note {
    pub(super) tone: Tone,
    pub(super) text: String,
}

impl Note {
    pub(super) fn new(tone: Tone, text: impl Into<String>) -> Self {
        Self { tone, text: text.into() }
    }

    /// The note behind a code in the URL: an allow list, so that no link can put words into our page.
    fn asked(asked: &Fields) -> Option<Self> {
        let text = match asked.text("note") {
            "created" => "Saved as a draft: only administrators see it. Publish it when it works.",
            "created-published" => "Saved and published: whoever may use it can do so now.",
            "saved" => match asked.text("people").parse::<u64>() {
                Ok(people) if people > 0 => return Some(Self::moved(people)),
                _ => "Saved.",
            },
            "published" => "Published: whoever may use it can do so now.",
            "disabled" => "Disabled: nobody can use it now, and nothing was deleted.",
            "drafted" => "It is a draft again: only administrators can use it.",
            "deleted" => "Deleted.",
            "fresh-login" => "You have signed in again: go on where you were.",
            "second-factor-removed" => "Removed: your password alone signs you in now.",
            "role-made" => "Made: it can be given to people now.",
            "role-changed" => "Changed: it holds from the next request of everybody who has it.",
            "session-ended" => "Ended: that browser has to sign in again.",
            "ended" => "The token has ended: whatever used it is refused from now on.",
            "person-disabled" => "Disabled: their sessions and API tokens have ended.",
            "key-rotated" => "A new key seals. What older keys hold is being sealed anew.",
            "key-retired" => "Retired: the key is out of the ring.",
            "key-retired-by-hand" => {
                "Nothing needs the key any more: take it out of the setting of every process now."
            }
            "person-role" => "Their role is changed; it holds from their next request on.",
            "person-enabled" => "They can sign in again.",
            "refreshed" => "Refreshed: there is a fresh token.",
            "none-selected" => {
                return Some(Self::new(Tone::Warn, "Nothing is selected. Tick some rows first."));
            }
            "changes-agreed" => "Agreed: it is served from now on.",
            "server-created" => "Made. Now choose what it offers.",
            "group-created" => "Made. Now add the people.",
            "group-joined" => "Added: what the group may use is theirs now.",
            "group-left" => "Taken out: what they had by this group alone is closed to them now.",
            "access-saved" => "Saved: who may use it is settled, from now on.",
            "deposited" => "Deposited. It waits for the person’s word: they find it under My connections.",
            "deposited-active" => "Deposited: the person’s calls carry it from now on.",
            "asked-again" => "Their tokens are served no more; the next use asks them to authorize again.",
            _ => return None,
        };
        Some(Self::new(Tone::Ok, text))
    }

    fn moved(people: u64) -> Self {
        let who = if people == 1 { "1 person has".to_owned() } else { format!("{people} people have") };
        Self::new(
            Tone::Warn,
            format!("Saved. The gateway points elsewhere now, so {who} to authorize it again."),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(query: &str) -> Option<String> {
        Note::asked(&serde_urlencoded::from_str(query).unwrap()).map(|note| note.text)
    }

    #[test]
    fn a_note_is_one_of_ours() {
        assert_eq!(note("note=saved").unwrap(), "Saved.");
        assert!(note("note=saved&people=1").unwrap().contains("1 person has"));
        assert!(note("note=saved&people=3").unwrap().contains("3 people have"));
        assert_eq!(note("note=Call+me"), None);
        for code in ["created", "published", "disabled", "drafted", "deleted", "ended"] {
            assert!(note(&format!("note={code}")).unwrap().ends_with('.'));
        }
    }

    #[test]
    fn only_the_connect_page_leads_a_form_elsewhere() {
        let message = || crate::ui::message::Message::new(false, Tone::Info, "x", ("/ui".into(), "y"));
        let policy = |response: Response| {
            response.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap().to_owned()
        };
        assert!(policy(page(&message())).ends_with("form-action 'self'"));
        let leads = policy(page_that_leads_to("http://127.0.0.1:9", &message()));
        assert!(leads.ends_with("form-action 'self' http://127.0.0.1:9 https:"));
    }
}
